
/*
 * Slots: the rows of workers.  FREE -> LIVE -> EXITING -> DEAD -> SWEEPING
 * -> FREE.  A slot can be claimed only when nothing in the zone names its
 * former tenant any more.
 */


#include "core/fo_zone.h"


static int fo_slot_knows(const fo_slot_t *s, uint64_t cluster);
static unsigned fo_slot_free_ring_locked(const fo_zone_t *z);
static void fo_slot_mark(fo_slot_t *s, _Atomic uint64_t *words,
    unsigned row);


int
fo_slot_claim_locked(fo_zone_t *z, int32_t pid, const uint64_t *clusters,
    unsigned n)
{
    unsigned          i, slot;
    fo_slot_t        *s;
    fo_ring_reader_t  rd;

    for (slot = 0; slot < FO_SLOTS; slot++) {
        if (atomic_load(&z->slots[slot].state) == FO_SLOT_FREE) {
            break;
        }
    }

    if (slot == FO_SLOTS) {
        return FO_ERROR;
    }

    s = &z->slots[slot];

    memset(s->clusters, 0, sizeof(s->clusters));

    for (i = 0; i < n && i < FO_CLUSTERS; i++) {
        s->clusters[i].id = clusters[i];
    }

    memset(&s->stats, 0, sizeof(fo_stats_t));

    for (i = 0; i < FO_TOPICS / 64; i++) {
        atomic_store(&s->topics[i], 0);
    }

    for (i = 0; i < FO_SOURCES / 64; i++) {
        atomic_store(&s->sources[i], 0);
    }

    atomic_store(&s->dirty, 0);
    atomic_store(&s->armed, 0);
    atomic_store(&s->ring, FO_NONE);
    atomic_store(&s->owned, 0);
    atomic_store(&s->carried, 0);
    atomic_store(&s->pid, pid);
    atomic_fetch_add(&s->generation, 1);
    s->sweep = 0;

    /* the cursors stand at the tails before any bit can be set */

    for (i = 0; i < z->head->nrings; i++) {
        fo_ring_read_open(&rd, fo_zone_ring(z, i), slot);
    }

    atomic_store(&s->state, FO_SLOT_LIVE);

    return (int) slot;
}


static int
fo_slot_knows(const fo_slot_t *s, uint64_t cluster)
{
    unsigned  i;

    for (i = 0; i < FO_CLUSTERS; i++) {
        if (s->clusters[i].id == cluster) {
            return 1;
        }
    }

    return 0;
}


/* how willingly a slot becomes an owner: less is better */

#define fo_slot_cost(owned, exiting, other)                                   \
    (((uint64_t) (exiting) << 40) | ((uint64_t) (owned) << 1) | (other))


unsigned
fo_slot_choose_locked(fo_zone_t *z, uint64_t cluster, unsigned self,
    int ring)
{
    unsigned    i, best, spare, owners, state;
    uint64_t    cost, least, least_spare;
    fo_slot_t  *s;

    owners = 0;

    for (i = 0; i < FO_SLOTS; i++) {
        s = &z->slots[i];

        if (atomic_load(&s->state) == FO_SLOT_LIVE
            && atomic_load(&s->owned))
        {
            owners++;
        }
    }

    if (ring && fo_slot_free_ring_locked(z) != FO_NONE) {
        ring = 0;
    }

    best = FO_NONE;
    least = UINT64_MAX;

    spare = FO_NONE;
    least_spare = UINT64_MAX;

    for (i = 0; i < FO_SLOTS; i++) {
        s = &z->slots[i];
        state = atomic_load(&s->state);

        if ((state != FO_SLOT_LIVE && state != FO_SLOT_EXITING)
            || !fo_slot_knows(s, cluster)
            || (ring && atomic_load(&s->ring) == FO_NONE))
        {
            continue;
        }

        cost = fo_slot_cost(atomic_load(&s->owned), state != FO_SLOT_LIVE,
                            i != self);

        if (state == FO_SLOT_LIVE && atomic_load(&s->owned) == 0
            && owners >= z->head->owners)
        {
            if (cost < least_spare) {
                least_spare = cost;
                spare = i;
            }

            continue;
        }

        if (cost < least) {
            least = cost;
            best = i;
        }
    }

    /* one too many, rather than none or only one that goes away */

    return (spare != FO_NONE && least >= fo_slot_cost(0, 1, 0)) ? spare
                                                                : best;
}


static void
fo_slot_mark(fo_slot_t *s, _Atomic uint64_t *words, unsigned row)
{
    atomic_fetch_or(&words[row / 64], (uint64_t) 1 << (row % 64));
    atomic_store(&s->dirty, 1);
}


void
fo_slot_mark_topic(fo_zone_t *z, unsigned slot, unsigned row,
    fo_mask_t *wake)
{
    fo_slot_mark(&z->slots[slot], z->slots[slot].topics, row);
    fo_mask_set(wake, slot);
}


void
fo_slot_mark_source(fo_zone_t *z, unsigned slot, unsigned row,
    fo_mask_t *wake)
{
    fo_slot_mark(&z->slots[slot], z->slots[slot].sources, row);
    fo_mask_set(wake, slot);
}


static unsigned
fo_slot_free_ring_locked(const fo_zone_t *z)
{
    unsigned  i;

    for (i = 0; i < z->head->nrings; i++) {

        if (atomic_load(&fo_zone_ring(z, i)->writer) == FO_RING_NO_WRITER) {
            return i;
        }
    }

    return FO_NONE;
}


int
fo_slot_take_ring_locked(fo_zone_t *z, unsigned slot)
{
    unsigned  ring;

    if (atomic_load(&z->slots[slot].ring) != FO_NONE) {
        return FO_OK;
    }

    ring = fo_slot_free_ring_locked(z);

    if (ring == FO_NONE) {
        return FO_ERROR;
    }

    atomic_store(&fo_zone_ring(z, ring)->writer, slot);
    atomic_store(&z->slots[slot].ring, ring);

    return FO_OK;
}


void
fo_slot_release_ring_locked(fo_zone_t *z, unsigned slot)
{
    unsigned  ring;

    ring = atomic_load(&z->slots[slot].ring);

    if (ring != FO_NONE) {
        atomic_store(&z->slots[slot].ring, FO_NONE);
        atomic_store(&fo_zone_ring(z, ring)->writer, FO_RING_NO_WRITER);
    }
}


int
fo_owner_alive(const fo_zone_t *z, uint64_t owner)
{
    unsigned    state;
    fo_slot_t  *s;

    if (owner == FO_NOBODY) {
        return 0;
    }

    s = &z->slots[fo_owner_slot(owner)];
    state = atomic_load(&s->state);

    return (state == FO_SLOT_LIVE || state == FO_SLOT_EXITING)
           && owner == fo_owner(fo_owner_slot(owner),
                                atomic_load(&s->generation));
}
