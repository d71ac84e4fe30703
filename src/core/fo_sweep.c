
/*
 * The sweep of a slot whose process is gone: nothing in the zone may name
 * it any more before another process claims it.  What it owned gets another
 * owner, or goes if nobody wants it.
 */


#include "core/fo_rows.h"


#define FO_SWEEP_ROWS     1024     /* in a piece */
#define FO_SWEEP_BUCKETS  128      /* in a piece; 8 entries each */

#define FO_SWEEP_PIECES   (FO_SOURCES / FO_SWEEP_ROWS + 1)   /* of rows */


static void fo_slot_sweep_rows(fo_zone_t *z, unsigned slot, unsigned piece,
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

    if (s->sweep < FO_SWEEP_PIECES) {

        /*
         * From here on nobody chooses it.  If the sweeper is killed in the
         * middle, the next one does the piece again.
         */

        if (s->sweep == 0) {
            fo_slot_release_ring_locked(z, slot);
        }

        fo_slot_sweep_rows(z, slot, s->sweep, wake);
        s->sweep++;

        return FO_AGAIN;
    }

    /* the dead read nothing, and limit no writer */

    for (i = 0; i < z->head->nrings; i++) {
        atomic_fetch_or(&fo_zone_ring(z, i)->cursor[slot].cursor,
                        FO_RING_LAPSED);
    }

    next = fo_interest_sweep_locked(&z->interest, slot,
                                    (s->sweep - FO_SWEEP_PIECES)
                                    * (uint64_t) FO_SWEEP_BUCKETS,
                                    FO_SWEEP_BUCKETS);
    s->sweep++;

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


/* source rows, and the topic rows as the last piece */

static void
fo_slot_sweep_rows(fo_zone_t *z, unsigned slot, unsigned piece,
    fo_mask_t *wake)
{
    unsigned  i, row;

    for (i = 0; i < FO_SWEEP_ROWS; i++) {
        row = piece * FO_SWEEP_ROWS + i;

        if (row < FO_SOURCES) {
            if (atomic_load(&z->sources[row].used)) {
                fo_slot_sweep_source(z, row, slot, wake);
            }

        } else if (atomic_load(&z->topics[row - FO_SOURCES].used)) {
            fo_slot_sweep_topic(z, row - FO_SOURCES, slot, wake);
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
