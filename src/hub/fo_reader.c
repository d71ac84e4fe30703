
/*
 * Reading the rings of other workers: records, bases, resets and takeovers,
 * in the order in which their owner wrote them.
 */


#include "hub/fo_hub_int.h"


#define FO_TURN_ENTRIES  1024      /* read in a turn */


static int fo_reader_ring(fo_hub_t *hub, fo_ring_reader_t *rd,
    unsigned *budget);
static void fo_reader_lapsed(fo_hub_t *hub, fo_ring_reader_t *rd);
static int fo_reader_next(fo_hub_t *hub, fo_ring_reader_t *rd);
static void fo_reader_entry(fo_hub_t *hub, const fo_ring_record_t *e,
    unsigned ring);
static void fo_reader_takeover(fo_hub_t *hub, const fo_ring_record_t *e,
    const fo_origin_t *from);


int
fo_reader_turn(fo_hub_t *hub)
{
    unsigned  i, n, budget;

    n = hub->z->head->nrings;
    budget = FO_TURN_ENTRIES;

    for (i = 0; i < n; i++) {
        if (fo_reader_ring(hub, &hub->readers[(hub->next_ring + i) % n],
                        &budget))
        {
            hub->next_ring = (hub->next_ring + i + 1) % n;
            return 1;
        }
    }

    return 0;
}


static int
fo_reader_ring(fo_hub_t *hub, fo_ring_reader_t *rd, unsigned *budget)
{
    int       rc;
    unsigned  some;

    if (!fo_ring_pending(rd)) {
        return 0;
    }

    some = 0;
    rc = FO_OK;

    while (*budget) {
        rc = fo_reader_next(hub, rd);

        if (rc != FO_OK) {
            break;
        }

        some = 1;
        (*budget)--;
    }

    if (rc == FO_ERROR || fo_ring_release(rd) != FO_OK) {
        fo_reader_lapsed(hub, rd);
        return 0;
    }

    if (some) {
        fo_hub_post(hub);
    }

    return *budget == 0;
}


/* too slow: what is in the ring now may be overwritten */

static void
fo_reader_lapsed(fo_hub_t *hub, fo_ring_reader_t *rd)
{
    fo_ring_read_open(rd, rd->ring, hub->slot);
    fo_src_lapsed(hub, (unsigned) (rd - hub->readers));
}


/*
 * Beyond the budget of a turn, but not beyond the rings.  May be called
 * again from within, for older positions: takeovers wait for older ones.
 */

void
fo_reader_reach(fo_hub_t *hub, const uint64_t *tails, unsigned except)
{
    int                rc;
    unsigned           i;
    uint64_t           limit;
    fo_ring_reader_t  *rd;

    for (i = 0; i < hub->z->head->nrings; i++) {
        rd = &hub->readers[i];

        if (i == except || rd->pos >= tails[i] || !fo_ring_pending(rd)) {
            continue;
        }

        limit = rd->limit;
        rd->limit = fo_min(limit, tails[i]);

        do {
            rc = fo_reader_next(hub, rd);
        } while (rc == FO_OK);

        if (rc == FO_ERROR || fo_ring_release(rd) != FO_OK) {
            fo_reader_lapsed(hub, rd);
        }

        rd->limit = limit;
    }

    fo_hub_post(hub);
}


/* one entry */

static int
fo_reader_next(fo_hub_t *hub, fo_ring_reader_t *rd)
{
    int      rc;
    size_t   need, size;
    u_char  *p;

    rc = fo_ring_read(rd, hub->copy, hub->copy_size, &need);

    if (rc == FO_OK && need > hub->copy_size) {

        size = fo_max(need, 4096);

        p = fo_alloc(hub->alloc, size);
        if (p == NULL) {
            fo_stat_add(hub->stats, FO_STAT_NO_MEMORY, 1);
            return FO_ERROR;
        }

        if (hub->copy) {
            fo_free(hub->alloc, hub->copy);
        }

        hub->copy = p;
        hub->copy_size = size;

        rc = fo_ring_read(rd, hub->copy, hub->copy_size, &need);
    }

    if (rc == FO_OK) {
        fo_reader_entry(hub, (fo_ring_record_t *) (void *) hub->copy,
                        (unsigned) (rd - hub->readers));
    }

    return rc;
}


static void
fo_reader_entry(fo_hub_t *hub, const fo_ring_record_t *e, unsigned ring)
{
    fo_origin_t  from;
    fo_record_t  rec;

    from.row = e->row;
    from.generation = e->generation;
    from.tenure = e->key_len;
    from.resets = e->value_len;
    from.ring = ring;

    switch (e->head.type) {

    case FO_ENTRY_BASE:
        fo_src_base(hub, &from, (uint64_t) e->time, e->offset);
        return;

    case FO_ENTRY_RESET:
        fo_src_reset(hub, &from, e->offset);
        return;

    case FO_ENTRY_TAKEOVER:
        fo_reader_takeover(hub, e, &from);
        return;

    default:
        break;
    }

    rec.key_len = (e->key_len == FO_NONE) ? 0 : e->key_len;
    rec.value_len = (e->value_len == FO_NONE) ? 0 : e->value_len;
    rec.key = (e->key_len == FO_NONE) ? NULL : e->data;
    rec.value = (e->value_len == FO_NONE) ? NULL : e->data + rec.key_len;
    rec.offset = e->offset;
    rec.time = e->time;
    rec.hash = 0;
    rec.partition = (e->row < FO_SOURCES && hub->sources[e->row])
                    ? hub->sources[e->row]->partition : 0;

    if (e->head.type == FO_ENTRY_RECORD) {
        fo_dispatch(hub, &from, &rec);
    } else {
        fo_dispatch_skipped(hub, &from, &rec);
    }

    fo_stat_add(hub->stats, FO_STAT_RING_READ, 1);
}


static void
fo_reader_takeover(fo_hub_t *hub, const fo_ring_record_t *e,
    const fo_origin_t *from)
{
    uint64_t  tails[FO_RINGS_MAX];

    /* the entry's buffer is needed for others */

    memcpy(tails, e->data, hub->z->head->nrings * sizeof(uint64_t));

    fo_reader_reach(hub, tails, from->ring);
    fo_src_takeover(hub, from);
}
