
/*
 * The counters of a worker.  They lie in its slot: the worker alone writes
 * (relaxed), any process reads for the status.
 */


#ifndef FO_STAT_H
#define FO_STAT_H


#include <stdatomic.h>

#include "core/fo_core.h"


/* name in the status; all grow for ever, but those marked "now" */

#define FO_STATS(F)                                                           \
    F(SESSIONS, sessions)                      /* now */                      \
    F(SESSIONS_TOTAL, sessions_total)                                         \
    F(SUBSCRIPTIONS, subscriptions)            /* now */                      \
    F(SUBSCRIPTIONS_TOTAL, subscriptions_total)                               \
    F(FILTERS, filters)                        /* now */                      \
    F(FEEDS, feeds)                            /* now */                      \
    F(CHUNKS, chunks)                          /* now */                      \
    F(CHUNK_BYTES, chunk_bytes)                /* now */                      \
    F(SOURCES, sources)                        /* now: rows owned */          \
    F(RECORDS, records)                        /* taken from sources */       \
    F(RECORDS_MATCHED, records_matched)        /* wanted by some worker */    \
    F(RING_WRITTEN, ring_written)              /* records */                  \
    F(RING_READ, ring_read)                    /* records */                  \
    F(RING_FULL, ring_full)                    /* times */                    \
    F(LAPSES, lapses)                                                         \
    F(FRAMES, frames)                          /* built */                    \
    F(DELIVERIES, deliveries)                  /* frames wholly sent */       \
    F(WRITES, writes)                          /* send calls */               \
    F(WRITES_PARTIAL, writes_partial)                                         \
    F(BYTES, bytes)                                                           \
    F(GAPS, gaps)                                                             \
    F(GAP_RECORDS, gap_records)                /* counted ones */             \
    F(OVERSIZED, oversized)                    /* records too big */          \
    F(MISMATCHES, mismatches)                  /* partitioner */              \
    F(INPUT_IGNORED, input_ignored)                                           \
    F(BASES, bases)                            /* accepted */                 \
    F(NO_MEMORY, no_memory)


typedef enum {
#define FO_STAT_ENUM(id, name)  FO_STAT_ ## id,
    FO_STATS(FO_STAT_ENUM)
#undef FO_STAT_ENUM
    FO_STAT_N
} fo_stat_e;


#define FO_STAT_ERRORS   24
#define FO_STAT_BUCKETS  13

/* upper bounds of the buckets in milliseconds; the last has none */

#define FO_STAT_BOUNDS                                                        \
    { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000 }


typedef struct {
    _Atomic uint64_t   value[FO_STAT_N];
    _Atomic uint64_t   error[FO_STAT_ERRORS];    /* by fo_error_e */
    _Atomic uint64_t   base[FO_STAT_BUCKETS];    /* subscribe to base */
} fo_stats_t;


static inline void
fo_stat_put(_Atomic uint64_t *v, int64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed)
                             + (uint64_t) n, memory_order_relaxed);
}


#define fo_stat_add(stats, id, n)  fo_stat_put(&(stats)->value[id], n)
#define fo_stat_set(stats, id, n)                                             \
    atomic_store_explicit(&(stats)->value[id], n, memory_order_relaxed)
#define fo_stat_get(stats, id)                                                \
    atomic_load_explicit(&(stats)->value[id], memory_order_relaxed)


#endif /* FO_STAT_H */
