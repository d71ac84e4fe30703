
/*
 * The flush: from feeds to sessions, from sessions to sockets.
 *
 * Phase 1 gives the subscriptions at the tail of each fresh feed their
 * position and puts them on their sessions' ready lists; who lags too far
 * behind meets the policy.  Between the two the hub tells of gaps, so that
 * a gap is told before what comes after it.  Phase 2 pops sessions and makes
 * one send for each: the rest of a frame cut before, then what was said, then
 * feeds.
 *
 * It never subscribes, unsubscribes or closes: it notes what is to be told,
 * and puts what has ended on hub->ended.
 *
 * With fanout_join a session that is sent nothing but records waits for that
 * time in hub->joined, in the order in which they are due, unless it has much
 * to send already or is to be told something.
 */


#include "hub/fo_hub_int.h"


#define FO_FLUSH_SENDS   1024      /* in a turn */
#define FO_FLUSH_TIME    2000      /* us in a turn */
#define FO_SEND_BYTES    (256 * 1024)
#define FO_JOIN_BYTES    (32 * 1024)    /* of a feed: no more waiting */


static void fo_sub_link(fo_sub_t *sub);
static void fo_feed_policy(fo_hub_t *hub, fo_feed_t *feed);
static void fo_session_join(fo_session_t *s, uint32_t now);
static void fo_joined_ready(fo_hub_t *hub, uint32_t now);
static void fo_flush_ahead(fo_hub_t *hub);
static void fo_session_flush(fo_session_t *s);
static unsigned fo_session_gather(fo_session_t *s, struct iovec *iov);
static void fo_session_sent(fo_session_t *s, size_t n);
static void fo_session_sent_feeds(fo_session_t *s, size_t n);
static void fo_session_stop(fo_session_t *s);


void
fo_sub_ready(fo_sub_t *sub)
{
    fo_sub_link(sub);
    fo_session_ready(sub->session);
}


static void
fo_sub_link(fo_sub_t *sub)
{
    fo_session_t  *s;

    if (sub->ready) {
        return;
    }

    s = sub->session;
    sub->ready = 1;

    fo_queue_remove(&sub->in_session);
    fo_queue_append(&s->subs, &sub->in_session);

    if (s->ready == &s->subs) {
        s->ready = &sub->in_session;
    }
}


/* it has nothing to send, or not for the moment: to those that come first */

void
fo_sub_idle(fo_sub_t *sub)
{
    fo_session_t  *s;

    if (!sub->ready) {
        return;
    }

    s = sub->session;
    sub->ready = 0;

    if (s->ready == &sub->in_session) {
        s->ready = sub->in_session.next;
    }

    fo_queue_remove(&sub->in_session);
    fo_queue_append(s->subs.next, &sub->in_session);
}


void
fo_session_ready(fo_session_t *s)
{
    if (s->joined) {
        s->joined = 0;
        fo_queue_remove(&s->queue);
    }

    if (s->busy || fo_queue_linked(&s->queue)) {
        return;
    }

    fo_queue_append(&s->hub->ready, &s->queue);
    fo_hub_post(s->hub);
}


static void
fo_session_join(fo_session_t *s, uint32_t now)
{
    if (s->busy || fo_queue_linked(&s->queue)) {
        return;
    }

    s->joined = 1;
    s->since = now;

    fo_queue_append(&s->hub->joined, &s->queue);
}


uint64_t
fo_joined_due(fo_hub_t *hub)
{
    uint32_t       age;
    fo_session_t  *s;

    if (fo_queue_empty(&hub->joined)) {
        return UINT64_MAX;
    }

    s = fo_data(hub->joined.next, fo_session_t, queue);
    age = (uint32_t) fo_hub_now(hub) - s->since;

    return age < hub->join ? hub->join - age : 0;
}


static void
fo_joined_ready(fo_hub_t *hub, uint32_t now)
{
    fo_session_t  *s;

    while (!fo_queue_empty(&hub->joined)) {
        s = fo_data(hub->joined.next, fo_session_t, queue);

        if (now - s->since < hub->join) {
            break;
        }

        fo_session_ready(s);
    }
}


/* phase 1 for one feed; also before somebody joins it */

void
fo_feed_distribute(fo_hub_t *hub, fo_feed_t *feed)
{
    uint32_t     now, n;
    fo_sub_t    *sub;
    fo_queue_t  *q;

    if (!fo_feed_fresh(&feed->log)) {
        return;
    }

    now = hub->join ? (uint32_t) fo_hub_now(hub) : 0;

    for (n = feed->nsubs, q = feed->subs; n; n--) {
        q = q->prev;
        sub = fo_data(q, fo_sub_t, in_feed);

        if (sub->pos.chunk) {
            break;
        }

        fo_feed_enter(&feed->log, &sub->pos);

        if (!sub->live) {
            continue;
        }

        fo_sub_link(sub);

        if (hub->join) {
            fo_session_join(sub->session, now);

        } else {
            fo_session_ready(sub->session);
        }
    }

    fo_feed_settle(&hub->chunks, &feed->log);
    fo_feed_policy(hub, feed);
}


static void
fo_feed_policy(fo_hub_t *hub, fo_feed_t *feed)
{
    uint64_t       lag, frames;
    fo_sub_t      *sub;
    uint32_t       n;
    fo_queue_t    *q, *next;
    fo_session_t  *s;

    for (n = feed->nsubs, q = feed->subs; n; n--, q = next) {
        next = q->next;
        sub = fo_data(q, fo_sub_t, in_feed);
        s = sub->session;

        if (sub->pos.chunk == NULL) {
            break;
        }

        lag = fo_feed_lag_bytes(&feed->log, &sub->pos);

        if (s->joined) {

            /* it lags because it waits for us: it is not judged */

            if (lag >= fo_min(FO_JOIN_BYTES, s->pending)) {
                fo_session_ready(s);
            }

            continue;
        }

        if (lag <= s->pending) {
            continue;
        }

        /* a notice that is skipped says of an unknown number */

        frames = fo_feed_lag_frames(&feed->log, &sub->pos);

        fo_stat_add(hub->stats, FO_STAT_GAPS, 1);
        fo_sub_missed(sub, frames, !fo_feed_marked(&feed->log, &sub->pos));

        if (s->policy == FO_PENDING_DISCONNECT) {
            sub->error = FO_ERR_TOO_SLOW;
        }

        fo_feed_leave(&hub->chunks, &feed->log, &sub->pos);
        fo_sub_idle(sub);
        fo_feed_last(feed, sub);
    }
}


void
fo_flush_feeds(fo_hub_t *hub)
{
    fo_feed_log_t  *log;

    for ( ;; ) {
        log = fo_feed_first(&hub->chunks);
        if (log == NULL) {
            return;
        }

        fo_feed_distribute(hub, fo_data(log, fo_feed_t, log));
    }
}


int
fo_flush(fo_hub_t *hub)
{
    unsigned       n;
    uint64_t       start;
    fo_queue_t    *q;
    fo_session_t  *s;

    start = fo_hub_now(hub);

    fo_joined_ready(hub, (uint32_t) start);

    for (n = 1; !fo_queue_empty(&hub->ready); n++) {
        q = hub->ready.next;
        s = fo_data(q, fo_session_t, queue);

        fo_queue_remove(&s->queue);
        fo_flush_ahead(hub);
        fo_session_flush(s);

        if (n == FO_FLUSH_SENDS
            || (n % 32 == 0 && fo_hub_now(hub) - start > FO_FLUSH_TIME))
        {
            break;
        }
    }

    return !fo_queue_empty(&hub->ready);
}


/*
 * What the kernel touches in a send drives the next sessions out of the
 * caches.  So that they come back while it runs, the lines of the session
 * after the next are asked for, then what those of the next one lead to.
 */

static void
fo_flush_ahead(fo_hub_t *hub)
{
    u_char              *p;
    fo_queue_t          *q;
    const fo_session_t  *s;

    q = hub->ready.next;

    if (q == &hub->ready) {
        return;
    }

    s = fo_data(q, fo_session_t, queue);

    __builtin_prefetch(s->ready);
    s->ops->soon(s);

    q = q->next;

    if (q != &hub->ready) {
        p = (u_char *) fo_data(q, fo_session_t, queue);

        __builtin_prefetch(p);
        __builtin_prefetch(p + 64);
        __builtin_prefetch(p + 128);
    }
}


static void
fo_session_flush(fo_session_t *s)
{
    size_t         size;
    ssize_t        n;
    unsigned       i, niov, busy;
    struct iovec   iov[FO_SEND_VECTORS];

    niov = fo_session_gather(s, iov);

    if (niov == 0) {
        if (s->ending) {
            fo_session_stop(s);
        }

        return;
    }

    size = 0;

    for (i = 0; i < niov; i++) {
        size += iov[i].iov_len;
    }

    busy = 0;
    n = s->ops->send(s, iov, niov, &busy);

    fo_stat_add(s->hub->stats, FO_STAT_WRITES, 1);

    if (n == FO_ERROR) {
        s->broken = 1;
        fo_session_stop(s);
        return;
    }

    fo_stat_add(s->hub->stats, FO_STAT_BYTES, n);

    fo_session_sent(s, (size_t) n);

    if ((size_t) n < size || busy) {
        s->busy = 1;
        fo_stat_add(s->hub->stats, FO_STAT_WRITES_PARTIAL, 1);
        return;
    }

    if (s->ending || s->ready != &s->subs) {
        fo_session_ready(s);
    }
}


/* what is to be sent next, in its order; nothing is moved */

static unsigned
fo_session_gather(fo_session_t *s, struct iovec *iov)
{
    size_t       size;
    u_char      *data;
    unsigned     n;
    fo_sub_t    *sub;
    fo_chunk_t  *c;
    fo_queue_t  *q;

    n = 0;
    size = 0;

    if (s->rest.chunk) {
        iov[n].iov_base = s->rest.chunk->data + s->rest.pos;
        iov[n].iov_len = s->rest.len;
        size += iov[n++].iov_len;
    }

    if (s->out) {
        iov[n].iov_base = s->out->data + s->out->pos;
        iov[n].iov_len = fo_session_unsent(s);
        size += iov[n++].iov_len;
    }

    if (s->ending) {
        return n;
    }

    for (q = s->ready; q != &s->subs; q = q->next) {
        sub = fo_data(q, fo_sub_t, in_session);

        if (n == FO_SEND_VECTORS || size >= FO_SEND_BYTES) {
            break;
        }

        iov[n].iov_len = fo_feed_data(&sub->pos, &data);
        iov[n].iov_base = data;
        size += iov[n++].iov_len;

        for (c = fo_feed_after(sub->pos.chunk);
             c && n < FO_SEND_VECTORS && size < FO_SEND_BYTES;
             c = fo_feed_after(c))
        {
            iov[n].iov_base = c->data;
            iov[n].iov_len = c->used;
            size += iov[n++].iov_len;
        }
    }

    return n;
}


static void
fo_session_sent(fo_session_t *s, size_t n)
{
    size_t  part;

    if (s->rest.chunk) {
        part = fo_min(n, s->rest.len);

        s->rest.pos += (uint32_t) part;
        s->rest.len -= (uint32_t) part;
        n -= part;

        if (s->rest.len) {
            return;
        }

        fo_chunk_release(&s->hub->chunks, s->rest.chunk);
        s->rest.chunk = NULL;
    }

    if (s->out) {
        part = fo_min(n, fo_session_unsent(s));

        s->out->pos += (uint32_t) part;
        n -= part;

        if (s->out->pos == s->out->len) {
            fo_free(s->hub->alloc, s->out);
            s->out = NULL;
        }
    }

    if (n) {
        fo_session_sent_feeds(s, n);
    }
}


/* moves positions over "n" bytes, in the order of fo_session_gather() */

static void
fo_session_sent_feeds(fo_session_t *s, size_t n)
{
    size_t        part;
    u_char       *data;
    unsigned      frames;
    fo_str_t      rest;
    fo_hub_t     *hub;
    fo_sub_t     *sub;
    fo_feed_t    *feed;
    fo_chunk_t   *chunk;

    hub = s->hub;

    while (n) {
        sub = fo_data(s->ready, fo_sub_t, in_session);
        feed = fo_sub_feed(sub);

        part = fo_feed_data(&sub->pos, &data);
        part = fo_min(part, n);
        n -= part;

        frames = fo_feed_advance(&hub->chunks, &feed->log, &sub->pos, part,
                                 &chunk, &rest);

        fo_stat_add(hub->stats, FO_STAT_DELIVERIES, frames);

        if (chunk) {
            s->rest.chunk = chunk;
            s->rest.pos = (uint32_t) (rest.data - chunk->data);
            s->rest.len = (uint32_t) rest.len;
        }

        if (sub->pos.chunk == NULL) {
            fo_sub_idle(sub);
            fo_feed_last(feed, sub);
        }
    }
}


static void
fo_session_stop(fo_session_t *s)
{
    fo_queue_remove(&s->queue);
    fo_queue_append(&s->hub->ended, &s->queue);
    s->ending = 1;
    s->busy = 1;
    s->stopped = 1;
}
