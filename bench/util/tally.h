
/*
 * What a receiver counts, and how it says so.
 */


#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H


#include "lib/stats.h"
#include "mark.h"


/* of one subscriber: the number that comes next in each stream */

typedef struct {
    int64_t     next[MARK_STREAMS];
} tally_one_t;


typedef struct {
    latency_t   latency;
    uint64_t    deliveries;
    uint64_t    lost;
    uint64_t    doubled;          /* or in another order */
    uint64_t    foreign;
    int64_t     last_at;          /* ns */
    int64_t     cpu;              /* ns, at tally_start() */
} tally_t;


/* a record that was parsed just now */
void tally_add(tally_t *t, tally_one_t *one, const mark_t *m);

/* CPU counts from now on */
void tally_start(tally_t *t);

/* members of a JSON object, with the comma */
void tally_print(tally_t *t);


#endif /* BENCH_TALLY_H */
