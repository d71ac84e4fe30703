
/*
 * The hub's life and its turns.
 */


#include "hub/fo_hub_int.h"


#define FO_TICK_WAITING  100       /* ms: deadlines are pending */
#define FO_TICK_BLOCKED  2         /* ms: the own ring is full, or a sweep */
#define FO_TICK_IDLE     1000      /* ms */

#define FO_FINISH_ROUNDS  4
#define FO_SWEEP_PIECES   8        /* in one tick */


static void fo_hub_wake_all(fo_hub_t *hub);
static void fo_hub_marks(fo_hub_t *hub);
static void fo_hub_words(fo_hub_t *hub, _Atomic uint64_t *words, unsigned n,
    void (*look)(fo_hub_t *hub, unsigned row));
static void fo_hub_look_topic(fo_hub_t *hub, unsigned row);
static void fo_hub_stalled(fo_hub_t *hub, uint64_t now);
static void fo_hub_sweep(fo_hub_t *hub);
static int fo_hub_sweep_slot(fo_hub_t *hub, unsigned slot,
    unsigned generation);


fo_hub_t *
fo_hub_create(const fo_alloc_t *a, const fo_hub_env_t *env, fo_zone_t *z,
    unsigned slot)
{
    unsigned   i;
    fo_hub_t  *hub;

    hub = fo_alloc(a, sizeof(fo_hub_t));
    if (hub == NULL) {
        return NULL;
    }

    memset(hub, 0, sizeof(fo_hub_t));

    hub->alloc = a;
    hub->env = *env;
    hub->z = z;
    hub->slot = slot;
    hub->me = &z->slots[slot];
    hub->stats = &hub->me->stats;
    hub->stall = 1000000;

    if (fo_index_init(&hub->names, a, fo_topic_hashed, NULL) != FO_OK) {
        fo_free(a, hub);
        return NULL;
    }

    if (fo_index_init(&hub->filters, a, fo_entry_hashed, hub) != FO_OK) {
        fo_index_done(&hub->names);
        fo_free(a, hub);
        return NULL;
    }

    fo_chunks_init(&hub->chunks, a);

    fo_queue_init(&hub->ready);
    fo_queue_init(&hub->joined);
    fo_queue_init(&hub->noted);
    fo_queue_init(&hub->waiting);
    fo_queue_init(&hub->ended);
    fo_queue_init(&hub->moved);

    for (i = 0; i < z->head->nrings; i++) {
        fo_ring_read_open(&hub->readers[i], fo_zone_ring(z, i), slot);
    }

    return hub;
}


/* all sessions are closed */

void
fo_hub_destroy(fo_hub_t *hub)
{
    fo_owner_done(hub);

    fo_chunks_trim(&hub->chunks, 0);
    fo_index_done(&hub->names);
    fo_index_done(&hub->filters);

    if (hub->writer) {
        fo_free(hub->alloc, hub->writer);
    }

    if (hub->copy) {
        fo_free(hub->alloc, hub->copy);
    }

    fo_free(hub->alloc, hub);
}


int
fo_hub_source(fo_hub_t *hub, uint64_t id, const fo_source_ops_t *ops,
    void *ctx, unsigned linger_ms)
{
    fo_cluster_t  *cl;

    if (hub->nclusters == FO_CLUSTERS) {
        return FO_ERROR;
    }

    cl = &hub->clusters[hub->nclusters];

    cl->id = id;
    cl->ops = ops;
    cl->ctx = ctx;
    cl->linger = (uint64_t) linger_ms * 1000;

    return (int) hub->nclusters++;
}


fo_stats_t *
fo_hub_stats(fo_hub_t *hub)
{
    return hub->stats;
}


void
fo_hub_stall(fo_hub_t *hub, unsigned ms)
{
    hub->stall = (uint64_t) ms * 1000;
}


void
fo_hub_join(fo_hub_t *hub, unsigned ms)
{
    hub->join = ms * 1000;
}


void
fo_hub_post(fo_hub_t *hub)
{
    if (!hub->posted && !hub->finishing) {
        hub->posted = 1;
        hub->env.post(hub->env.ctx);
    }
}


void
fo_hub_leave(fo_hub_t *hub)
{
    fo_hub_lock(hub);

    if (atomic_load(&hub->me->state) == FO_SLOT_LIVE) {
        atomic_store(&hub->me->state, FO_SLOT_EXITING);
    }

    fo_hub_unlock(hub);

    fo_describe_leave(hub, 0);
    fo_owner_leave(hub, 0);
}


/*
 * Dead is the last word: from then on others sweep the slot, and it may have
 * another tenant at once.
 */

void
fo_hub_exit(fo_hub_t *hub)
{
    unsigned  i;

    fo_hub_lock(hub);

    /* nobody names this worker as an owner any more */

    for (i = 0; i < FO_CLUSTERS; i++) {
        hub->me->clusters[i].id = 0;
    }

    fo_hub_unlock(hub);

    fo_describe_leave(hub, 1);
    fo_owner_leave(hub, 1);

    fo_hub_lock(hub);
    atomic_store(&hub->me->state, FO_SLOT_DEAD);
    fo_hub_unlock(hub);

    fo_hub_wake_all(hub);
    fo_hub_publish(hub);
}


static void
fo_hub_wake_all(fo_hub_t *hub)
{
    unsigned  i;

    for (i = 0; i < FO_SLOTS; i++) {
        if (atomic_load(&hub->z->slots[i].state) != FO_SLOT_FREE) {
            fo_mask_set(&hub->wake, i);
        }
    }
}


/* what other workers, or this one, marked as to be looked at */

static void
fo_hub_marks(fo_hub_t *hub)
{
    unsigned  i;

    for (i = 0; i < FO_FINISH_ROUNDS; i++) {

        if (atomic_load_explicit(&hub->me->dirty, memory_order_relaxed) == 0)
        {
            return;
        }

        (void) atomic_exchange(&hub->me->dirty, 0);

        fo_hub_words(hub, hub->me->topics, FO_TOPICS / 64,
                     fo_hub_look_topic);
        fo_hub_words(hub, hub->me->sources, FO_SOURCES / 64,
                     fo_owner_look_source);
    }
}


static void
fo_hub_words(fo_hub_t *hub, _Atomic uint64_t *words, unsigned n,
    void (*look)(fo_hub_t *hub, unsigned row))
{
    unsigned  i;
    uint64_t  bits;

    for (i = 0; i < n; i++) {

        if (atomic_load_explicit(&words[i], memory_order_relaxed) == 0) {
            continue;
        }

        bits = atomic_exchange(&words[i], 0);

        while (bits) {
            look(hub, i * 64 + (unsigned) __builtin_ctzll(bits));
            bits &= bits - 1;
        }
    }
}


static void
fo_hub_look_topic(fo_hub_t *hub, unsigned row)
{
    fo_describe_look(hub, row);
    fo_topic_look(hub, row);
}


int
fo_hub_turn(fo_hub_t *hub)
{
    fo_hub_marks(hub);

    return fo_reader_turn(hub);
}


/*
 * The end of a turn: ring first, then offsets, so that who takes over after
 * a crash between the two sends some records twice rather than never; then
 * wakes, what is to be told, and the flush.
 */

int
fo_hub_finish(fo_hub_t *hub)
{
    int            more;
    unsigned       i;
    fo_session_t  *s;

    hub->finishing = 1;

    for (i = 0; i < FO_FINISH_ROUNDS; i++) {
        fo_hub_marks(hub);
        fo_flush_feeds(hub);
        fo_sub_tell(hub);

        if (fo_queue_empty(&hub->noted)
            && atomic_load_explicit(&hub->me->dirty, memory_order_relaxed)
               == 0)
        {
            break;
        }
    }

    fo_hub_publish(hub);

    more = fo_flush(hub);

    while (!fo_queue_empty(&hub->ended)) {
        s = fo_data(hub->ended.next, fo_session_t, queue);
        fo_queue_remove(&s->queue);
        s->ops->ended(s, s->broken);
    }

    fo_stat_set(hub->stats, FO_STAT_CHUNKS, hub->chunks.chunks);
    fo_stat_set(hub->stats, FO_STAT_CHUNK_BYTES, hub->chunks.bytes);

    /* what came up meanwhile */

    if (!fo_queue_empty(&hub->noted) || !fo_queue_empty(&hub->moved)
        || fo_feed_first(&hub->chunks) || !fo_queue_empty(&hub->ready)
        || fo_joined_due(hub) == 0
        || !fo_mask_empty(&hub->wake)
        || atomic_load_explicit(&hub->me->dirty, memory_order_relaxed))
    {
        more = 1;
    }

    hub->finishing = 0;
    hub->posted = more;

    return more;
}


void
fo_hub_publish(fo_hub_t *hub)
{
    unsigned   slot;
    fo_mask_t  touched;

    if (hub->writer) {
        fo_ring_publish(hub->writer, &touched);

        while ((slot = fo_mask_pop(&touched)) != FO_SLOTS) {
            fo_mask_set(&hub->wake, slot);
        }
    }

    fo_owner_store(hub);

    if (fo_mask_empty(&hub->wake)) {
        return;
    }

    /* what was published must be seen by who is about to sleep */

    atomic_thread_fence(memory_order_seq_cst);

    while ((slot = fo_mask_pop(&hub->wake)) != FO_SLOTS) {
        if (slot != hub->slot) {
            hub->env.wake(hub->env.ctx, slot);
        }
    }
}


int
fo_hub_waiting(fo_hub_t *hub)
{
    unsigned  i;

    if (atomic_load(&hub->me->dirty)) {
        return 1;
    }

    for (i = 0; i < hub->z->head->nrings; i++) {
        if (fo_ring_pending(&hub->readers[i])) {
            return 1;
        }
    }

    return 0;
}


unsigned
fo_hub_due(fo_hub_t *hub)
{
    unsigned  ms;
    uint64_t  us;

    if (hub->blocked || hub->hurry) {
        return FO_TICK_BLOCKED;
    }

    ms = fo_queue_empty(&hub->waiting) ? FO_TICK_IDLE : FO_TICK_WAITING;
    us = fo_joined_due(hub);

    return us < ms * 1000 ? (unsigned) us / 1000 + 1 : ms;
}


void
fo_hub_tick(fo_hub_t *hub)
{
    uint64_t  now;

    now = fo_hub_now(hub);

    fo_sub_timeouts(hub, now);

    if (fo_joined_due(hub) == 0) {
        fo_hub_post(hub);
    }

    if (hub->blocked) {

        /* in this order: sources may go on only after this has returned */

        fo_hub_stalled(hub, now);
        fo_owner_unblock(hub);
    }

    if (hub->hurry || now >= hub->second) {
        hub->hurry = 0;
        fo_hub_sweep(hub);
    }

    if (now >= hub->second) {
        hub->second = now + 1000000;

        fo_owner_tick(hub, now);
        fo_describe_tick(hub, now);
        fo_chunks_trim(&hub->chunks, hub->chunks.kept / 2);
        fo_hub_post(hub);
    }
}


/*
 * Whoever holds the full ring for too long no longer limits it.  All who
 * stand still are waited for at the same time, not one after the other.
 */

static void
fo_hub_stalled(fo_hub_t *hub, uint64_t now)
{
    unsigned  slot;
    uint64_t  cursor;

    if (hub->writer == NULL) {
        return;
    }

    /* a cursor that is still where it was has not moved in between: who is
       owed something moves it by reading */

    for (slot = 0; slot < FO_SLOTS; slot++) {

        if (fo_ring_owed(hub->writer, slot, &cursor)
            && (hub->since[slot] == 0 || hub->stuck[slot] != cursor))
        {
            hub->since[slot] = now;
            hub->stuck[slot] = cursor;
        }
    }

    slot = fo_ring_slowest(hub->writer, &cursor);

    if (slot != FO_SLOTS && hub->stuck[slot] == cursor
        && now - hub->since[slot] >= hub->stall
        && fo_ring_lapse(hub->writer, slot, cursor))
    {
        hub->since[slot] = 0;
        hub->env.log(hub->env.ctx, 0, "a worker that does not read its ring "
                     "was passed over", NULL);
    }
}


/* some pieces of the sweep of each slot whose process is gone */

static void
fo_hub_sweep(fo_hub_t *hub)
{
    unsigned    i, n, state, generation;
    fo_slot_t  *s;

    for (i = 0; i < FO_SLOTS; i++) {
        s = &hub->z->slots[i];

        generation = atomic_load(&s->generation);
        state = atomic_load(&s->state);

        if (state == FO_SLOT_FREE || i == hub->slot) {
            continue;
        }

        if (state == FO_SLOT_DEAD || state == FO_SLOT_SWEEPING
            || !hub->env.alive(hub->env.ctx, atomic_load(&s->pid)))
        {
            n = 0;

            while (fo_hub_sweep_slot(hub, i, generation) == FO_AGAIN) {

                if (++n == FO_SWEEP_PIECES) {
                    hub->hurry = 1;
                    break;
                }
            }

            fo_hub_post(hub);
        }
    }
}


static int
fo_hub_sweep_slot(fo_hub_t *hub, unsigned slot, unsigned generation)
{
    int         rc;
    fo_slot_t  *s;

    s = &hub->z->slots[slot];
    rc = FO_OK;

    fo_hub_lock(hub);

    /* others sweep, too, and then it may have a new tenant */

    if (atomic_load(&s->state) != FO_SLOT_FREE
        && atomic_load(&s->generation) == generation)
    {
        rc = fo_slot_sweep_locked(hub->z, slot, &hub->wake);
    }

    fo_hub_unlock(hub);

    return rc;
}
