
/*
 * The two indexes, each with n filters: what a record's key costs in the
 * shared one and in the private one, without anything around.  "key" is the
 * share of making and hashing a key that is in the others.
 *
 * The batch rows hash BATCH keys, fetch the buckets of all into the cache,
 * then look them up, and in the private index fetch what they find, too.
 */


#include "micro.h"

#include "core/fo_hash.h"
#include "core/fo_index.h"
#include "core/fo_interest.h"


#define TOPIC  0x1234567
#define BATCH  16


static fo_interest_t  interest;
static fo_index_t     ix;
static uint64_t      *items;         /* their hashes */


static uint64_t
hash_of(uint64_t n, int wanted)
{
    char  key[32];

    return fo_hash_key(TOPIC, (u_char *) key, micro_key(key, n, wanted));
}


/* the hashes of the next keys */

static void
batch_of(uint64_t *hash, uint64_t *state, uint64_t n, int wanted)
{
    unsigned  i;

    for (i = 0; i < BATCH; i++) {
        hash[i] = hash_of(micro_random(state) % n, wanted);
    }
}


static void
interest_setup(micro_t *m)
{
    size_t    size;
    uint64_t  i;

    interest.nbuckets = 2;

    while (interest.nbuckets * FO_INTEREST_WIDTH < m->n * 2) {
        interest.nbuckets *= 2;
    }

    size = interest.nbuckets * sizeof(fo_interest_bucket_t);

    interest.buckets = aligned_alloc(64, size);
    if (interest.buckets == NULL) {
        die("out of memory");
    }

    memset((void *) interest.buckets, 0, size);

    for (i = 0; i < m->n; i++) {
        if (fo_interest_add_locked(&interest, hash_of(i, 1), i % 4)
            != FO_OK)
        {
            die("a bucket is full");
        }
    }
}


static uint64_t
interest_run(micro_t *m, int wanted)
{
    uint64_t   i, state, n;
    fo_mask_t  mask;

    state = 1;

    for (i = 0, n = 0; i < m->ops; i++) {
        fo_mask_clear(&mask);
        fo_interest_lookup(&interest,
                           hash_of(micro_random(&state) % m->n, wanted),
                           &mask);
        n += !fo_mask_empty(&mask);
    }

    if (wanted ? n != m->ops : n > m->ops / 1000) {
        die("%" PRIu64 " were found", n);
    }

    return m->ops;
}


static uint64_t
interest_run_wanted(micro_t *m)
{
    return interest_run(m, 1);
}


static uint64_t
interest_run_unwanted(micro_t *m)
{
    return interest_run(m, 0);
}


static uint64_t
interest_run_batch(micro_t *m)
{
    uint64_t   i, j, state, n, hash[BATCH];
    fo_mask_t  mask;

    state = 1;

    for (i = 0, n = 0; i < m->ops; i += BATCH) {
        batch_of(hash, &state, m->n, 1);

        for (j = 0; j < BATCH; j++) {
            fo_interest_prefetch(&interest, hash[j]);
        }

        for (j = 0; j < BATCH; j++) {
            fo_mask_clear(&mask);
            fo_interest_lookup(&interest, hash[j], &mask);
            n += !fo_mask_empty(&mask);
        }
    }

    if (n != i) {
        die("%" PRIu64 " were found", n);
    }

    return i;
}


static uint64_t
interest_run_add(micro_t *m)
{
    uint64_t  i;

    for (i = 0; i < m->n; i++) {
        fo_interest_remove_locked(&interest, hash_of(i, 1), i % 4);
        (void) fo_interest_add_locked(&interest, hash_of(i, 1), i % 4);
    }

    return m->n;
}


static uint64_t
index_hash(void *ctx, const void *item)
{
    return *(const uint64_t *) item;
}


/* finds the item, and reads it to compare */

static unsigned
index_found(uint64_t *item, uint64_t hash, fo_index_at_t *at)
{
    while (item && *item != hash) {
        item = fo_index_next(at);
    }

    return item != NULL;
}


static void
index_setup(micro_t *m)
{
    uint64_t  i;

    items = calloc(m->n, sizeof(uint64_t));

    if (items == NULL
        || fo_index_init(&ix, &micro_alloc, index_hash, NULL) != FO_OK)
    {
        die("out of memory");
    }

    for (i = 0; i < m->n; i++) {
        items[i] = hash_of(i, 1);

        if (fo_index_insert(&ix, items[i], &items[i]) != FO_OK) {
            die("out of memory");
        }
    }

    m->bytes = micro_live;
}


static uint64_t
index_run(micro_t *m, int wanted)
{
    uint64_t        i, state, n, hash;
    fo_index_at_t   at;

    state = 1;

    for (i = 0, n = 0; i < m->ops; i++) {
        hash = hash_of(micro_random(&state) % m->n, wanted);
        n += index_found(fo_index_find(&ix, hash, &at), hash, &at);
    }

    if (n != (wanted ? m->ops : 0)) {
        die("%" PRIu64 " were found", n);
    }

    return m->ops;
}


static uint64_t
index_run_wanted(micro_t *m)
{
    return index_run(m, 1);
}


static uint64_t
index_run_unwanted(micro_t *m)
{
    return index_run(m, 0);
}


static uint64_t
index_run_batch(micro_t *m)
{
    uint64_t       *item[BATCH], hash[BATCH], i, j, state, n;
    fo_index_at_t   at[BATCH];

    state = 1;

    for (i = 0, n = 0; i < m->ops; i += BATCH) {
        batch_of(hash, &state, m->n, 1);

        for (j = 0; j < BATCH; j++) {
            fo_index_prefetch(&ix, hash[j]);
        }

        for (j = 0; j < BATCH; j++) {
            item[j] = fo_index_find(&ix, hash[j], &at[j]);
            __builtin_prefetch(item[j]);
        }

        for (j = 0; j < BATCH; j++) {
            n += index_found(item[j], hash[j], &at[j]);
        }
    }

    if (n != i) {
        die("%" PRIu64 " were found", n);
    }

    return i;
}


static void
key_setup(micro_t *m)
{
    /* nothing is needed */
}


static uint64_t
key_run(micro_t *m)
{
    uint64_t  i, state;

    state = 1;

    for (i = 0; i < m->ops; i++) {
        m->sink += hash_of(micro_random(&state) % m->n, 1);
    }

    return m->ops;
}


const micro_case_t  micro_index[] = {
    { "key", key_setup, key_run, NULL },
    { "interest-wanted", interest_setup, interest_run_wanted, NULL },
    { "interest-unwanted", interest_setup, interest_run_unwanted, NULL },
    { "interest-batch", interest_setup, interest_run_batch, NULL },
    { "interest-change", interest_setup, interest_run_add, NULL },
    { "index-wanted", index_setup, index_run_wanted, NULL },
    { "index-unwanted", index_setup, index_run_unwanted, NULL },
    { "index-batch", index_setup, index_run_batch, NULL },
    { NULL, NULL, NULL, NULL }
};
