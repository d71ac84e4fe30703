
/*
 * The shared memory of all workers: what lies where, and the slots.
 *
 *     | header | slots[192] | topic rows[1024] | source rows[4096] |
 *     | rings[2 x owners] | interest buckets: the rest |
 *
 * No pointer is kept in it: a process has its own view, fo_zone_t.  Rows
 * and slots are named by their index.
 *
 * Functions that end in _locked are called under the zone's lock.  They
 * take bounded steps and leave, if the process is killed in the middle,
 * nothing that a sweep can't mend: what is taken is marked before it is
 * linked, and lists can be made anew from the marks.
 */


#ifndef FO_ZONE_H
#define FO_ZONE_H


#include "core/fo_mask.h"
#include "core/fo_hash.h"
#include "core/fo_interest.h"
#include "core/fo_ring.h"
#include "core/fo_stat.h"


#define FO_ZONE_LAYOUT   2        /* changes with every change of layout */

#define FO_TOPICS        1024
#define FO_SOURCES       4096
#define FO_CLUSTERS      8        /* in one configuration */
#define FO_RINGS_MAX     32
#define FO_ERROR_TEXT    160
#define FO_NONE          0xffffffffu

/* an owner: slot and generation in one word */
#define FO_NOBODY            ((uint64_t) -1)
#define fo_owner(slot, gen)  (((uint64_t) (gen) << 16) | (slot))
#define fo_owner_slot(o)     ((unsigned) ((o) & 0xffff))


typedef enum {
    FO_SLOT_FREE = 0,
    FO_SLOT_LIVE,
    FO_SLOT_EXITING,      /* a reload or quit: owns only if nobody else can */
    FO_SLOT_DEAD,
    FO_SLOT_SWEEPING
} fo_slot_state_e;


/* what a worker knows of one cluster; it writes under the lock */

typedef struct {
    uint64_t           id;            /* 0: unused */
    uint32_t           up;            /* 1 connected, 0 not (yet) */
    uint32_t           failures;      /* since it was up */
    char               error[FO_ERROR_TEXT];   /* last one, or empty */
} fo_slot_cluster_t;


/* a worker's row; "lock": written under the zone's lock */

typedef struct {
    _Atomic uint32_t   state;         /* fo_slot_state_e; lock */
    _Atomic uint32_t   generation;    /* of the tenant; lock */
    _Atomic int32_t    pid;           /* lock */
    _Atomic uint32_t   ring;          /* FO_NONE: none; lock */
    _Atomic uint32_t   owned;         /* rows; lock */
    _Atomic uint32_t   carried;       /* source rows among them, which need
                                         the ring; lock */
    uint32_t           sweep;         /* pieces that are done; lock */
    uint32_t           pad2;
    _Atomic uint64_t   seq;           /* of subscribes, never reset: a base
                                         for the tenant before can't be
                                         taken for one's own; tenant, lock */
    uint64_t           pad0[2];
    _Atomic uint32_t   armed;         /* 1: a writer must wake it; cleared by
                                         the writer, set by the tenant */
    uint32_t           pad1[15];
    _Atomic uint64_t   dirty;         /* some bit below is set; anybody */
    _Atomic uint64_t   topics[FO_TOPICS / 64];     /* rows to look at */
    _Atomic uint64_t   sources[FO_SOURCES / 64];   /* rows to look at */
    fo_slot_cluster_t  clusters[FO_CLUSTERS];
    fo_stats_t         stats;
} fo_slot_t;


typedef struct fo_topic_row_s   fo_topic_row_t;
typedef struct fo_source_row_s  fo_source_row_t;


typedef struct {
    uint64_t           layout;
    uint64_t           seed;          /* of all hashes */
    uint64_t           ring_size;
    uint32_t           owners;        /* workers that may own sources */
    uint32_t           nrings;
    uint64_t           nbuckets;
    _Atomic uint64_t   no_slot;       /* 503 answers of workers without a
                                         slot, which have no counters; they
                                         write, relaxed */
    _Atomic uint64_t   entries;       /* interest entries in use; lock */
    _Atomic uint32_t   inside;        /* 1: somebody is inside the lock, or
                                         died there; lock */
    uint32_t           pad;
    uint32_t           sources;       /* source rows in use; lock */
    uint32_t           source_hint;   /* where a free one may be; lock */
    uint16_t           topic_chain[FO_TOPICS];     /* lock; index + 1 */
    uint16_t           source_chain[FO_SOURCES];   /* lock; index + 1 */
} fo_zone_head_t;


/* a process's view of a zone */

typedef struct {
    fo_zone_head_t    *head;
    fo_slot_t         *slots;
    fo_topic_row_t    *topics;
    fo_source_row_t   *sources;
    u_char            *rings;
    fo_interest_t      interest;
} fo_zone_t;


/* what shapes a zone; a different shape is a different zone */

typedef struct {
    size_t             size;          /* bytes, all in all */
    size_t             ring_size;     /* bytes, 0: the default */
    unsigned           owners;        /* 1 to 16 */
} fo_zone_shape_t;


/*
 * Fills in the default of ring_size, rounds it.  FO_ERROR: *reason says why
 * this shape is impossible (static text), *least the smallest size.
 */
int fo_zone_shape(fo_zone_shape_t *shape, const char **reason,
    size_t *least);

/* makes a fresh zone in cleared memory aligned to 64 */
void fo_zone_init(fo_zone_t *z, void *mem, const fo_zone_shape_t *shape,
    uint64_t seed);

/* views a zone that exists */
void fo_zone_view(fo_zone_t *z, void *mem);

fo_ring_t *fo_zone_ring(const fo_zone_t *z, unsigned ring);


/*
 * Slots.  Claim: a slot for process "pid" that knows the clusters with
 * these ids; FO_ERROR if none is free.  Its ring cursors stand at the
 * rings' tails.
 */
int fo_slot_claim_locked(fo_zone_t *z, int32_t pid, const uint64_t *clusters,
    unsigned n);

/*
 * The slot that shall own a row of this cluster: the live one with the
 * fewest rows, among at most head->owners that own any; "self" if equal.
 * One that leaves only if nobody else can.  ring != 0: it must have a ring,
 * or one must be free.  FO_NONE: nobody can own it.
 */
unsigned fo_slot_choose_locked(fo_zone_t *z, uint64_t cluster,
    unsigned self, int ring);

/* tells "slot" to look at a row, and adds it to "wake" */
void fo_slot_mark_topic(fo_zone_t *z, unsigned slot, unsigned row,
    fo_mask_t *wake);
void fo_slot_mark_source(fo_zone_t *z, unsigned slot, unsigned row,
    fo_mask_t *wake);

/* gives "slot" a ring of its own, if it has none: FO_ERROR if all are used */
int fo_slot_take_ring_locked(fo_zone_t *z, unsigned slot);
void fo_slot_release_ring_locked(fo_zone_t *z, unsigned slot);

/* is this owner still the one that it was? */
int fo_owner_alive(const fo_zone_t *z, uint64_t owner);


#endif /* FO_ZONE_H */
