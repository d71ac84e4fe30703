
/*
 * Records from the live handle's queue to the hub, for a bounded time a
 * turn.  A message is read in place and destroyed at once; if the hub has
 * no room for one, it stays in hand with those after it, and Kafka keeps the
 * rest.
 *
 * The queue writes to the eventfd only when it was empty: so either it is
 * drained until it is, or the next turn is posted.
 */


#include "source/ngx_http_fanout_kafka_int.h"


static void ngx_http_fanout_kafka_kick(ngx_http_fanout_kafka_t *k,
    rd_kafka_message_t *rkm);
static ngx_int_t ngx_http_fanout_kafka_deliver(ngx_http_fanout_kafka_t *k,
    rd_kafka_message_t *rkm, const fo_record_t *rec);
static void ngx_http_fanout_kafka_key_check(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, rd_kafka_message_t *rkm);
static void ngx_http_fanout_kafka_error(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, rd_kafka_message_t *rkm);
static void ngx_http_fanout_kafka_end(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, int64_t offset);
static void ngx_http_fanout_kafka_missed(ngx_http_fanout_kafka_part_t *part,
    int64_t offset);
static void ngx_http_fanout_kafka_lost(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


void
ngx_http_fanout_kafka_drain(ngx_http_fanout_kafka_t *k)
{
    uint64_t                       end;
    ngx_uint_t                     n;
    fo_record_t                   *rec;
    rd_kafka_message_t            *rkm;
    ngx_http_fanout_kafka_hand_t  *hand;

    hand = &k->hand;
    end = ngx_http_fanout_kafka_clock() + NGX_HTTP_FANOUT_KAFKA_TIME;

    for (n = 1; n <= NGX_HTTP_FANOUT_KAFKA_RECORDS; n++) {

        if (!ngx_http_fanout_kafka_hand_next(k)) {
            return;
        }

        /* nobody else destroys it meanwhile */

        rkm = hand->message[hand->first];
        rec = &hand->record[hand->first++];

        if (ngx_http_fanout_kafka_deliver(k, rkm, rec) == NGX_AGAIN) {
            hand->first--;
            return;
        }

        ngx_http_fanout_kafka_kick(k, rkm);

        rd_kafka_message_destroy(rkm);

        if (n % 64 == 0 && ngx_http_fanout_kafka_clock() >= end) {
            break;
        }
    }

    ngx_http_fanout_kafka_post(k);
}


/*
 * librdkafka before 2.2 stops fetching when its queue is full, and looks
 * again after up to a second.  Whenever half a queue was taken, its broker
 * threads are woken, so that they look.  There is no function for that
 * alone; to set the credentials that are set does nothing else.
 */

static void
ngx_http_fanout_kafka_kick(ngx_http_fanout_kafka_t *k,
    rd_kafka_message_t *rkm)
{
    rd_kafka_error_t  *error;

    if (k->kick_records == 0) {
        return;
    }

    k->taken_records++;
    k->taken_bytes += rkm->len + rkm->key_len;

    if (k->taken_records < k->kick_records
        && k->taken_bytes < k->kick_bytes)
    {
        return;
    }

    k->taken_records = 0;
    k->taken_bytes = 0;

    error = rd_kafka_sasl_set_credentials(
                                k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE]->rk,
                                k->username, k->password);
    if (error) {
        rd_kafka_error_destroy(error);
    }
}


static ngx_int_t
ngx_http_fanout_kafka_deliver(ngx_http_fanout_kafka_t *k,
    rd_kafka_message_t *rkm, const fo_record_t *rec)
{
    ngx_http_fanout_kafka_part_t  *part;

    part = ngx_http_fanout_kafka_hand_part(rkm);

    if (rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ngx_http_fanout_kafka_error(k, part, rkm);
        return NGX_OK;
    }

    if (part == NULL || rkm->offset < part->next) {
        return NGX_OK;
    }

    if (part->step && ngx_http_fanout_kafka_skipped(k, part) == NGX_AGAIN) {
        return NGX_OK;
    }

    if (part->missed) {
        ngx_http_fanout_kafka_missed(part, rkm->offset);
    }

    if (fo_hub_record(part->owned, rec) == FO_AGAIN) {
        return NGX_AGAIN;
    }

    part->next = rkm->offset + 1;
    ngx_http_fanout_kafka_fine(k, part);

    if (part->topic->partitioner != NGX_HTTP_FANOUT_KAFKA_ANY) {
        ngx_http_fanout_kafka_key_check(k, part->topic, rkm);
    }

    if (!k->up) {
        ngx_http_fanout_kafka_up(k);
    }

    return NGX_OK;
}


/*
 * Is the key where the declared partitioner puts it?  If not, the topic may
 * just have grown: only when it has as many partitions as we think, the
 * declaration is wrong.
 */

static void
ngx_http_fanout_kafka_key_check(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, rd_kafka_message_t *rkm)
{
    int32_t  partition;

    if (t->partitions == 0 || t->suspect) {
        return;
    }

    partition = ngx_http_fanout_kafka_partition(t->partitioner, rkm->key,
                                                rkm->key_len,
                                                (int32_t) t->partitions);

    if (partition == -1 || partition == rkm->partition) {
        return;
    }

    t->suspect = 1;
    ngx_http_fanout_kafka_ask(k, t);
}


void
ngx_http_fanout_kafka_counted(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, uint32_t partitions)
{
    ngx_uint_t  i, wrong;

    wrong = t->suspect && partitions && partitions == t->partitions;

    t->suspect = 0;

    if (partitions) {
        t->partitions = partitions;
    }

    if (!wrong) {
        return;
    }

    for (i = 0; i < t->nparts; i++) {
        if (t->parts[i]
            && t->parts[i]->state == NGX_HTTP_FANOUT_KAFKA_RUNNING)
        {
            t->partitioner = NGX_HTTP_FANOUT_KAFKA_ANY;
            fo_hub_mismatch(t->parts[i]->owned);

            return;
        }
    }
}


static void
ngx_http_fanout_kafka_error(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, rd_kafka_message_t *rkm)
{
    if (part == NULL) {
        return;
    }

    switch (rkm->err) {

    case RD_KAFKA_RESP_ERR__PARTITION_EOF:

        ngx_http_fanout_kafka_end(k, part, rkm->offset);
        return;

    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
#if (RD_KAFKA_VERSION >= 0x02010000)
    case RD_KAFKA_RESP_ERR__LOG_TRUNCATION:
#endif
        if (rkm->offset >= 0 && rkm->offset != part->next) {

            /* from before the last start, for a stop does not take it along,
               and librdkafka has stopped fetching nevertheless */

            ngx_http_fanout_kafka_again(k, part, 0);
            return;
        }

        if (part->step
            && ngx_http_fanout_kafka_skipped(k, part) == NGX_AGAIN)
        {
            return;
        }

        ngx_http_fanout_kafka_trouble(k, part, rkm->err,
                                      "what was to be read next is gone, "
                                      "going on with the oldest there is");
        ngx_http_fanout_kafka_lost(k, part);
        return;

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:

        /* it may come back under the same name, with other records */

        ngx_http_fanout_kafka_trouble(k, part, rkm->err,
                                      "it does not exist any more");
        part->missed = 1;
        ngx_http_fanout_kafka_again(k, part, NGX_HTTP_FANOUT_KAFKA_RETRY);
        return;

    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:

        ngx_http_fanout_kafka_trouble(k, part, rkm->err,
                                      rd_kafka_message_errstr(rkm));
        ngx_http_fanout_kafka_skip(k, part, rkm->offset);
        return;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:

        /* librdkafka goes on trying, and may not say when it can */

        ngx_http_fanout_kafka_trouble(k, part, rkm->err,
                                      "not allowed to read it");
        ngx_http_fanout_kafka_again(k, part, NGX_HTTP_FANOUT_KAFKA_RETRY);
        return;

    default:

        /* librdkafka goes on trying */

        ngx_http_fanout_kafka_trouble(k, part, rkm->err,
                                      rd_kafka_message_errstr(rkm));
        return;
    }
}


static void
ngx_http_fanout_kafka_end(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, int64_t offset)
{
    if (part->step && ngx_http_fanout_kafka_skipped(k, part) == NGX_AGAIN) {
        return;
    }

    part->next = ngx_max(part->next, offset);

    if (part->missed) {
        ngx_http_fanout_kafka_missed(part, part->next);
    }

    fo_hub_reached(part->owned, part->next);

    ngx_http_fanout_kafka_fine(k, part);
    ngx_http_fanout_kafka_up(k);
}


/* who listens is told; reading goes on at "offset" all the same */

static void
ngx_http_fanout_kafka_missed(ngx_http_fanout_kafka_part_t *part,
    int64_t offset)
{
    part->missed = 0;

    fo_hub_lost(part->owned);
    fo_hub_started(part->owned, offset);
}


/* what was to be read next is gone: go on with the oldest there is */

static void
ngx_http_fanout_kafka_lost(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    part->next = FO_OFFSET_BEGIN;
    part->told = 0;
    part->missed = 0;

    ngx_http_fanout_kafka_again(k, part, 0);

    fo_hub_lost(part->owned);
}
