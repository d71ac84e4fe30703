
/*
 * What a worker brings in for all, and what lies in the rings.
 */


#ifndef FO_OWNER_H
#define FO_OWNER_H


#include "core/fo_queue.h"
#include "hub/fo_source.h"


/* what is in the rings besides the header */

enum {
    FO_ENTRY_RECORD = 1,
    FO_ENTRY_SKIPPED,          /* a record too big for a ring: its key only */
    FO_ENTRY_BASE,
    FO_ENTRY_RESET,
    FO_ENTRY_TAKEOVER          /* of a new owner: tails of all rings, which
                                  readers reach before they go on */
};


typedef struct {
    fo_ring_entry_t         head;
    uint32_t                row;
    uint32_t                generation;
    int64_t                 offset;       /* BASE and RESET: of the next */
    int64_t                 time;         /* BASE: seq */
    uint32_t                key_len;      /* FO_NONE: no key; BASE and
                                             TAKEOVER: tenure */
    uint32_t                value_len;    /* FO_NONE: no value; BASE and
                                             RESET: resets */
    u_char                  data[];       /* key, value; TAKEOVER: uint64_t
                                             of each ring */
} fo_ring_record_t;


struct fo_owned_s {
    fo_hub_t               *hub;
    fo_queue_t              queue;        /* in hub->moved */
    fo_str_t                topic;        /* the row's */
    fo_topic_row_t         *topic_row;
    fo_source_row_t        *r;
    uint32_t                cluster;
    uint32_t                row;
    uint32_t                generation;
    int64_t                 next;
    uint64_t                linger;       /* us: stop then; 0: wanted */
    uint64_t                warned;       /* us: of a record too big */
    unsigned                running:1;    /* next is known */
    unsigned                lost:1;
    unsigned                owes:1;       /* a reset that found no room */
    unsigned                taking:1;     /* owes the takeover */
    unsigned                begun:1;      /* it has run before */
};


#define fo_owner_mine(hub, owner)                                             \
    ((owner) == fo_owner((hub)->slot, atomic_load(&(hub)->me->generation)))


/* fo_describe.c: topics that this worker owns */

void fo_describe_look(fo_hub_t *hub, unsigned row);
void fo_describe_tick(fo_hub_t *hub, uint64_t now);

/* hands topics over; last: all, else those that somebody who stays can take */
void fo_describe_leave(fo_hub_t *hub, int last);


/* fo_owner.c: partitions that this worker owns */

void fo_owner_look_source(fo_hub_t *hub, unsigned row);
void fo_owner_store(fo_hub_t *hub);
void fo_owner_unblock(fo_hub_t *hub);
void fo_owner_tick(fo_hub_t *hub, uint64_t now);
void fo_owner_done(fo_hub_t *hub);

/* the same for partitions, some at a time if it isn't the last call */
void fo_owner_leave(fo_hub_t *hub, int last);


/* fo_reader.c: the rings of others; 1: the budget is spent */

int fo_reader_turn(fo_hub_t *hub);

/* reads all rings but "except" up to these positions */
void fo_reader_reach(fo_hub_t *hub, const uint64_t *tails, unsigned except);


#endif /* FO_OWNER_H */
