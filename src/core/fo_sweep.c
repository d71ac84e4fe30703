
/*
 * The sweep of a slot whose process is gone: nothing in the zone may name
 * it any more before another process claims it.  What it owned gets another
 * owner, or goes if nobody wants it.
 */


#include "core/fo_rows.h"


#define FO_SWEEP_BUCKETS  128      /* under one lock; 8 entries each */


static void fo_slot_sweep_rows(fo_zone_t *z, unsigned slot,
    fo_mask_t *wake);
static void fo_slot_sweep_topic(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);
static void fo_slot_sweep_source(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);


int
fo_slot_sweep_locked(fo_zone_t *z, unsigned slot, fo_mask_t *wake)
{
    unsigned    i;
    uint64_t    next;
    fo_slot_t  *s;

    s = &z->slots[slot];

    if (atomic_load(&s->state) != FO_SLOT_SWEEPING) {
        s->sweep = 0;
        atomic_store(&s->state, FO_SLOT_SWEEPING);
    }

    if (s->sweep == 0) {

        /*
         * From here on nobody chooses it, and its rows have new owners.  If
         * the sweeper is killed in the middle, the next one begins again.
         */

        fo_rows_mend_locked(z);
        fo_slot_release_ring_locked(z, slot);
        fo_slot_sweep_rows(z, slot, wake);

        /* the dead read nothing, and limit no writer */

        for (i = 0; i < z->head->nrings; i++) {
            atomic_fetch_or(&fo_zone_ring(z, i)->cursor[slot].cursor,
                            FO_RING_LAPSED);
        }

        s->sweep = 1;
    }

    next = fo_interest_sweep_locked(&z->interest, slot, s->sweep - 1,
                                    FO_SWEEP_BUCKETS);
    s->sweep = (uint32_t) next + 1;

    if (next < z->interest.nbuckets) {
        return FO_AGAIN;
    }

    atomic_store(&s->pid, 0);
    atomic_store(&s->owned, 0);
    atomic_store(&s->state, FO_SLOT_FREE);

    for (i = 0; i < FO_SLOTS; i++) {
        if (atomic_load(&z->slots[i].state) == FO_SLOT_LIVE) {
            fo_mask_set(wake, i);
        }
    }

    return FO_OK;
}


static void
fo_slot_sweep_rows(fo_zone_t *z, unsigned slot, fo_mask_t *wake)
{
    unsigned  i;

    for (i = 0; i < FO_SOURCES; i++) {
        if (atomic_load(&z->sources[i].used)) {
            fo_slot_sweep_source(z, i, slot, wake);
        }
    }

    for (i = 0; i < FO_TOPICS; i++) {
        if (atomic_load(&z->topics[i].used)) {
            fo_slot_sweep_topic(z, i, slot, wake);
        }
    }
}


static void
fo_slot_sweep_source(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake)
{
    uint64_t          owner;
    fo_source_row_t  *r;

    r = &z->sources[row];

    fo_amask_unset(&r->demand, slot);
    fo_amask_unset(&r->ask, slot);

    owner = atomic_load(&r->owner);

    if (owner != FO_NOBODY && fo_owner_slot(owner) != slot) {

        if (fo_amask_empty(&r->demand)) {
            fo_slot_mark_source(z, fo_owner_slot(owner), row, wake);
        }

        return;
    }

    fo_source_pass_locked(z, row, wake);
}


static void
fo_slot_sweep_topic(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake)
{
    unsigned         i;
    uint64_t         owner;
    fo_topic_row_t  *t;

    t = &z->topics[row];

    fo_amask_unset(&t->users, slot);
    fo_amask_unset(&t->all, slot);

    for (i = 1; i < 64; i++) {
        fo_amask_unset(&t->prefix[i], slot);

        if (fo_amask_empty(&t->prefix[i])) {
            atomic_fetch_and(&t->prefixes, ~((uint64_t) 1 << i));
        }
    }

    owner = atomic_load(&t->owner);

    if (owner != FO_NOBODY && fo_owner_slot(owner) != slot) {

        if (fo_amask_empty(&t->users)) {
            fo_slot_mark_topic(z, fo_owner_slot(owner), row, wake);
        }

        return;
    }

    fo_topic_pass_locked(z, row, wake);
}
