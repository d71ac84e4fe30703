
/*
 * The interest index: what is added is found until it is removed or swept,
 * nothing else is; full buckets refuse and change nothing; entries that were
 * given back; a writer and readers at the same time.
 */


#include "fo_test.h"

#include <pthread.h>

#include "core/fo_hash.h"
#include "core/fo_interest.h"


#define CHURN    400000
#define READERS  3
#define FIXED    64


static _Atomic uint64_t  entries;


static void
make(fo_interest_t *in, uint64_t nbuckets)
{
    size_t  size;

    atomic_store(&entries, 0);
    in->entries = &entries;

    size = nbuckets * sizeof(fo_interest_bucket_t);

    in->nbuckets = nbuckets;
    in->buckets = aligned_alloc(64, size);
    assert_non_null(in->buckets);

    memset((void *) in->buckets, 0, size);
}


/* by walking, and as counted */

static uint64_t
used_by(const fo_interest_t *in)
{
    uint64_t  n;

    n = fo_interest_used(in);
    assert_int_equal(n, atomic_load(&entries));

    return n;
}


static void *
snapshot(const fo_interest_t *in)
{
    void    *p;
    size_t   size;

    size = in->nbuckets * sizeof(fo_interest_bucket_t);

    p = malloc(size);
    assert_non_null(p);

    return memcpy(p, (void *) in->buckets, size);
}


static void
check_unchanged(const fo_interest_t *in, void *before)
{
    assert_memory_equal((void *) in->buckets, before,
                        in->nbuckets * sizeof(fo_interest_bucket_t));
    free(before);
}


static fo_mask_t
lookup(const fo_interest_t *in, uint64_t hash)
{
    fo_mask_t  m;

    fo_mask_clear(&m);
    fo_interest_prefetch(in, hash);
    fo_interest_lookup(in, hash, &m);

    return m;
}


static void
check_one(const fo_interest_t *in, uint64_t hash, unsigned slot)
{
    fo_mask_t  m;

    m = lookup(in, hash);

    assert_int_equal(fo_mask_pop(&m), slot);
    assert_true(fo_mask_empty(&m));
}


static uint64_t
key(uint64_t n)
{
    return fo_hash_key(0x1234567, (u_char *) &n, sizeof(n));
}


static void
test_layout(void **state)
{
    assert_int_equal(sizeof(fo_interest_bucket_t), 256);
    assert_int_equal(offsetof(fo_interest_bucket_t, mask), 64);
}


static void
test_every_slot(void **state)
{
    unsigned       s;
    fo_mask_t      m;
    fo_interest_t  in;

    make(&in, 16);

    for (s = 0; s < FO_SLOTS; s++) {
        assert_int_equal(fo_interest_add_locked(&in, key(s), s), FO_OK);
        check_one(&in, key(s), s);

        /* twice is once */
        assert_int_equal(fo_interest_add_locked(&in, key(s), s), FO_OK);
        assert_int_equal(used_by(&in), 1);

        fo_interest_remove_locked(&in, key(s), s);
        m = lookup(&in, key(s));
        assert_true(fo_mask_empty(&m));
        assert_int_equal(used_by(&in), 0);
    }

    for (s = 0; s < FO_SLOTS; s++) {
        assert_int_equal(fo_interest_add_locked(&in, key(7), s), FO_OK);
    }

    assert_int_equal(used_by(&in), 1);

    m = lookup(&in, key(7));
    assert_true(m.word[0] == UINT64_MAX && m.word[1] == UINT64_MAX
                && m.word[2] == UINT64_MAX);

    for (s = 0; s < FO_SLOTS; s++) {
        assert_int_equal(used_by(&in), 1);
        fo_interest_remove_locked(&in, key(7), s);

        m = lookup(&in, key(7));
        assert_false(fo_mask_test(&m, s));
        assert_int_equal(fo_mask_empty(&m), s == FO_SLOTS - 1);
    }

    assert_int_equal(used_by(&in), 0);

    free(in.buckets);
}


static void
test_lookup_adds(void **state)
{
    fo_mask_t      m;
    fo_interest_t  in;

    make(&in, 2);

    assert_int_equal(fo_interest_add_locked(&in, key(1), 5), FO_OK);

    fo_mask_clear(&m);
    fo_mask_set(&m, 190);
    fo_interest_lookup(&in, key(1), &m);
    fo_interest_lookup(&in, key(2), &m);

    assert_int_equal(fo_mask_pop(&m), 5);
    assert_int_equal(fo_mask_pop(&m), 190);
    assert_int_equal(fo_mask_pop(&m), FO_SLOTS);

    free(in.buckets);
}


static void
test_remove_what_is_not_there(void **state)
{
    void           *before;
    fo_interest_t   in;

    make(&in, 4);

    assert_int_equal(fo_interest_add_locked(&in, key(1), 3), FO_OK);
    assert_int_equal(fo_interest_add_locked(&in, key(2), 64), FO_OK);

    before = snapshot(&in);
    fo_interest_remove_locked(&in, key(1), 4);
    fo_interest_remove_locked(&in, key(1), 67);
    fo_interest_remove_locked(&in, key(3), 3);
    check_unchanged(&in, before);

    free(in.buckets);
}


/* with two buckets every hash has the same two */

static void
test_full(void **state)
{
    void           *before;
    uint64_t        i, j;
    unsigned        n[2];
    fo_mask_t       m;
    fo_interest_t   in;

    make(&in, 2);

    for (i = 0; i < 16; i++) {
        assert_int_equal(used_by(&in), i);
        assert_int_equal(fo_interest_add_locked(&in, key(i), i), FO_OK);

        /* the emptier one */

        n[0] = n[1] = 0;

        for (j = 0; j < 16; j++) {
            n[j / 8] += !fo_amask_empty(&in.buckets[j / 8].mask[j % 8]);
        }

        assert_int_equal(n[0] + n[1], i + 1);
        assert_in_range(n[0], (i + 1) / 2, (i + 2) / 2);
    }

    before = snapshot(&in);
    assert_int_equal(fo_interest_add_locked(&in, key(16), 1), FO_ERROR);
    check_unchanged(&in, before);

    m = lookup(&in, key(16));
    assert_true(fo_mask_empty(&m));

    /* what is there takes another worker */

    assert_int_equal(fo_interest_add_locked(&in, key(9), 100), FO_OK);
    m = lookup(&in, key(9));
    assert_int_equal(fo_mask_pop(&m), 9);
    assert_int_equal(fo_mask_pop(&m), 100);
    fo_interest_remove_locked(&in, key(9), 100);

    /* an entry given back is taken at once, wherever it is */

    for (i = 0; i < 16; i++) {
        fo_interest_remove_locked(&in, key(i), i);
        assert_int_equal(used_by(&in), 15);
        assert_int_equal(fo_interest_add_locked(&in, key(100 + i), i),
                         FO_OK);
        check_one(&in, key(100 + i), i);

        m = lookup(&in, key(i));
        assert_true(fo_mask_empty(&m));
    }

    free(in.buckets);
}


/* halves that name the same bucket still give two */

static void
test_two_distinct_buckets(void **state)
{
    uint64_t       i, hash, b;
    fo_interest_t  in;

    make(&in, 1024);

    for (b = 0; b < 1024; b += 341) {

        for (i = 0; i < 16; i++) {
            hash = i << 48 | b << 32 | b << 2 | 1;
            assert_int_equal(fo_interest_add_locked(&in, hash, i), FO_OK);
        }

        hash = i << 48 | b << 32 | b << 2 | 1;
        assert_int_equal(fo_interest_add_locked(&in, hash, i), FO_ERROR);

        for (i = 0; i < 16; i++) {
            hash = i << 48 | b << 32 | b << 2 | 1;
            check_one(&in, hash, i);
        }
    }

    free(in.buckets);
}


/* story 3 of the header: a free entry that bears the hash of one in use */

static void
test_old_hash_in_a_free_entry(void **state)
{
    unsigned       old, now;
    uint64_t       hash;
    fo_mask_t      m;
    fo_interest_t  in;

    for (old = 0; old < 16; old++) {
        for (now = 0; now < 16; now++) {

            if (old == now) {
                continue;
            }

            make(&in, 2);
            hash = key(1);

            atomic_store(&in.buckets[old / 8].hash[old % 8], hash);
            atomic_store(&in.buckets[now / 8].hash[now % 8], hash);
            fo_amask_set(&in.buckets[now / 8].mask[now % 8], 77);

            check_one(&in, hash, 77);

            assert_int_equal(fo_interest_add_locked(&in, hash, 3), FO_OK);
            assert_int_equal(fo_interest_used(&in), 1);
            assert_true(fo_amask_test(&in.buckets[now / 8].mask[now % 8],
                                      3));

            fo_interest_remove_locked(&in, hash, 77);
            check_one(&in, hash, 3);

            fo_interest_remove_locked(&in, hash, 3);
            m = lookup(&in, hash);
            assert_true(fo_mask_empty(&m));
            assert_int_equal(fo_interest_used(&in), 0);

            free(in.buckets);
        }
    }
}


static void
test_sweep(void **state)
{
    void           *before;
    uint64_t        i, next, steps;
    fo_mask_t       m;
    fo_interest_t   in;

    make(&in, 64);

    for (i = 0; i < 200; i++) {
        assert_int_equal(fo_interest_add_locked(&in, key(i), 64), FO_OK);

        if (i % 2) {
            assert_int_equal(fo_interest_add_locked(&in, key(i), 65), FO_OK);
        }
    }

    assert_int_equal(used_by(&in), 200);

    before = snapshot(&in);
    assert_int_equal(fo_interest_sweep_locked(&in, 66, 0, 64), 64);
    assert_int_equal(fo_interest_sweep_locked(&in, 64, 5, 0), 5);
    assert_int_equal(fo_interest_sweep_locked(&in, 64, 64, 10), 64);
    assert_int_equal(fo_interest_sweep_locked(&in, 64, 99, 10), 64);
    check_unchanged(&in, before);

    /* no more than it was told to */

    assert_int_equal(fo_interest_sweep_locked(&in, 64, 10, 1), 11);

    for (i = 0; i < 64 * 8; i++) {
        if (!fo_amask_empty(&in.buckets[i / 8].mask[i % 8])) {
            assert_int_equal(fo_amask_test(&in.buckets[i / 8].mask[i % 8],
                                           64), i / 8 != 10);
        }
    }

    for (next = 0, steps = 0; next < 64; steps++) {
        next = fo_interest_sweep_locked(&in, 64, next, 7);
    }

    assert_int_equal(steps, 10);
    assert_int_equal(next, 64);
    assert_int_equal(used_by(&in), 100);

    for (i = 0; i < 200; i++) {

        if (i % 2) {
            check_one(&in, key(i), 65);
            continue;
        }

        m = lookup(&in, key(i));
        assert_true(fo_mask_empty(&m));
    }

    assert_int_equal(fo_interest_sweep_locked(&in, 65, 0, UINT64_MAX), 64);
    assert_int_equal(used_by(&in), 0);

    free(in.buckets);
}


/* at half load nothing is refused and nobody is found by mistake */

static void
test_half_full(void **state)
{
    uint64_t       i, n, full;
    unsigned       j, used;
    fo_mask_t      m;
    fo_interest_t  in;

    make(&in, 4096);
    n = in.nbuckets * FO_INTEREST_WIDTH / 2;

    for (i = 0; i < n; i++) {
        assert_int_equal(fo_interest_add_locked(&in, key(i), i % FO_SLOTS),
                         FO_OK);
    }

    assert_int_equal(used_by(&in), n);

    for (i = 0; i < n; i++) {
        check_one(&in, key(i), i % FO_SLOTS);
        m = lookup(&in, key(n + i));
        assert_true(fo_mask_empty(&m));
    }

    /* two choices keep them even: next to none is full */

    for (i = 0, full = 0; i < in.nbuckets; i++) {
        for (j = 0, used = 0; j < FO_INTEREST_WIDTH; j++) {
            used += !fo_amask_empty(&in.buckets[i].mask[j]);
        }

        full += (used == FO_INTEREST_WIDTH);
    }

    assert_in_range(full, 0, 4);

    free(in.buckets);
}


typedef struct {
    fo_interest_t   in;
    _Atomic int     done;
    _Atomic long    missed;
    _Atomic long    looked;
} churn_t;


/* the hashes that stay are found, whatever comes and goes around them */

static void *
reader(void *data)
{
    churn_t  *c = data;

    uint64_t   i;
    fo_mask_t  m;

    for (i = 0; !atomic_load(&c->done); i++) {
        fo_mask_clear(&m);
        fo_interest_lookup(&c->in, key(i % FIXED), &m);

        if (!fo_mask_test(&m, i % FIXED % FO_SLOTS)) {
            atomic_fetch_add(&c->missed, 1);
        }

        if (i % FIXED == 0) {
            atomic_fetch_add(&c->looked, FIXED);
        }
    }

    return NULL;
}


static void
test_churn_beside_readers(void **state)
{
    long       i, refused;
    churn_t    c;
    uint64_t   h;
    pthread_t  t[READERS];

    memset(&c, 0, sizeof(c));
    make(&c.in, 32);

    for (i = 0; i < FIXED; i++) {
        assert_int_equal(fo_interest_add_locked(&c.in, key(i), i), FO_OK);
    }

    for (i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, reader, &c), 0);
    }

    refused = 0;

    for (i = 0; i < CHURN || atomic_load(&c.looked) < 10000; i++) {

        /* a few hundred others, also other workers at those that stay */

        h = key((i * 0x9e3779b97f4a7c15ull >> 40) % 300);

        if (fo_interest_add_locked(&c.in, h, 100 + i % 90) != FO_OK) {
            refused++;
        }

        h = key(((i - 90) * 0x9e3779b97f4a7c15ull >> 40) % 300);
        fo_interest_remove_locked(&c.in, h, 100 + i % 90);

        if (i % 1000 == 0) {
            (void) fo_interest_sweep_locked(&c.in, 100 + i / 1000 % 90, 0,
                                            32);
        }
    }

    atomic_store(&c.done, 1);

    for (i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }

    assert_int_equal(c.missed, 0);
    assert_in_range(refused, 0, CHURN / 10);

    for (i = 0; i < 90; i++) {
        (void) fo_interest_sweep_locked(&c.in, 100 + i, 0, 32);
    }

    assert_int_equal(fo_interest_used(&c.in), FIXED);

    for (i = 0; i < FIXED; i++) {
        check_one(&c.in, key(i), i);
    }

    free(c.in.buckets);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_every_slot),
        cmocka_unit_test(test_lookup_adds),
        cmocka_unit_test(test_remove_what_is_not_there),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_two_distinct_buckets),
        cmocka_unit_test(test_old_hash_in_a_free_entry),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_half_full),
        cmocka_unit_test(test_churn_beside_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
