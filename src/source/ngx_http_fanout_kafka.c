
/*
 * A worker's connection to one cluster: what the hub asks for, and time.
 *
 * Everything happens in turns: the eventfd, which librdkafka's queues and
 * the helper thread write to, and all that is posted lead to
 * ngx_http_fanout_kafka_turn().
 */


#include "shm/ngx_http_fanout_eventfd.h"
#include "source/ngx_http_fanout_kafka_int.h"

#include <sys/eventfd.h>


#define NGX_HTTP_FANOUT_KAFKA_EXIT  500    /* ms */
#define NGX_HTTP_FANOUT_KAFKA_TICK  1000   /* ms */


static void ngx_http_fanout_kafka_describe(void *ctx, unsigned row,
    const fo_str_t *topic);
static int ngx_http_fanout_kafka_start(void *ctx, fo_owned_t *o,
    const fo_str_t *topic, uint32_t partition, int64_t from);
static void ngx_http_fanout_kafka_stop(void *ctx, fo_owned_t *o);
static void ngx_http_fanout_kafka_resume(void *ctx);
static int32_t ngx_http_fanout_kafka_key(void *ctx, const fo_str_t *topic,
    const fo_str_t *key, uint32_t partitions);

static void ngx_http_fanout_kafka_kicks(ngx_http_fanout_kafka_t *k);
static const char *ngx_http_fanout_kafka_set(ngx_http_fanout_kafka_t *k,
    const char *name, const char *standard);
static ngx_int_t ngx_http_fanout_kafka_listen(ngx_http_fanout_kafka_t *k);
static ngx_int_t ngx_http_fanout_kafka_ensure(ngx_http_fanout_kafka_t *k);
static void ngx_http_fanout_kafka_event_handler(ngx_event_t *ev);
static void ngx_http_fanout_kafka_posted_handler(ngx_event_t *ev);
static void ngx_http_fanout_kafka_timer_handler(ngx_event_t *ev);
static void ngx_http_fanout_kafka_turn(ngx_http_fanout_kafka_t *k);
static void ngx_http_fanout_kafka_refresh(ngx_http_fanout_kafka_t *k);
static void ngx_http_fanout_kafka_idle(ngx_http_fanout_kafka_t *k);
static void ngx_http_fanout_kafka_close(ngx_http_fanout_kafka_t *k);
static void ngx_http_fanout_kafka_leave(void);


const fo_source_ops_t  ngx_http_fanout_kafka_ops = {
    ngx_http_fanout_kafka_describe,
    ngx_http_fanout_kafka_start,
    ngx_http_fanout_kafka_stop,
    ngx_http_fanout_kafka_resume,
    ngx_http_fanout_kafka_key
};


ngx_http_fanout_kafka_t *
ngx_http_fanout_kafka_create(ngx_cycle_t *cycle,
    ngx_http_fanout_kafka_conf_t *conf, fo_hub_t *hub,
    ngx_http_fanout_kafka_report_pt report, void *ctx)
{
    ngx_http_fanout_kafka_t  *k;

    k = ngx_pcalloc(cycle->pool, sizeof(ngx_http_fanout_kafka_t));
    if (k == NULL) {
        return NULL;
    }

    k->cycle = cycle;
    k->conf = conf;
    k->hub = hub;
    k->report = report;
    k->report_ctx = ctx;
    k->fd = -1;

    k->turn.handler = ngx_http_fanout_kafka_posted_handler;
    k->turn.data = k;
    k->turn.log = cycle->log;

    k->timer.handler = ngx_http_fanout_kafka_timer_handler;
    k->timer.data = k;
    k->timer.log = cycle->log;
    k->timer.cancelable = 1;

    ngx_queue_init(&k->topics);
    ngx_queue_init(&k->waiting);
    ngx_rbtree_init(&k->parts, &k->sentinel, ngx_rbtree_insert_value);

    ngx_http_fanout_kafka_kicks(k);

    /* here no client has taken all connections yet; if it fails, it is
       tried again at each use */

    (void) ngx_http_fanout_kafka_listen(k);

    return k;
}


/* is it a librdkafka that must be woken?  See ngx_http_fanout_kafka_kick() */

static void
ngx_http_fanout_kafka_kicks(ngx_http_fanout_kafka_t *k)
{
    const char  *mechanism;

    if (rd_kafka_version() >= 0x02020000) {
        return;
    }

    mechanism = ngx_http_fanout_kafka_set(k, "sasl.mechanisms", "");

    if (ngx_strcmp(mechanism, "GSSAPI") == 0
        || ngx_strcmp(mechanism, "OAUTHBEARER") == 0)
    {
        /* these may take credentials in another way */

        return;
    }

    k->username = ngx_http_fanout_kafka_set(k, "sasl.username", "");
    k->password = ngx_http_fanout_kafka_set(k, "sasl.password", "");

    k->kick_records = 1 + atoi(ngx_http_fanout_kafka_set(k,
                                        "queued.min.messages", "100000")) / 2;

    k->kick_bytes = (size_t) atoi(ngx_http_fanout_kafka_set(k,
                                 "queued.max.messages.kbytes", "65536")) * 512;
}


static const char *
ngx_http_fanout_kafka_set(ngx_http_fanout_kafka_t *k, const char *name,
    const char *standard)
{
    ngx_http_fanout_kafka_property_t  *p;

    p = ngx_http_fanout_kafka_property(k->conf, name);

    return p ? (char *) p->value.data : standard;
}


void
ngx_http_fanout_kafka_statistics(ngx_http_fanout_kafka_t *k, ngx_str_t *json)
{
    json->data = k->statistics;
    json->len = k->statistics_len;
}


static void
ngx_http_fanout_kafka_describe(void *ctx, unsigned row,
    const fo_str_t *topic)
{
    ngx_http_fanout_kafka_t *k = ctx;

    ngx_http_fanout_kafka_job_t  *job;

    if (topic->len > FO_TOPIC_MAX) {
        fo_hub_described(k->hub, k, row, topic, FO_ERR_UNKNOWN_TOPIC, 0);
        return;
    }

    job = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_DESCRIBE, k);

    if (job == NULL || ngx_http_fanout_kafka_ensure(k) != NGX_OK) {
        ngx_http_fanout_kafka_job_free(job);
        fo_hub_described(k->hub, k, row, topic, FO_ERR_NO_MEMORY, 0);
        return;
    }

    job->row = row;
    ngx_memcpy(job->topic, topic->data, topic->len);

    ngx_http_fanout_kafka_submit(k, job);
}


static int
ngx_http_fanout_kafka_start(void *ctx, fo_owned_t *o, const fo_str_t *topic,
    uint32_t partition, int64_t from)
{
    ngx_http_fanout_kafka_t *k = ctx;

    if (topic->len > FO_TOPIC_MAX
        || ngx_http_fanout_kafka_ensure(k) != NGX_OK
        || ngx_http_fanout_kafka_part_create(k, o, topic, partition, from)
           == NULL)
    {
        return FO_ERROR;
    }

    /* those that start in this turn are asked for together */

    ngx_http_fanout_kafka_post(k);

    return FO_OK;
}


static void
ngx_http_fanout_kafka_stop(void *ctx, fo_owned_t *o)
{
    ngx_http_fanout_kafka_t *k = ctx;

    ngx_http_fanout_kafka_part_t  *part;

    part = ngx_http_fanout_kafka_part_find(k, o);

    if (part) {
        ngx_http_fanout_kafka_part_destroy(k, part);
        k->used = ngx_http_fanout_kafka_clock();
    }
}


static void
ngx_http_fanout_kafka_resume(void *ctx)
{
    ngx_http_fanout_kafka_t *k = ctx;

    if (k->hand.first < k->hand.last) {
        ngx_http_fanout_kafka_post(k);
    }
}


static int32_t
ngx_http_fanout_kafka_key(void *ctx, const fo_str_t *topic,
    const fo_str_t *key, uint32_t partitions)
{
    ngx_http_fanout_kafka_t *k = ctx;

    const void                           *data;
    ngx_http_fanout_kafka_partitioner_e   partitioner;

    partitioner = ngx_http_fanout_kafka_partitioner(k->conf, topic);

    /* an empty key has data too, unlike none */

    data = key->len ? (void *) key->data : "";

    return ngx_http_fanout_kafka_partition(partitioner, data, key->len,
                                           (int32_t) partitions);
}


static ngx_int_t
ngx_http_fanout_kafka_listen(ngx_http_fanout_kafka_t *k)
{
    if (k->fd == -1) {
        k->fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (k->fd == -1) {
            ngx_log_error(NGX_LOG_ERR, k->cycle->log, ngx_errno,
                          "eventfd() failed");
            return NGX_ERROR;
        }
    }

    if (k->connection == NULL) {
        k->connection = ngx_http_fanout_eventfd_add(k->cycle, k->fd,
                                      ngx_http_fanout_kafka_event_handler, k);
        if (k->connection == NULL) {
            ngx_log_error(NGX_LOG_ERR, k->cycle->log, 0,
                          "kafka \"%V\": no connection for its events",
                          ngx_http_fanout_kafka_name(k->conf));
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* what is made at first use */

static ngx_int_t
ngx_http_fanout_kafka_ensure(ngx_http_fanout_kafka_t *k)
{
    if (k->exited) {
        return NGX_ERROR;
    }

    k->used = ngx_http_fanout_kafka_clock();

    if (ngx_http_fanout_kafka_listen(k) != NGX_OK) {
        return NGX_ERROR;
    }

    if (k->control == NULL) {
        k->control = ngx_http_fanout_kafka_control_create(k->conf, k->fd);

        if (k->control == NULL) {
            ngx_log_error(NGX_LOG_ERR, k->cycle->log, ngx_errno,
                          "pthread_create() failed");
            return NGX_ERROR;
        }
    }

    if (!k->timer.timer_set) {
        ngx_add_timer(&k->timer, NGX_HTTP_FANOUT_KAFKA_TICK);
    }

    return NGX_OK;
}


void
ngx_http_fanout_kafka_post(ngx_http_fanout_kafka_t *k)
{
    /* the next turn, so that others have theirs in between */

    if (!k->turn.posted && !k->exited) {
        ngx_post_event(&k->turn, &ngx_posted_next_events);
    }
}


void
ngx_http_fanout_kafka_submit(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job)
{
    k->njobs++;

    ngx_http_fanout_kafka_control_submit(k->control, job);
}


void
ngx_http_fanout_kafka_ask(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t)
{
    ngx_http_fanout_kafka_job_t  *job;

    if (t->asking) {
        return;
    }

    t->asked = ngx_http_fanout_kafka_clock();
    t->recheck = 0;

    job = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_DESCRIBE, t);
    if (job == NULL) {
        return;
    }

    job->row = FO_NONE;
    ngx_memcpy(job->topic, t->name.data, t->name.len);

    t->asking = 1;

    ngx_http_fanout_kafka_submit(k, job);
}


void
ngx_http_fanout_kafka_probe(ngx_http_fanout_kafka_t *k)
{
    uint64_t                        now;
    ngx_queue_t                    *q;
    ngx_http_fanout_kafka_topic_t  *t;

    now = ngx_http_fanout_kafka_clock();

    if (k->njobs || k->nparts == 0
        || now - k->probed < NGX_HTTP_FANOUT_KAFKA_PROBE)
    {
        return;
    }

    k->probed = now;

    for (q = ngx_queue_head(&k->topics);
         q != ngx_queue_sentinel(&k->topics);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_fanout_kafka_topic_t, queue);

        if (t->users) {
            k->doubt = 0;
            ngx_http_fanout_kafka_ask(k, t);
            return;
        }
    }
}


static void
ngx_http_fanout_kafka_event_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_http_fanout_kafka_turn(c->data);
}


static void
ngx_http_fanout_kafka_posted_handler(ngx_event_t *ev)
{
    ngx_http_fanout_kafka_turn(ev->data);
}


static void
ngx_http_fanout_kafka_turn(ngx_http_fanout_kafka_t *k)
{
    ngx_uint_t  i;

    if (k->exited) {
        return;
    }

    ngx_http_fanout_kafka_answers(k);

    for (i = 0; i < 2; i++) {
        if (k->handles[i]) {
            ngx_http_fanout_kafka_events(k, k->handles[i]);
        }
    }

    ngx_http_fanout_kafka_advance(k);
    ngx_http_fanout_kafka_drain(k);
}


static void
ngx_http_fanout_kafka_timer_handler(ngx_event_t *ev)
{
    ngx_http_fanout_kafka_t *k = ev->data;

    ngx_http_fanout_kafka_watermarks(k);
    ngx_http_fanout_kafka_refresh(k);

    if (k->doubt || (!k->up && k->fault)) {
        ngx_http_fanout_kafka_probe(k);
    }

    ngx_http_fanout_kafka_turn(k);
    ngx_http_fanout_kafka_idle(k);

    if (k->nparts || k->njobs || k->handles[0] || k->handles[1]) {
        ngx_add_timer(&k->timer, NGX_HTTP_FANOUT_KAFKA_TICK);
    }
}


/* topics may have grown, gone, or come back */

static void
ngx_http_fanout_kafka_refresh(ngx_http_fanout_kafka_t *k)
{
    uint64_t                        now, after;
    unsigned                        changed;
    ngx_queue_t                    *q;
    ngx_http_fanout_kafka_topic_t  *t;

    now = ngx_http_fanout_kafka_clock();

    changed = k->changed;
    k->changed = 0;

    for (q = ngx_queue_head(&k->topics);
         q != ngx_queue_sentinel(&k->topics);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_fanout_kafka_topic_t, queue);

        t->recheck |= changed;

        after = (t->recheck || t->ntroubled) ? NGX_HTTP_FANOUT_KAFKA_RECHECK
                                             : NGX_HTTP_FANOUT_KAFKA_REFRESH;

        if (t->users && now - t->asked >= after) {
            ngx_http_fanout_kafka_ask(k, t);
        }
    }
}


static void
ngx_http_fanout_kafka_idle(ngx_http_fanout_kafka_t *k)
{
    uint64_t  idle;

    if (k->nparts || k->njobs) {
        return;
    }

    idle = ngx_http_fanout_kafka_clock() - k->used;

    if (k->quitting || idle >= NGX_HTTP_FANOUT_KAFKA_IDLE) {
        ngx_http_fanout_kafka_close(k);
    }
}


/* gives the handles to the helper thread, all or, without memory, none; no
   job is under way */

static void
ngx_http_fanout_kafka_close(ngx_http_fanout_kafka_t *k)
{
    ngx_uint_t                    i;
    ngx_http_fanout_kafka_job_t  *jobs[2];

    for (i = 0; i < 2; i++) {
        jobs[i] = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_CLOSE, NULL);
    }

    ngx_http_fanout_kafka_hand_drop(k, NULL);

    if (jobs[0] && jobs[1]) {

        /* what is left in a live handle points to them */

        ngx_http_fanout_kafka_topics_free(k);

        for (i = 0; i < 2; i++) {

            if (k->handles[i]) {
                jobs[i]->handle = k->handles[i];
                k->handles[i] = NULL;

                ngx_http_fanout_kafka_control_submit(k->control, jobs[i]);
                jobs[i] = NULL;
            }
        }
    }

    for (i = 0; i < 2; i++) {
        if (jobs[i]) {
            ngx_http_fanout_kafka_job_free(jobs[i]);
        }
    }
}


void
ngx_http_fanout_kafka_quit(ngx_http_fanout_kafka_t *k)
{
    k->quitting = 1;

    ngx_http_fanout_kafka_idle(k);
}


void
ngx_http_fanout_kafka_exit(ngx_http_fanout_kafka_t *k)
{
    ngx_int_t           rc;
    ngx_rbtree_node_t  *node;

    static uint64_t     end;
    static ngx_uint_t   leaving;

    k->exited = 1;

    if (k->turn.posted) {
        ngx_delete_posted_event(&k->turn);
    }

    if (k->timer.timer_set) {
        ngx_del_timer(&k->timer);
    }

    if (k->connection) {
        ngx_http_fanout_eventfd_remove(k->connection);
        k->connection = NULL;
    }

    ngx_http_fanout_kafka_hand_drop(k, NULL);

    while ((node = k->parts.root) != k->parts.sentinel) {
        ngx_rbtree_delete(&k->parts, node);
        ngx_free(ngx_rbtree_data(node, ngx_http_fanout_kafka_part_t, node));
    }

    rc = NGX_OK;

    if (k->control) {
        ngx_http_fanout_kafka_close(k);

        /* the first of several clusters sets the end for all */

        if (end == 0) {
            end = ngx_http_fanout_kafka_clock() + NGX_HTTP_FANOUT_KAFKA_EXIT;
        }

        rc = ngx_http_fanout_kafka_control_destroy(k->control, end);
        k->control = NULL;
    }

    if (rc == NGX_OK) {
        if (k->fd != -1 && close(k->fd) == -1) {
            ngx_log_error(NGX_LOG_ALERT, k->cycle->log, ngx_errno,
                          "close() failed");
        }

    } else if (!leaving) {

        /* threads are left: what they run must not be unloaded */

        leaving = 1;
        (void) atexit(ngx_http_fanout_kafka_leave);
    }

    if (k->statistics) {
        ngx_free(k->statistics);
        k->statistics = NULL;
        k->statistics_len = 0;
    }
}


static void
ngx_http_fanout_kafka_leave(void)
{
    _exit(0);
}
