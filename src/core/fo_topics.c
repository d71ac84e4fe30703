
/*
 * Topic rows: what is known of a topic, and which workers want what of it.
 */


#include "core/fo_rows.h"


#define fo_topic_chain(z, hash)                                               \
    (&(z)->head->topic_chain[((hash) >> 8) % FO_TOPICS])


static unsigned fo_topic_find_locked(fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name, uint64_t hash);
static unsigned fo_topic_make_locked(fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name, uint64_t hash, unsigned slot);
static int fo_topic_adopt_locked(fo_zone_t *z, unsigned row, unsigned self);
static void fo_topic_tell_locked(fo_zone_t *z, unsigned row,
    fo_mask_t *wake);
static void fo_topic_unlength_locked(fo_topic_row_t *t, unsigned slot,
    size_t len);


uint64_t
fo_topic_hash(const fo_zone_t *z, uint64_t cluster, const fo_str_t *name)
{
    return fo_hash(name->data, name->len, z->head->seed ^ cluster);
}


static unsigned
fo_topic_find_locked(fo_zone_t *z, uint64_t cluster, const fo_str_t *name,
    uint64_t hash)
{
    unsigned         i;
    fo_topic_row_t  *t;

    for (i = *fo_topic_chain(z, hash); i; i = z->topics[i - 1].next) {
        t = &z->topics[i - 1];

        if (t->hash == hash && t->cluster == cluster
            && t->name_len == name->len
            && memcmp(t->name, name->data, name->len) == 0)
        {
            return i - 1;
        }
    }

    return FO_NONE;
}


static unsigned
fo_topic_make_locked(fo_zone_t *z, uint64_t cluster, const fo_str_t *name,
    uint64_t hash, unsigned slot)
{
    unsigned         i;
    uint16_t        *chain;
    fo_topic_row_t  *t;

    for (i = 0; i < FO_TOPICS; i++) {
        if (atomic_load_explicit(&z->topics[i].used, memory_order_relaxed)
            == 0)
        {
            break;
        }
    }

    if (i == FO_TOPICS) {

        /* a failure that nobody waits for gives way */

        for (i = 0; i < FO_TOPICS; i++) {
            if (z->topics[i].state == FO_TOPIC_FAILED
                && fo_topic_free_locked(z, i))
            {
                break;
            }
        }

        if (i == FO_TOPICS) {
            return FO_NONE;
        }
    }

    t = &z->topics[i];

    memset(t, 0, sizeof(fo_topic_row_t));

    t->hash = hash;
    t->cluster = cluster;
    t->name_len = (uint32_t) name->len;
    memcpy(t->name, name->data, name->len);
    atomic_store(&t->owner, FO_NOBODY);

    if (fo_topic_adopt_locked(z, i, slot) != FO_OK) {
        return FO_NONE;
    }

    atomic_store(&t->used, 1);

    chain = fo_topic_chain(z, hash);
    t->next = *chain;
    *chain = (uint16_t) (i + 1);

    return i;
}


/* names an owner if there is none; FO_ERROR: nobody can be it */

static int
fo_topic_adopt_locked(fo_zone_t *z, unsigned row, unsigned self)
{
    unsigned         slot;
    fo_topic_row_t  *t;

    t = &z->topics[row];

    if (fo_owner_alive(z, atomic_load(&t->owner))) {
        return FO_OK;
    }

    slot = fo_slot_choose_locked(z, t->cluster, self, 0);
    if (slot == FO_NONE) {
        return FO_ERROR;
    }

    atomic_store(&t->owner,
                 fo_owner(slot, atomic_load(&z->slots[slot].generation)));
    atomic_fetch_add(&z->slots[slot].owned, 1);

    return FO_OK;
}


unsigned
fo_topic_hold_locked(fo_zone_t *z, uint64_t cluster, const fo_str_t *name,
    unsigned slot, fo_mask_t *wake)
{
    uint64_t         hash;
    unsigned         row;
    fo_topic_row_t  *t;

    hash = fo_topic_hash(z, cluster, name);
    row = fo_topic_find_locked(z, cluster, name, hash);

    if (row == FO_NONE) {
        row = fo_topic_make_locked(z, cluster, name, hash, slot);

        if (row == FO_NONE) {
            return FO_NONE;
        }

    } else if (fo_topic_adopt_locked(z, row, slot) != FO_OK) {
        return FO_NONE;
    }

    t = &z->topics[row];

    fo_amask_set(&t->users, slot);

    if (t->state == FO_TOPIC_ASKED) {
        fo_slot_mark_topic(z, fo_owner_slot(atomic_load(&t->owner)), row,
                           wake);
    }

    return row;
}


void
fo_topic_leave_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake)
{
    uint64_t         owner;
    fo_topic_row_t  *t;

    t = &z->topics[row];

    fo_amask_unset(&t->users, slot);

    if (!fo_amask_empty(&t->users)) {
        return;
    }

    owner = atomic_load(&t->owner);

    if (fo_owner_alive(z, owner)) {
        fo_slot_mark_topic(z, fo_owner_slot(owner), row, wake);
    } else {
        fo_topic_free_locked(z, row);
    }
}


void
fo_topic_answer_locked(fo_zone_t *z, unsigned row, unsigned error,
    uint32_t partitions, uint64_t now, fo_mask_t *wake)
{
    int              changed;
    unsigned         state;
    fo_topic_row_t  *t;

    t = &z->topics[row];

    state = error ? FO_TOPIC_FAILED : FO_TOPIC_KNOWN;

    changed = (t->state != state || t->error != error
               || (error == 0 && t->partitions != partitions));

    t->state = state;
    t->error = error;
    t->checked = now;

    if (error == 0) {
        t->partitions = partitions;
    }

    if (changed) {
        fo_topic_tell_locked(z, row, wake);
    }
}


int
fo_topic_any_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake)
{
    if (z->topics[row].any) {
        return 0;
    }

    z->topics[row].any = 1;
    fo_topic_tell_locked(z, row, wake);

    return 1;
}


void
fo_topic_ask_again_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake)
{
    fo_topic_row_t  *t;

    t = &z->topics[row];
    t->state = FO_TOPIC_ASKED;

    fo_slot_mark_topic(z, fo_owner_slot(atomic_load(&t->owner)), row, wake);
}


static void
fo_topic_tell_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake)
{
    unsigned   slot;
    fo_mask_t  m;

    fo_mask_clear(&m);
    fo_amask_add_to(&z->topics[row].users, &m);

    while ((slot = fo_mask_pop(&m)) != FO_SLOTS) {
        fo_slot_mark_topic(z, slot, row, wake);
    }
}


int
fo_topic_free_locked(fo_zone_t *z, unsigned row)
{
    unsigned         i;
    uint16_t        *chain;
    fo_topic_row_t  *t, *prev;

    t = &z->topics[row];

    if (t->sources || !fo_amask_empty(&t->users)) {
        return 0;
    }

    if (fo_owner_alive(z, atomic_load(&t->owner))) {
        atomic_fetch_sub(
            &z->slots[fo_owner_slot(atomic_load(&t->owner))].owned, 1);
    }

    chain = fo_topic_chain(z, t->hash);

    if (*chain == row + 1) {
        *chain = (uint16_t) t->next;

    } else {
        for (i = *chain; i; i = prev->next) {
            prev = &z->topics[i - 1];

            if (prev->next == row + 1) {
                prev->next = t->next;
                break;
            }
        }
    }

    atomic_store(&t->used, 0);
    atomic_store(&t->owner, FO_NOBODY);

    return 1;
}


void
fo_topic_pass_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake)
{
    uint64_t         owner;
    fo_topic_row_t  *t;

    if (fo_topic_free_locked(z, row)) {
        return;
    }

    t = &z->topics[row];
    owner = atomic_load(&t->owner);

    if (fo_owner_alive(z, owner)) {
        atomic_fetch_sub(&z->slots[fo_owner_slot(owner)].owned, 1);
    }

    atomic_store(&t->owner, FO_NOBODY);

    if (fo_topic_adopt_locked(z, row, FO_NONE) == FO_OK) {
        fo_slot_mark_topic(z, fo_owner_slot(atomic_load(&t->owner)), row,
                           wake);
    }
}


int
fo_topic_want_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len)
{
    int              used;
    fo_topic_row_t  *t;

    t = &z->topics[row];

    switch (kind) {

    case FO_FILTER_ALL:
        fo_amask_set(&t->all, slot);
        return FO_OK;

    case FO_FILTER_KEY:
        return fo_interest_add_locked(&z->interest, hash, slot);

    default:
        break;
    }

    /* the length is set before the entry: who finds one looks for it */

    used = fo_amask_test(&t->prefix[len], slot);

    fo_amask_set(&t->prefix[len], slot);
    atomic_fetch_or(&t->prefixes, (uint64_t) 1 << len);

    if (fo_interest_add_locked(&z->interest, hash, slot) != FO_OK) {
        if (!used) {
            fo_topic_unlength_locked(t, slot, len);
        }

        return FO_ERROR;
    }

    return FO_OK;
}


/* "slot" has no prefix of this length any more */

static void
fo_topic_unlength_locked(fo_topic_row_t *t, unsigned slot, size_t len)
{
    fo_amask_unset(&t->prefix[len], slot);

    if (fo_amask_empty(&t->prefix[len])) {
        atomic_fetch_and(&t->prefixes, ~((uint64_t) 1 << len));
    }
}


void
fo_topic_unwant_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len, int last_len)
{
    fo_topic_row_t  *t;

    t = &z->topics[row];

    if (kind == FO_FILTER_ALL) {
        fo_amask_unset(&t->all, slot);
        return;
    }

    fo_interest_remove_locked(&z->interest, hash, slot);

    if (kind == FO_FILTER_PREFIX && last_len) {
        fo_topic_unlength_locked(t, slot, len);
    }
}


void
fo_topic_match(const fo_zone_t *z, const fo_topic_row_t *t,
    const fo_str_t *key, uint64_t hash, fo_mask_t *m)
{
    unsigned         len;
    uint64_t         lengths;
    fo_topic_row_t  *row;

    row = (fo_topic_row_t *) t;

    fo_mask_clear(m);
    fo_amask_add_to(&row->all, m);

    if (key == NULL) {
        return;
    }

    if (hash == 0) {
        hash = fo_hash_key(row->hash, key->data, key->len);
    }

    fo_interest_lookup(&z->interest, hash, m);

    lengths = atomic_load_explicit(&row->prefixes, memory_order_acquire);

    while (lengths) {
        len = (unsigned) __builtin_ctzll(lengths);

        if (len > key->len) {
            break;
        }

        fo_interest_lookup(&z->interest,
                           fo_hash_prefix(row->hash, key->data, len), m);

        lengths &= lengths - 1;
    }
}
