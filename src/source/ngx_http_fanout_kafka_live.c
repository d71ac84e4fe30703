
/*
 * Partitions on the live handle, by librdkafka's queue API for simple
 * consumers: no group, no coordinator; all partitions on one queue.
 *
 * A partition always starts at an absolute offset.  rd_kafka_consume_stop()
 * waits some 0.1 ms for librdkafka's thread, and what was fetched of the
 * partition never comes out of the queue after it.
 */


#include "source/ngx_http_fanout_kafka_int.h"


static ngx_http_fanout_kafka_topic_t *ngx_http_fanout_kafka_topic(
    ngx_http_fanout_kafka_t *k, const fo_str_t *name);
static ngx_int_t ngx_http_fanout_kafka_topic_room(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, uint32_t partition);
static void ngx_http_fanout_kafka_open(ngx_http_fanout_kafka_t *k);
static ngx_int_t ngx_http_fanout_kafka_part_ask(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);
static ngx_int_t ngx_http_fanout_kafka_part_run(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);
static void ngx_http_fanout_kafka_part_halt(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


ngx_http_fanout_kafka_part_t *
ngx_http_fanout_kafka_part_create(ngx_http_fanout_kafka_t *k, fo_owned_t *o,
    const fo_str_t *topic, uint32_t partition, int64_t from)
{
    ngx_http_fanout_kafka_part_t   *part;
    ngx_http_fanout_kafka_topic_t  *t;

    t = ngx_http_fanout_kafka_topic(k, topic);

    if (t == NULL
        || ngx_http_fanout_kafka_topic_room(k, t, partition) != NGX_OK)
    {
        return NULL;
    }

    part = ngx_calloc(sizeof(ngx_http_fanout_kafka_part_t), k->cycle->log);
    if (part == NULL) {
        return NULL;
    }

    part->node.key = (ngx_rbtree_key_t) (uintptr_t) o;
    part->owned = o;
    part->topic = t;
    part->partition = partition;
    part->next = from;
    part->bad = -1;
    part->state = NGX_HTTP_FANOUT_KAFKA_WAITING;

    t->parts[partition] = part;

    /* what was found out about keys ends with the topic's row in the zone,
       which nobody used meanwhile: they are looked at again */

    t->partitioner = ngx_http_fanout_kafka_partitioner(k->conf, &t->name);
    t->suspect = 0;

    ngx_rbtree_insert(&k->parts, &part->node);
    ngx_queue_insert_tail(&k->waiting, &part->queue);
    k->nparts++;

    return part;
}


void
ngx_http_fanout_kafka_part_destroy(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    ngx_http_fanout_kafka_part_halt(k, part);

    ngx_queue_remove(&part->queue);
    ngx_rbtree_delete(&k->parts, &part->node);
    k->nparts--;

    part->topic->parts[part->partition] = NULL;

    ngx_http_fanout_kafka_clear(k, part);

    ngx_free(part);
}


ngx_http_fanout_kafka_part_t *
ngx_http_fanout_kafka_part_find(ngx_http_fanout_kafka_t *k, fo_owned_t *o)
{
    ngx_rbtree_key_t    key;
    ngx_rbtree_node_t  *node;

    key = (ngx_rbtree_key_t) (uintptr_t) o;

    node = k->parts.root;

    while (node != k->parts.sentinel) {

        if (key == node->key) {
            return ngx_rbtree_data(node, ngx_http_fanout_kafka_part_t, node);
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


static ngx_http_fanout_kafka_topic_t *
ngx_http_fanout_kafka_topic(ngx_http_fanout_kafka_t *k, const fo_str_t *name)
{
    ngx_queue_t                    *q;
    ngx_http_fanout_kafka_topic_t  *t;

    for (q = ngx_queue_head(&k->topics);
         q != ngx_queue_sentinel(&k->topics);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_fanout_kafka_topic_t, queue);

        if (t->name.len == name->len
            && ngx_memcmp(t->name.data, name->data, name->len) == 0)
        {
            return t;
        }
    }

    t = ngx_calloc(sizeof(ngx_http_fanout_kafka_topic_t) + name->len + 1,
                   k->cycle->log);
    if (t == NULL) {
        return NULL;
    }

    t->name.len = name->len;
    t->name.data = (u_char *) &t[1];
    ngx_memcpy(t->name.data, name->data, name->len);

    t->partitioner = ngx_http_fanout_kafka_partitioner(k->conf, name);
    t->asked = ngx_http_fanout_kafka_clock();

    ngx_queue_insert_tail(&k->topics, &t->queue);

    return t;
}


static ngx_int_t
ngx_http_fanout_kafka_topic_room(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, uint32_t partition)
{
    ngx_uint_t                      n;
    ngx_http_fanout_kafka_part_t  **parts;

    if (partition < t->nparts) {
        return NGX_OK;
    }

    n = ngx_align((ngx_uint_t) partition + 1, 16);

    parts = ngx_calloc(n * sizeof(*parts), k->cycle->log);
    if (parts == NULL) {
        return NGX_ERROR;
    }

    if (t->parts) {
        ngx_memcpy(parts, t->parts, t->nparts * sizeof(*parts));
        ngx_free(t->parts);
    }

    t->parts = parts;
    t->nparts = n;

    return NGX_OK;
}


void
ngx_http_fanout_kafka_topics_free(ngx_http_fanout_kafka_t *k)
{
    ngx_queue_t                    *q, *next;
    ngx_http_fanout_kafka_topic_t  *t;

    for (q = ngx_queue_head(&k->topics);
         q != ngx_queue_sentinel(&k->topics);
         q = next)
    {
        next = ngx_queue_next(q);

        t = ngx_queue_data(q, ngx_http_fanout_kafka_topic_t, queue);

        if (t->rkt) {
            rd_kafka_topic_destroy(t->rkt);
        }

        if (t->parts) {
            ngx_free(t->parts);
        }

        ngx_free(t);
    }

    ngx_queue_init(&k->topics);
}


void
ngx_http_fanout_kafka_advance(ngx_http_fanout_kafka_t *k)
{
    uint64_t                       now;
    ngx_int_t                      rc;
    ngx_queue_t                   *q, *next;
    ngx_http_fanout_kafka_part_t  *part;

    if (ngx_queue_empty(&k->waiting)) {
        return;
    }

    now = ngx_http_fanout_kafka_clock();

    for (q = ngx_queue_head(&k->waiting);
         q != ngx_queue_sentinel(&k->waiting);
         q = next)
    {
        next = ngx_queue_next(q);

        part = ngx_queue_data(q, ngx_http_fanout_kafka_part_t, queue);

        if (part->at > now) {
            continue;
        }

        /* both may be under way together */

        if (k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE] == NULL) {
            ngx_http_fanout_kafka_open(k);
        }

        if (part->next < 0) {
            rc = ngx_http_fanout_kafka_part_ask(k, part);

        } else if (k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE]) {
            rc = ngx_http_fanout_kafka_part_run(k, part);

        } else {
            continue;
        }

        if (rc != NGX_OK) {
            part->at = now + NGX_HTTP_FANOUT_KAFKA_RETRY;
        }
    }
}


static void
ngx_http_fanout_kafka_open(ngx_http_fanout_kafka_t *k)
{
    ngx_http_fanout_kafka_job_t  *job;

    if (k->opening || ngx_http_fanout_kafka_clock() < k->open_at) {
        return;
    }

    job = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_OPEN, NULL);

    if (job) {
        k->opening = 1;
        ngx_http_fanout_kafka_submit(k, job);
    }
}


static ngx_int_t
ngx_http_fanout_kafka_part_ask(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    ngx_http_fanout_kafka_job_t  *job;

    job = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_OFFSET, part);
    if (job == NULL) {
        return NGX_ERROR;
    }

    job->partition = (int32_t) part->partition;
    job->from = part->next;
    job->alone = part->alone;
    ngx_memcpy(job->topic, part->topic->name.data, part->topic->name.len);

    part->job = job;
    part->state = NGX_HTTP_FANOUT_KAFKA_ASKING;

    ngx_queue_remove(&part->queue);
    ngx_queue_init(&part->queue);

    ngx_http_fanout_kafka_submit(k, job);

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_kafka_part_run(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    rd_kafka_topic_conf_t           *conf;
    ngx_http_fanout_kafka_topic_t   *t;
    ngx_http_fanout_kafka_handle_t  *h;

    h = k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE];
    t = part->topic;

    if (t->rkt == NULL) {

        conf = rd_kafka_default_topic_conf_dup(h->rk);
        rd_kafka_topic_conf_set_opaque(conf, t);

        t->rkt = rd_kafka_topic_new(h->rk, (char *) t->name.data, conf);
        if (t->rkt == NULL) {
            return NGX_ERROR;
        }
    }

    if (rd_kafka_consume_start_queue(t->rkt, (int32_t) part->partition,
                                     part->next, h->records)
        != 0)
    {
        ngx_log_error(NGX_LOG_ERR, k->cycle->log, 0,
                      "kafka \"%V\": could not start partition %uD of topic "
                      "\"%s\": %s", ngx_http_fanout_kafka_name(k->conf),
                      part->partition, t->name.data,
                      rd_kafka_err2str(rd_kafka_last_error()));

        if (t->users == 0) {
            rd_kafka_topic_destroy(t->rkt);
            t->rkt = NULL;
        }

        return NGX_ERROR;
    }

    t->users++;

    part->state = NGX_HTTP_FANOUT_KAFKA_RUNNING;

    ngx_queue_remove(&part->queue);
    ngx_queue_init(&part->queue);

    if (t->partitioner != NGX_HTTP_FANOUT_KAFKA_ANY && t->partitions == 0) {
        ngx_http_fanout_kafka_ask(k, t);
    }

    if (!part->told) {
        part->told = 1;
        fo_hub_started(part->owned, part->next);
    }

    return NGX_OK;
}


/* leaves it in no state and in no queue */

static void
ngx_http_fanout_kafka_part_halt(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    ngx_http_fanout_kafka_topic_t  *t;

    if (part->job) {
        part->job->ctx = NULL;
        part->job = NULL;
    }

    if (part->state != NGX_HTTP_FANOUT_KAFKA_RUNNING) {
        return;
    }

    part->state = NGX_HTTP_FANOUT_KAFKA_WAITING;

    t = part->topic;

    (void) rd_kafka_consume_stop(t->rkt, (int32_t) part->partition);

    ngx_http_fanout_kafka_hand_drop(k, part);
    ngx_http_fanout_kafka_post(k);

    if (--t->users == 0) {
        rd_kafka_topic_destroy(t->rkt);
        t->rkt = NULL;
    }
}


void
ngx_http_fanout_kafka_again(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, ngx_msec_t after)
{
    ngx_http_fanout_kafka_part_halt(k, part);

    part->state = NGX_HTTP_FANOUT_KAFKA_WAITING;
    part->at = after ? ngx_http_fanout_kafka_clock() + after : 0;

    ngx_queue_remove(&part->queue);
    ngx_queue_insert_tail(&k->waiting, &part->queue);

    if (after == 0) {
        ngx_http_fanout_kafka_post(k);
    }
}


void
ngx_http_fanout_kafka_watermarks(ngx_http_fanout_kafka_t *k)
{
    int64_t                          low, high;
    ngx_rbtree_node_t               *node, *next;
    ngx_http_fanout_kafka_part_t    *part;
    ngx_http_fanout_kafka_handle_t  *h;

    h = k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE];

    if (h == NULL || k->nparts == 0) {
        return;
    }

    for (node = ngx_rbtree_min(k->parts.root, k->parts.sentinel);
         node;
         node = next)
    {
        next = ngx_rbtree_next(&k->parts, node);

        part = ngx_rbtree_data(node, ngx_http_fanout_kafka_part_t, node);

        if (part->state == NGX_HTTP_FANOUT_KAFKA_RUNNING
            && rd_kafka_get_watermark_offsets(h->rk,
                                         (char *) part->topic->name.data,
                                         (int32_t) part->partition,
                                         &low, &high)
               == RD_KAFKA_RESP_ERR_NO_ERROR
            && high >= 0)
        {
            fo_hub_watermark(part->owned, high);
        }
    }
}
