
/*
 * The private index against a naive model, through growth and shrinking.
 */


#include "fo_test.h"
#include "core/fo_index.h"


#define LINKS  200000


typedef struct {
    fo_link_t   link;
    unsigned    in;
} item_t;


/* few bits: some links have equal hashes; all differ in some low ones */

static uint64_t
hash_of(unsigned i, unsigned values)
{
    return ((i % values) * 0x9e3779b97f4a7c15ULL) >> (i % values % 3);
}


static unsigned
found(const fo_index_t *ix, const item_t *item)
{
    unsigned    n;
    fo_link_t  *link;

    n = 0;
    fo_index_prefetch(ix, item->link.hash);

    for (link = fo_index_find(ix, item->link.hash);
         link;
         link = fo_index_next(link))
    {
        assert_true(link->hash == item->link.hash);
        n += (link == &item->link);
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
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 0);
    assert_int_equal(fo_index_init(&ix, &a), FO_OK);
    assert_null(fo_index_find(&ix, 0));

    items = calloc(LINKS, sizeof(item_t));

    for (i = 0; i < LINKS; i++) {
        items[i].link.hash = hash_of(i, LINKS);
        fo_index_insert(&ix, &items[i].link);
    }

    assert_true(ix.n == LINKS);
    assert_true(ix.buckets >= LINKS);
    most = t.bytes;

    for (i = 0; i < LINKS; i++) {
        assert_int_equal(found(&ix, &items[i]), 1);
    }

    for (i = 0; i < LINKS; i++) {
        fo_index_remove(&ix, &items[i].link);

        if (i % 1000 == 0) {
            assert_int_equal(found(&ix, &items[i]), 0);
            assert_int_equal(found(&ix, &items[LINKS - 1]), i + 1 < LINKS);
        }
    }

    assert_true(ix.n == 0);
    assert_true(ix.buckets == FO_INDEX_FIRST);
    assert_true(t.bytes < most / 100);

    fo_index_done(&ix);
    fo_test_alloc_check(&t);
    free(items);
}


static void
test_model(void **state)
{
    unsigned         i, j, n, seed;
    item_t           items[600];
    fo_alloc_t       a;
    fo_index_t       ix;
    fo_test_alloc_t  t;

    for (seed = 0; seed < 30; seed++) {

        /* the second half of the seeds gets no memory for growth at times */

        fo_test_alloc_init(&t, &a, seed < 15 ? 0 : 2 + seed % 4);
        assert_int_equal(fo_index_init(&ix, &a), FO_OK);
        memset(items, 0, sizeof(items));
        srandom(seed);

        for (n = 0, i = 0; i < 6000; i++) {
            j = (unsigned) random() % (i % 2000 < 1000 ? 600 : 150);

            if (items[j].in == 0) {
                items[j].link.hash = hash_of(j, seed % 3 ? 600 : 40);
                fo_index_insert(&ix, &items[j].link);
                n++;

            } else {
                fo_index_remove(&ix, &items[j].link);
                n--;
            }

            items[j].in = !items[j].in;
            assert_true(ix.n == n);
            assert_int_equal(found(&ix, &items[j]), items[j].in);

            if (i % 100 == 0) {
                for (j = 0; j < 600; j++) {
                    if (items[j].in) {
                        assert_int_equal(found(&ix, &items[j]), 1);
                    }
                }
            }
        }

        fo_index_done(&ix);
        fo_test_alloc_check(&t);
    }
}


/* without memory chains become longer, and nothing else */

static void
test_no_memory(void **state)
{
    unsigned         i;
    item_t           items[1000];
    fo_alloc_t       a;
    fo_index_t       ix;
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 1);
    assert_int_equal(fo_index_init(&ix, &a), FO_ERROR);
    fo_test_alloc_check(&t);

    fo_test_alloc_init(&t, &a, 0);
    assert_int_equal(fo_index_init(&ix, &a), FO_OK);
    memset(items, 0, sizeof(items));

    for (i = 0; i < 1000; i++) {
        t.fail_at = t.calls + 1;
        items[i].link.hash = hash_of(i, 1000);
        fo_index_insert(&ix, &items[i].link);
    }

    assert_true(ix.buckets == FO_INDEX_FIRST);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(found(&ix, &items[i]), 1);
    }

    for (i = 0; i < 1000; i++) {
        fo_index_remove(&ix, &items[i].link);
    }

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
