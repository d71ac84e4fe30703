
/*
 * Source rows: a partition that somebody wants, who brings it, for whom; see
 * fo_rows.h.
 */


#ifndef FO_SOURCES_H
#define FO_SOURCES_H


#include "core/fo_zone.h"


typedef enum {
    FO_SOURCE_WANTED = 0,    /* the owner hasn't begun */
    FO_SOURCE_STARTING,
    FO_SOURCE_RUNNING,
    FO_SOURCE_LINGERING      /* nobody wants it; stops soon */
} fo_source_state_e;


#define FO_OFFSET_END    ((int64_t) -1)
#define FO_OFFSET_BEGIN  ((int64_t) -2)


/*
 * How often what was to be read next was gone: reading went on further up
 * (retention), or it went back (the topic was made anew).
 */

#define FO_RESET_ON(resets)       (((resets) & 0xffff0000)                    \
                                   | (((resets) + 1) & 0xffff))
#define FO_RESET_BACK(resets)     ((resets) + 0x10000)
#define fo_reset_went_back(a, b)  (((a) ^ (b)) >> 16)


struct fo_source_row_s {
    _Atomic uint32_t   used;          /* lock */
    _Atomic uint32_t   generation;    /* of the row, not 0; lock */
    uint32_t           next;          /* chain, index + 1; lock */
    uint32_t           topic;         /* row; lock */
    uint32_t           partition;     /* lock */
    _Atomic uint32_t   state;         /* fo_source_state_e; owner */
    _Atomic uint64_t   owner;         /* lock */
    fo_amask_t         demand;        /* workers that want it; lock */
    fo_amask_t         ask;           /* workers that wait for a base; set
                                         under the lock, taken by the owner */
    _Atomic uint32_t   tenure;        /* the how-manieth owner this is, not
                                         0; lock */
    _Atomic uint32_t   resets;        /* FO_RESET_*; owner, before it stores
                                         next_offset */
    _Atomic int64_t    next_offset;   /* of the next record to be matched,
                                         or FO_OFFSET_*; owner (release) */
    _Atomic int64_t    high;          /* high watermark, -1 unknown; owner */
    _Atomic uint64_t   records;       /* taken so far; owner */
};


/*
 * Demand of "slot" for one partition; finds or makes the row, and asks for
 * a base.  "from": where a new row starts, FO_OFFSET_END or BEGIN.  FO_NONE:
 * all rows are in use.  If no ring is free for an owner, it gets one later, by
 * fo_source_pass_locked().  The caller has increased its slot's seq (see
 * fo_rows.h).
 */
unsigned fo_source_demand_locked(fo_zone_t *z, unsigned topic,
    uint32_t partition, int64_t from, unsigned slot, fo_mask_t *wake);

/* asks for a base anew where demand exists; seq has been increased */
void fo_source_ask_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);

/* is there room for so many rows more? */
#define fo_source_room_locked(z, n)  ((n) <= FO_SOURCES - (z)->head->sources)

void fo_source_leave_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);

/* the owner gives the row up: frees it and returns 1, or 0 if demanded */
int fo_source_free_locked(fo_zone_t *z, unsigned row);

/*
 * The owner is gone or leaves; as fo_topic_pass_locked().  Who takes over
 * starts at next_offset and answers all who demand the partition.  An owner
 * that is alive has published its ring and stored next_offset before, and
 * says nothing of the partition after.
 */
void fo_source_pass_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/* can the row be passed on to somebody who stays? */
int fo_source_heir_locked(fo_zone_t *z, unsigned row);


#endif /* FO_SOURCES_H */
