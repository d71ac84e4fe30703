
/*
 * The partitions that this worker reads for all workers.
 *
 * A source row that names this worker becomes a fo_owned_t, which the
 * source starts.  Once it knows its offset, it answers every ask with a
 * base, in ring order with the records.  Without demand it lingers, then
 * stops and gives the row back.
 */


#include "hub/fo_hub_int.h"


#define FO_OVERSIZED_QUIET  60000000    /* us */
#define FO_OWNER_STOPS      64          /* in one tick */


static fo_owned_t *fo_owned_claim(fo_hub_t *hub, unsigned row);
static int fo_owner_open_ring(fo_hub_t *hub);
static void fo_owner_look_again(fo_hub_t *hub, unsigned row);
static void fo_owner_release_ring(fo_hub_t *hub);
static void fo_owned_drop(fo_owned_t *o);
static void fo_owned_reach(fo_owned_t *o);
static int fo_owned_settle(fo_owned_t *o);
static int fo_owned_take(fo_owned_t *o);
static int fo_owned_answer(fo_owned_t *o);
static int fo_owned_reset(fo_owned_t *o);
static int fo_owned_send(fo_owned_t *o, const fo_record_t *rec,
    const fo_mask_t *to);
static void fo_owned_oversized(fo_owned_t *o);
static fo_ring_record_t *fo_owned_append(fo_owned_t *o, unsigned type,
    size_t len, const fo_mask_t *to, int control);
static void fo_owned_moved(fo_owned_t *o);
static void fo_owned_origin(const fo_owned_t *o, fo_origin_t *from);


void
fo_owner_look_source(fo_hub_t *hub, unsigned row)
{
    fo_owned_t       *o;
    fo_source_row_t  *r;

    r = &hub->z->sources[row];

    if (!atomic_load(&r->used)
        || !fo_owner_mine(hub, atomic_load(&r->owner)))
    {
        return;
    }

    o = hub->owned[row];

    if (o == NULL) {
        o = fo_owned_claim(hub, row);
        if (o == NULL) {
            return;
        }
    }

    if (!fo_amask_empty(&r->demand)) {
        if (o->linger) {
            o->linger = 0;
            atomic_store(&r->state, o->running ? FO_SOURCE_RUNNING
                                               : FO_SOURCE_STARTING);
        }

    } else if (o->linger == 0) {
        o->linger = fo_hub_now(hub) + hub->clusters[o->cluster].linger;
        atomic_store(&r->state, FO_SOURCE_LINGERING);
    }

    (void) fo_owned_settle(o);
}


static fo_owned_t *
fo_owned_claim(fo_hub_t *hub, unsigned row)
{
    unsigned          i;
    fo_owned_t       *o;
    fo_cluster_t     *cl;
    fo_source_row_t  *r;

    r = &hub->z->sources[row];

    if (hub->writer == NULL && fo_owner_open_ring(hub) != FO_OK) {
        return NULL;
    }

    o = fo_alloc(hub->alloc, sizeof(fo_owned_t));
    if (o == NULL) {
        return NULL;
    }

    memset(o, 0, sizeof(fo_owned_t));

    o->hub = hub;
    o->r = r;
    o->row = row;
    o->generation = atomic_load(&r->generation);
    o->taking = (atomic_load(&r->tenure) > 1);
    o->topic_row = &hub->z->topics[r->topic];
    o->topic.len = o->topic_row->name_len;
    o->topic.data = o->topic_row->name;
    fo_queue_init(&o->queue);

    for (i = 0; i < hub->nclusters; i++) {
        if (hub->clusters[i].id == o->topic_row->cluster) {
            break;
        }
    }

    if (i == hub->nclusters) {
        fo_free(hub->alloc, o);
        return NULL;
    }

    o->cluster = i;
    cl = &hub->clusters[i];

    hub->owned[row] = o;
    atomic_store(&r->state, FO_SOURCE_STARTING);
    fo_stat_add(hub->stats, FO_STAT_SOURCES, 1);

    if (o->taking) {
        fo_owned_reach(o);
    }

    if (cl->ops->start(cl->ctx, o, &o->topic, r->partition,
                       atomic_load(&r->next_offset))
        != FO_OK)
    {
        fo_owned_drop(o);
        return NULL;
    }

    return o;
}


/*
 * Another one brought it in before: what that one has sent here is read
 * before anything is dispatched, see fo_topic.c.
 */

static void
fo_owned_reach(fo_owned_t *o)
{
    unsigned      i;
    uint64_t      tails[FO_RINGS_MAX];
    fo_hub_t     *hub;
    fo_origin_t   from;

    hub = o->hub;

    for (i = 0; i < hub->z->head->nrings; i++) {
        tails[i] = fo_ring_tail(hub->readers[i].ring);
    }

    /* the own ring, too: it may be that of the one before */

    fo_reader_reach(hub, tails, FO_NONE);

    fo_owned_origin(o, &from);
    fo_src_takeover(hub, &from);
}


/*
 * With the first partition that is owned comes a ring.  FO_ERROR: no memory;
 * the row is claimed at a later tick.
 */

static int
fo_owner_open_ring(fo_hub_t *hub)
{
    unsigned    i;
    fo_ring_t  *ring;

    hub->writer = fo_alloc(hub->alloc, sizeof(fo_ring_writer_t));
    if (hub->writer == NULL) {
        return FO_ERROR;
    }

    fo_hub_lock(hub);

    i = atomic_load(&hub->me->ring);

    if (i != FO_NONE) {
        ring = fo_zone_ring(hub->z, i);
        fo_ring_write_open(hub->writer, ring, ring->size / 16);
    }

    fo_hub_unlock(hub);

    if (i == FO_NONE) {
        fo_free(hub->alloc, hub->writer);
        hub->writer = NULL;
        return FO_ERROR;
    }

    return FO_OK;
}


/*
 * Nothing is owned any more.  What readers have not read yet stays until they
 * have, whoever writes next.
 */

static void
fo_owner_release_ring(fo_hub_t *hub)
{
    unsigned  carried;

    if (hub->writer
        && hub->writer->tail != fo_ring_tail(hub->writer->ring))
    {
        return;
    }

    fo_hub_lock(hub);

    /* somebody may have named this worker just now */

    carried = atomic_load(&hub->me->carried);

    if (carried == 0) {
        fo_slot_release_ring_locked(hub->z, hub->slot);
    }

    fo_hub_unlock(hub);

    if (carried == 0 && hub->writer) {
        fo_free(hub->alloc, hub->writer);
        hub->writer = NULL;
        hub->blocked = 0;
    }
}


static void
fo_owned_drop(fo_owned_t *o)
{
    fo_hub_t  *hub;

    hub = o->hub;

    fo_queue_remove(&o->queue);
    hub->owned[o->row] = NULL;
    fo_stat_add(hub->stats, FO_STAT_SOURCES, -1);

    fo_free(hub->alloc, o);
}


void
fo_hub_started(fo_owned_t *o, int64_t offset)
{
    uint32_t  resets;

    if (o->lost) {
        o->lost = 0;
        o->owes = 1;

        /* before the offset: whoever takes over tells of it by its bases;
           at the same offset it is another log, too */

        resets = atomic_load(&o->r->resets);

        atomic_store(&o->r->resets, offset <= atomic_load(&o->r->next_offset)
                                    ? FO_RESET_BACK(resets)
                                    : FO_RESET_ON(resets));
    }

    if (o->begun) {

        /* records before it may still be unpublished */

        fo_owned_moved(o);

    } else {

        /* before any base: who takes over must not begin at the end again */

        atomic_store_explicit(&o->r->next_offset, offset,
                              memory_order_release);
    }

    o->next = offset;
    o->running = 1;
    o->begun = 1;

    if (o->linger == 0) {
        atomic_store(&o->r->state, FO_SOURCE_RUNNING);
    }

    (void) fo_owned_settle(o);
    fo_hub_post(o->hub);
}


/*
 * A takeover, a reset, bases, in this order and before any further record;
 * FO_AGAIN: no room
 */

static int
fo_owned_settle(fo_owned_t *o)
{
    if (o->taking && fo_owned_take(o) != FO_OK) {
        o->hub->blocked = 1;
        return FO_AGAIN;
    }

    if (!o->running) {
        return FO_OK;
    }

    if ((o->owes && fo_owned_reset(o) != FO_OK)
        || fo_owned_answer(o) != FO_OK)
    {
        o->hub->blocked = 1;
        return FO_AGAIN;
    }

    return FO_OK;
}


/* tells all who demand it up to where to read the rings before this one */

static int
fo_owned_take(fo_owned_t *o)
{
    unsigned           i, n;
    uint64_t           tail;
    fo_hub_t          *hub;
    fo_mask_t          to;
    fo_ring_record_t  *e;

    hub = o->hub;
    n = hub->z->head->nrings;

    fo_mask_clear(&to);
    fo_amask_add_to(&o->r->demand, &to);
    fo_mask_unset(&to, hub->slot);

    if (!fo_mask_empty(&to)) {
        e = fo_owned_append(o, FO_ENTRY_TAKEOVER, n * sizeof(uint64_t), &to,
                            1);
        if (e == NULL) {
            return FO_AGAIN;
        }

        for (i = 0; i < n; i++) {
            tail = fo_ring_tail(hub->readers[i].ring);
            memcpy(e->data + i * sizeof(uint64_t), &tail, sizeof(uint64_t));
        }

        e->key_len = atomic_load(&o->r->tenure);
    }

    o->taking = 0;

    return FO_OK;
}


static int
fo_owned_reset(fo_owned_t *o)
{
    fo_hub_t          *hub;
    fo_mask_t          to;
    fo_origin_t        from;
    fo_ring_record_t  *e;

    hub = o->hub;

    fo_mask_clear(&to);
    fo_amask_add_to(&o->r->demand, &to);
    fo_mask_unset(&to, hub->slot);

    if (!fo_mask_empty(&to)) {
        e = fo_owned_append(o, FO_ENTRY_RESET, 0, &to, 1);
        if (e == NULL) {
            return FO_AGAIN;
        }

        e->offset = o->next;
        e->value_len = atomic_load(&o->r->resets);
    }

    o->owes = 0;

    fo_owned_origin(o, &from);
    fo_src_reset(hub, &from, o->next);

    return FO_OK;
}


static int
fo_owned_answer(fo_owned_t *o)
{
    uint64_t           seq;
    unsigned           slot;
    fo_hub_t          *hub;
    fo_mask_t          asked, to;
    fo_origin_t        from;
    fo_ring_record_t  *e;

    hub = o->hub;

    fo_amask_take(&o->r->ask, &asked);

    while ((slot = fo_mask_pop(&asked)) != FO_SLOTS) {

        seq = atomic_load_explicit(&hub->z->slots[slot].seq,
                                   memory_order_acquire);

        if (slot == hub->slot) {
            fo_owned_origin(o, &from);
            fo_src_base(hub, &from, seq, o->next);
            continue;
        }

        fo_mask_clear(&to);
        fo_mask_set(&to, slot);

        e = fo_owned_append(o, FO_ENTRY_BASE, 0, &to, 1);

        if (e == NULL) {
            fo_amask_set(&o->r->ask, slot);

            while ((slot = fo_mask_pop(&asked)) != FO_SLOTS) {
                fo_amask_set(&o->r->ask, slot);
            }

            return FO_AGAIN;
        }

        e->offset = o->next;
        e->time = (int64_t) seq;
        e->key_len = atomic_load(&o->r->tenure);
        e->value_len = atomic_load(&o->r->resets);
    }

    return FO_OK;
}


void
fo_hub_ahead(const fo_owned_t *o, fo_record_t *rec)
{
    if (rec->key == NULL) {
        return;
    }

    rec->hash = fo_hash_key(o->topic_row->hash, rec->key, rec->key_len);

    fo_interest_prefetch(&o->hub->z->interest, rec->hash);
    fo_index_prefetch(&o->hub->filters, rec->hash);
}


int
fo_hub_record(fo_owned_t *o, const fo_record_t *rec)
{
    unsigned      here;
    fo_str_t      key;
    fo_hub_t     *hub;
    fo_mask_t     to;
    fo_origin_t   from;

    hub = o->hub;

    if (hub->blocked
        || ((o->owes || o->taking) && fo_owned_settle(o) != FO_OK))
    {
        hub->blocked = 1;
        return FO_AGAIN;
    }

    key.len = rec->key_len;
    key.data = (u_char *) rec->key;

    fo_topic_match(hub->z, o->topic_row, rec->key ? &key : NULL, rec->hash,
                   &to);

    here = fo_mask_test(&to, hub->slot);
    fo_mask_unset(&to, hub->slot);

    if (!fo_mask_empty(&to) && fo_owned_send(o, rec, &to) != FO_OK) {
        hub->blocked = 1;
        fo_stat_add(hub->stats, FO_STAT_RING_FULL, 1);
        fo_hub_post(hub);
        return FO_AGAIN;
    }

    if (here) {
        fo_owned_origin(o, &from);
        fo_dispatch(hub, &from, rec);
    }

    fo_stat_add(hub->stats, FO_STAT_RECORDS, 1);

    if (here || !fo_mask_empty(&to)) {
        fo_stat_add(hub->stats, FO_STAT_RECORDS_MATCHED, 1);
    }

    fo_stat_put(&o->r->records, 1);

    o->next = rec->offset + 1;
    fo_owned_moved(o);

    return FO_OK;
}


/* once into the ring, for all of "to"; FO_AGAIN: full */

static int
fo_owned_send(fo_owned_t *o, const fo_record_t *rec, const fo_mask_t *to)
{
    u_char            *p;
    size_t             key_len, value_len;
    unsigned           type;
    uint64_t           most;
    fo_hub_t          *hub;
    fo_ring_record_t  *e;

    hub = o->hub;
    type = FO_ENTRY_RECORD;

    key_len = rec->key ? rec->key_len : 0;
    value_len = rec->value ? rec->value_len : 0;

    most = fo_ring_entry_max(hub->writer->ring) - sizeof(fo_ring_record_t);

    if (key_len + value_len > most) {
        type = FO_ENTRY_SKIPPED;
        value_len = 0;

        if (key_len > most) {

            /* not even the key fits: all who listen have a gap */

            type = FO_ENTRY_RESET;
            key_len = 0;
        }
    }

    e = fo_owned_append(o, type, key_len + value_len, to, 0);
    if (e == NULL) {
        return FO_AGAIN;
    }

    if (type != FO_ENTRY_RECORD) {
        fo_stat_add(hub->stats, FO_STAT_OVERSIZED, 1);
        fo_owned_oversized(o);
    }

    e->offset = rec->offset + (type == FO_ENTRY_RESET);
    e->time = rec->time;
    e->key_len = rec->key ? (uint32_t) key_len : FO_NONE;
    e->value_len = rec->value ? (uint32_t) value_len : FO_NONE;

    if (type == FO_ENTRY_RESET) {
        e->value_len = atomic_load(&o->r->resets);
        return FO_OK;
    }

    p = e->data;

    if (key_len) {
        memcpy(p, rec->key, key_len);
        p += key_len;
    }

    if (value_len) {
        memcpy(p, rec->value, value_len);
    }

    fo_stat_add(hub->stats, FO_STAT_RING_WRITTEN, 1);

    return FO_OK;
}


/* told once a minute for a topic, whichever of its partitions it is */

static void
fo_owned_oversized(fo_owned_t *o)
{
    unsigned     i;
    uint64_t     now;
    fo_hub_t    *hub;
    fo_owned_t  *other;

    hub = o->hub;
    now = fo_hub_now(hub);

    if (o->warned && now - o->warned < FO_OVERSIZED_QUIET) {
        return;
    }

    for (i = 0; i < FO_SOURCES; i++) {
        other = hub->owned[i];

        if (other && other->topic_row == o->topic_row && other->warned
            && now - other->warned < FO_OVERSIZED_QUIET)
        {
            o->warned = other->warned;
            return;
        }
    }

    o->warned = now;
    hub->env.log(hub->env.ctx, 0, "record too big for the ring in topic",
                 &o->topic);
}


static fo_ring_record_t *
fo_owned_append(fo_owned_t *o, unsigned type, size_t len,
    const fo_mask_t *to, int control)
{
    fo_ring_record_t  *e;

    e = (fo_ring_record_t *) (void *)
            fo_ring_append(o->hub->writer, (uint16_t) type,
                           sizeof(fo_ring_record_t) + len, to, control);

    if (e) {
        e->row = o->row;
        e->generation = o->generation;
        e->key_len = FO_NONE;
        e->value_len = FO_NONE;
        fo_hub_post(o->hub);
    }

    return e;
}


static void
fo_owned_origin(const fo_owned_t *o, fo_origin_t *from)
{
    from->row = o->row;
    from->generation = o->generation;
    from->tenure = atomic_load_explicit(&o->r->tenure, memory_order_relaxed);
    from->resets = atomic_load_explicit(&o->r->resets, memory_order_relaxed);
    from->ring = FO_RING_OWN;
}


static void
fo_owned_moved(fo_owned_t *o)
{
    if (!fo_queue_linked(&o->queue)) {
        fo_queue_append(&o->hub->moved, &o->queue);
        fo_hub_post(o->hub);
    }
}


void
fo_hub_reached(fo_owned_t *o, int64_t offset)
{
    if (offset > o->next) {
        o->next = offset;
        fo_owned_moved(o);
    }
}


void
fo_hub_lost(fo_owned_t *o)
{
    o->running = 0;
    o->lost = 1;
    atomic_store(&o->r->state, FO_SOURCE_STARTING);
}


void
fo_hub_mismatch(fo_owned_t *o)
{
    int        fresh;
    fo_hub_t  *hub;

    hub = o->hub;

    fo_hub_lock(hub);
    fresh = fo_topic_any_locked(hub->z, o->r->topic, &hub->wake);
    fo_hub_unlock(hub);

    if (fresh) {
        fo_stat_add(hub->stats, FO_STAT_MISMATCHES, 1);
        hub->env.log(hub->env.ctx, 0, "keys are not where the declared "
                     "partitioner puts them, reading all partitions of "
                     "topic", &o->topic);
    }

    fo_hub_post(hub);
}


void
fo_hub_watermark(fo_owned_t *o, int64_t high)
{
    atomic_store_explicit(&o->r->high, high, memory_order_relaxed);
}


/* after ring and feeds, once a turn */

void
fo_owner_store(fo_hub_t *hub)
{
    fo_owned_t  *o;

    while (!fo_queue_empty(&hub->moved)) {
        o = fo_data(hub->moved.next, fo_owned_t, queue);
        fo_queue_remove(&o->queue);

        atomic_store_explicit(&o->r->next_offset, o->next,
                              memory_order_release);
    }
}


/* the ring was full: tries again what is owed, then lets sources go on */

void
fo_owner_unblock(fo_hub_t *hub)
{
    unsigned  i;

    hub->blocked = 0;

    for (i = 0; i < FO_SOURCES && !hub->blocked; i++) {
        if (hub->owned[i]) {
            (void) fo_owned_settle(hub->owned[i]);
        }
    }

    for (i = 0; i < hub->nclusters && !hub->blocked; i++) {
        hub->clusters[i].ops->resume(hub->clusters[i].ctx);
    }
}


/*
 * This worker is to end.  First nothing more of its partitions comes, then
 * all that did is seen by others, then others are named.
 */

void
fo_owner_leave(fo_hub_t *hub, int last)
{
    int            heir;
    unsigned       i, n, stay;
    fo_owned_t    *o;
    fo_cluster_t  *cl;
    uint64_t       leaving[FO_SOURCES / 64];

    n = 0;
    stay = 0;
    memset(leaving, 0, sizeof(leaving));

    for (i = 0; i < FO_SOURCES; i++) {
        o = hub->owned[i];

        if (o == NULL) {
            continue;
        }

        if (n == FO_OWNER_STOPS && !last) {

            /* the others soon: stopping takes librdkafka its time */

            hub->second = fo_hub_now(hub);
            hub->hurry = 1;
            stay++;
            break;
        }

        fo_hub_lock(hub);
        heir = last || fo_source_heir_locked(hub->z, i);
        fo_hub_unlock(hub);

        if (heir) {
            cl = &hub->clusters[o->cluster];
            cl->ops->stop(cl->ctx, o);

            leaving[i / 64] |= (uint64_t) 1 << (i % 64);
            n++;

        } else {
            stay++;
        }
    }

    if (n == 0) {
        return;
    }

    fo_hub_publish(hub);

    for (i = 0; i < FO_SOURCES; i++) {

        if (leaving[i / 64] >> (i % 64) & 1) {
            fo_owned_drop(hub->owned[i]);

            fo_hub_lock(hub);

            if (fo_owner_mine(hub, atomic_load(&hub->z->sources[i].owner))) {
                fo_source_pass_locked(hub->z, i, &hub->wake);
            }

            fo_hub_unlock(hub);
        }
    }

    /* at once: rings are few, and whoever comes next needs one */

    if (stay == 0) {
        fo_owner_release_ring(hub);
    }

    fo_hub_post(hub);
}


/* once a second: what lingers too long, what must be looked at again */

void
fo_owner_tick(fo_hub_t *hub, uint64_t now)
{
    int               gone;
    unsigned          i, n, stops;
    fo_owned_t       *o;
    fo_cluster_t     *cl;

    n = 0;
    stops = 0;

    if (fo_hub_leaving(hub)) {
        fo_owner_leave(hub, 0);
    }

    for (i = 0; i < FO_SOURCES; i++) {
        o = hub->owned[i];

        if (o == NULL) {
            fo_owner_look_again(hub, i);
            n += (hub->owned[i] != NULL);
            continue;
        }

        n++;

        if (o->linger == 0 || o->linger > now || stops == FO_OWNER_STOPS) {
            (void) fo_owned_settle(o);
            continue;
        }

        stops++;

        fo_hub_lock(hub);

        /* demand is checked again under the lock; what comes after is
           another tenant of the row */

        gone = fo_source_free_locked(hub->z, i);

        fo_hub_unlock(hub);

        if (gone) {
            cl = &hub->clusters[o->cluster];
            cl->ops->stop(cl->ctx, o);
            fo_owned_drop(o);
        }
    }

    if (stops == FO_OWNER_STOPS) {

        /* the others soon: stopping takes librdkafka its time */

        hub->second = now;
        hub->hurry = 1;
    }

    if (n == 0 && atomic_load(&hub->me->ring) != FO_NONE) {
        fo_owner_release_ring(hub);
    }
}


/* one that couldn't be claimed, or that nobody could own */

static void
fo_owner_look_again(fo_hub_t *hub, unsigned row)
{
    fo_source_row_t  *r;

    r = &hub->z->sources[row];

    if (!atomic_load_explicit(&r->used, memory_order_relaxed)) {
        return;
    }

    if (atomic_load(&r->owner) == FO_NOBODY) {

        fo_hub_lock(hub);

        if (atomic_load(&r->used) && atomic_load(&r->owner) == FO_NOBODY) {
            fo_source_pass_locked(hub->z, row, &hub->wake);
            fo_hub_post(hub);
        }

        fo_hub_unlock(hub);
    }

    fo_owner_look_source(hub, row);
}


/* the hub goes away: rows stay, for the sweep */

void
fo_owner_done(fo_hub_t *hub)
{
    unsigned       i;
    fo_owned_t    *o;
    fo_cluster_t  *cl;

    for (i = 0; i < FO_SOURCES; i++) {
        o = hub->owned[i];

        if (o) {
            cl = &hub->clusters[o->cluster];
            cl->ops->stop(cl->ctx, o);
            fo_owned_drop(o);
        }
    }
}
