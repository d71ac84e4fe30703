
/*
 * The interest index against a naive model: bytes are operations.
 *
 *     byte 0: number of buckets (2, 4 or 8)
 *     then three bytes each: what to do, which hash, which slot
 *
 * Every look-up gives exactly the model's workers, because the hashes are
 * distinct; a refusal comes only when both buckets of the hash are full, a
 * new entry goes to the emptier one, and a hash is in use once at most.
 */


#include "fo_test.h"
#include "core/fo_interest.h"


#define HASHES       96
#define BUCKETS_MAX  8


typedef struct {
    unsigned   bucket[2];
} pair_t;


static const unsigned  slots[] = { 0, 1, 63, 64, 127, 128, 190, 191 };

static fo_interest_t   in;
static fo_mask_t       model[HASHES];
static pair_t          pairs[BUCKETS_MAX + 1][HASHES];


static void
check(int ok, const char *what)
{
    if (!ok) {
        fo_test_die(what);
    }
}


static uint64_t
hash(unsigned n)
{
    return (n + 1) * 0x9e3779b97f4a7c15ull;
}


static _Atomic uint64_t  entries;


static void
make(fo_interest_t *i, uint64_t nbuckets)
{
    atomic_store(&entries, 0);
    i->entries = &entries;
    i->nbuckets = nbuckets;
    i->buckets = aligned_alloc(64, nbuckets * sizeof(fo_interest_bucket_t));
    check(i->buckets != NULL, "no memory");
    memset((void *) i->buckets, 0, nbuckets * sizeof(fo_interest_bucket_t));
}


static unsigned
load(unsigned bucket)
{
    unsigned  i, n;

    for (i = 0, n = 0; i < FO_INTEREST_WIDTH; i++) {
        n += !fo_amask_empty(&in.buckets[bucket].mask[i]);
    }

    return n;
}


/* the bucket of an empty index in which the hash lands */

static unsigned
landed(fo_interest_t *i, uint64_t h)
{
    unsigned  b, e;

    check(fo_interest_add_locked(i, h, 9) == FO_OK, "an empty index is full");

    for (b = 0; b < i->nbuckets; b++) {
        for (e = 0; e < FO_INTEREST_WIDTH; e++) {

            if (fo_amask_test(&i->buckets[b].mask[e], 9)) {
                return b;
            }
        }
    }

    fo_test_die("added nowhere");
    return 0;
}


/* finds out both buckets of every hash */

static void
probe(unsigned nbuckets)
{
    unsigned       n, e;
    pair_t        *p;
    fo_interest_t  i;

    for (n = 0; n < HASHES; n++) {
        p = &pairs[nbuckets][n];

        make(&i, nbuckets);
        p->bucket[0] = landed(&i, hash(n));
        free(i.buckets);

        make(&i, nbuckets);

        for (e = 0; e < FO_INTEREST_WIDTH; e++) {
            fo_amask_set(&i.buckets[p->bucket[0]].mask[e], 8);
        }

        p->bucket[1] = landed(&i, hash(n));
        free(i.buckets);

        check(p->bucket[0] != p->bucket[1], "the same bucket twice");
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    probe(2);
    probe(4);
    probe(8);

    return 0;
}


static void
check_lookup(unsigned n)
{
    fo_mask_t  m;

    fo_mask_clear(&m);
    fo_interest_lookup(&in, hash(n), &m);

    check(memcmp(&m, &model[n], sizeof(fo_mask_t)) == 0, "look-up");
}


/* in use once if somebody wants it, else not at all */

static void
check_once(unsigned n)
{
    unsigned               b, e, found;
    fo_interest_bucket_t  *bucket;

    for (b = 0, found = 0; b < in.nbuckets; b++) {
        bucket = &in.buckets[b];

        for (e = 0; e < FO_INTEREST_WIDTH; e++) {
            found += atomic_load(&bucket->hash[e]) == hash(n)
                     && !fo_amask_empty(&bucket->mask[e]);
        }
    }

    check(found == (unsigned) !fo_mask_empty(&model[n]), "in use twice");
    check(fo_interest_used(&in) == atomic_load(&entries), "miscounted");
}


static void
add(unsigned n, unsigned slot)
{
    int        rc, isnew;
    unsigned   load0, load1, after0, after1;
    pair_t    *p;

    p = &pairs[in.nbuckets][n];

    load0 = load(p->bucket[0]);
    load1 = load(p->bucket[1]);
    isnew = fo_mask_empty(&model[n]);

    rc = fo_interest_add_locked(&in, hash(n), slot);

    after0 = load(p->bucket[0]);
    after1 = load(p->bucket[1]);

    if (rc == FO_ERROR) {
        check(isnew, "what is there is refused");
        check(load0 == FO_INTEREST_WIDTH && load1 == FO_INTEREST_WIDTH,
              "refused with room");
        check(after0 == load0 && after1 == load1, "refused but changed");
        return;
    }

    check(rc == FO_OK, "result of add");
    check(after0 + after1 == load0 + load1 + isnew, "entries taken");
    check(!isnew || (after0 > load0 ? load0 <= load1 : load1 <= load0),
          "not the emptier one");

    fo_mask_set(&model[n], slot);
}


static void
sweep(unsigned slot, unsigned step)
{
    unsigned  n;
    uint64_t  from, next;

    for (from = 0; from < in.nbuckets; from = next) {
        next = fo_interest_sweep_locked(&in, slot, from, step);
        check(next == fo_min(from + step, in.nbuckets), "steps of a sweep");
    }

    for (n = 0; n < HASHES; n++) {
        fo_mask_unset(&model[n], slot);
        check_lookup(n);
    }
}


static void
check_all(void)
{
    unsigned  n, used;

    for (n = 0, used = 0; n < HASHES; n++) {
        check_lookup(n);
        check_once(n);
        used += !fo_mask_empty(&model[n]);
    }

    check(fo_interest_used(&in) == used, "entries in use");
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    unsigned  n, slot;

    if (size < 1) {
        return 0;
    }

    make(&in, 2u << data[0] % 3);
    memset(model, 0, sizeof(model));

    for (data++, size--; size >= 3; data += 3, size -= 3) {
        n = data[1] % HASHES;
        slot = slots[data[2] % 8];

        switch (data[0] % 8) {

        case 0:
        case 1:
        case 2:
        case 3:
            add(n, slot);
            break;

        case 4:
        case 5:
            fo_interest_remove_locked(&in, hash(n), slot);
            fo_mask_unset(&model[n], slot);
            break;

        case 6:
            sweep(slot, 1 + data[1] % 9);
            break;

        default:
            check_all();
            break;
        }

        check_lookup(n);
        check_lookup((n + 1) % HASHES);
    }

    check_all();
    free(in.buckets);

    return 0;
}
