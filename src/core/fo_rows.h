
/*
 * Topic rows and source rows in the zone: who wants what, who brings it.
 *
 * A topic row says how many partitions a topic has, or why it can't be
 * had; a source row stands for one partition that somebody wants.  Each has
 * one owner: the worker that asks Kafka, and consumes.  Its worker names an
 * owner when it makes the row; the owner learns of it by its slot's bits.
 *
 * Subscribe is exact, by this order of stores in the subscriber (under the
 * lock) and of loads in the owner (without):
 *
 *     subscriber                      owner
 *     interest bit        (release)   ask bit: exchange  (acq_rel)
 *     slot.seq = seq + 1  (release)   slot.seq: load     (acquire)
 *     ask bit             (release)   base{seq, next_offset} to the ring
 *
 * 1. An owner that saw the ask bit sees a seq at least that new: the base
 *    is accepted.  Were ask set before seq, an owner between the two would
 *    answer with the older seq, and nobody would ask again.
 * 2. An owner that saw the seq sees the interest bit: every record from
 *    next_offset on is matched with it.
 */


#ifndef FO_ROWS_H
#define FO_ROWS_H


#include "core/fo_zone.h"
#include "core/fo_filter.h"


typedef enum {
    FO_TOPIC_ASKED = 0,    /* nobody knows yet */
    FO_TOPIC_KNOWN,
    FO_TOPIC_FAILED        /* error says why; asked again after a while */
} fo_topic_state_e;


#define FO_TOPIC_NEGATIVE  2000u    /* ms that a failure is believed */
#define FO_TOPIC_FRESH     30000u   /* ms after which the owner asks again */


struct fo_topic_row_s {
    _Atomic uint32_t   used;          /* lock */
    uint32_t           next;          /* chain, index + 1; lock */
    uint64_t           hash;          /* of cluster and name; lock */
    uint64_t           cluster;       /* lock */
    _Atomic uint64_t   owner;         /* lock */
    uint32_t           state;         /* fo_topic_state_e; owner, lock */
    uint32_t           error;         /* fo_error_e; owner, lock */
    uint32_t           partitions;    /* owner, lock */
    uint32_t           any;           /* 1: declared partitioner was wrong,
                                         keys may be anywhere; lock */
    uint64_t           incarnation;   /* owner, lock */
    uint64_t           checked;       /* ms; owner, lock */
    fo_amask_t         users;         /* workers that hold it; lock */
    fo_amask_t         all;           /* workers that want everything; lock */
    _Atomic uint64_t   prefixes;      /* lengths in use, bit n: n bytes; lock */
    fo_amask_t         prefix[64];    /* who uses that length; lock */
    uint32_t           sources;       /* source rows of it; lock */
    uint32_t           name_len;      /* lock */
    u_char             name[FO_TOPIC_MAX + 7];
};


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
 * Finds or makes the row and notes "slot" as its user.  FO_NONE: all rows
 * are in use, or nobody can own it.
 */
unsigned fo_topic_hold_locked(fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name, unsigned slot, fo_mask_t *wake);

void fo_topic_leave_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);

/* the owner's answer; tells all users */
void fo_topic_answer_locked(fo_zone_t *z, unsigned row, unsigned error,
    uint32_t partitions, uint64_t now, fo_mask_t *wake);

/* the declared partitioner is wrong; tells all users.  0: it was known */
int fo_topic_any_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/* asks the owner to look again: a failure older than FO_TOPIC_NEGATIVE */
void fo_topic_ask_again_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/* frees the row if nobody uses it and no source row is left: 1 if so */
int fo_topic_free_locked(fo_zone_t *z, unsigned row);

/*
 * The owner is gone or leaves: names another one, or frees the row if nobody
 * wants it.  Where nobody else can own it, it stays with one that is still
 * alive; else it has no owner, and this is to be called again.
 */
void fo_topic_pass_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/*
 * Interest of "slot" in one filter of a topic.  "hash" by fo_hash_key() or
 * fo_hash_prefix() with the row's hash; len is that of the prefix as hashed.
 * FO_ERROR: no room, nothing changed.  Remove is called when the last
 * filter with this hash is gone, last_len: with this prefix length.
 */
int fo_topic_want_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len);
void fo_topic_unwant_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len, int last_len);

/* which workers may want a record with this key (NULL: none)?  Hot. */
void fo_topic_match(const fo_zone_t *z, const fo_topic_row_t *t,
    const fo_str_t *key, fo_mask_t *m);

/* the hash of a topic, without a row */
uint64_t fo_topic_hash(const fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name);


/*
 * Demand of "slot" for one partition; finds or makes the row, and asks for
 * a base.  "from": where a new row starts, FO_OFFSET_END or BEGIN.  FO_NONE:
 * all rows are in use, or nobody can own it.  The caller has increased its
 * slot's seq (see above).
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


/*
 * Sweeps a slot whose process is gone (or that gives itself up: state
 * DEAD).  Sources and topics that it owned get another owner, or none if
 * nobody wants them.  Works on a bounded piece; FO_AGAIN: release the lock,
 * come again.  FO_OK: the slot is free.  "wake" gets the slots with
 * something to look at.
 */
int fo_slot_sweep_locked(fo_zone_t *z, unsigned slot, fo_mask_t *wake);

/*
 * The first and the last thing under the lock.  If somebody has died inside,
 * chains and counts are made anew.
 */
void fo_zone_enter_locked(fo_zone_t *z);
void fo_zone_leave_locked(fo_zone_t *z);


#endif /* FO_ROWS_H */
