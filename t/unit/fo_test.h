
/*
 * What every unit test and fuzz target shares: cmocka, and an allocator
 * that counts what is live, hands out memory that is never clean, and fails
 * one call on demand.
 *
 *     fo_alloc_t       a;
 *     fo_test_alloc_t  t;
 *
 *     fo_test_alloc_init(&t, &a, 3);      the third allocation fails
 *     ...
 *     fo_test_alloc_check(&t);            nothing is left
 *
 * A scenario that must survive the failure of any one of its allocations is
 * a function that returns FO_OK or, refused, FO_ERROR, and leaves nothing
 * behind either way; fo_test_alloc_each() runs it until none fails any more.
 */


#ifndef FO_TEST_H
#define FO_TEST_H


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/fo_core.h"


#define FO_TEST_MAGIC  0x5afe0b10cULL


typedef struct {
    long      fail_at;   /* the call that fails, from 1; 0: none does */
    long      calls;     /* of alloc() so far, failed ones too */
    long      failed;    /* 1 once fail_at was reached */
    long      live;      /* blocks not yet freed */
    size_t    bytes;     /* their sizes in all */
} fo_test_alloc_t;


/* before each block; 16 bytes, so that what follows is aligned */

typedef struct {
    uint64_t  magic;
    uint64_t  size;
} fo_test_block_t;


typedef int (*fo_test_scenario_pt)(fo_alloc_t *a);


static inline void
fo_test_die(const char *text)
{
    fprintf(stderr, "fo_test: %s\n", text);
    abort();
}


static inline void *
fo_test_alloc(void *ctx, size_t size)
{
    fo_test_alloc_t  *t = ctx;

    fo_test_block_t  *b;

    t->calls++;

    if (t->calls == t->fail_at) {
        t->failed = 1;
        return NULL;
    }

    b = malloc(sizeof(fo_test_block_t) + size);
    if (b == NULL) {
        fo_test_die("out of memory");
        return NULL;
    }

    b->magic = FO_TEST_MAGIC;
    b->size = size;

    t->live++;
    t->bytes += size;

    return memset(b + 1, 0xa5, size);
}


static inline void
fo_test_free(void *ctx, void *p)
{
    fo_test_alloc_t  *t = ctx;

    fo_test_block_t  *b;

    if (p == NULL) {
        fo_test_die("free() of NULL");
        return;
    }

    b = (fo_test_block_t *) p - 1;

    if (b->magic != FO_TEST_MAGIC) {
        fo_test_die("free() of what alloc() did not give");
    }

    t->live--;
    t->bytes -= b->size;

    b->magic = 0;
    free(b);
}


static inline void
fo_test_alloc_init(fo_test_alloc_t *t, fo_alloc_t *a, long fail_at)
{
    memset(t, 0, sizeof(fo_test_alloc_t));
    t->fail_at = fail_at;

    a->alloc = fo_test_alloc;
    a->free = fo_test_free;
    a->ctx = t;
}


static inline void
fo_test_alloc_check(fo_test_alloc_t *t)
{
    if (t->live != 0 || t->bytes != 0) {
        fprintf(stderr, "fo_test: %ld blocks, %zu bytes left, call %ld of "
                "%ld failed\n", t->live, t->bytes, t->fail_at, t->calls);
        abort();
    }
}


/*
 * Runs the scenario with no failure, then with allocation 1, 2, 3 ...
 * failing until it makes fewer than that; returns how many it makes.  With
 * no failure it must return FO_OK.
 */

static inline long
fo_test_alloc_each(fo_test_scenario_pt scenario)
{
    int              rc;
    long             n;
    fo_alloc_t       a;
    fo_test_alloc_t  t;

    for (n = 0; /* void */ ; n++) {
        fo_test_alloc_init(&t, &a, n);

        rc = scenario(&a);

        fo_test_alloc_check(&t);

        if (!t.failed && rc != FO_OK) {
            fo_test_die("the scenario failed with memory enough");
        }

        if (n > 0 && !t.failed) {
            return n - 1;
        }
    }
}


#endif /* FO_TEST_H */
