
/*
 * Entries, their feeds and their subscriptions: what is told to them, how
 * records come into feeds, and how feeds come to sockets.
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


#ifndef FO_SUB_H
#define FO_SUB_H


#include "hub/fo_session.h"
#include "hub/fo_topic.h"


/*
 * Subscriptions that are behind, which have a position, come before those at
 * the tail: who catches up, or joins, goes to the end of the list.  When
 * frames are distributed, all who are at the tail get one: nobody moves.
 */

struct fo_feed_s {
    const fo_dialect_t     *dialect;      /* NULL: inner, not in use */
    fo_feed_log_t           log;
    fo_queue_t              subs;         /* those with a position first */
    fo_feed_t              *next;         /* of the same entry */
    uint32_t                nsubs;
    unsigned                inner:1;
};


struct fo_sub_s {
    fo_session_t           *session;      /* NULL: inner, not in use */
    fo_pos_t                pos;          /* pos.spare: frames missed, to be
                                             told */
    fo_queue_t              in_feed;      /* in feed->subs */
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


typedef enum {
    FO_ENTRY_NEW = 0,          /* waits for the topic */
    FO_ENTRY_PENDING,          /* waits for bases */
    FO_ENTRY_LIVE
} fo_entry_state_e;


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
_Static_assert(sizeof(fo_feed_t) == 48 && sizeof(fo_sub_t) == 80
               && offsetof(fo_entry_t, key) == 24 + 48 + 80 + 16,
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


/* fo_sub.c */

void fo_sub_live(fo_sub_t *sub);
void fo_sub_fail(fo_sub_t *sub, fo_error_e error);
void fo_sub_missed(fo_sub_t *sub, uint64_t frames, int counted);
void fo_feed_missed(fo_feed_t *feed, uint64_t frames, int counted);
void fo_sub_timeouts(fo_hub_t *hub, uint64_t now);
void fo_sub_tell(fo_hub_t *hub);
void fo_sub_tell_session(fo_session_t *s);


/*
 * fo_dispatch.c: records to feeds.  A gap of a source is a frame among its
 * records, at its place in their order, for all subscribers of the feed.
 */

void fo_dispatch(fo_hub_t *hub, const fo_origin_t *from,
    const fo_record_t *rec);
void fo_dispatch_skipped(fo_hub_t *hub, const fo_origin_t *from,
    const fo_record_t *rec);
void fo_entry_gap(fo_hub_t *hub, fo_entry_t *entry, const fo_event_t *ev);


/* fo_flush.c: feeds to sessions to sockets */

void fo_flush_feeds(fo_hub_t *hub);    /* phase 1 */
int fo_flush(fo_hub_t *hub);           /* phase 2; 1: more in the next turn */
void fo_feed_distribute(fo_hub_t *hub, fo_feed_t *feed);
uint64_t fo_joined_due(fo_hub_t *hub); /* us until one is, or UINT64_MAX */
void fo_session_ready(fo_session_t *s);
void fo_sub_ready(fo_sub_t *sub);
void fo_sub_idle(fo_sub_t *sub);


#endif /* FO_SUB_H */
