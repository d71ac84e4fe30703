
/*
 * The interest index: which workers want the records of a filter.  It lies
 * in shared memory and holds hashes and sets of workers only, no bytes of
 * keys: a collision sends a record to a worker whose private index drops
 * it.
 *
 *     bucket   | hash[8]: 64 bytes |  mask[8][3]: 192 bytes  |
 *
 * A hash may be in one of two buckets; an entry whose set is empty is free.
 * Nothing is ever moved, so readers neither lock nor look twice.
 *
 * Writers hold the zone's lock; readers hold nothing:
 *   add:     hash (relaxed), then mask |= bit (release)
 *   remove:  mask &= ~bit (relaxed)
 *   look-up: hash (relaxed), mask (acquire)
 * 1. A reader that sees the old hash of an entry which is being given to a
 *    new filter finds the old filter's set, empty by then, or the first
 *    bits of the new one: a false positive, dropped by that worker.
 * 2. A writer that is killed between the two stores leaves a free entry.
 * 3. A free entry keeps its hash: a filter that left the first bucket and
 *    came back in the second has its hash in both.  A reader that stopped at
 *    the first would miss it, so it adds what all entries with the hash have;
 *    a writer looks for the one in use in both before it takes a free one.
 * 4. A reader that looks at the second bucket, then at the first, while one
 *    worker leaves the first and another comes into the second, finds
 *    neither: so it was between the two.  A worker's bit stays where it was
 *    set until that worker (or the sweep of its slot) takes it out.
 */


#ifndef FO_INTEREST_H
#define FO_INTEREST_H


#include "core/fo_mask.h"


#define FO_INTEREST_WIDTH  8


typedef struct {
    _Atomic uint64_t   hash[FO_INTEREST_WIDTH];    /* lock holder writes */
    fo_amask_t         mask[FO_INTEREST_WIDTH];    /* lock holder writes */
} fo_interest_bucket_t;


/* private to a process: where the shared buckets are mapped */

typedef struct {
    fo_interest_bucket_t  *buckets;    /* aligned to 64 */
    uint64_t               nbuckets;   /* a power of two, at least 2 */
    _Atomic uint64_t      *entries;    /* in use, lock holder writes; NULL:
                                          nobody wants to know */
} fo_interest_t;


/* FO_ERROR: both buckets are full, nothing was changed */
int fo_interest_add_locked(fo_interest_t *in, uint64_t hash, unsigned slot);

/* removing what is not there changes nothing */
void fo_interest_remove_locked(fo_interest_t *in, uint64_t hash,
    unsigned slot);

/*
 * Takes all bits of "slot" out of buckets from "from" on, at most "max"
 * buckets of them.  Returns the next bucket to go on from, nbuckets at the
 * end.
 */
uint64_t fo_interest_sweep_locked(fo_interest_t *in, unsigned slot,
    uint64_t from, uint64_t max);

/* adds the workers that want "hash" to "m" */
void fo_interest_lookup(const fo_interest_t *in, uint64_t hash,
    fo_mask_t *m);

/* fetches the two buckets of "hash" into the cache, for a look-up to come */
void fo_interest_prefetch(const fo_interest_t *in, uint64_t hash);

/* the number of entries in use; walks everything: for tests of the count */
uint64_t fo_interest_used(const fo_interest_t *in);


#endif /* FO_INTEREST_H */
