
/*
 * Topics that this worker holds, and their partitions as it reads them.
 */


#include "hub/fo_hub_int.h"


static fo_topic_t *fo_topic_create(fo_hub_t *hub, unsigned cluster,
    const fo_str_t *name, uint64_t hash);
static void fo_topic_known(fo_topic_t *topic, uint32_t partitions);
static void fo_topic_grow(fo_topic_t *topic, fo_queue_t *list);
static void fo_topic_failed(fo_topic_t *topic, fo_error_e error);
static void fo_topic_fail(fo_queue_t *list, fo_error_e error);
static void fo_topic_unpruned(fo_topic_t *topic);
static void fo_topic_unprune(fo_hub_t *hub, fo_queue_t *list);
static fo_src_t *fo_src_find(fo_hub_t *hub, const fo_origin_t *from);
static void fo_src_rebased(fo_src_t *src, const fo_origin_t *from,
    int64_t next);
static void fo_src_go_on(fo_src_t *src, const fo_origin_t *from,
    int64_t next, int lost);
static int fo_src_counted(const fo_src_t *src, const fo_entry_t *entry);
static void fo_src_gap(fo_src_t *src, int64_t to);
static void fo_src_forget(fo_src_t *src, uint64_t floor);


uint64_t
fo_topic_hashed(void *ctx, const void *topic)
{
    return ((const fo_topic_t *) topic)->hash;
}


fo_topic_t *
fo_topic_get(fo_hub_t *hub, unsigned cluster, const fo_str_t *name)
{
    uint64_t        hash;
    fo_topic_t     *topic;
    fo_index_at_t   at;

    hash = fo_topic_hash(hub->z, hub->clusters[cluster].id, name);

    for (topic = fo_index_find(&hub->names, hash, &at);
         topic;
         topic = fo_index_next(&at))
    {
        if (topic->cluster == cluster && topic->name.len == name->len
            && memcmp(topic->name.data, name->data, name->len) == 0)
        {
            return topic;
        }
    }

    return fo_topic_create(hub, cluster, name, hash);
}


static fo_topic_t *
fo_topic_create(fo_hub_t *hub, unsigned cluster, const fo_str_t *name,
    uint64_t hash)
{
    uint64_t         now;
    fo_topic_t      *topic;
    fo_topic_row_t  *t;

    topic = fo_alloc(hub->alloc, sizeof(fo_topic_t) + name->len);
    if (topic == NULL) {
        return NULL;
    }

    memset(topic, 0, sizeof(fo_topic_t));

    topic->hub = hub;
    topic->cluster = cluster;
    topic->cluster_id = hub->clusters[cluster].id;
    topic->name.len = name->len;
    topic->name.data = (u_char *) topic + sizeof(fo_topic_t);
    memcpy(topic->name.data, name->data, name->len);
    fo_queue_init(&topic->waiting);
    fo_queue_init(&topic->entries);

    topic->hash = hash;

    if (fo_index_insert(&hub->names, hash, topic) != FO_OK) {
        fo_free(hub->alloc, topic);
        return NULL;
    }

    now = fo_hub_now(hub) / 1000;

    fo_hub_lock(hub);

    topic->row = fo_topic_hold_locked(hub->z, topic->cluster_id, name,
                                      hub->slot, &hub->wake);

    if (topic->row != FO_NONE) {
        t = &hub->z->topics[topic->row];

        if (t->state == FO_TOPIC_FAILED
            && now - t->checked > FO_TOPIC_NEGATIVE)
        {
            fo_topic_ask_again_locked(hub->z, topic->row, &hub->wake);
        }
    }

    fo_hub_unlock(hub);

    if (topic->row == FO_NONE) {
        fo_index_remove(&hub->names, hash, topic);
        fo_free(hub->alloc, topic);
        return NULL;
    }

    hub->topics[topic->row] = topic;

    fo_hub_post(hub);

    return topic;
}


void
fo_topic_hold(fo_topic_t *topic)
{
    topic->held++;
}


void
fo_topic_release(fo_topic_t *topic)
{
    fo_hub_t  *hub;

    if (--topic->held
        || !fo_queue_empty(&topic->entries)
        || !fo_queue_empty(&topic->waiting))
    {
        return;
    }

    hub = topic->hub;

    fo_hub_lock(hub);
    fo_topic_leave_locked(hub->z, topic->row, hub->slot, &hub->wake);
    fo_hub_unlock(hub);

    hub->topics[topic->row] = NULL;
    fo_index_remove(&hub->names, topic->hash, topic);

    if (topic->sources) {
        fo_free(hub->alloc, topic->sources);
    }

    fo_free(hub->alloc, topic);
    fo_hub_post(hub);
}


void
fo_topic_look(fo_hub_t *hub, unsigned row)
{
    uint32_t         state, error, partitions, any;
    fo_topic_t      *topic;
    fo_topic_row_t  *t;

    topic = hub->topics[row];
    if (topic == NULL) {
        return;
    }

    t = &hub->z->topics[row];

    fo_hub_lock(hub);
    state = t->state;
    error = t->error;
    partitions = t->partitions;
    any = t->any;
    fo_hub_unlock(hub);

    fo_topic_hold(topic);

    if (any && !topic->any) {
        topic->any = 1;
        fo_topic_unpruned(topic);
    }

    if (state == FO_TOPIC_KNOWN && partitions > topic->partitions) {
        fo_topic_known(topic, partitions);

    } else if (state == FO_TOPIC_FAILED) {
        fo_topic_failed(topic, (fo_error_e) error);
    }

    fo_topic_release(topic);
}


/* the number of partitions is known for the first time, or has grown */

static void
fo_topic_known(fo_topic_t *topic, uint32_t partitions)
{
    uint32_t      old;
    fo_hub_t     *hub;
    fo_src_t    **sources;

    hub = topic->hub;
    old = topic->partitions;

    sources = fo_alloc(hub->alloc, partitions * sizeof(fo_src_t *));
    if (sources == NULL) {

        /* who is served would not get what is in the new ones */

        fo_topic_fail(&topic->entries, FO_ERR_NO_MEMORY);
        fo_topic_fail(&topic->waiting, FO_ERR_NO_MEMORY);
        return;
    }

    memset(sources, 0, partitions * sizeof(fo_src_t *));

    if (old) {
        memcpy(sources, topic->sources, old * sizeof(fo_src_t *));
        fo_free(hub->alloc, topic->sources);
    }

    topic->sources = sources;
    topic->partitions = partitions;
    topic->known = 1;

    fo_topic_grow(topic, &topic->entries);
    fo_topic_grow(topic, &topic->waiting);

    if (old && topic->any) {
        fo_topic_unpruned(topic);
    }
}


/* entries of one list get the new partitions */

static void
fo_topic_grow(fo_topic_t *topic, fo_queue_t *list)
{
    fo_queue_t  *q, *next;
    fo_entry_t  *entry;
    fo_error_e   error;

    for (q = list->next; q != list; q = next) {
        next = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);
        error = FO_ERR_NONE;

        if (entry->state == FO_ENTRY_NEW) {
            error = fo_entry_begin(topic->hub, entry);

        } else if (!entry->pruned) {

            error = fo_entry_grow(topic->hub, entry);

        } else {

            /* more partitions: keys move, the declared place is void */

            topic->any = 1;
        }

        if (error != FO_ERR_NONE) {
            fo_entry_fail(entry, error);
        }
    }
}


/* who waits for the topic is told; who is served already stays */

static void
fo_topic_failed(fo_topic_t *topic, fo_error_e error)
{
    fo_queue_t  *q, *next;
    fo_entry_t  *entry;

    for (q = topic->waiting.next; q != &topic->waiting; q = next) {
        next = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);

        if (entry->state == FO_ENTRY_NEW) {
            fo_entry_fail(entry, error);
        }
    }
}


static void
fo_topic_fail(fo_queue_t *list, fo_error_e error)
{
    fo_queue_t  *q, *next;

    for (q = list->next; q != list; q = next) {
        next = q->next;
        fo_entry_fail(fo_data(q, fo_entry_t, in_topic), error);
    }
}


/* keys may be in any partition from now on: reads them all */

static void
fo_topic_unpruned(fo_topic_t *topic)
{
    fo_topic_unprune(topic->hub, &topic->entries);
    fo_topic_unprune(topic->hub, &topic->waiting);
}


static void
fo_topic_unprune(fo_hub_t *hub, fo_queue_t *list)
{
    fo_queue_t  *q, *next;
    fo_event_t   ev;
    fo_entry_t  *entry;
    fo_error_e   error;

    memset(&ev, 0, sizeof(fo_event_t));
    ev.type = FO_EVENT_GAP;

    for (q = list->next; q != list; q = next) {
        next = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);

        if (entry->state == FO_ENTRY_NEW || !entry->pruned) {
            continue;
        }

        error = fo_entry_unprune(hub, entry);

        if (error != FO_ERR_NONE) {
            fo_entry_fail(entry, error);
            continue;
        }

        fo_entry_gap(hub, entry, &ev);
    }
}


/*
 * How a source is heard while its owners come and go.
 *
 * At any time one ring is the way by which a source comes, src->ring; what
 * is left of it in others is old.  A new owner's first entry is a takeover,
 * addressed to all who demand the source, with the tails that all rings had
 * when it began: whoever reads it reads the other rings up to there, and
 * from then on hears the source by the new ring.
 *
 * 1. The owner dies after it published 5 and 6 and before it stored
 *    next_offset, which is 5.  The new one reads 5 and 6 again.  Who has seen
 *    them drops them by their offset, who has not takes them here.
 * 2. A reader is slow: 3 and 4 are in the old ring, 5 in the new one.  Had
 *    it read 5 first, 3 and 4 would be dropped as seen.  So: the tails.
 * 3. The new owner dies, too, before all have its takeover; the third one's
 *    names the tails of all rings, whoever wrote there: nothing depends on
 *    takeovers that were never seen.
 * 4. No two readers wait for each other, and no circle is among takeovers:
 *    each waits for entries that are older than itself.
 * 5. Reading begins anew at a lower offset, and the owner dies before anybody
 *    has its reset: what comes looks like 1.  So: the row counts resets, and
 *    bases, which a new owner sends to all, tell the count.
 * 6. A base or takeover of a dead owner becomes visible late, with the next
 *    entry of whoever has its ring now, and after the new owner's.  Were it
 *    believed, the new owner would not be heard.  So: bases and takeovers
 *    tell the tenure, and older ones are refused.
 * 7. A reader lapses in the ring that holds a takeover.  It can't know; but
 *    the row tells a tenure that it hasn't heard of, so it asks for a base.
 *    Bases have a seq: those that it asked for before the lapse (floor) are
 *    refused, also by rings that it still has to read.
 */

static fo_src_t *
fo_src_find(fo_hub_t *hub, const fo_origin_t *from)
{
    fo_src_t  *src;

    src = (from->row < FO_SOURCES) ? hub->sources[from->row] : NULL;

    return (src && src->generation == from->generation) ? src : NULL;
}


fo_src_t *
fo_src_heard(fo_hub_t *hub, const fo_origin_t *from)
{
    fo_src_t  *src;

    src = fo_src_find(hub, from);

    return (src && src->base_seq && src->ring == from->ring) ? src : NULL;
}


void
fo_src_takeover(fo_hub_t *hub, const fo_origin_t *from)
{
    fo_src_t  *src;

    src = fo_src_find(hub, from);

    if (src && from->tenure >= src->tenure) {
        src->tenure = from->tenure;

        if (src->base_seq) {
            src->ring = from->ring;
        }
    }
}


void
fo_src_base(fo_hub_t *hub, const fo_origin_t *from, uint64_t seq,
    int64_t next)
{
    uint64_t     old;
    fo_src_t    *src;
    fo_queue_t  *q, *after;
    fo_entry_t  *entry;

    src = fo_src_find(hub, from);

    if (src == NULL || seq < src->floor || from->tenure < src->tenure
        || (src->base_seq && src->ring != from->ring))
    {
        return;
    }

    fo_src_rebased(src, from, next);

    if (seq <= src->base_seq) {
        return;
    }

    old = src->base_seq;
    src->base_seq = seq;

    fo_stat_add(hub->stats, FO_STAT_BASES, 1);

    for (q = src->topic->waiting.next; q != &src->topic->waiting; q = after)
    {
        after = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);

        if (entry->state == FO_ENTRY_PENDING && old < entry->seq
            && entry->seq <= seq && fo_entry_uses(entry, src)
            && --entry->waiting == 0)
        {
            fo_entry_live(hub, entry);
        }
    }
}


/* the first base, the first one after a lapse, or a further one */

static void
fo_src_rebased(fo_src_t *src, const fo_origin_t *from, int64_t next)
{
    if (src->base_seq == 0 && !src->lapsed) {
        src->resets = from->resets;
    }

    /* grown: others were earlier, who is served has missed its start */

    fo_src_go_on(src, from, next, src->lapsed || src->grown);

    src->lapsed = 0;
    src->grown = 0;

    src->ring = from->ring;
    src->tenure = from->tenure;
    src->next = fo_max(src->next, next);
}


void
fo_src_reset(fo_hub_t *hub, const fo_origin_t *from, int64_t next)
{
    fo_src_t  *src;

    src = fo_src_heard(hub, from);

    if (src) {
        fo_src_go_on(src, from, next, 1);
    }
}


/*
 * If what is in between is lost, or has been reset and nobody has told, there
 * is a gap.
 */

static void
fo_src_go_on(fo_src_t *src, const fo_origin_t *from, int64_t next, int lost)
{
    if (fo_reset_went_back(src->resets, from->resets)
        || ((lost || src->resets != from->resets) && next > src->next))
    {
        fo_src_gap(src, next);
        src->next = next;
    }

    src->resets = from->resets;
}


/* has an entry that waits for bases had this one's? */

static int
fo_src_counted(const fo_src_t *src, const fo_entry_t *entry)
{
    return entry->state == FO_ENTRY_PENDING && fo_entry_uses(entry, src)
           && entry->seq <= (src->lapsed ? src->floor - 1 : src->base_seq);
}


/*
 * Who listens to this partition has missed what is from src->next up to
 * "to"; also who waits for bases of others, and has this one's records since
 * its base.
 */

static void
fo_src_gap(fo_src_t *src, int64_t to)
{
    fo_hub_t    *hub;
    fo_event_t   ev;
    fo_queue_t  *q;
    fo_entry_t  *entry;

    hub = src->topic->hub;
    memset(&ev, 0, sizeof(fo_event_t));

    ev.type = FO_EVENT_GAP;
    ev.ranged = 1;
    ev.partition = src->partition;
    ev.from = src->next;
    ev.to = to;

    for (q = src->topic->entries.next; q != &src->topic->entries;
         q = q->next)
    {
        entry = fo_data(q, fo_entry_t, in_topic);

        if (fo_entry_uses(entry, src)) {
            fo_entry_gap(hub, entry, &ev);
        }
    }

    for (q = src->topic->waiting.next; q != &src->topic->waiting;
         q = q->next)
    {
        entry = fo_data(q, fo_entry_t, in_topic);

        if (fo_src_counted(src, entry)) {
            fo_entry_gap(hub, entry, &ev);
        }
    }

    hub->env.gap(hub->env.ctx, &src->topic->name, src->partition, ev.from,
                 to);
}


/*
 * Forgets the base: whoever waits for bases waits for this one again, and
 * what comes is not taken until then.
 */

static void
fo_src_forget(fo_src_t *src, uint64_t floor)
{
    fo_queue_t  *q;
    fo_entry_t  *entry;

    if (src->base_seq) {

        for (q = src->topic->waiting.next; q != &src->topic->waiting;
             q = q->next)
        {
            entry = fo_data(q, fo_entry_t, in_topic);

            if (fo_src_counted(src, entry)) {
                entry->waiting++;
            }
        }

        src->lapsed = 1;
        src->base_seq = 0;
    }

    src->floor = floor;
}


/*
 * This worker was too slow for a ring.  What came by it, or may have come by
 * it since the last word of its owner, begins anew at the next base, and in
 * between is a gap.  Bases that are awaited may be lost with it, so they are
 * asked for again.
 */

void
fo_src_lapsed(fo_hub_t *hub, unsigned ring)
{
    unsigned          i;
    uint64_t          seq;
    fo_src_t         *src;
    fo_source_row_t  *r;

    fo_hub_lock(hub);
    seq = 1 + atomic_fetch_add_explicit(&hub->me->seq, 1,
                                        memory_order_release);
    fo_hub_unlock(hub);

    for (i = 0; i < FO_SOURCES; i++) {
        src = hub->sources[i];
        r = &hub->z->sources[i];

        if (src && (src->base_seq == 0 || src->ring == ring
                    || src->tenure != atomic_load(&r->tenure)))
        {
            fo_src_forget(src, seq);
        }
    }

    fo_hub_lock(hub);

    for (i = 0; i < FO_SOURCES; i++) {
        if (hub->sources[i] && hub->sources[i]->base_seq == 0) {
            fo_source_ask_locked(hub->z, i, hub->slot, &hub->wake);
        }
    }

    fo_hub_unlock(hub);

    fo_stat_add(hub->stats, FO_STAT_LAPSES, 1);
    fo_hub_post(hub);
}
