
/*
 * Source rows: which worker brings a partition, and for whom.
 */


#include "core/fo_rows.h"


#define fo_source_chain(z, topic, partition)                                  \
    (&(z)->head->source_chain[((topic) * 769 + (partition)) % FO_SOURCES])


static unsigned fo_source_find_locked(fo_zone_t *z, unsigned topic,
    uint32_t partition);
static unsigned fo_source_make_locked(fo_zone_t *z, unsigned topic,
    uint32_t partition, int64_t from);
static void fo_source_adopt_locked(fo_zone_t *z, unsigned row,
    unsigned self, fo_mask_t *wake);
static void fo_source_own_locked(fo_zone_t *z, unsigned row, unsigned slot);
static void fo_source_disown_locked(fo_zone_t *z, unsigned row);
static void fo_rows_mend_locked(fo_zone_t *z);


static unsigned
fo_source_find_locked(fo_zone_t *z, unsigned topic, uint32_t partition)
{
    unsigned          i;
    fo_source_row_t  *r;

    for (i = *fo_source_chain(z, topic, partition); i; i = r->next) {
        r = &z->sources[i - 1];

        if (r->topic == topic && r->partition == partition) {
            return i - 1;
        }
    }

    return FO_NONE;
}


static unsigned
fo_source_make_locked(fo_zone_t *z, unsigned topic, uint32_t partition,
    int64_t from)
{
    unsigned          i, n;
    uint16_t         *chain;
    fo_source_row_t  *r;

    if (z->head->sources == FO_SOURCES) {
        return FO_NONE;
    }

    i = z->head->source_hint;

    for (n = 0; n < FO_SOURCES; n++) {
        i = (i + (n > 0)) % FO_SOURCES;

        if (atomic_load_explicit(&z->sources[i].used, memory_order_relaxed)
            == 0)
        {
            break;
        }
    }

    if (n == FO_SOURCES) {
        return FO_NONE;
    }

    r = &z->sources[i];

    r->topic = topic;
    r->partition = partition;
    atomic_store(&r->state, FO_SOURCE_WANTED);
    atomic_store(&r->owner, FO_NOBODY);
    atomic_store(&r->tenure, 0);
    atomic_store(&r->resets, 0);
    atomic_store(&r->next_offset, from);
    atomic_store(&r->high, -1);
    atomic_store(&r->records, 0);

    atomic_fetch_add(&r->generation, 1);
    atomic_store(&r->used, 1);

    chain = fo_source_chain(z, topic, partition);
    r->next = *chain;
    *chain = (uint16_t) (i + 1);

    z->topics[topic].sources++;
    z->head->sources++;
    z->head->source_hint = (i + 1) % FO_SOURCES;

    return i;
}


/* names an owner if there is none, and lets it look at the row */

static void
fo_source_adopt_locked(fo_zone_t *z, unsigned row, unsigned self,
    fo_mask_t *wake)
{
    unsigned          slot;
    fo_source_row_t  *r;

    r = &z->sources[row];

    if (!fo_owner_alive(z, atomic_load(&r->owner))) {

        slot = fo_slot_choose_locked(z, z->topics[r->topic].cluster, self, 1);

        if (slot == FO_NONE) {
            atomic_store(&r->owner, FO_NOBODY);
            return;
        }

        fo_source_own_locked(z, row, slot);
    }

    fo_slot_mark_source(z, fo_owner_slot(atomic_load(&r->owner)), row, wake);
}


/* names the owner, who answers all that demand the partition */

static void
fo_source_own_locked(fo_zone_t *z, unsigned row, unsigned slot)
{
    fo_mask_t         m;
    unsigned          i;
    fo_source_row_t  *r;

    r = &z->sources[row];

    /* the owner before may have died with an ask in its hands */

    fo_mask_clear(&m);
    fo_amask_add_to(&r->demand, &m);

    while ((i = fo_mask_pop(&m)) != FO_SLOTS) {
        fo_amask_set(&r->ask, i);
    }

    /* it was chosen as one that has a ring or can have one */

    (void) fo_slot_take_ring_locked(z, slot);

    atomic_store(&r->state, FO_SOURCE_WANTED);
    atomic_fetch_add(&r->tenure, 1);
    atomic_store(&r->owner,
                 fo_owner(slot, atomic_load(&z->slots[slot].generation)));
    atomic_fetch_add(&z->slots[slot].owned, 1);
    atomic_fetch_add(&z->slots[slot].carried, 1);
}


static void
fo_source_disown_locked(fo_zone_t *z, unsigned row)
{
    uint64_t          owner;
    fo_slot_t        *s;
    fo_source_row_t  *r;

    r = &z->sources[row];
    owner = atomic_load(&r->owner);

    if (fo_owner_alive(z, owner)) {
        s = &z->slots[fo_owner_slot(owner)];

        atomic_fetch_sub(&s->owned, 1);
        atomic_fetch_sub(&s->carried, 1);
    }

    atomic_store(&r->owner, FO_NOBODY);
}


int
fo_source_heir_locked(fo_zone_t *z, unsigned row)
{
    unsigned          slot;
    fo_source_row_t  *r;

    r = &z->sources[row];

    slot = fo_slot_choose_locked(z, z->topics[r->topic].cluster,
                                 fo_owner_slot(atomic_load(&r->owner)), 1);

    return slot != FO_NONE
           && atomic_load(&z->slots[slot].state) == FO_SLOT_LIVE;
}


void
fo_source_pass_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake)
{
    unsigned          slot;
    fo_source_row_t  *r;

    r = &z->sources[row];

    if (fo_amask_empty(&r->demand)) {
        (void) fo_source_free_locked(z, row);
        return;
    }

    fo_source_disown_locked(z, row);

    slot = fo_slot_choose_locked(z, z->topics[r->topic].cluster, FO_NONE, 1);

    if (slot == FO_NONE) {
        return;
    }

    fo_source_own_locked(z, row, slot);
    fo_slot_mark_source(z, slot, row, wake);
}


unsigned
fo_source_demand_locked(fo_zone_t *z, unsigned topic, uint32_t partition,
    int64_t from, unsigned slot, fo_mask_t *wake)
{
    unsigned          row;
    fo_source_row_t  *r;

    row = fo_source_find_locked(z, topic, partition);

    if (row == FO_NONE) {
        row = fo_source_make_locked(z, topic, partition, from);

        if (row == FO_NONE) {
            return FO_NONE;
        }
    }

    r = &z->sources[row];

    fo_amask_set(&r->demand, slot);
    fo_amask_set(&r->ask, slot);

    fo_source_adopt_locked(z, row, slot, wake);

    return row;
}


void
fo_source_ask_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake)
{
    fo_source_row_t  *r;

    r = &z->sources[row];

    fo_amask_set(&r->ask, slot);

    fo_source_adopt_locked(z, row, slot, wake);
}


void
fo_source_leave_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake)
{
    uint64_t          owner;
    fo_source_row_t  *r;

    r = &z->sources[row];

    fo_amask_unset(&r->demand, slot);
    fo_amask_unset(&r->ask, slot);

    if (!fo_amask_empty(&r->demand)) {
        return;
    }

    owner = atomic_load(&r->owner);

    if (fo_owner_alive(z, owner)) {
        fo_slot_mark_source(z, fo_owner_slot(owner), row, wake);
    } else {
        fo_source_free_locked(z, row);
    }
}


int
fo_source_free_locked(fo_zone_t *z, unsigned row)
{
    unsigned          i;
    uint16_t         *chain;
    fo_source_row_t  *r, *prev;

    r = &z->sources[row];

    if (!fo_amask_empty(&r->demand)) {
        return 0;
    }

    fo_source_disown_locked(z, row);

    chain = fo_source_chain(z, r->topic, r->partition);

    if (*chain == row + 1) {
        *chain = (uint16_t) r->next;

    } else {
        for (i = *chain; i; i = prev->next) {
            prev = &z->sources[i - 1];

            if (prev->next == row + 1) {
                prev->next = r->next;
                break;
            }
        }
    }

    z->topics[r->topic].sources--;
    z->head->sources--;
    z->head->source_hint = row;

    atomic_store(&r->used, 0);

    return 1;
}


void
fo_zone_enter_locked(fo_zone_t *z)
{
    if (atomic_load_explicit(&z->head->inside, memory_order_relaxed)) {
        fo_rows_mend_locked(z);
    }

    atomic_store_explicit(&z->head->inside, 1, memory_order_relaxed);
}


void
fo_zone_leave_locked(fo_zone_t *z)
{
    atomic_store_explicit(&z->head->inside, 0, memory_order_release);
}


static void
fo_rows_mend_locked(fo_zone_t *z)
{
    unsigned          i, slot;
    uint16_t         *chain;
    fo_topic_row_t   *t;
    fo_source_row_t  *r;

    /* a ring that was being taken or given back belongs to nobody */

    for (i = 0; i < z->head->nrings; i++) {
        slot = (unsigned) atomic_load(&fo_zone_ring(z, i)->writer);

        if (slot < FO_SLOTS && atomic_load(&z->slots[slot].ring) != i) {
            atomic_store(&fo_zone_ring(z, i)->writer, FO_RING_NO_WRITER);
        }
    }

    memset(z->head->topic_chain, 0, sizeof(z->head->topic_chain));
    memset(z->head->source_chain, 0, sizeof(z->head->source_chain));
    z->head->sources = 0;

    for (i = 0; i < FO_SLOTS; i++) {
        atomic_store(&z->slots[i].owned, 0);
        atomic_store(&z->slots[i].carried, 0);
    }

    for (i = 0; i < FO_TOPICS; i++) {
        t = &z->topics[i];

        if (!atomic_load(&t->used)) {
            continue;
        }

        chain = &z->head->topic_chain[(t->hash >> 8) % FO_TOPICS];
        t->next = *chain;
        *chain = (uint16_t) (i + 1);
        t->sources = 0;

        if (fo_owner_alive(z, atomic_load(&t->owner))) {
            slot = fo_owner_slot(atomic_load(&t->owner));
            atomic_fetch_add(&z->slots[slot].owned, 1);
        }
    }

    for (i = 0; i < FO_SOURCES; i++) {
        r = &z->sources[i];

        if (!atomic_load(&r->used)) {
            continue;
        }

        chain = fo_source_chain(z, r->topic, r->partition);
        r->next = *chain;
        *chain = (uint16_t) (i + 1);
        z->topics[r->topic].sources++;
        z->head->sources++;

        if (fo_owner_alive(z, atomic_load(&r->owner))) {
            slot = fo_owner_slot(atomic_load(&r->owner));
            atomic_fetch_add(&z->slots[slot].owned, 1);
            atomic_fetch_add(&z->slots[slot].carried, 1);
        }
    }
}
