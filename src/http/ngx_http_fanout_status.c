
/*
 * The status: what the zone knows, as JSON.  Any worker can answer for all
 * of them, for counters, rows and rings are shared.
 */


#include "http/ngx_http_fanout_http.h"

#include <cjson/cJSON.h>


static cJSON *ngx_http_fanout_status_build(ngx_http_fanout_worker_t *w);
static cJSON *ngx_http_fanout_status_zone(ngx_http_fanout_worker_t *w);
static void ngx_http_fanout_status_workers(cJSON *root,
    ngx_http_fanout_worker_t *w);
static void ngx_http_fanout_status_stats(cJSON *o, uint64_t *value,
    uint64_t *error, uint64_t *base);
static void ngx_http_fanout_status_clusters(cJSON *o, fo_slot_t *s,
    ngx_http_fanout_worker_t *w);
static cJSON *ngx_http_fanout_status_topics(ngx_http_fanout_worker_t *w);
static cJSON *ngx_http_fanout_status_sources(ngx_http_fanout_worker_t *w);
static void ngx_http_fanout_status_raw(cJSON *root,
    ngx_http_fanout_worker_t *w);
static void ngx_http_fanout_status_name(cJSON *o, const char *key,
    u_char *data, size_t len);
static void ngx_http_fanout_status_owner(cJSON *o,
    ngx_http_fanout_worker_t *w, uint64_t owner);
static unsigned ngx_http_fanout_status_count(fo_amask_t *a);


static const char  *ngx_http_fanout_slot_states[] = {
    "free", "live", "exiting", "dead", "sweeping"
};

static const char  *ngx_http_fanout_topic_states[] = {
    "asked", "known", "failed"
};

static const char  *ngx_http_fanout_source_states[] = {
    "wanted", "starting", "running", "lingering"
};

static const char  *ngx_http_fanout_stat_names[] = {
#define FO_STAT_NAME(id, name)  #name,
    FO_STATS(FO_STAT_NAME)
};


#define ngx_http_fanout_number(o, key, n)                                     \
    cJSON_AddNumberToObject(o, key, (double) (n))


ngx_int_t
ngx_http_fanout_status_handler(ngx_http_request_t *r)
{
    char         *text;
    cJSON        *root;
    size_t        len;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_fanout_worker.zone == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    root = ngx_http_fanout_status_build(&ngx_http_fanout_worker);
    text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    len = ngx_strlen(text);
    b = ngx_create_temp_buf(r->pool, len + 1);

    if (b) {
        b->last = ngx_cpymem(b->last, text, len);
        *b->last++ = LF;
        b->last_buf = (r == r->main) ? 1 : 0;
        b->last_in_chain = 1;
    }

    cJSON_free(text);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static cJSON *
ngx_http_fanout_status_build(ngx_http_fanout_worker_t *w)
{
    cJSON  *root;

    root = cJSON_CreateObject();
    if (root == NULL) {
        return NULL;
    }

    ngx_http_fanout_number(root, "answered_by", w->slot);
    cJSON_AddItemToObject(root, "zone", ngx_http_fanout_status_zone(w));
    ngx_http_fanout_status_workers(root, w);
    cJSON_AddItemToObject(root, "topics", ngx_http_fanout_status_topics(w));
    cJSON_AddItemToObject(root, "sources",
                          ngx_http_fanout_status_sources(w));
    ngx_http_fanout_status_raw(root, w);

    return root;
}


static cJSON *
ngx_http_fanout_status_zone(ngx_http_fanout_worker_t *w)
{
    cJSON           *o, *rings, *ring;
    unsigned         i;
    uint64_t         writer;
    fo_ring_t       *fr;
    fo_zone_head_t  *head;

    head = w->zone->head;

    o = cJSON_CreateObject();
    ngx_http_fanout_status_name(o, "name", w->zone_name.data,
                                w->zone_name.len);

    ngx_http_fanout_number(o, "entries_max",
                           head->nbuckets * FO_INTEREST_WIDTH);
    ngx_http_fanout_number(o, "entries",
                           atomic_load(&head->entries));
    ngx_http_fanout_number(o, "no_slot", atomic_load(&head->no_slot));
    ngx_http_fanout_number(o, "ring_size", head->ring_size);
    ngx_http_fanout_number(o, "record_max",
                           fo_ring_entry_max(fo_zone_ring(w->zone, 0)));

    rings = cJSON_AddArrayToObject(o, "rings");

    for (i = 0; i < head->nrings; i++) {
        fr = fo_zone_ring(w->zone, i);
        writer = atomic_load(&fr->writer);

        if (writer == FO_RING_NO_WRITER) {
            continue;
        }

        ring = cJSON_CreateObject();
        ngx_http_fanout_number(ring, "ring", i);
        ngx_http_fanout_number(ring, "slot", writer);
        ngx_http_fanout_number(ring, "written", atomic_load(&fr->tail));
        ngx_http_fanout_number(ring, "backlog", fo_ring_backlog(fr));
        cJSON_AddItemToArray(rings, ring);
    }

    return o;
}


static void
ngx_http_fanout_status_workers(cJSON *root, ngx_http_fanout_worker_t *w)
{
    cJSON       *workers, *o, *total;
    unsigned     i, j, state;
    uint64_t     v, *sum, *one, value[2][FO_STAT_N];
    uint64_t     error[2][FO_STAT_ERRORS], base[2][FO_STAT_BUCKETS];
    fo_slot_t   *s;

    ngx_memzero(value, sizeof(value));
    ngx_memzero(error, sizeof(error));
    ngx_memzero(base, sizeof(base));

    sum = value[0];
    one = value[1];

    workers = cJSON_AddArrayToObject(root, "workers");

    for (i = 0; i < FO_SLOTS; i++) {
        s = &w->zone->slots[i];
        state = atomic_load(&s->state);

        if (state == FO_SLOT_FREE || state > FO_SLOT_SWEEPING) {
            continue;
        }

        o = cJSON_CreateObject();
        ngx_http_fanout_number(o, "slot", i);
        ngx_http_fanout_number(o, "pid", atomic_load(&s->pid));
        cJSON_AddStringToObject(o, "state",
                                ngx_http_fanout_slot_states[state]);

        for (j = 0; j < FO_STAT_N; j++) {
            v = atomic_load_explicit(&s->stats.value[j],
                                     memory_order_relaxed);
            one[j] = v;
            sum[j] += v;
        }

        for (j = 0; j < FO_STAT_ERRORS; j++) {
            v = atomic_load_explicit(&s->stats.error[j],
                                     memory_order_relaxed);
            error[1][j] = v;
            error[0][j] += v;
        }

        for (j = 0; j < FO_STAT_BUCKETS; j++) {
            v = atomic_load_explicit(&s->stats.base[j],
                                     memory_order_relaxed);
            base[1][j] = v;
            base[0][j] += v;
        }

        ngx_http_fanout_status_stats(o, one, error[1], base[1]);
        ngx_http_fanout_status_clusters(o, s, w);
        cJSON_AddItemToArray(workers, o);
    }

    total = cJSON_AddObjectToObject(root, "total");
    ngx_http_fanout_status_stats(total, sum, error[0], base[0]);
}


static void
ngx_http_fanout_status_stats(cJSON *o, uint64_t *value, uint64_t *error,
    uint64_t *base)
{
    cJSON                  *refused, *buckets, *b;
    unsigned                i;
    static const uint32_t   bounds[] = FO_STAT_BOUNDS;

    for (i = 0; i < FO_STAT_N; i++) {
        ngx_http_fanout_number(o, ngx_http_fanout_stat_names[i], value[i]);
    }

    refused = cJSON_AddObjectToObject(o, "refused");

    for (i = 1; i < FO_ERR_N; i++) {
        ngx_http_fanout_number(refused, fo_error(i)->name, error[i]);
    }

    /* how many subscribes were served within so many milliseconds */

    buckets = cJSON_AddArrayToObject(o, "subscribe_ms");

    for (i = 0; i < FO_STAT_BUCKETS; i++) {
        b = cJSON_CreateObject();

        if (i < FO_STAT_BUCKETS - 1) {
            ngx_http_fanout_number(b, "le", bounds[i]);
        } else {
            cJSON_AddNullToObject(b, "le");
        }

        ngx_http_fanout_number(b, "n", base[i]);
        cJSON_AddItemToArray(buckets, b);
    }
}


static void
ngx_http_fanout_status_clusters(cJSON *o, fo_slot_t *s,
    ngx_http_fanout_worker_t *w)
{
    cJSON       *list, *c;
    size_t       len;
    unsigned     i;
    ngx_uint_t   j;

    list = cJSON_AddArrayToObject(o, "kafka");

    for (i = 0; i < FO_CLUSTERS && s->clusters[i].id; i++) {
        c = cJSON_CreateObject();

        for (j = 0; j < w->nclusters; j++) {
            if (w->clusters[j].id == s->clusters[i].id) {
                ngx_http_fanout_status_name(c, "name",
                                            w->clusters[j].name.data,
                                            w->clusters[j].name.len);
            }
        }

        cJSON_AddBoolToObject(c, "up", s->clusters[i].up);
        ngx_http_fanout_number(c, "failures", s->clusters[i].failures);

        for (len = 0;
             len < FO_ERROR_TEXT - 1 && s->clusters[i].error[len];
             len++)
        {
            /* void */
        }

        ngx_http_fanout_status_name(c, "error",
                                    (u_char *) s->clusters[i].error, len);
        cJSON_AddItemToArray(list, c);
    }
}


static cJSON *
ngx_http_fanout_status_topics(ngx_http_fanout_worker_t *w)
{
    cJSON           *list, *o;
    unsigned         i;
    fo_topic_row_t  *t;

    list = cJSON_CreateArray();

    for (i = 0; i < FO_TOPICS; i++) {
        t = &w->zone->topics[i];

        if (!atomic_load(&t->used)) {
            continue;
        }

        o = cJSON_CreateObject();

        ngx_http_fanout_status_name(o, "topic", t->name,
                                    ngx_min(t->name_len, FO_TOPIC_MAX));
        cJSON_AddStringToObject(o, "state",
                    ngx_http_fanout_topic_states[ngx_min(t->state, 2)]);

        if (t->state == FO_TOPIC_FAILED && t->error < FO_ERR_N) {
            cJSON_AddStringToObject(o, "error", fo_error(t->error)->name);
        }

        ngx_http_fanout_number(o, "partitions", t->partitions);
        cJSON_AddBoolToObject(o, "partitioner_mismatch", t->any);
        ngx_http_fanout_number(o, "workers",
                               ngx_http_fanout_status_count(&t->users));
        ngx_http_fanout_status_owner(o, w, atomic_load(&t->owner));
        cJSON_AddItemToArray(list, o);
    }

    return list;
}


static cJSON *
ngx_http_fanout_status_sources(ngx_http_fanout_worker_t *w)
{
    cJSON            *list, *o;
    int64_t           next, high;
    unsigned          i;
    fo_topic_row_t   *t;
    fo_source_row_t  *s;

    list = cJSON_CreateArray();

    for (i = 0; i < FO_SOURCES; i++) {
        s = &w->zone->sources[i];

        if (!atomic_load(&s->used)) {
            continue;
        }

        t = &w->zone->topics[s->topic % FO_TOPICS];
        next = atomic_load(&s->next_offset);
        high = atomic_load(&s->high);

        o = cJSON_CreateObject();

        ngx_http_fanout_status_name(o, "topic", t->name,
                                    ngx_min(t->name_len, FO_TOPIC_MAX));
        ngx_http_fanout_number(o, "partition", s->partition);
        cJSON_AddStringToObject(o, "state",
            ngx_http_fanout_source_states[ngx_min(atomic_load(&s->state),
                                                  3)]);
        ngx_http_fanout_status_owner(o, w, atomic_load(&s->owner));
        ngx_http_fanout_number(o, "demand",
                               ngx_http_fanout_status_count(&s->demand));
        ngx_http_fanout_number(o, "records", atomic_load(&s->records));

        if (next >= 0) {
            ngx_http_fanout_number(o, "next_offset", next);
        } else {
            cJSON_AddNullToObject(o, "next_offset");
        }

        if (next >= 0 && high >= 0) {
            ngx_http_fanout_number(o, "high_watermark", high);
            ngx_http_fanout_number(o, "lag", ngx_max(high - next, 0));
        }

        cJSON_AddItemToArray(list, o);
    }

    return list;
}


/* librdkafka's own statistics of the worker that answers */

static void
ngx_http_fanout_status_raw(cJSON *root, ngx_http_fanout_worker_t *w)
{
    cJSON       *o, *parsed;
    ngx_str_t    json;
    ngx_uint_t   i;

    if (w->statistics == NULL || w->hub == NULL) {
        return;
    }

    o = NULL;

    for (i = 0; i < w->nclusters; i++) {
        w->statistics(i, &json);

        if (json.len == 0) {
            continue;
        }

        parsed = cJSON_ParseWithLength((char *) json.data, json.len);

        if (parsed) {
            if (o == NULL) {
                o = cJSON_AddArrayToObject(root, "librdkafka");
            }

            cJSON_AddItemToArray(o, parsed);
        }
    }
}


static void
ngx_http_fanout_status_name(cJSON *o, const char *key, u_char *data,
    size_t len)
{
    u_char  text[FO_TOPIC_MAX + 1];

    len = ngx_min(len, FO_TOPIC_MAX);
    ngx_memcpy(text, data, len);
    text[len] = '\0';

    cJSON_AddStringToObject(o, key, (char *) text);
}


static void
ngx_http_fanout_status_owner(cJSON *o, ngx_http_fanout_worker_t *w,
    uint64_t owner)
{
    if (fo_owner_alive(w->zone, owner)) {
        ngx_http_fanout_number(o, "owner", fo_owner_slot(owner));
    } else {
        cJSON_AddNullToObject(o, "owner");
    }
}


static unsigned
ngx_http_fanout_status_count(fo_amask_t *a)
{
    unsigned   n;
    fo_mask_t  m;

    fo_mask_clear(&m);
    fo_amask_add_to(a, &m);

    for (n = 0; fo_mask_pop(&m) != FO_SLOTS; n++) {
        /* void */
    }

    return n;
}
