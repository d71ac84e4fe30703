
/*
 * A micro-benchmark: what a pure part costs, alone in a process, on data
 * that is made before.
 *
 *     setup     makes the data for m->n filters (or bytes)
 *     run       does what is measured, m->ops times or as often as it says
 *               it did
 *     restore   undoes it before the next run, not measured; may be NULL
 */


#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H


#include "core/fo_core.h"
#include "lib/util.h"


typedef struct {
    uint64_t      n;           /* how many filters, or bytes */
    uint64_t      ops;         /* what run should do */
    uint64_t      bytes;       /* memory of all filters; 0: not counted */
    uint64_t      sink;        /* so that nothing is optimised away */
} micro_t;


typedef struct {
    const char   *name;
    void        (*setup)(micro_t *m);
    uint64_t    (*run)(micro_t *m);          /* returns how many it did */
    void        (*restore)(micro_t *m);
} micro_case_t;


/* ends with a NULL name */
extern const micro_case_t  micro_hub[];
extern const micro_case_t  micro_index[];
extern const micro_case_t  micro_bytes[];
extern const micro_case_t  micro_ring[];

/* malloc() that counts what lives; also the hub's */
extern const fo_alloc_t    micro_alloc;
extern uint64_t            micro_live;


/* the n-th key, or one that nobody wants, 12 bytes; returns its length */
size_t micro_key(char *buf, uint64_t n, int wanted);

/* the same pseudo-random numbers in each run */
uint64_t micro_random(uint64_t *state);


#endif /* BENCH_MICRO_H */
