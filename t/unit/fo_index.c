
/*
 * The private index against a naive model, through growth and shrinking.
 */


#include "fo_test.h"
#include "core/fo_index.h"


#define ITEMS  200000


typedef struct {
    uint64_t    hash;
    unsigned    in;
} item_t;


/* few bits: some items have equal hashes; all differ in some low ones */

static uint64_t
hash_of(unsigned i, unsigned values)
{
    return ((i % values) * 0x9e3779b97f4a7c15ULL) >> (i % values % 3);
}


static uint64_t
item_hash(void *ctx, const void *item)
{
    return ((const item_t *) item)->hash;
}


static unsigned
found(const fo_index_t *ix, const item_t *item)
{
    unsigned        n;
    item_t         *p;
    fo_index_at_t   at;

    n = 0;
    fo_index_prefetch(ix, item->hash);

    for (p = fo_index_find(ix, item->hash, &at);
         p;
         p = fo_index_next(&at))
    {
        assert_true(p->hash >> 48 == item->hash >> 48);
        n += (p == item);
    }

    return n;
}


static void
test_grow(void **state)
{
    unsigned         i;
    item_t          *items;
    uint64_t         most;
    fo_alloc_t       a;
    fo_index_t       ix;
    fo_index_at_t    at;
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 0);
    assert_int_equal(fo_index_init(&ix, &a, item_hash, NULL), FO_OK);
    assert_null(fo_index_find(&ix, 0, &at));
    assert_null(fo_index_next(&at));

    items = calloc(ITEMS, sizeof(item_t));

    for (i = 0; i < ITEMS; i++) {
        items[i].hash = hash_of(i, ITEMS);
        assert_int_equal(fo_index_insert(&ix, items[i].hash, &items[i]),
                         FO_OK);
    }

    assert_true(ix.n == ITEMS);
    assert_true(ix.buckets * FO_INDEX_LOAD >= ITEMS);
    most = t.bytes;

    for (i = 0; i < ITEMS; i++) {
        assert_int_equal(found(&ix, &items[i]), 1);
    }

    for (i = 0; i < ITEMS; i++) {
        fo_index_remove(&ix, items[i].hash, &items[i]);

        if (i % 1000 == 0) {
            assert_int_equal(found(&ix, &items[i]), 0);
            assert_int_equal(found(&ix, &items[ITEMS - 1]), i + 1 < ITEMS);
        }
    }

    assert_true(ix.n == 0);
    assert_true(ix.buckets == FO_INDEX_FIRST);
    assert_true(t.bytes < most / 100);

    fo_index_done(&ix);
    fo_test_alloc_check(&t);
    free(items);
}


/* equal hashes overflow a bucket many times, and memory fails at times */

static void
test_model(void **state)
{
    unsigned         i, j, n, seed, values;
    item_t           items[600];
    fo_alloc_t       a;
    fo_index_t       ix;
    fo_test_alloc_t  t;

    for (seed = 0; seed < 60; seed++) {
        fo_test_alloc_init(&t, &a, 0);
        assert_int_equal(fo_index_init(&ix, &a, item_hash, NULL), FO_OK);
        memset(items, 0, sizeof(items));
        srandom(seed);
        values = seed % 3 ? 600 : 3 + seed % 40;

        for (n = 0, i = 0; i < 6000; i++) {
            j = (unsigned) random() % (i % 2000 < 1000 ? 600 : 150);

            if (seed >= 30) {
                t.fail_at = t.calls + (unsigned) random() % 3;
            }

            if (items[j].in) {
                fo_index_remove(&ix, items[j].hash, &items[j]);
                items[j].in = 0;
                n--;

            } else {
                items[j].hash = hash_of(j, values);

                if (fo_index_insert(&ix, items[j].hash, &items[j]) == FO_OK)
                {
                    items[j].in = 1;
                    n++;

                } else {
                    assert_true(seed >= 30);
                }
            }

            assert_true(ix.n == n);
            assert_int_equal(found(&ix, &items[j]), items[j].in);

            if (i % 100 == 0) {
                for (j = 0; j < 600; j++) {
                    assert_int_equal(found(&ix, &items[j]), items[j].in);
                }
            }
        }

        fo_index_done(&ix);
        fo_test_alloc_check(&t);
    }
}


/* without memory for more buckets, lines overflow; then inserts fail */

static void
test_no_memory(void **state)
{
    unsigned         i, in;
    item_t           items[1000];
    fo_alloc_t       a;
    fo_index_t       ix;
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 1);
    assert_int_equal(fo_index_init(&ix, &a, item_hash, NULL), FO_ERROR);
    fo_test_alloc_check(&t);

    fo_test_alloc_init(&t, &a, 0);
    assert_int_equal(fo_index_init(&ix, &a, item_hash, NULL), FO_OK);
    memset(items, 0, sizeof(items));

    for (in = 0, i = 0; i < 1000; i++) {
        t.fail_at = t.calls + 1;
        items[i].hash = hash_of(i, 1000);
        items[i].in = fo_index_insert(&ix, items[i].hash, &items[i])
                      == FO_OK;
        in += items[i].in;
    }

    assert_true(ix.buckets == FO_INDEX_FIRST);
    assert_true(in > FO_INDEX_FIRST * 4);
    assert_true(in <= FO_INDEX_FIRST * FO_INDEX_SLOTS);
    assert_true(ix.n == in);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(found(&ix, &items[i]), items[i].in);
    }

    /* what no slot can hold */

    assert_int_equal(fo_index_insert(&ix, 1, (void *) (uintptr_t) -8),
                     FO_ERROR);

    for (i = 0; i < 1000; i++) {
        if (items[i].in) {
            fo_index_remove(&ix, items[i].hash, &items[i]);
        }
    }

    assert_true(ix.n == 0);

    fo_index_done(&ix);
    fo_test_alloc_check(&t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
