
/*
 * Messages in hand: taken from the live handle's queue a few at a time, so
 * that what is to be looked up for one is on its way into the cache while
 * those before it are handed over.  With a million filters that is most of
 * what a record costs.
 *
 * They stay in hand while the ring is full.  A partition that stops takes
 * its own out: if it starts again, it reads them again.
 */


#include "source/ngx_http_fanout_kafka_int.h"


static void ngx_http_fanout_kafka_hand_fill(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_handle_t *h);
static void ngx_http_fanout_kafka_hand_ahead(rd_kafka_message_t *rkm,
    fo_record_t *rec);


ngx_uint_t
ngx_http_fanout_kafka_hand_next(ngx_http_fanout_kafka_t *k)
{
    ngx_http_fanout_kafka_hand_t    *hand;
    ngx_http_fanout_kafka_handle_t  *h;

    hand = &k->hand;

    while (hand->first < hand->last && hand->message[hand->first] == NULL) {
        hand->first++;
    }

    if (hand->first == hand->last) {
        h = k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE];

        if (h == NULL) {
            return 0;
        }

        ngx_http_fanout_kafka_hand_fill(k, h);
    }

    return hand->first < hand->last;
}


static void
ngx_http_fanout_kafka_hand_fill(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_handle_t *h)
{
    rd_kafka_message_t            *rkm;
    ngx_http_fanout_kafka_hand_t  *hand;

    hand = &k->hand;

    hand->first = 0;
    hand->last = 0;

    while (hand->last < NGX_HTTP_FANOUT_KAFKA_HAND) {

        rkm = rd_kafka_consume_queue(h->records, 0);

        if (rkm == NULL) {
            return;
        }

        ngx_http_fanout_kafka_hand_ahead(rkm, &hand->record[hand->last]);

        hand->message[hand->last++] = rkm;
    }
}


static void
ngx_http_fanout_kafka_hand_ahead(rd_kafka_message_t *rkm, fo_record_t *rec)
{
    ngx_http_fanout_kafka_part_t  *part;

    rec->key = rkm->key;
    rec->key_len = (uint32_t) rkm->key_len;
    rec->value = rkm->payload;
    rec->value_len = (uint32_t) rkm->len;
    rec->offset = rkm->offset;
    rec->partition = (uint32_t) rkm->partition;
    rec->hash = 0;

    if (rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }

    rec->time = rd_kafka_message_timestamp(rkm, NULL);

    part = ngx_http_fanout_kafka_hand_part(rkm);

    if (part) {
        fo_hub_ahead(part->owned, rec);
    }
}


ngx_http_fanout_kafka_part_t *
ngx_http_fanout_kafka_hand_part(rd_kafka_message_t *rkm)
{
    ngx_http_fanout_kafka_part_t   *part;
    ngx_http_fanout_kafka_topic_t  *t;

    t = rkm->rkt ? rd_kafka_topic_opaque(rkm->rkt) : NULL;

    if (t == NULL || rkm->partition < 0
        || (ngx_uint_t) rkm->partition >= t->nparts)
    {
        return NULL;
    }

    part = t->parts[rkm->partition];

    return (part && part->state == NGX_HTTP_FANOUT_KAFKA_RUNNING) ? part
                                                                  : NULL;
}


void
ngx_http_fanout_kafka_hand_drop(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    ngx_uint_t                     i;
    rd_kafka_message_t            *rkm;
    ngx_http_fanout_kafka_hand_t  *hand;

    hand = &k->hand;

    for (i = hand->first; i < hand->last; i++) {
        rkm = hand->message[i];

        if (rkm == NULL
            || (part && (rkm->rkt != part->topic->rkt
                         || rkm->partition != (int32_t) part->partition)))
        {
            continue;
        }

        rd_kafka_message_destroy(rkm);
        hand->message[i] = NULL;
    }
}
