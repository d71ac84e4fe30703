
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
static void fo_topic_unprune(fo_queue_t *list);
static fo_src_t *fo_src_find(fo_hub_t *hub, unsigned row,
    unsigned generation);
static int fo_src_counted(const fo_src_t *src, const fo_entry_t *entry);
static void fo_src_gap(fo_src_t *src);
static void fo_src_forget(fo_src_t *src);


fo_topic_t *
fo_topic_get(fo_hub_t *hub, unsigned cluster, const fo_str_t *name)
{
    uint64_t     hash;
    fo_link_t   *link;
    fo_topic_t  *topic;

    hash = fo_topic_hash(hub->z, hub->clusters[cluster].id, name);

    for (link = fo_index_find(&hub->names, hash);
         link;
         link = fo_index_next(link))
    {
        topic = fo_data(link, fo_topic_t, link);

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
        fo_free(hub->alloc, topic);
        return NULL;
    }

    topic->link.hash = hash;
    fo_index_insert(&hub->names, &topic->link);
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
    fo_index_remove(&hub->names, &topic->link);

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
            error = fo_entry_begin(entry);

        } else if (entry->partition < 0) {

            error = fo_entry_grow(entry);

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
    fo_topic_unprune(&topic->entries);
    fo_topic_unprune(&topic->waiting);
}


static void
fo_topic_unprune(fo_queue_t *list)
{
    fo_queue_t  *q, *next;
    fo_entry_t  *entry;
    fo_error_e   error;

    for (q = list->next; q != list; q = next) {
        next = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);

        if (entry->state == FO_ENTRY_NEW || entry->partition < 0) {
            continue;
        }

        error = fo_entry_unprune(entry);

        if (error != FO_ERR_NONE) {
            fo_entry_fail(entry, error);
            continue;
        }

        fo_entry_gap(entry);
    }
}


static fo_src_t *
fo_src_find(fo_hub_t *hub, unsigned row, unsigned generation)
{
    fo_src_t  *src;

    src = (row < FO_SOURCES) ? hub->sources[row] : NULL;

    return (src && src->generation == generation) ? src : NULL;
}


void
fo_src_base(fo_hub_t *hub, unsigned row, unsigned generation, unsigned ring,
    uint64_t seq, int64_t next)
{
    uint64_t     old;
    fo_src_t    *src;
    fo_queue_t  *q, *after;
    fo_entry_t  *entry;

    src = fo_src_find(hub, row, generation);

    if (src == NULL || seq <= src->base_seq) {
        return;
    }

    if (src->grown) {
        src->grown = 0;

        if (next > 0) {

            /* others were earlier: who is served has missed its beginning */

            fo_src_gap(src);
        }
    }

    src->ring = ring;
    old = src->base_seq;
    src->base_seq = seq;
    src->next = fo_max(src->next, next);

    fo_stat_add(hub->stats, FO_STAT_BASES, 1);

    for (q = src->topic->waiting.next; q != &src->topic->waiting; q = after)
    {
        after = q->next;
        entry = fo_data(q, fo_entry_t, in_topic);

        if (entry->state == FO_ENTRY_PENDING && old < entry->seq
            && entry->seq <= seq && fo_entry_uses(entry, src)
            && --entry->waiting == 0)
        {
            fo_entry_live(entry);
        }
    }
}


void
fo_src_reset(fo_hub_t *hub, unsigned row, unsigned generation, int64_t next)
{
    fo_src_t  *src;

    src = fo_src_find(hub, row, generation);

    if (src) {
        src->next = next;
        fo_src_gap(src);
    }
}


/* does an entry that waits for bases have this one's already? */

static int
fo_src_counted(const fo_src_t *src, const fo_entry_t *entry)
{
    return entry->state == FO_ENTRY_PENDING && fo_entry_uses(entry, src)
           && entry->seq <= src->base_seq;
}


/*
 * Who listens to this partition has missed something; also who waits for
 * bases of others, and has this one's records since its base.
 */

static void
fo_src_gap(fo_src_t *src)
{
    fo_queue_t  *q;
    fo_entry_t  *entry;

    for (q = src->topic->entries.next; q != &src->topic->entries;
         q = q->next)
    {
        entry = fo_data(q, fo_entry_t, in_topic);

        if (fo_entry_uses(entry, src)) {
            fo_entry_gap(entry);
        }
    }

    for (q = src->topic->waiting.next; q != &src->topic->waiting;
         q = q->next)
    {
        entry = fo_data(q, fo_entry_t, in_topic);

        if (fo_src_counted(src, entry)) {
            fo_entry_gap(entry);
        }
    }
}


/*
 * Forgets the base; who waits for bases waits for this one again.  Offsets
 * that were seen are forgotten, too: a reset may be among what is lost.
 */

static void
fo_src_forget(fo_src_t *src)
{
    fo_queue_t  *q;
    fo_entry_t  *entry;

    for (q = src->topic->waiting.next; q != &src->topic->waiting;
         q = q->next)
    {
        entry = fo_data(q, fo_entry_t, in_topic);

        if (fo_src_counted(src, entry)) {
            entry->waiting++;
        }
    }

    src->base_seq = 0;
    src->next = 0;
}


/*
 * This worker was too slow for a ring: what came by it begins anew at the
 * next base, and in between is a gap.  Bases that are awaited may be lost
 * with it, so they are asked for again.
 */

void
fo_src_lapsed(fo_hub_t *hub, unsigned ring)
{
    unsigned   i;
    fo_src_t  *src;

    for (i = 0; i < FO_SOURCES; i++) {
        src = hub->sources[i];

        if (src && src->ring == ring) {
            fo_src_gap(src);
            fo_src_forget(src);
        }
    }

    fo_hub_lock(hub);

    atomic_fetch_add_explicit(&hub->me->seq, 1, memory_order_release);

    for (i = 0; i < FO_SOURCES; i++) {
        src = hub->sources[i];

        if (src && src->base_seq == 0) {
            fo_source_ask_locked(hub->z, i, hub->slot, &hub->wake);
        }
    }

    fo_hub_unlock(hub);

    fo_stat_add(hub->stats, FO_STAT_LAPSES, 1);
    fo_hub_post(hub);
}
