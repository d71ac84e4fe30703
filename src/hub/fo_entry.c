
/*
 * Entries of the private index: filters that somebody here subscribes to.
 *
 *     NEW ---- topic known: interest, demand ----> PENDING
 *     PENDING ---- a base from every partition ----> LIVE
 *     LIVE ---- its key may be in more partitions ----> PENDING
 *
 * A record is for an entry if the base of its partition is at least as new
 * as the entry's seq; so records that come between the bases of two
 * partitions are kept for subscribers that are told READY a little later.
 */


#include "hub/fo_hub_int.h"


static uint64_t fo_filter_hash(const fo_topic_t *topic,
    fo_filter_kind_e kind, const u_char *key, size_t len);
static uint64_t fo_entry_hash(const fo_hub_t *hub, const fo_entry_t *entry);
static int fo_entry_shared(fo_hub_t *hub, const fo_entry_t *entry);
static fo_error_e fo_entry_want(fo_hub_t *hub, fo_entry_t *entry);
static void fo_entry_unwant(fo_hub_t *hub, fo_entry_t *entry);
static fo_error_e fo_entry_demand(fo_hub_t *hub, fo_entry_t *entry,
    uint32_t from, uint32_t to, int64_t offset);
static fo_error_e fo_topic_sources(fo_topic_t *topic, uint32_t from,
    uint32_t to);
static void fo_topic_unsource(fo_topic_t *topic, uint32_t from,
    uint32_t to);
static void fo_entry_range(const fo_entry_t *entry, uint32_t *from,
    uint32_t *to);
static void fo_entry_elapsed(fo_hub_t *hub, fo_entry_t *entry);


#define FO_ENTRY_CHAIN            256

#define fo_entry_prefix_len(len)  fo_min(len, FO_PREFIX_MAX)


static uint64_t
fo_filter_hash(const fo_topic_t *topic, fo_filter_kind_e kind,
    const u_char *key, size_t len)
{
    switch (kind) {

    case FO_FILTER_KEY:
        return fo_hash_key(topic->hash, key, len);

    case FO_FILTER_PREFIX:
        return fo_hash_prefix(topic->hash, key,
                              fo_entry_prefix_len(len));

    default:
        return topic->hash;
    }
}


/* it isn't kept: to make it again is cheaper than the memory */

static uint64_t
fo_entry_hash(const fo_hub_t *hub, const fo_entry_t *entry)
{
    return fo_filter_hash(fo_entry_topic(hub, entry),
                          (fo_filter_kind_e) entry->kind, entry->key,
                          entry->key_len);
}


uint64_t
fo_entry_hashed(void *hub, const void *entry)
{
    return fo_entry_hash(hub, entry);
}


/*
 * Finds or makes the entry; NULL: no memory, a key that is too long, or too
 * many prefixes with the same first FO_PREFIX_MAX bytes, which all have one
 * hash.
 */

fo_entry_t *
fo_entry_get(fo_topic_t *topic, const fo_filter_t *f)
{
    uint64_t        hash;
    unsigned        n;
    fo_hub_t       *hub;
    fo_entry_t     *entry;
    fo_index_at_t   at;

    hub = topic->hub;
    hash = fo_filter_hash(topic, f->kind, f->key.data, f->key.len);

    if (f->kind == FO_FILTER_ALL) {
        if (topic->all) {
            return topic->all;
        }

        entry = NULL;

    } else {
        entry = fo_index_find(&hub->filters, hash, &at);
    }

    for (n = 0; entry; entry = fo_index_next(&at)) {

        if (entry->topic == topic->row && entry->kind == f->kind
            && entry->key_len == f->key.len
            && memcmp(entry->key, f->key.data, f->key.len) == 0)
        {
            return entry;
        }

        if (++n == FO_ENTRY_CHAIN) {
            return NULL;
        }
    }

    if (f->key.len > UINT16_MAX) {
        return NULL;
    }

    entry = fo_alloc(hub->alloc, offsetof(fo_entry_t, key) + f->key.len);
    if (entry == NULL) {
        return NULL;
    }

    memset(entry, 0, offsetof(fo_entry_t, key));

    entry->topic = (uint16_t) topic->row;
    entry->kind = f->kind;
    entry->key_len = (uint16_t) f->key.len;
    entry->since = (uint32_t) fo_hub_now(hub);

    if (f->key.len) {
        memcpy(entry->key, f->key.data, f->key.len);
    }

    if (f->kind == FO_FILTER_ALL) {
        topic->all = entry;

    } else if (fo_index_insert(&hub->filters, hash, entry) != FO_OK) {
        fo_free(hub->alloc, entry);
        return NULL;
    }

    fo_queue_append(&topic->waiting, &entry->in_topic);

    if (f->kind == FO_FILTER_PREFIX) {
        topic->prefixes |= (uint64_t) 1 << fo_entry_prefix_len(f->key.len);
        topic->prefix[fo_entry_prefix_len(f->key.len)]++;
    }

    fo_stat_add(hub->stats, FO_STAT_FILTERS, 1);

    return entry;
}


/* its last feed is gone; the topic may go with it */

void
fo_entry_drop(fo_hub_t *hub, fo_entry_t *entry)
{
    size_t       len;
    uint32_t     from, to;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);
    len = fo_entry_prefix_len(entry->key_len);

    if (entry->kind == FO_FILTER_ALL) {
        topic->all = NULL;

    } else {
        fo_index_remove(&hub->filters, fo_entry_hash(hub, entry), entry);
    }

    if (entry->kind == FO_FILTER_PREFIX && --topic->prefix[len] == 0) {
        topic->prefixes &= ~((uint64_t) 1 << len);
    }

    if (entry->demanded) {
        fo_entry_unwant(hub, entry);
        fo_entry_range(entry, &from, &to);
        fo_topic_unsource(topic, from, to);
    }

    fo_queue_remove(&entry->in_topic);

    if (entry->sub.session) {
        entry->gone = 1;

    } else {
        fo_free(hub->alloc, entry);
    }

    fo_stat_add(hub->stats, FO_STAT_FILTERS, -1);

    fo_topic_hold(topic);
    fo_topic_release(topic);
}


/* is there another entry with the same hash in the zone? */

static int
fo_entry_shared(fo_hub_t *hub, const fo_entry_t *entry)
{
    uint64_t        hash;
    fo_entry_t     *other;
    fo_index_at_t   at;

    if (entry->kind == FO_FILTER_ALL) {
        return 0;
    }

    hash = fo_entry_hash(hub, entry);

    for (other = fo_index_find(&hub->filters, hash, &at);
         other;
         other = fo_index_next(&at))
    {
        if (other != entry && other->demanded
            && fo_entry_hash(hub, other) == hash)
        {
            return 1;
        }
    }

    return 0;
}


/* the partitions that an entry reads: [from, to) */

static void
fo_entry_range(const fo_entry_t *entry, uint32_t *from, uint32_t *to)
{
    if (entry->pruned) {
        *from = entry->span;
        *to = entry->span + 1;

    } else {
        *from = 0;
        *to = entry->span;
    }
}


int
fo_entry_uses(const fo_entry_t *entry, const fo_src_t *src)
{
    return entry->demanded
           && (!entry->pruned || entry->span == src->partition);
}


/* the topic is known: tells the zone what this entry wants */

fo_error_e
fo_entry_begin(fo_hub_t *hub, fo_entry_t *entry)
{
    int32_t        partition;
    fo_str_t       key;
    uint32_t       from, to;
    fo_error_e     error;
    fo_topic_t    *topic;
    fo_cluster_t  *cl;

    topic = fo_entry_topic(hub, entry);
    cl = &hub->clusters[topic->cluster];
    partition = -1;

    if (entry->kind == FO_FILTER_KEY && !topic->any) {
        key.len = entry->key_len;
        key.data = entry->key;

        partition = cl->ops->partition(cl->ctx, &topic->name, &key,
                                       topic->partitions);
    }

    entry->pruned = (partition >= 0);
    entry->span = entry->pruned ? (uint32_t) partition : topic->partitions;
    fo_entry_range(entry, &from, &to);

    error = fo_topic_sources(topic, from, to);
    if (error != FO_ERR_NONE) {
        return error;
    }

    error = fo_entry_want(hub, entry);

    if (error == FO_ERR_NONE) {
        error = fo_entry_demand(hub, entry, from, to, FO_OFFSET_END);

        if (error != FO_ERR_NONE) {
            fo_entry_unwant(hub, entry);
        }
    }

    if (error != FO_ERR_NONE) {
        fo_topic_unsource(topic, from, to);
        return error;
    }

    entry->state = FO_ENTRY_PENDING;

    return FO_ERR_NONE;
}


/* the topic has grown; after an error the caller lets the entry fail */

fo_error_e
fo_entry_grow(fo_hub_t *hub, fo_entry_t *entry)
{
    uint32_t     from, to;
    fo_error_e   error;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);

    from = entry->span;
    to = topic->partitions;

    error = fo_topic_sources(topic, from, to);
    if (error != FO_ERR_NONE) {
        return error;
    }

    entry->span = to;

    /* what was written before it was noticed is wanted, too */

    return fo_entry_demand(hub, entry, from, to, FO_OFFSET_BEGIN);
}


/* the key may be anywhere; after an error the caller lets the entry fail */

fo_error_e
fo_entry_unprune(fo_hub_t *hub, fo_entry_t *entry)
{
    uint32_t     p, to;
    fo_error_e   error;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);

    p = entry->span;
    to = topic->partitions;

    error = fo_topic_sources(topic, 0, p);
    if (error != FO_ERR_NONE) {
        return error;
    }

    error = fo_topic_sources(topic, p + 1, to);
    if (error != FO_ERR_NONE) {
        fo_topic_unsource(topic, 0, p);
        return error;
    }

    entry->pruned = 0;
    entry->span = to;

    if (entry->state == FO_ENTRY_LIVE) {

        /* who comes now waits for the bases of all, who is here doesn't */

        entry->state = FO_ENTRY_PENDING;
        entry->since = (uint32_t) fo_hub_now(hub);

        fo_queue_remove(&entry->in_topic);
        fo_queue_append(&topic->waiting, &entry->in_topic);
    }

    error = fo_entry_demand(hub, entry, 0, p, FO_OFFSET_END);

    if (error == FO_ERR_NONE) {
        error = fo_entry_demand(hub, entry, p + 1, to, FO_OFFSET_END);
    }

    if (error == FO_ERR_NONE && entry->waiting == 0) {
        fo_entry_live(hub, entry);
    }

    return error;
}


/* the bit in the interest index */

static fo_error_e
fo_entry_want(fo_hub_t *hub, fo_entry_t *entry)
{
    int          rc;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);

    fo_hub_lock(hub);
    rc = fo_topic_want_locked(hub->z, topic->row, hub->slot,
                              (fo_filter_kind_e) entry->kind,
                              fo_entry_hash(hub, entry),
                              fo_entry_prefix_len(entry->key_len));
    fo_hub_unlock(hub);

    if (rc != FO_OK) {
        return FO_ERR_NO_ROOM;
    }

    entry->demanded = 1;

    if (entry->kind == FO_FILTER_PREFIX) {
        topic->wanted[fo_entry_prefix_len(entry->key_len)]++;
    }

    return FO_ERR_NONE;
}


static void
fo_entry_unwant(fo_hub_t *hub, fo_entry_t *entry)
{
    int          last_len;
    size_t       len;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);
    len = fo_entry_prefix_len(entry->key_len);

    entry->demanded = 0;
    last_len = 0;

    if (entry->kind == FO_FILTER_PREFIX) {
        last_len = (--topic->wanted[len] == 0);
    }

    if (fo_entry_shared(hub, entry)) {
        return;
    }

    fo_hub_lock(hub);
    fo_topic_unwant_locked(hub->z, topic->row, hub->slot,
                           (fo_filter_kind_e) entry->kind,
                           fo_entry_hash(hub, entry), len, last_len);
    fo_hub_unlock(hub);
}


/* the seq, then demands and asks, under one lock: see fo_rows.h */

static fo_error_e
fo_entry_demand(fo_hub_t *hub, fo_entry_t *entry, uint32_t from,
    uint32_t to, int64_t offset)
{
    uint32_t     p, need;
    fo_src_t    *src;
    fo_error_e   error;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);
    error = FO_ERR_NONE;

    fo_hub_lock(hub);

    atomic_fetch_add_explicit(&hub->me->seq, 1, memory_order_release);

    if (entry->seq == 0) {
        entry->seq = atomic_load(&hub->me->seq);
    }

    /* all or none: a topic too large takes no rows from others */

    need = 0;

    for (p = from; p < to; p++) {
        need += (topic->sources[p]->row == FO_NONE);
    }

    if (!fo_source_room_locked(hub->z, need)) {
        fo_hub_unlock(hub);
        return FO_ERR_NO_ROOM;
    }

    for (p = from; p < to; p++) {
        src = topic->sources[p];

        if (src->row != FO_NONE) {
            fo_source_ask_locked(hub->z, src->row, hub->slot, &hub->wake);

        } else {
            src->row = fo_source_demand_locked(hub->z, topic->row, p,
                                               offset, hub->slot,
                                               &hub->wake);
            if (src->row == FO_NONE) {
                error = FO_ERR_NO_ROOM;
                break;
            }

            src->generation =
                        atomic_load(&hub->z->sources[src->row].generation);
            hub->sources[src->row] = src;
            src->floor = atomic_load(&hub->me->seq);
            src->grown = (offset == FO_OFFSET_BEGIN);
        }

        /* one that others use may have a base that is new enough */

        if (entry->state != FO_ENTRY_LIVE && src->base_seq < entry->seq) {
            entry->waiting++;
        }
    }

    fo_hub_unlock(hub);
    fo_hub_post(hub);

    return error;
}


/* counts an entry in at sources, which are made where they are missing */

static fo_error_e
fo_topic_sources(fo_topic_t *topic, uint32_t from, uint32_t to)
{
    uint32_t   p;
    fo_src_t  *src;

    for (p = from; p < to; p++) {
        src = topic->sources[p];

        if (src == NULL) {
            src = fo_alloc(topic->hub->alloc, sizeof(fo_src_t));
            if (src == NULL) {
                fo_topic_unsource(topic, from, p);
                return FO_ERR_NO_MEMORY;
            }

            memset(src, 0, sizeof(fo_src_t));
            src->topic = topic;
            src->partition = p;
            src->row = FO_NONE;
            src->ring = FO_NONE;

            topic->sources[p] = src;
        }

        src->entries++;
    }

    return FO_ERR_NONE;
}


/* counts an entry out; sources without one are given up */

static void
fo_topic_unsource(fo_topic_t *topic, uint32_t from, uint32_t to)
{
    uint32_t   p;
    fo_hub_t  *hub;
    fo_src_t  *src;

    hub = topic->hub;

    for (p = from; p < to; p++) {
        src = topic->sources[p];

        if (--src->entries) {
            continue;
        }

        if (src->row != FO_NONE) {
            hub->sources[src->row] = NULL;

            fo_hub_lock(hub);
            fo_source_leave_locked(hub->z, src->row, hub->slot, &hub->wake);
            fo_hub_unlock(hub);
        }

        topic->sources[p] = NULL;
        fo_free(hub->alloc, src);
    }

    fo_hub_post(hub);
}


/* all bases are there */

void
fo_entry_live(fo_hub_t *hub, fo_entry_t *entry)
{
    fo_sub_t    *sub;
    fo_feed_t   *feed;
    uint32_t     n;
    fo_queue_t  *q;
    fo_topic_t  *topic;

    topic = fo_entry_topic(hub, entry);

    entry->state = FO_ENTRY_LIVE;

    fo_queue_remove(&entry->in_topic);
    fo_queue_append(&topic->entries, &entry->in_topic);

    fo_entry_elapsed(hub, entry);

    for (feed = fo_entry_feeds(entry); feed; feed = feed->next) {

        for (n = feed->nsubs, q = feed->subs; n; n--, q = q->next) {
            sub = fo_data(q, fo_sub_t, in_feed);
            fo_sub_live(sub);
        }
    }
}


/* from subscribe to base, into the histogram */

static void
fo_entry_elapsed(fo_hub_t *hub, fo_entry_t *entry)
{
    unsigned      i;
    uint32_t      us;

    static const uint32_t  bounds[] = FO_STAT_BOUNDS;

    us = (uint32_t) fo_hub_now(hub) - entry->since;

    for (i = 0; i < FO_STAT_BUCKETS - 1; i++) {
        if (us <= bounds[i] * 1000) {
            break;
        }
    }

    fo_stat_put(&hub->stats->base[i], 1);
}


/* all its subscriptions fail; the entry is gone then */

void
fo_entry_fail(fo_entry_t *entry, fo_error_e error)
{
    unsigned    last;
    fo_sub_t   *sub;
    fo_feed_t  *feed;

    do {
        feed = fo_entry_feeds(entry);
        last = (feed->next == NULL && feed->nsubs == 1);

        sub = fo_data(feed->subs, fo_sub_t, in_feed);

        fo_sub_fail(sub, error);

    } while (!last);
}
