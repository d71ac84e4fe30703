
/*
 * What is told to subscriptions, how records come into feeds, and how feeds
 * come to sockets.
 */


#ifndef FO_SUB_H
#define FO_SUB_H


#include "hub/fo_entry.h"


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
