
/*
 * A set of workers: one bit for each of the 192 slots.
 *
 * fo_mask_t is private.  fo_amask_t lives in shared memory; each of its
 * words is changed with one atomic operation, so that a writer that is
 * killed leaves nothing half done.
 */


#ifndef FO_MASK_H
#define FO_MASK_H


#include <stdatomic.h>

#include "core/fo_core.h"


#define FO_SLOTS       192
#define FO_MASK_WORDS  (FO_SLOTS / 64)


typedef struct {
    uint64_t           word[FO_MASK_WORDS];
} fo_mask_t;


typedef struct {
    _Atomic uint64_t   word[FO_MASK_WORDS];
} fo_amask_t;


static inline void
fo_mask_clear(fo_mask_t *m)
{
    m->word[0] = 0;
    m->word[1] = 0;
    m->word[2] = 0;
}


static inline void
fo_mask_set(fo_mask_t *m, unsigned slot)
{
    m->word[slot / 64] |= (uint64_t) 1 << (slot % 64);
}


static inline void
fo_mask_unset(fo_mask_t *m, unsigned slot)
{
    m->word[slot / 64] &= ~((uint64_t) 1 << (slot % 64));
}


static inline int
fo_mask_test(const fo_mask_t *m, unsigned slot)
{
    return (m->word[slot / 64] >> (slot % 64)) & 1;
}


static inline int
fo_mask_empty(const fo_mask_t *m)
{
    return (m->word[0] | m->word[1] | m->word[2]) == 0;
}


/* the smallest slot in the set, or FO_SLOTS; takes it out */

static inline unsigned
fo_mask_pop(fo_mask_t *m)
{
    unsigned  i, bit;

    for (i = 0; i < FO_MASK_WORDS; i++) {
        if (m->word[i]) {
            bit = (unsigned) __builtin_ctzll(m->word[i]);
            m->word[i] &= m->word[i] - 1;
            return i * 64 + bit;
        }
    }

    return FO_SLOTS;
}


/* adds the shared set to "m"; what happened before a bit's set is seen */

static inline void
fo_amask_add_to(fo_amask_t *a, fo_mask_t *m)
{
    unsigned  i;

    for (i = 0; i < FO_MASK_WORDS; i++) {
        m->word[i] |= atomic_load_explicit(&a->word[i], memory_order_acquire);
    }
}


static inline void
fo_amask_set(fo_amask_t *a, unsigned slot)
{
    atomic_fetch_or_explicit(&a->word[slot / 64], (uint64_t) 1 << (slot % 64),
                             memory_order_release);
}


static inline void
fo_amask_unset(fo_amask_t *a, unsigned slot)
{
    atomic_fetch_and_explicit(&a->word[slot / 64],
                              ~((uint64_t) 1 << (slot % 64)),
                              memory_order_release);
}


static inline int
fo_amask_test(fo_amask_t *a, unsigned slot)
{
    return (atomic_load_explicit(&a->word[slot / 64], memory_order_acquire)
            >> (slot % 64)) & 1;
}


static inline int
fo_amask_empty(fo_amask_t *a)
{
    fo_mask_t  m;

    fo_mask_clear(&m);
    fo_amask_add_to(a, &m);

    return fo_mask_empty(&m);
}


/* empties the set and returns what was in it */

static inline void
fo_amask_take(fo_amask_t *a, fo_mask_t *m)
{
    unsigned  i;

    for (i = 0; i < FO_MASK_WORDS; i++) {
        m->word[i] = atomic_load_explicit(&a->word[i], memory_order_relaxed)
                     ? atomic_exchange_explicit(&a->word[i], 0,
                                                memory_order_acq_rel)
                     : 0;
    }
}


#endif /* FO_MASK_H */
