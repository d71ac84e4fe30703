
/*
 * Entries, their feeds and their subscriptions, as they lie in memory.
 *
 * Most filters have one subscriber: so an entry holds its first feed, and
 * this one's first subscription, in one piece of memory.
 *
 *     fo_entry_t | link seq .. | feed | sub | in_topic key |
 *                                |      ^
 *                                next   | in_feed, as all that join
 *                                v      v
 *               fo_more_feed_t | feed | fo_more_sub_t | sub |
 *
 * The inner feed is first in the list of feeds while it is in use, and the
 * inner subscription is one of the inner feed.  Each may go while others stay,
 * and its place is used again.  An entry that is gone stays in memory until
 * its inner subscription is, which may still have to be told of an error.
 */


#ifndef FO_ENTRY_H
#define FO_ENTRY_H


#include "hub/fo_session.h"
#include "hub/fo_topic.h"


/*
 * Subscriptions that are behind, which have a position, come before those at
 * the tail: who catches up, or joins, goes to the end.  When frames are
 * distributed, all who are at the tail get one: nobody moves.  They are a
 * ring without a head: to the end is one step on, if it was the first.
 */

struct fo_feed_s {
    const fo_dialect_t     *dialect;      /* NULL: inner, not in use */
    fo_feed_log_t           log;
    fo_queue_t             *subs;         /* the first in_feed, or NULL */
    fo_feed_t              *next;         /* of the same entry */
    uint32_t                nsubs;
    unsigned                inner:1;
};


struct fo_sub_s {
    fo_session_t           *session;      /* NULL: inner, not in use */
    fo_pos_t                pos;          /* pos.spare: frames missed, to be
                                             told */
    fo_queue_t              in_feed;      /* in the ring of feed->subs */
    fo_queue_t              in_session;
    fo_queue_t              queue;        /* in hub->waiting or ->noted */
    uint32_t                since;        /* us, low bits: waiting */
    unsigned                error:8;      /* fo_error_e, to be told */
    unsigned                live:1;
    unsigned                ready:1;      /* it has frames to send */
    unsigned                tell_ready:1;
    unsigned                tell_gap:1;
    unsigned                uncounted:1;  /* the number missed is unknown */
    unsigned                detached:1;   /* has no feed: failed, to be told */
    unsigned                inner:1;
};


/* a million of them are usual: no holes, and what a record needs comes first */

struct fo_entry_s {
    uint64_t                seq;          /* bases from this one on count */
    uint16_t                topic;        /* its row, in hub->topics */
    uint16_t                key_len;
    uint16_t                waiting;      /* sources without a base */
    unsigned                kind:2;       /* fo_filter_kind_e */
    unsigned                state:2;      /* fo_entry_state_e */
    unsigned                demanded:1;   /* is in the zone */
    unsigned                pruned:1;     /* reads one partition only */
    unsigned                gone:1;       /* only its sub is left */
    uint32_t                span;         /* which; else of how many it counts
                                             as a user */
    uint32_t                since;        /* us, low bits: asked for */
    fo_feed_t               feed;
    fo_sub_t                sub;
    fo_queue_t              in_topic;
    u_char                  key[];
};


_Static_assert(FO_TOPICS <= UINT16_MAX && FO_SOURCES <= UINT16_MAX,
               "rows are counted in 16 bits");
_Static_assert(sizeof(fo_feed_t) == 40 && sizeof(fo_sub_t) == 80
               && offsetof(fo_entry_t, key) == 24 + 40 + 80 + 16,
               "an entry has no holes");


/* all but the first */

typedef struct {
    fo_feed_t               feed;
    fo_entry_t             *entry;
} fo_more_feed_t;


typedef struct {
    fo_sub_t                sub;
    fo_feed_t              *feed;
} fo_more_sub_t;


#define fo_entry_topic(hub, entry)  (hub)->topics[(entry)->topic]

/* the first one in use, or NULL; the others by its next */
#define fo_entry_feeds(entry)                                                 \
    ((entry)->feed.dialect ? &(entry)->feed : (entry)->feed.next)


static inline fo_entry_t *
fo_feed_entry(fo_feed_t *feed)
{
    fo_more_feed_t  *more;

    if (feed->inner) {
        return fo_data(feed, fo_entry_t, feed);
    }

    more = fo_data(feed, fo_more_feed_t, feed);

    return more->entry;
}


/* of one that is not detached */

static inline fo_feed_t *
fo_sub_feed(fo_sub_t *sub)
{
    fo_entry_t     *entry;
    fo_more_sub_t  *more;

    if (sub->inner) {
        entry = fo_data(sub, fo_entry_t, sub);
        return &entry->feed;
    }

    more = fo_data(sub, fo_more_sub_t, sub);

    return more->feed;
}


/* at the end, of one that is in no ring */

static inline void
fo_feed_join(fo_feed_t *feed, fo_sub_t *sub)
{
    fo_queue_init(&sub->in_feed);

    if (feed->subs) {
        fo_queue_append(feed->subs, &sub->in_feed);

    } else {
        feed->subs = &sub->in_feed;
    }
}


static inline void
fo_feed_part(fo_feed_t *feed, fo_sub_t *sub)
{
    fo_queue_t  *next;

    next = sub->in_feed.next;

    if (feed->subs == &sub->in_feed) {
        feed->subs = (next == &sub->in_feed) ? NULL : next;
    }

    fo_queue_remove(&sub->in_feed);
}


/* it has caught up, or jumps to the tail */

static inline void
fo_feed_last(fo_feed_t *feed, fo_sub_t *sub)
{
    if (feed->subs == &sub->in_feed) {
        feed->subs = sub->in_feed.next;
        return;
    }

    fo_feed_part(feed, sub);
    fo_feed_join(feed, sub);
}


#endif /* FO_ENTRY_H */
