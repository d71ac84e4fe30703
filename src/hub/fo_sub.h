
/*
 * Feeds and their subscriptions: what is told to them, how records come
 * into feeds, and how feeds come to sockets.
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
    fo_feed_t              *next;         /* of the same entry */
    fo_entry_t             *entry;
    const fo_dialect_t     *dialect;
    fo_feed_log_t           log;
    fo_queue_t              subs;         /* those with a position first */
    uint32_t                nsubs;
};


struct fo_sub_s {
    fo_session_t           *session;
    fo_feed_t              *feed;         /* NULL: failed, to be told */
    fo_pos_t                pos;          /* pos.spare: frames missed, to be
                                             told */
    fo_queue_t              in_feed;      /* in feed->subs */
    fo_queue_t              ready;        /* in session->ready */
    fo_queue_t              in_session;
    fo_queue_t              queue;        /* in hub->waiting or ->noted */
    uint32_t                since;        /* us, low bits: waiting */
    unsigned                error:8;      /* fo_error_e, to be told */
    unsigned                live:1;
    unsigned                tell_ready:1;
    unsigned                tell_gap:1;
    unsigned                uncounted:1;  /* the number missed is unknown */
};


_Static_assert(sizeof(fo_sub_t) == 104, "a subscription has no holes");


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


#endif /* FO_SUB_H */
