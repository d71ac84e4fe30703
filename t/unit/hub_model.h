
/*
 * The model of hub_world.h: what each subscription has been sent, and what it
 * must have been.
 */


#ifndef HUB_MODEL_H
#define HUB_MODEL_H


#include "hub_world.h"


static inline void
w_sub_free(w_sub_t *m)
{
    if (m->sub == NULL && m->session->whose != m) {
        free(m);
    }
}


/* what lies before "to" and after what came last was not sent */

static inline void
w_skipped(w_sub_t *m, unsigned p, unsigned to)
{
    unsigned        i;
    const w_log_t  *log;

    log = &m->topic->log[p];

    if (m->last[p] >= 0) {
        i = (unsigned) m->last[p] + 1;
    } else {
        i = m->strict ? m->low[p] : 0;
    }

    for ( /* void */ ; i < to; i++) {
        if (!w_matches(m, &log->recs[i])) {
            continue;
        }

        if (log->recs[i].wrong || (m->last[p] < 0 && i < m->high[p])) {
            m->slack++;
        } else {
            m->missing++;
        }
    }
}


/* a whole frame of "m" came in */

static inline void
w_frame(w_sub_t *m, const u_char *f, size_t len)
{
    int        low, high, mid;
    size_t     i, size;
    int64_t    offset;
    uint32_t   p, key_len, gen;
    fo_str_t   key;
    w_rec_t   *rec;
    w_log_t   *log;

    memcpy(&p, f + 8, 4);
    memcpy(&key_len, f + 12, 4);
    memcpy(&offset, f + 16, 8);

    w_must(p < m->topic->parts);
    log = &m->topic->log[p];

    size = (key_len == FO_NONE) ? 0 : key_len;
    f += W_HEAD;
    len -= W_HEAD;
    w_must(len >= size + 4);
    memcpy(&gen, f + size, 4);

    low = 0;
    high = (int) log->n;

    while (low < high) {
        mid = (low + high) / 2;
        rec = &log->recs[mid];

        if (rec->gen < gen || (rec->gen == gen && rec->offset < offset)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    w_must(low < (int) log->n);
    rec = &log->recs[low];

    w_must(rec->gen == gen && rec->offset == offset);
    w_must(len - size == rec->size);

    if (rec->key == W_KEYS) {
        w_must(key_len == FO_NONE);

    } else {
        key = w_key(rec->key);
        w_must(key.len == key_len && memcmp(f, key.data, key_len) == 0);
    }

    for (i = 4; i < rec->size; i++) {
        w_must(f[size + i] == w_filler(rec, i));
    }

    w_note("hub %u session %p sub %u: %.*s %u record %d, last %d",
           m->session->hub->n, (void *) m->session, m->tag,
           (int) m->topic->name.len, m->topic->name.data, p, low,
           m->last[p]);

    w_must(w_matches(m, rec));
    w_must(m->ready);

    m->got++;

    w_must(low > m->last[p]);
    w_must(m->last[p] >= 0 || !m->strict || low >= (int) m->low[p]);

    w_skipped(m, p, (unsigned) low);
    m->last[p] = low;
}


/* the first record of this life of the log that is not before "offset" */

static inline unsigned
w_index(const w_log_t *log, uint32_t gen, int64_t offset)
{
    unsigned  i;

    for (i = 0; i < log->n; i++) {
        if (log->recs[i].gen > gen
            || (log->recs[i].gen == gen && log->recs[i].offset >= offset))
        {
            break;
        }
    }

    return i;
}


/* a notice came in: what lies in its range is excused, nothing else is */

static inline void
w_notice(w_sub_t *m, const u_char *f)
{
    int        from, to;
    int64_t    first, next;
    uint32_t   p, flags;
    uint64_t   count;
    w_log_t   *log;

    memcpy(&p, f + 8, 4);
    memcpy(&flags, f + 12, 4);
    memcpy(&first, f + 16, 8);
    memcpy(&next, f + 24, 8);
    memcpy(&count, f + 32, 8);

    w_note("hub %u session %p sub %u: %.*s %u gap %lld to %lld, flags %u",
           m->session->hub->n, (void *) m->session, m->tag,
           (int) m->topic->name.len, m->topic->name.data, p,
           (long long) first, (long long) next, flags);

    w_must(m->ready);
    m->session->gaps++;
    m->notices++;
    m->got_at_notice = m->got;

    if (flags & 1) {
        m->counted += count;
        return;
    }

    if (!(flags & 2)) {
        m->uncounted = 1;
        return;
    }

    w_must(p < m->topic->parts);
    log = &m->topic->log[p];

    to = (int) w_index(log, log->gen, next);

    if (log->gen == 0 || (m->last[p] >= 0
                          && log->recs[m->last[p]].gen == log->gen))
    {
        w_must(first < next);

        from = (int) w_index(log, log->gen, first);

        if (from > m->last[p] + 1) {
            w_skipped(m, p, (unsigned) from);
        }

    } else {

        /* the log began anew: of its life before, some may have been skipped
           and counted, and nobody can tell which */

        for (from = m->last[p] + 1; from < to; from++) {
            m->slack += log->recs[from].gen != log->gen
                        && w_matches(m, &log->recs[from]);
        }
    }

    m->last[p] = fo_max(m->last[p], to - 1);
}


static inline void
w_sub_ready(w_sub_t *m)
{
    unsigned     p;
    w_log_t     *log;
    fo_src_t    *src;
    w_owned_t   *o;
    fo_topic_t  *topic;

    w_note("hub %u session %p sub %u: ready", m->session->hub->n,
           (void *) m->session, m->tag);

    w_must(!m->ready);
    m->ready = 1;

    topic = fo_entry_topic(m->sub->session->hub,
                           fo_feed_entry(fo_sub_feed(m->sub)));

    for (p = 0; p < W_PARTS; p++) {
        log = &m->topic->log[p];
        o = w_reader(m->topic, p);
        m->high[p] = o ? o->pos : log->n;

        /* who takes over reads again what this worker has had: not for a
           subscription that came later */

        src = (p < topic->partitions) ? topic->sources[p] : NULL;

        if (src) {
            m->high[p] = fo_max(m->high[p],
                                w_index(log, log->gen, src->next));
        }
    }
}


/* it was unsubscribed, failed, or its session closes */

static inline void
w_sub_over(w_sub_t *m)
{
    m->session->subs[m->tag] = NULL;
    m->sub = NULL;
    w_sub_free(m);
}


/* subscriptions with a position come before those without: see fo_entry.h */

static inline void
w_feed_check(fo_feed_t *feed)
{
    unsigned     tail;
    fo_sub_t    *sub;
    uint32_t     n;
    fo_queue_t  *q;

    tail = 0;

    for (n = feed->nsubs, q = feed->subs; n; n--, q = q->next) {
        sub = fo_data(q, fo_sub_t, in_feed);

        w_must(fo_sub_feed(sub) == feed);
        w_must(!tail || sub->pos.chunk == NULL);
        tail = (sub->pos.chunk == NULL);
    }

    w_must(q == feed->subs);
    w_must(!tail || feed->subs);
}


/* before an unsubscribe */

static inline void
w_sub_leave(w_sub_t *m)
{
    if (!m->sub->detached) {
        w_feed_check(fo_sub_feed(m->sub));
    }

    if (m->sub->tell_gap) {
        m->counted += m->sub->pos.spare;
        m->uncounted |= m->sub->uncounted;
    }

    if (m->ready && !m->uncounted) {
        w_must(m->missing <= m->counted);
    }
}


/* all was read and sent: nothing is missing but what was told */

static inline void
w_sub_complete(w_sub_t *m)
{
    unsigned  p;

    w_must(m->ready);

    for (p = 0; p < m->topic->parts; p++) {
        w_skipped(m, p, m->topic->log[p].n);

        m->last[p] = (int) m->topic->log[p].n - 1;
    }

    if (!m->uncounted
        && (m->missing > m->counted
            || m->missing + m->slack < m->counted))
    {
        fprintf(stderr, "missing %llu or %llu more, told %llu\n",
                (unsigned long long) m->missing,
                (unsigned long long) m->slack,
                (unsigned long long) m->counted);
        w_must(0);
    }
}


#endif /* HUB_MODEL_H */
