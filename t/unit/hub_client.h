
/*
 * The clients of hub_world.h: a transport that takes as many bytes as it
 * likes, sessions and their subscriptions; and the life of hubs and world.
 */


#ifndef HUB_CLIENT_H
#define HUB_CLIENT_H


#include "hub_model.h"


/* called before an event's own handling ends; may unsubscribe and end */
static void  (*w_on_event)(w_session_t *s, w_sub_t *m, const fo_event_t *ev);


static inline void
w_receive(w_session_t *s, const u_char *data, size_t len)
{
    size_t    part;
    u_char    tag;
    uint32_t  need;

    while (len) {

        if (s->in_len == 0) {
            tag = data[0];

            if (tag != W_SAID) {
                w_must(tag < W_TAGS);
                s->whose = s->subs[tag];
                w_must(s->whose != NULL && !s->ending);
            }
        }

        need = 8;

        if (s->in_len >= 8) {
            memcpy(&need, s->in + 4, 4);
        }

        part = fo_min(len, need - s->in_len);

        if (s->in_len + part > s->in_size) {
            s->in_size = s->in_len + part + 512;
            s->in = realloc(s->in, s->in_size);
        }

        memcpy(s->in + s->in_len, data, part);
        s->in_len += part;
        data += part;
        len -= part;

        if (s->in_len < 8) {
            continue;
        }

        w_must(s->in[1] == W_MAGIC);
        memcpy(&need, s->in + 4, 4);
        w_must(need >= 8);

        if (s->in_len < need) {
            continue;
        }

        s->frames++;

        if (s->whose) {
            w_sub_t  *m = s->whose;

            if (s->in[2]) {
                w_notice(m, s->in);
            } else {
                w_frame(m, s->in, s->in_len);
            }

            s->whose = NULL;
            w_sub_free(m);
        }

        s->in_len = 0;
    }
}


static inline ssize_t
w_send(fo_session_t *fs, const struct iovec *iov, unsigned n, unsigned *busy)
{
    size_t        total, take, part;
    unsigned      i;
    w_session_t  *s = (w_session_t *) (void *) fs;

    w_must(!s->stuck && !s->ended && n > 0 && n <= FO_SEND_VECTORS);

    if (w.broken && w_random(w.broken) == 0) {
        return FO_ERROR;
    }

    for (total = 0, i = 0; i < n; i++) {
        w_must(iov[i].iov_len > 0);
        total += iov[i].iov_len;
    }

    take = fo_min(total, s->credit);
    s->credit -= take;

    for (part = take, i = 0; part; i++) {
        w_receive(s, iov[i].iov_base, fo_min(part, iov[i].iov_len));
        part -= fo_min(part, iov[i].iov_len);
    }

    if (take < total) {
        s->stuck = 1;

    } else if (!w.calm && w_random(8) == 0) {
        *busy = 1;
        s->stuck = 1;
    }

    return (ssize_t) take;
}


/* the socket takes "credit" bytes more */

static inline void
w_writable(w_session_t *s, uint64_t credit)
{
    s->credit += credit;

    if (s->stuck && s->credit) {
        s->stuck = 0;
        fo_session_writable(&s->s);
    }
}


static inline int
w_say(w_session_t *s, uint32_t len)
{
    u_char  buf[300];

    memset(buf, 0x33, sizeof(buf));
    buf[0] = W_SAID;
    buf[1] = W_MAGIC;
    memcpy(buf + 4, &len, 4);

    return fo_session_say(&s->s, buf, len);
}


static inline void
w_event(fo_session_t *fs, fo_sub_t *sub, const fo_event_t *ev)
{
    unsigned      i;
    w_sub_t      *m;
    w_session_t  *s = (w_session_t *) (void *) fs;

    w_must(!w.locked);

    for (m = NULL, i = 0; i < W_TAGS; i++) {
        if (s->subs[i] && s->subs[i]->sub == sub) {
            m = s->subs[i];
        }
    }

    w_must(m != NULL);

    switch (ev->type) {

    case FO_EVENT_READY:
        w_sub_ready(m);
        break;

    case FO_EVENT_GAP:
        w_must(m->ready);
        s->gaps++;
        m->counted += ev->count;
        m->uncounted |= !ev->counted;
        break;

    default:
        w_must(ev->error != FO_ERR_NONE);
        s->errors++;
        s->error = ev->error;
        w_sub_over(m);
        m = NULL;
    }

    (void) w_say(s, 8 + (uint32_t) w_random(20));

    if (w_on_event) {
        w_on_event(s, m, ev);
    }
}


static inline void
w_close(w_session_t *s)
{
    unsigned  i;

    s->hub->inside++;

    for (i = 0; i < W_TAGS; i++) {
        if (s->subs[i]) {
            w_sub_leave(s->subs[i]);
        }
    }

    fo_session_close(&s->s);
    fo_session_close(&s->s);

    s->hub->inside--;

    for (i = 0; i < W_TAGS; i++) {
        if (s->subs[i]) {
            w_sub_over(s->subs[i]);
        }
    }

    for (i = 0; i < W_SESSIONS; i++) {
        if (w.sessions[i] == s) {
            w.sessions[i] = NULL;
        }
    }

    if (s->whose) {
        w_sub_t  *m = s->whose;

        s->whose = NULL;
        w_sub_free(m);
    }

    free(s->in);
    memset((void *) s, 0xa5, sizeof(w_session_t));
    free(s);
}


static inline void
w_ended(fo_session_t *fs, unsigned broken)
{
    w_session_t  *s = (w_session_t *) (void *) fs;

    w_must(!s->ended);
    w_must(broken || (s->ending && fo_session_unsent(fs) == 0));
    w_must(broken || s->in_len == 0);

    s->ended = 1;
    s->ending = 1;

    if (!w.calm && w_random(2)) {
        w_close(s);
    }
}


static inline void
w_soon(const fo_session_t *fs)
{
    const w_session_t  *s = (const w_session_t *) (const void *) fs;

    w_must(fs->open && !s->ended);
}


static const fo_transport_ops_t  w_transport = {
    w_send, w_soon, w_event, w_ended
};


static inline w_session_t *
w_open(w_hub_t *h)
{
    unsigned      i;
    w_session_t  *s;

    for (i = 0; i < W_SESSIONS; i++) {
        if (w.sessions[i] == NULL) {
            break;
        }
    }

    w_must(i < W_SESSIONS);

    s = calloc(1, sizeof(w_session_t));
    w.sessions[i] = s;

    fo_session_open(h->hub, &s->s, &w_transport);
    s->hub = h;
    s->credit = w.calm ? UINT64_MAX / 2 : w_random(2000);

    return s;
}


static inline void
w_end(w_session_t *s)
{
    s->ending = 1;
    fo_session_end(&s->s);
}


/* the same filter in the same worker? */

static inline unsigned
w_sub_first(const w_sub_t *m)
{
    unsigned        i, j;
    fo_str_t        key;
    const w_sub_t  *o;

    key = w_key(m->key);

    for (i = 0; i < W_SESSIONS; i++) {
        for (j = 0; w.sessions[i] && j < W_TAGS; j++) {
            o = w.sessions[i]->subs[j];

            if (o && o != m && w.sessions[i]->hub == m->session->hub
                && o->topic == m->topic && o->kind == m->kind
                && (m->kind != FO_FILTER_KEY || o->key == m->key)
                && (m->kind != FO_FILTER_PREFIX
                    || (o->len == m->len
                        && memcmp(w_key(o->key).data, key.data, m->len)
                           == 0)))
            {
                return 0;
            }
        }
    }

    return 1;
}


/* len: of the prefix of this key */

static inline w_sub_t *
w_subscribe(w_session_t *s, unsigned tag, w_topic_t *t, fo_filter_kind_e kind,
    unsigned key, size_t len)
{
    unsigned      p;
    w_sub_t      *m;
    w_owned_t    *o;
    fo_sub_t     *sub;
    fo_error_e    error;
    fo_filter_t   f;

    m = calloc(1, sizeof(w_sub_t));
    m->session = s;
    m->topic = t;
    m->kind = kind;
    m->key = key;
    m->len = len;
    m->tag = tag;
    m->asked = w.now;
    m->strict = w_sub_first(m);

    for (p = 0; p < W_PARTS; p++) {
        o = w_reader(t, p);
        m->low[p] = (o && p < t->first) ? o->pos : 0;
        m->last[p] = -1;
    }

    f.kind = kind;
    f.topic = t->name;
    f.key = w_key(key);

    if (kind == FO_FILTER_ALL) {
        f.key.len = 0;

    } else if (kind == FO_FILTER_PREFIX) {
        f.key.len = len;
    }

    error = FO_ERR_NONE;
    sub = fo_subscribe(&s->s, 0, &f, &w_dialects[tag], &error);

    if (sub == NULL) {
        w_must(error != FO_ERR_NONE);
        s->error = error;
        free(m);
        return NULL;
    }

    m->sub = sub;
    s->subs[tag] = m;

    return m;
}


static inline void
w_unsubscribe(w_sub_t *m)
{
    m->session->hub->inside++;
    w_sub_leave(m);
    fo_unsubscribe(m->sub);
    m->session->hub->inside--;
    w_sub_over(m);
}


/* Hubs. */

static inline void
w_born(w_hub_t *h)
{
    int           slot;
    unsigned      fail;
    uint64_t      id;
    long          fail_at;
    fo_hub_env_t  env = { h, w_clock, w_lock, w_unlock, w_wake, w_alive,
                          w_post, w_log, w_gap };

    memset((void *) h, 0, sizeof(w_hub_t));
    h->n = (unsigned) (h - w.hubs);
    h->pid = ++w.pids;
    h->alloc.alloc = w_alloc;
    h->alloc.free = w_free;
    h->alloc.ctx = h;
    fo_queue_init(&h->blocks);

    id = W_CLUSTER;
    fo_zone_view(&h->zone, w.mem);

    slot = fo_slot_claim_locked(&h->zone, h->pid, &id, 1);
    w_must(slot >= 0);
    h->slot = (unsigned) slot;
    w_note("hub %u born, slot %d", h->n, slot);

    fail = w.fail;
    fail_at = w.fail_at;
    w.fail = 0;
    w.fail_at = 0;

    h->hub = fo_hub_create(&h->alloc, &env, &h->zone, h->slot);
    w_must(h->hub != NULL);
    w_must(fo_hub_source(h->hub, id, &w_source, h, w.linger) == 0);
    fo_hub_join(h->hub, w.join);

    w.fail = fail;
    w.fail_at = fail_at;
}


static inline void
w_read_again(const w_topic_t *t, unsigned p, int64_t offset)
{
    unsigned   i, j;
    w_sub_t   *m;

    for (i = 0; i < W_SESSIONS; i++) {
        for (j = 0; w.sessions[i] && j < W_TAGS; j++) {
            m = w.sessions[i]->subs[j];

            if (m && m->topic == t) {
                m->low[p] = fo_min(m->low[p],
                                   w_index(&t->log[p], t->log[p].gen,
                                           offset));
            }
        }
    }
}


/* it dies in the middle of a publish: some are told, nothing is stored */

static inline void
w_half_published(w_hub_t *h)
{
    unsigned           i;
    fo_ring_writer_t  *wr;

    wr = h->hub->writer;

    if (wr == NULL) {
        return;
    }

    atomic_store(&wr->ring->tail, wr->tail);

    for (i = 0; i < FO_SLOTS; i++) {
        if (fo_mask_test(&wr->touched, i) && w_random(2)) {
            atomic_store(&wr->ring->range[i].start, wr->start[i]);
            atomic_store(&wr->ring->range[i].end, wr->end[i]);
        }
    }
}


/* the process is gone, and its sessions and memory with it */

static inline void
w_gone(w_hub_t *h)
{
    unsigned      i, j;
    w_block_t    *b;
    w_session_t  *s;

    for (i = 0; i < W_SESSIONS; i++) {
        s = w.sessions[i];

        if (s == NULL || s->hub != h) {
            continue;
        }

        if (s->whose && s->whose->sub == NULL) {
            free(s->whose);
        }

        for (j = 0; j < W_TAGS; j++) {
            free(s->subs[j]);
        }

        free(s->in);
        free(s);
        w.sessions[i] = NULL;
    }

    while (!fo_queue_empty(&h->blocks)) {
        b = fo_data(h->blocks.next, w_block_t, queue);
        fo_queue_remove(&b->queue);
        free(b);
    }

    h->hub = NULL;
}


/* kill -9: nothing is said to anybody */

static inline void
w_killed(w_hub_t *h)
{
    unsigned   i;
    w_owned_t  *o;

    w_note("hub %u killed", h->n);

    if (w_random(2)) {
        w_half_published(h);
    }

    /* what it read last is read again, for those that came since then, too */

    for (i = 0; i < W_OWNED; i++) {
        o = &h->owned[i];

        if (o->owned && o->state == W_RUNNING) {
            w_read_again(o->topic, o->partition,
                         atomic_load(&o->owned->r->next_offset));
        }
    }

    w_gone(h);
}


/* a reload or quit begins, and ends */

static inline void
w_leave(w_hub_t *h)
{
    w_note("hub %u leaves", h->n);

    h->inside++;
    fo_hub_leave(h->hub);
    h->inside--;
}


static inline void
w_exit(w_hub_t *h)
{
    w_note("hub %u exits", h->n);

    h->inside++;
    fo_hub_exit(h->hub);
    h->inside--;

    w_gone(h);
}


/* one turn, as a worker would make it that was woken */

static inline void
w_turn(w_hub_t *h)
{
    h->inside++;

    if (!w.calm) {
        h->hub->next_ring = (unsigned) w_random(h->zone.head->nrings);
    }

    h->woken = fo_hub_turn(h->hub);
    h->inside--;
}


static inline void
w_finish(w_hub_t *h)
{
    h->inside++;
    h->posted = 0;
    h->posted |= fo_hub_finish(h->hub);
    h->inside--;
}


static inline void
w_tick(w_hub_t *h)
{
    h->inside++;
    fo_hub_tick(h->hub);
    h->inside--;
}


/* everything that may go on goes on; 0: nothing did */

static inline unsigned
w_go(void)
{
    unsigned      i, j, did;
    w_hub_t      *h;
    w_session_t  *s;

    did = 0;

    for (i = 0; i < w.nhubs; i++) {
        h = &w.hubs[i];

        if (h->hub == NULL) {
            continue;
        }

        h->inside++;

        for (j = 0; j < FO_TOPICS; j++) {
            if (h->describe[j]) {
                w_described(h, j);
                did = 1;
            }
        }

        for (j = 0; j < W_OWNED; j++) {
            if (h->owned[j].owned && h->owned[j].state == W_STARTING) {
                w_started(&h->owned[j]);
                did = 1;
            }

            if (h->owned[j].owned && h->owned[j].state == W_RUNNING
                && w_read(h, &h->owned[j], 1000))
            {
                did = 1;
            }
        }

        h->inside--;

        if (h->woken) {
            w_turn(h);
            did = 1;
        }

        if (h->posted) {
            w_finish(h);
            did = 1;
        }
    }

    for (i = 0; i < W_SESSIONS; i++) {
        s = w.sessions[i];

        if (s && s->stuck && !s->ended) {
            w_writable(s, 1 << 20);
            did = 1;
        }
    }

    return did;
}


/* until nothing is left to be done, for "ms" of time */

static inline void
w_settle(unsigned ms)
{
    unsigned  i, n, step;
    uint64_t  end;

    end = w.now + (uint64_t) ms * 1000;

    do {
        for (n = 0; w_go(); n++) {
            w_must(n < 10000);
        }

        step = 1000;

        for (i = 0; i < w.nhubs; i++) {
            if (w.hubs[i].hub) {
                step = fo_min(step, fo_hub_due(w.hubs[i].hub));
            }
        }

        w.now += step * 1000;

        for (i = 0; i < w.nhubs; i++) {
            if (w.hubs[i].hub) {
                w_tick(&w.hubs[i]);
            }
        }

    } while (w.now < end);

    for (n = 0; w_go(); n++) {
        w_must(n < 10000);
    }
}


/* The world. */

static inline size_t
w_zone_size(unsigned owners)
{
    size_t           least;
    const char      *reason;
    fo_zone_shape_t  shape = { 0, 0, owners };

    (void) fo_zone_shape(&shape, &reason, &least);

    return least;
}


static inline void
w_begin(uint64_t seed, unsigned hubs, unsigned owners)
{
    unsigned          i;
    size_t            least;
    const char       *reason;
    fo_zone_t         z;
    fo_zone_shape_t   shape;

    static const char *const  names[W_TOPICS] = { "orders", "news", "x" };

    memset((void *) &w, 0, sizeof(w));

    w.seed = seed;
    w.trace = (getenv("HUB_TRACE") != NULL);
    w.random = (seed + 1) * 0x9e3779b97f4a7c15ULL;
    w.now = 1000000;
    w.nhubs = hubs;
    w.ntopics = W_TOPICS;
    w.linger = 3000;

    shape.size = w_zone_size(owners);
    shape.ring_size = 0;
    shape.owners = owners;
    w_must(fo_zone_shape(&shape, &reason, &least) == FO_OK);

    w.mem = aligned_alloc(64, (shape.size + 63) & ~(size_t) 63);
    memset(w.mem, 0, shape.size);
    fo_zone_init(&z, w.mem, &shape, seed);

    for (i = 0; i < W_TOPICS; i++) {
        w.topics[i].name.data = (u_char *) names[i];
        w.topics[i].name.len = strlen(names[i]);
        w.topics[i].exists = 1;
        w.topics[i].parts = 1;
        w.topics[i].first = 1;
    }

    for (i = 0; i < hubs; i++) {
        w_born(&w.hubs[i]);
    }
}


/* all live subscriptions are told READY and have what is theirs */

static inline void
w_complete(void)
{
    unsigned  i, j;

    for (i = 0; i < W_SESSIONS; i++) {
        for (j = 0; w.sessions[i] && j < W_TAGS; j++) {
            if (w.sessions[i]->subs[j]) {
                w_must(w.sessions[i]->ended == 0);
                w_sub_complete(w.sessions[i]->subs[j]);
            }
        }
    }
}


/* from here on: nothing that was told before excuses what is lost */

static inline void
w_again(void)
{
    unsigned   i, p;
    w_sub_t   *m;

    for (i = 0; i < W_SESSIONS * W_TAGS; i++) {
        if (w.sessions[i / W_TAGS] == NULL
            || w.sessions[i / W_TAGS]->subs[i % W_TAGS] == NULL)
        {
            continue;
        }

        m = w.sessions[i / W_TAGS]->subs[i % W_TAGS];

        m->uncounted = 0;
        m->missing = 0;
        m->slack = 0;
        m->counted = 0;
        m->got = 0;

        for (p = 0; p < W_PARTS; p++) {
            m->last[p] = (int) m->topic->log[p].n - 1;
            m->high[p] = m->topic->log[p].n;
        }
    }
}


/* all clients go; the zone must be empty, and no memory left */

static inline void
w_over(void)
{
    unsigned    i, j;
    w_hub_t    *h;
    fo_zone_t   z;

    for (i = 0; i < W_SESSIONS; i++) {
        if (w.sessions[i]) {
            w_close(w.sessions[i]);
        }
    }

    w_settle(w.linger + 8000);

    fo_zone_view(&z, w.mem);

    for (i = 0; i < FO_SOURCES; i++) {
        w_must(!z.sources[i].used);
    }

    for (i = 0; i < FO_TOPICS; i++) {
        w_must(!z.topics[i].used);
    }

    for (i = 0; i < z.head->nrings; i++) {
        w_must(fo_zone_ring(&z, i)->writer == FO_RING_NO_WRITER);
    }

    w_must(fo_interest_used(&z.interest) == 0);

    for (i = 0; i < w.nhubs; i++) {
        h = &w.hubs[i];

        if (h->hub == NULL) {
            continue;
        }

        for (j = 0; j < FO_STAT_N; j++) {
            if (j == FO_STAT_SESSIONS || j == FO_STAT_SUBSCRIPTIONS
                || j == FO_STAT_FILTERS || j == FO_STAT_FEEDS
                || j == FO_STAT_CHUNKS || j == FO_STAT_CHUNK_BYTES
                || j == FO_STAT_SOURCES)
            {
                w_must(fo_stat_get(fo_hub_stats(h->hub), j) == 0);
            }
        }

        w_must(z.slots[h->slot].owned == 0);
        fo_hub_destroy(h->hub);
        h->hub = NULL;
        w_must(fo_queue_empty(&h->blocks));
    }

    w_must(w.alerts == 0);

    for (i = 0; i < W_TOPICS; i++) {
        for (j = 0; j < W_PARTS; j++) {
            free(w.topics[i].log[j].recs);
        }
    }

    free(w.mem);
}


#endif /* HUB_CLIENT_H */
