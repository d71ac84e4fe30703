
/*
 * The interest index; its layout and its interleavings are in the header.
 *
 * The two buckets of a hash come from its two halves.  The lowest two bits
 * are left out: they tell keys from prefixes (fo_hash.h) and are not even.
 */


#include "core/fo_interest.h"


typedef struct {
    fo_interest_bucket_t  *first;
    fo_interest_bucket_t  *second;    /* another one, always */
} fo_interest_pair_t;


static fo_amask_t *fo_interest_find(fo_interest_bucket_t *b, uint64_t hash);
static unsigned fo_interest_free(fo_interest_bucket_t *b, unsigned *entry);
static void fo_interest_unset(fo_interest_t *in, fo_interest_bucket_t *b,
    uint64_t hash, unsigned slot);
static void fo_interest_leave(fo_interest_t *in, fo_amask_t *mask,
    unsigned slot);
static void fo_interest_count(fo_interest_t *in, int n);


static inline fo_interest_pair_t
fo_interest_pair(const fo_interest_t *in, uint64_t hash)
{
    uint64_t            mask, first, second;
    fo_interest_pair_t  pair;

    mask = in->nbuckets - 1;

    first = (hash >> 2) & mask;
    second = (hash >> 32) & mask;
    second ^= (first == second);

    pair.first = &in->buckets[first];
    pair.second = &in->buckets[second];

    return pair;
}


/* a bit for each entry that bears the hash; no branch, one cache line */

static inline unsigned
fo_interest_compare(fo_interest_bucket_t *b, uint64_t hash)
{
    unsigned  i, bits;

    bits = 0;

#pragma GCC unroll 8
    for (i = FO_INTEREST_WIDTH; i-- > 0; /* void */ ) {
        bits += bits + (atomic_load_explicit(&b->hash[i],
                                             memory_order_relaxed)
                        == hash);
    }

    return bits;
}


void
fo_interest_lookup(const fo_interest_t *in, uint64_t hash, fo_mask_t *m)
{
    unsigned            first, second;
    fo_interest_pair_t  pair;

    pair = fo_interest_pair(in, hash);

    /* both before the first branch: so their cache misses overlap */

    first = fo_interest_compare(pair.first, hash);
    second = fo_interest_compare(pair.second, hash);

    while (first) {
        fo_amask_add_to(&pair.first->mask[__builtin_ctz(first)], m);
        first &= first - 1;
    }

    while (second) {
        fo_amask_add_to(&pair.second->mask[__builtin_ctz(second)], m);
        second &= second - 1;
    }
}


void
fo_interest_prefetch(const fo_interest_t *in, uint64_t hash)
{
    fo_interest_pair_t  pair;

    pair = fo_interest_pair(in, hash);

    __builtin_prefetch(pair.first->hash);
    __builtin_prefetch(pair.second->hash);
}


int
fo_interest_add_locked(fo_interest_t *in, uint64_t hash, unsigned slot)
{
    unsigned               entry, entry2, nfree, nfree2;
    fo_amask_t            *mask;
    fo_interest_pair_t     pair;
    fo_interest_bucket_t  *b;

    pair = fo_interest_pair(in, hash);

    mask = fo_interest_find(pair.first, hash);

    if (mask == NULL) {
        mask = fo_interest_find(pair.second, hash);
    }

    if (mask != NULL) {
        fo_amask_set(mask, slot);
        return FO_OK;
    }

    nfree = fo_interest_free(pair.first, &entry);
    nfree2 = fo_interest_free(pair.second, &entry2);

    if (nfree == 0 && nfree2 == 0) {
        return FO_ERROR;
    }

    b = pair.first;

    if (nfree2 > nfree) {
        b = pair.second;
        entry = entry2;
    }

    atomic_store_explicit(&b->hash[entry], hash, memory_order_relaxed);
    fo_amask_set(&b->mask[entry], slot);
    fo_interest_count(in, 1);

    return FO_OK;
}


/* the set of the entry in use that bears the hash, or NULL */

static fo_amask_t *
fo_interest_find(fo_interest_bucket_t *b, uint64_t hash)
{
    unsigned  bits, i;

    for (bits = fo_interest_compare(b, hash); bits; bits &= bits - 1) {
        i = (unsigned) __builtin_ctz(bits);

        if (!fo_amask_empty(&b->mask[i])) {
            return &b->mask[i];
        }
    }

    return NULL;
}


/* how many entries are free; *entry is the first of them */

static unsigned
fo_interest_free(fo_interest_bucket_t *b, unsigned *entry)
{
    unsigned  i, n;

    n = 0;
    *entry = 0;

    for (i = FO_INTEREST_WIDTH; i-- > 0; /* void */ ) {

        if (fo_amask_empty(&b->mask[i])) {
            *entry = i;
            n++;
        }
    }

    return n;
}


void
fo_interest_remove_locked(fo_interest_t *in, uint64_t hash, unsigned slot)
{
    fo_interest_pair_t  pair;

    pair = fo_interest_pair(in, hash);

    fo_interest_unset(in, pair.first, hash, slot);
    fo_interest_unset(in, pair.second, hash, slot);
}


static void
fo_interest_unset(fo_interest_t *in, fo_interest_bucket_t *b, uint64_t hash,
    unsigned slot)
{
    unsigned  bits, i;

    for (bits = fo_interest_compare(b, hash); bits; bits &= bits - 1) {
        i = (unsigned) __builtin_ctz(bits);

        if (fo_amask_test(&b->mask[i], slot)) {
            fo_interest_leave(in, &b->mask[i], slot);
        }
    }
}


/* takes a worker out of an entry, which may be free then */

static void
fo_interest_leave(fo_interest_t *in, fo_amask_t *mask, unsigned slot)
{
    fo_amask_unset(mask, slot);

    if (fo_amask_empty(mask)) {
        fo_interest_count(in, -1);
    }
}


static void
fo_interest_count(fo_interest_t *in, int n)
{
    if (in->entries) {
        atomic_fetch_add_explicit(in->entries, (uint64_t) (int64_t) n,
                                  memory_order_relaxed);
    }
}


uint64_t
fo_interest_sweep_locked(fo_interest_t *in, unsigned slot, uint64_t from,
    uint64_t max)
{
    unsigned     i;
    uint64_t     last;
    fo_amask_t  *mask;

    if (from >= in->nbuckets) {
        return in->nbuckets;
    }

    last = from + fo_min(max, in->nbuckets - from);

    for ( /* void */ ; from < last; from++) {
        for (i = 0; i < FO_INTEREST_WIDTH; i++) {
            mask = &in->buckets[from].mask[i];

            if (fo_amask_test(mask, slot)) {
                fo_interest_leave(in, mask, slot);
            }
        }
    }

    return last;
}


uint64_t
fo_interest_used(const fo_interest_t *in)
{
    unsigned  entry;
    uint64_t  i, n;

    n = 0;

    for (i = 0; i < in->nbuckets; i++) {
        n += FO_INTEREST_WIDTH - fo_interest_free(&in->buckets[i], &entry);
    }

    return n;
}
