
/*
 * A world for hubs: up to four workers on one zone in one process, a broker
 * that keeps logs, a source and a transport that are fakes, a clock that is
 * turned by hand; what clients are sent is checked by hub_model.h.
 *
 * A frame of this world's dialects:
 *
 *     | tag 1 | magic 1 | 0 2 | len 4 | partition 4 | key_len 4 | offset 8 |
 *     | key | value: generation of the log 4, filler |
 *
 * and of a notice of a gap, in its place among the records:
 *
 *     | tag 1 | magic 1 | 1 2 | len 4 | partition 4 | flags 4 | from 8 |
 *     | to 8 | count 8 |
 *
 * Each subscription of a session has a dialect of its own, whose tag tells
 * whose frame it is.  What the model demands of each subscription:
 *
 *  - whole frames, of records that match, in the order of the partition;
 *  - nothing that was read before it was asked for, if nobody here had the
 *    same filter;
 *  - all that is read from READY on, but what is in the ranges of gaps, and
 *    as many as gaps have told.
 */


#ifndef HUB_WORLD_H
#define HUB_WORLD_H


#include "fo_test.h"
#include "hub/fo_hub_int.h"


#define W_HUBS      4
#define W_TOPICS    3
#define W_PARTS     12
#define W_KEYS      9
#define W_TAGS      4
#define W_SESSIONS  10
#define W_OWNED     64
#define W_CLUSTER   77
#define W_HEAD      24
#define W_MAGIC     0x5a
#define W_SAID      0xee


typedef struct {
    int64_t            offset;
    uint32_t           gen;
    uint32_t           size;
    uint8_t            key;          /* W_KEYS: none */
    uint8_t            wrong;        /* not where the partitioner says */
} w_rec_t;


typedef struct {
    w_rec_t           *recs;
    unsigned           n;
    unsigned           size;
    unsigned           low;          /* the first that is kept */
    uint32_t           gen;
    int64_t            next;         /* offset */
} w_log_t;


typedef struct {
    fo_str_t           name;
    unsigned           exists;
    unsigned           parts;
    unsigned           first;        /* parts at the start */
    unsigned           pruned;
    w_log_t            log[W_PARTS];
} w_topic_t;


typedef enum {
    W_NONE = 0,
    W_STARTING,
    W_RUNNING
} w_state_e;


/* a partition that a fake source reads */

typedef struct {
    fo_owned_t        *owned;
    w_topic_t         *topic;
    unsigned           partition;
    w_state_e          state;
    int64_t            from;
    unsigned           pos;          /* in the log, next to be handed over */
    uint32_t           gen;
} w_owned_t;


typedef struct w_block_s  w_block_t;

struct w_block_s {
    fo_queue_t         queue;
    uint64_t           size;
    uint64_t           pad;
};


typedef struct {
    fo_hub_t          *hub;
    fo_zone_t          zone;
    fo_alloc_t         alloc;
    fo_queue_t         blocks;
    unsigned           n;
    unsigned           slot;
    int32_t            pid;
    unsigned           inside;       /* a call of the hub runs */
    unsigned           woken;
    unsigned           posted;
    unsigned           stuck;        /* its ring was full */
    w_owned_t          owned[W_OWNED];
    unsigned           describe[FO_TOPICS];   /* answers owed */
} w_hub_t;


typedef struct w_session_s  w_session_t;


/* the model of a subscription */

typedef struct {
    w_session_t       *session;
    fo_sub_t          *sub;          /* NULL: it has ended */
    w_topic_t         *topic;
    fo_filter_kind_e   kind;
    unsigned           key;
    size_t             len;          /* of the prefix */
    unsigned           tag;
    unsigned           ready;
    unsigned           strict;       /* the first with its filter here */
    unsigned           uncounted;
    unsigned           notices;
    uint64_t           got_at_notice;
    uint64_t           asked;        /* us */
    uint64_t           counted;
    uint64_t           missing;      /* that must be told */
    uint64_t           slack;        /* that may be: from before READY, or not
                                        where the partitioner says */
    uint64_t           got;
    unsigned           low[W_PARTS];
    unsigned           high[W_PARTS];
    int                last[W_PARTS];
} w_sub_t;


struct w_session_s {
    fo_session_t       s;
    w_hub_t           *hub;
    w_sub_t           *subs[W_TAGS];
    w_sub_t           *whose;        /* the frame that comes in */
    uint64_t           credit;       /* bytes that the socket takes */
    unsigned           stuck;        /* writable() is owed */
    unsigned           ending;
    unsigned           ended;
    u_char            *in;           /* of a frame that is not whole yet */
    size_t             in_len;
    size_t             in_size;
    uint64_t           frames;
    uint64_t           errors;
    uint64_t           gaps;
    fo_error_e         error;        /* the last one */
};


typedef struct {
    uint64_t           seed;
    uint64_t           random;
    const uint8_t     *input;        /* instead of chance, while any is left */
    size_t             left;
    uint64_t           now;
    u_char            *mem;
    unsigned           nhubs;
    unsigned           ntopics;
    int32_t            pids;
    unsigned           locked;
    unsigned           fail;         /* one allocation of so many fails */
    long               fail_at;      /* or exactly this one */
    long               allocs;
    unsigned           failed;
    unsigned           broken;       /* one send of so many breaks */
    unsigned           at_once;      /* describe and start answer so */
    unsigned           linger;       /* ms */
    unsigned           join;         /* ms */
    unsigned           calm;         /* no chance: sockets take all */
    unsigned           alerts;
    unsigned           trace;
    w_hub_t            hubs[W_HUBS];
    w_topic_t          topics[W_TOPICS];
    w_session_t       *sessions[W_SESSIONS];
    void             (*meanwhile)(void);   /* others run before a lock */
} world_t;


static world_t  w;


#define w_must(cond)                                                          \
    do {                                                                      \
        if (!(cond)) {                                                        \
            w_die(#cond, __LINE__);                                           \
        }                                                                     \
    } while (0)


/* what happens, with HUB_TRACE in the environment */

#define w_note(...)                                                           \
    do {                                                                      \
        if (w.trace) {                                                        \
            fprintf(stderr, "%8.3f ", (double) w.now / 1000000);              \
            fprintf(stderr, __VA_ARGS__);                                     \
            fprintf(stderr, "\n");                                            \
        }                                                                     \
    } while (0)


static inline void
w_die(const char *text, int line)
{
    fprintf(stderr, "hub_world.h or its test, line %d: %s, seed %llu\n",
            line, text, (unsigned long long) w.seed);
    abort();
}


/* chance, or the next bytes of the input */

static inline uint64_t
w_random(uint64_t n)
{
    uint64_t  x;

    if (w.left) {
        x = *w.input++;
        w.left--;

        if (n > 256 && w.left) {
            x = x << 8 | *w.input++;
            w.left--;
        }

        return x % n;
    }

    w.random ^= w.random << 13;
    w.random ^= w.random >> 7;
    w.random ^= w.random << 17;

    return (w.random >> 11) % n;
}


/* Keys: 0 is empty, others share prefixes. */

static inline fo_str_t
w_key(unsigned key)
{
    static const char *const  keys[W_KEYS] = {
        "", "a", "ab", "abc", "abd", "b", "ba",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc1",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc2"
    };

    fo_str_t  s;

    s.len = strlen(keys[key]);
    s.data = (u_char *) keys[key];

    return s;
}


static inline int32_t
w_partition(const fo_str_t *key, unsigned parts)
{
    size_t    i;
    unsigned  h;

    if (key->len == 0) {
        return -1;
    }

    for (h = 5, i = 0; i < key->len; i++) {
        h = h * 31 + key->data[i];
    }

    return (int32_t) (h % parts);
}


static inline int
w_matches(const w_sub_t *m, const w_rec_t *rec)
{
    fo_str_t  key, mine;

    if (m->kind == FO_FILTER_ALL) {
        return 1;
    }

    if (rec->key == W_KEYS) {
        return 0;
    }

    if (m->kind == FO_FILTER_KEY) {
        return m->key == rec->key;
    }

    key = w_key(rec->key);
    mine = w_key(m->key);

    return key.len >= m->len && memcmp(key.data, mine.data, m->len) == 0;
}


/* The broker. */

static inline w_topic_t *
w_topic(const fo_str_t *name)
{
    unsigned  i;

    for (i = 0; i < w.ntopics; i++) {
        if (w.topics[i].name.len == name->len
            && memcmp(w.topics[i].name.data, name->data, name->len) == 0)
        {
            return &w.topics[i];
        }
    }

    return NULL;
}


static inline void
w_produce_to(w_topic_t *t, unsigned p, unsigned key, unsigned size)
{
    fo_str_t   k;
    w_log_t   *log;
    w_rec_t   *rec;

    log = &t->log[p];

    if (log->n == log->size) {
        log->size = log->size ? 2 * log->size : 16;
        log->recs = realloc(log->recs, log->size * sizeof(w_rec_t));
    }

    rec = &log->recs[log->n++];
    rec->offset = log->next;
    rec->gen = log->gen;
    rec->key = (uint8_t) key;
    rec->size = fo_max(size, 4);
    rec->wrong = 0;

    if (key < W_KEYS && t->pruned) {
        k = w_key(key);
        rec->wrong = (w_partition(&k, t->parts) >= 0
                      && w_partition(&k, t->parts) != (int32_t) p);
    }

    log->next += 1 + (w_random(8) == 0 ? (int64_t) w_random(5) : 0);
}


static inline void
w_produce(w_topic_t *t, unsigned key, unsigned size)
{
    int32_t   p;
    fo_str_t  k;

    p = -1;

    if (key < W_KEYS) {
        k = w_key(key);
        p = w_partition(&k, t->parts);
    }

    w_produce_to(t, p < 0 ? (unsigned) w_random(t->parts) : (unsigned) p,
                 key, size);
}


static inline u_char
w_filler(const w_rec_t *rec, size_t i)
{
    return (u_char) ((uint64_t) rec->offset * 7 + rec->gen + i * 13);
}


/* what reads a partition now, if anything does */

static inline w_owned_t *
w_reader(const w_topic_t *t, unsigned p)
{
    unsigned    i, j;
    w_owned_t  *o;

    for (i = 0; i < w.nhubs; i++) {
        for (j = 0; w.hubs[i].hub && j < W_OWNED; j++) {
            o = &w.hubs[i].owned[j];

            if (o->owned && o->topic == t && o->partition == p
                && o->state == W_RUNNING)
            {
                return o;
            }
        }
    }

    return NULL;
}


/* The allocator: each hub's blocks in a list, so that it can die. */

static inline void *
w_alloc(void *ctx, size_t size)
{
    w_hub_t    *h = ctx;
    w_block_t  *b;

    w.allocs++;

    if (w.allocs == w.fail_at || (w.fail && w_random(w.fail) == 0)) {
        w.failed = 1;
        return NULL;
    }

    b = malloc(sizeof(w_block_t) + size);
    b->size = size;
    fo_queue_append(&h->blocks, &b->queue);

    return memset(b + 1, 0xa5, size);
}


static inline void
w_free(void *ctx, void *p)
{
    w_block_t  *b;

    (void) ctx;

    b = (w_block_t *) p - 1;
    fo_queue_remove(&b->queue);
    free(b);
}


/* What surrounds a hub. */

static inline uint64_t
w_clock(void *ctx)
{
    return w.now;
}


static inline void
w_lock(void *ctx)
{
    w_hub_t  *h = ctx;

    w_must(!w.locked);

    if (w.meanwhile) {
        w.meanwhile();
    }

    w.locked = 1;
    fo_zone_enter_locked(&h->zone);
}


static inline void
w_unlock(void *ctx)
{
    w_hub_t  *h = ctx;

    w_must(w.locked);
    fo_zone_leave_locked(&h->zone);
    w.locked = 0;
}


static inline void
w_wake(void *ctx, unsigned slot)
{
    unsigned  i;

    w_must(!w.locked);

    for (i = 0; i < w.nhubs; i++) {
        if (w.hubs[i].hub && w.hubs[i].slot == slot) {
            w.hubs[i].woken = 1;
        }
    }
}


static inline int
w_alive(void *ctx, int32_t pid)
{
    unsigned  i;

    for (i = 0; i < w.nhubs; i++) {
        if (w.hubs[i].hub && w.hubs[i].pid == pid) {
            return 1;
        }
    }

    return 0;
}


static inline void
w_post(void *ctx)
{
    w_hub_t  *h = ctx;

    h->posted = 1;
}


static inline void
w_log(void *ctx, int alert, const char *text, const fo_str_t *name)
{
    w_must(!w.locked);
    w.alerts += (alert != 0);
}


static inline void
w_gap(void *ctx, const fo_str_t *topic, uint32_t partition, int64_t from,
    int64_t to)
{
    w_must(!w.locked);
    w_must(w_topic(topic) != NULL && partition < w_topic(topic)->parts);
}


/* The source. */

static inline void
w_described(w_hub_t *h, unsigned row)
{
    fo_str_t         name;
    w_topic_t       *t;
    fo_topic_row_t  *r;

    h->describe[row]--;

    r = &h->zone.topics[row];
    name.len = r->name_len;
    name.data = r->name;
    t = w_topic(&name);

    fo_hub_described(h->hub, h, row, &name,
                     t && t->exists ? FO_ERR_NONE : FO_ERR_UNKNOWN_TOPIC,
                     t ? t->parts : 0);
}


static inline void
w_describe(void *ctx, unsigned row, const fo_str_t *topic)
{
    w_hub_t  *h = ctx;

    h->describe[row]++;

    if (w.at_once && (w.calm || w_random(2))) {
        w_described(h, row);
    }
}


static inline void
w_started(w_owned_t *o)
{
    w_log_t  *log;

    log = &o->topic->log[o->partition];

    o->gen = log->gen;
    o->pos = log->low;

    if (o->from == FO_OFFSET_END) {
        o->pos = log->n;

    } else if (o->from >= 0) {

        if (o->from > log->next
            || (o->pos && log->recs[o->pos - 1].gen == log->gen
                && o->from <= log->recs[o->pos - 1].offset))
        {
            fo_hub_lost(o->owned);
        }

        while (o->pos < log->n && log->recs[o->pos].offset < o->from) {
            o->pos++;
        }
    }

    o->state = W_RUNNING;

    w_note("%.*s %u started at record %u, asked for %lld",
           (int) o->topic->name.len, o->topic->name.data, o->partition,
           o->pos, (long long) o->from);

    fo_hub_started(o->owned, o->pos < log->n ? log->recs[o->pos].offset
                                             : log->next);
}


static inline int
w_start(void *ctx, fo_owned_t *owned, const fo_str_t *topic,
    uint32_t partition, int64_t from)
{
    unsigned    i;
    w_hub_t    *h = ctx;
    w_owned_t  *o;

    if (w.fail && w_random(w.fail) == 0) {
        return FO_ERROR;
    }

    for (i = 0; h->owned[i].owned; i++) {
        w_must(i < W_OWNED - 1);
    }

    o = &h->owned[i];
    o->owned = owned;
    o->topic = w_topic(topic);
    o->partition = partition;
    o->state = W_STARTING;
    o->from = from;

    w_must(o->topic != NULL && partition < o->topic->parts);
    w_must(w_reader(o->topic, partition) == NULL);

    if (w.at_once && (w.calm || w_random(2))) {
        w_started(o);
    }

    return FO_OK;
}


static inline void
w_stop(void *ctx, fo_owned_t *owned)
{
    unsigned  i;
    w_hub_t  *h = ctx;

    for (i = 0; h->owned[i].owned != owned; i++) {
        w_must(i < W_OWNED - 1);
    }

    memset(&h->owned[i], 0, sizeof(w_owned_t));
}


static inline void
w_resume(void *ctx)
{
    w_hub_t  *h = ctx;

    h->stuck = 0;
}


static inline int32_t
w_op_partition(void *ctx, const fo_str_t *topic, const fo_str_t *key,
    uint32_t partitions)
{
    return w_topic(topic)->pruned ? w_partition(key, partitions) : -1;
}


/* hands over up to "most" records; returns how many */

static inline unsigned
w_read(w_hub_t *h, w_owned_t *o, unsigned most)
{
    size_t        i;
    u_char       *value;
    unsigned      n;
    fo_str_t      key;
    w_log_t      *log;
    w_rec_t      *rec;
    fo_record_t   r;

    log = &o->topic->log[o->partition];

    if (o->gen != log->gen || o->pos < log->low) {

        fo_hub_lost(o->owned);

        o->state = W_STARTING;
        o->from = FO_OFFSET_BEGIN;

        return 1;
    }

    for (n = 0; n < most && o->pos < log->n && !h->stuck; n++) {
        rec = &log->recs[o->pos];

        memset(&r, 0, sizeof(r));
        r.offset = rec->offset;
        r.partition = o->partition;
        r.time = -1;

        if (rec->key < W_KEYS) {
            key = w_key(rec->key);
            r.key = key.data;
            r.key_len = (uint32_t) key.len;

            if (o->topic->pruned && w_partition(&key, o->topic->parts) >= 0
                && w_partition(&key, o->topic->parts)
                   != (int32_t) o->partition)
            {
                fo_hub_mismatch(o->owned);
            }
        }

        if (o->pos % 2) {
            fo_hub_ahead(o->owned, &r);
        }

        value = malloc(rec->size);
        memcpy(value, &rec->gen, 4);

        for (i = 4; i < rec->size; i++) {
            value[i] = w_filler(rec, i);
        }

        r.value = value;
        r.value_len = rec->size;

        if (fo_hub_record(o->owned, &r) == FO_OK) {
            o->pos++;

        } else {
            h->stuck = 1;
        }

        free(value);
    }

    if (o->pos == log->n && !h->stuck) {
        fo_hub_reached(o->owned, log->next);
    }

    return n;
}


static const fo_source_ops_t  w_source = {
    w_describe, w_start, w_stop, w_resume, w_op_partition
};


/* The dialects. */

static inline size_t
w_record_len(const fo_record_t *rec)
{
    return W_HEAD + rec->key_len + rec->value_len;
}


static inline void
w_record(const fo_record_t *rec, u_char *f, uint32_t *key, u_char tag)
{
    uint32_t  len;

    len = (uint32_t) w_record_len(rec);

    memset(f, 0, W_HEAD);
    f[0] = tag;
    f[1] = W_MAGIC;
    memcpy(f + 4, &len, 4);
    memcpy(f + 8, &rec->partition, 4);
    len = rec->key ? rec->key_len : FO_NONE;
    memcpy(f + 12, &len, 4);
    memcpy(f + 16, &rec->offset, 8);

    *key = W_HEAD;

    if (rec->key_len) {
        memcpy(f + W_HEAD, rec->key, rec->key_len);
    }

    memcpy(f + W_HEAD + rec->key_len, rec->value, rec->value_len);
}


static inline size_t
w_say_event(const fo_event_t *ev, u_char *f, u_char tag)
{
    uint32_t  len;

    w_must(ev->type == FO_EVENT_GAP);

    len = 40;
    memset(f, 0, len);
    f[0] = tag;
    f[1] = W_MAGIC;
    f[2] = 1;
    memcpy(f + 4, &len, 4);
    memcpy(f + 8, &ev->partition, 4);
    f[12] = (u_char) ((ev->counted ? 1 : 0) | (ev->ranged ? 2 : 0));
    memcpy(f + 16, &ev->from, 8);
    memcpy(f + 24, &ev->to, 8);
    memcpy(f + 32, &ev->count, 8);

    return len;
}


#define W_RECORD(n)                                                           \
    static inline void                                                        \
    w_record##n(const fo_record_t *rec, u_char *f, uint32_t *key)             \
    {                                                                         \
        w_record(rec, f, key, n);                                             \
    }                                                                         \
                                                                              \
    static inline size_t                                                      \
    w_event##n(const fo_event_t *ev, u_char *buf)                             \
    {                                                                         \
        return w_say_event(ev, buf, n);                                       \
    }

W_RECORD(0)
W_RECORD(1)
W_RECORD(2)
W_RECORD(3)

#define W_DIALECT(n)                                                          \
    { fo_str("w" #n), 1, { 0, NULL }, w_record_len, w_record##n,              \
      w_event##n, NULL }

static const fo_dialect_t  w_dialects[W_TAGS] = {
    W_DIALECT(0), W_DIALECT(1), W_DIALECT(2), W_DIALECT(3)
};


#endif /* HUB_WORLD_H */
