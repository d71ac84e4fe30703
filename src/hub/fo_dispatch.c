
/*
 * Dispatch: a record finds the feeds that want it, here in this worker.  A
 * frame is built once for each feed, at the tail of its log.
 */


#include "hub/fo_hub_int.h"


typedef void (*fo_put_pt)(fo_entry_t *entry, fo_src_t *src,
    const fo_record_t *rec);


static void fo_dispatch_to(fo_hub_t *hub, const fo_origin_t *from,
    const fo_record_t *rec, fo_put_pt put);
static void fo_dispatch_hash(fo_src_t *src, const fo_record_t *rec,
    unsigned len, uint64_t hash, fo_put_pt put);
static void fo_entry_put(fo_entry_t *entry, fo_src_t *src,
    const fo_record_t *rec);
static void fo_entry_skip(fo_entry_t *entry, fo_src_t *src,
    const fo_record_t *rec);
static void fo_feed_put(fo_feed_t *feed, fo_src_t *src,
    const fo_record_t *rec);
static void fo_feed_notice(fo_hub_t *hub, fo_feed_t *feed,
    const fo_event_t *ev);


void
fo_dispatch(fo_hub_t *hub, const fo_origin_t *from, const fo_record_t *rec)
{
    fo_dispatch_to(hub, from, rec, fo_entry_put);
}


/* a record that is too big: who wanted it has a gap of one */

void
fo_dispatch_skipped(fo_hub_t *hub, const fo_origin_t *from,
    const fo_record_t *rec)
{
    fo_dispatch_to(hub, from, rec, fo_entry_skip);
}


static void
fo_dispatch_to(fo_hub_t *hub, const fo_origin_t *from,
    const fo_record_t *rec, fo_put_pt put)
{
    unsigned     len;
    uint64_t     lengths, hash;
    fo_src_t    *src;
    fo_topic_t  *topic;

    src = fo_src_heard(hub, from);

    if (src == NULL || rec->offset < src->next) {
        return;
    }

    src->next = rec->offset + 1;
    topic = src->topic;

    if (topic->all) {
        put(topic->all, src, rec);
    }

    if (rec->key == NULL) {
        return;
    }

    hash = rec->hash ? rec->hash : fo_hash_key(topic->hash, rec->key,
                                               rec->key_len);

    fo_dispatch_hash(src, rec, rec->key_len, hash, put);

    for (lengths = topic->prefixes; lengths; lengths &= lengths - 1) {
        len = (unsigned) __builtin_ctzll(lengths);

        if (len > rec->key_len) {
            break;
        }

        hash = fo_hash_prefix(topic->hash, rec->key, len);
        fo_dispatch_hash(src, rec, len, hash, put);
    }
}


/*
 * "len" bytes of the key have this hash.  What the index finds may bear another
 * one: that of another length, too, which is looked up by itself.
 */

static void
fo_dispatch_hash(fo_src_t *src, const fo_record_t *rec, unsigned len,
    uint64_t hash, fo_put_pt put)
{
    fo_topic_t        *topic;
    fo_entry_t        *entry;
    fo_index_at_t      at;
    fo_filter_kind_e   kind;

    topic = src->topic;
    kind = (hash & 1) ? FO_FILTER_KEY : FO_FILTER_PREFIX;

    for (entry = fo_index_find(&topic->hub->filters, hash, &at);
         entry;
         entry = fo_index_next(&at))
    {
        if (entry->topic == topic->row && entry->kind == kind
            && (kind == FO_FILTER_KEY
                ? entry->key_len == len
                : fo_min(entry->key_len, FO_PREFIX_MAX) == len
                  && entry->key_len <= rec->key_len)
            && memcmp(entry->key, rec->key, entry->key_len) == 0)
        {
            put(entry, src, rec);
        }
    }
}


static void
fo_entry_put(fo_entry_t *entry, fo_src_t *src, const fo_record_t *rec)
{
    fo_feed_t  *feed;

    if (!entry->demanded || src->base_seq < entry->seq) {
        return;
    }

    for (feed = fo_entry_feeds(entry); feed; feed = feed->next) {
        fo_feed_put(feed, src, rec);
    }
}


static void
fo_entry_skip(fo_entry_t *entry, fo_src_t *src, const fo_record_t *rec)
{
    fo_event_t  ev;

    if (!entry->demanded || src->base_seq < entry->seq) {
        return;
    }

    memset(&ev, 0, sizeof(fo_event_t));

    ev.type = FO_EVENT_GAP;
    ev.counted = 1;
    ev.count = 1;
    ev.ranged = 1;
    ev.partition = src->partition;
    ev.from = rec->offset;
    ev.to = rec->offset + 1;

    fo_entry_gap(src->topic->hub, entry, &ev);
}


void
fo_entry_gap(fo_hub_t *hub, fo_entry_t *entry, const fo_event_t *ev)
{
    fo_feed_t  *feed;

    for (feed = fo_entry_feeds(entry); feed; feed = feed->next) {
        fo_feed_notice(hub, feed, ev);
    }
}


static void
fo_feed_put(fo_feed_t *feed, fo_src_t *src, const fo_record_t *rec)
{
    u_char      *p;
    uint32_t     key;
    fo_hub_t    *hub;
    fo_frame_t  *frame;

    hub = src->topic->hub;

    p = fo_feed_append(&hub->chunks, &feed->log,
                       feed->dialect->record_len(rec), &frame);

    if (p == NULL) {
        fo_feed_missed(feed, 1, 1);
        fo_stat_add(hub->stats, FO_STAT_NO_MEMORY, 1);

    } else {
        key = 0;
        feed->dialect->record(rec, p, &key);

        frame->source = src->row;
        frame->offset = rec->offset;
        frame->key = key;
        frame->key_len = rec->key_len;

        fo_stat_add(hub->stats, FO_STAT_FRAMES, 1);
        fo_hub_post(hub);
    }
}


static void
fo_feed_notice(fo_hub_t *hub, fo_feed_t *feed, const fo_event_t *ev)
{
    size_t       len;
    u_char      *p;
    fo_frame_t  *frame;

    u_char       buf[FO_DIALECT_EVENT_MAX];

    len = feed->dialect->event(ev, buf);
    if (len == 0) {
        return;
    }

    p = fo_feed_append(&hub->chunks, &feed->log, len, &frame);

    if (p == NULL) {
        fo_feed_missed(feed, 0, 0);
        fo_stat_add(hub->stats, FO_STAT_NO_MEMORY, 1);

    } else {
        memcpy(p, buf, len);

        frame->source = FO_NONE;
        frame->offset = ev->to;
        frame->key = 0;
        frame->key_len = 0;

        fo_feed_mark(&feed->log);
        fo_hub_post(hub);

        fo_stat_add(hub->stats, FO_STAT_GAPS, feed->nsubs);

        if (ev->counted) {
            fo_stat_add(hub->stats, FO_STAT_GAP_RECORDS,
                        (int64_t) (ev->count * feed->nsubs));
        }
    }
}
