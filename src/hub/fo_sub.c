
/*
 * Subscriptions: one filter of one session.
 *
 * What a session is to be told is noted at the subscription and told at the
 * turn's end, when nothing is being walked: the transport may then say
 * things, unsubscribe and end as it likes.
 */


#include "hub/fo_hub_int.h"


static fo_feed_t *fo_feed_get(fo_hub_t *hub, fo_entry_t *entry,
    const fo_dialect_t *dialect);
static void fo_feed_drop(fo_hub_t *hub, fo_feed_t *feed);
static fo_sub_t *fo_sub_get(fo_hub_t *hub, fo_feed_t *feed);
static void fo_sub_detach(fo_sub_t *sub);
static void fo_sub_free(fo_sub_t *sub);
static void fo_sub_note(fo_sub_t *sub);
static void fo_sub_tell_one(fo_sub_t *sub);


fo_sub_t *
fo_subscribe(fo_session_t *s, unsigned cluster, const fo_filter_t *f,
    const fo_dialect_t *dialect, fo_error_e *error)
{
    fo_hub_t    *hub;
    fo_sub_t    *sub;
    fo_feed_t   *feed;
    fo_topic_t  *topic;
    fo_entry_t  *entry;

    hub = s->hub;

    if (s->nsubs >= s->subs_max) {
        *error = FO_ERR_LIMIT;
        return NULL;
    }

    topic = fo_topic_get(hub, cluster, &f->topic);
    if (topic == NULL) {
        *error = FO_ERR_NO_ROOM;
        return NULL;
    }

    fo_topic_hold(topic);

    sub = NULL;
    entry = fo_entry_get(topic, f);

    if (entry) {
        feed = fo_feed_get(hub, entry, dialect);
        sub = feed ? fo_sub_get(hub, feed) : NULL;

        /* a new entry has room for both */

        if (sub == NULL && feed && feed->nsubs == 0) {
            fo_feed_drop(hub, feed);
        }
    }

    if (sub == NULL) {
        fo_topic_release(topic);
        *error = FO_ERR_NO_MEMORY;
        return NULL;
    }

    sub->session = s;

    fo_queue_append(s->subs.next, &sub->in_session);
    s->nsubs++;

    /* what is fresh is not for this one: it came after those frames */

    fo_feed_distribute(hub, feed);

    fo_feed_join(feed, sub);
    feed->nsubs++;

    fo_stat_add(hub->stats, FO_STAT_SUBSCRIPTIONS, 1);
    fo_stat_add(hub->stats, FO_STAT_SUBSCRIPTIONS_TOTAL, 1);

    if (entry->state == FO_ENTRY_LIVE) {
        fo_sub_live(sub);

    } else {
        sub->since = (uint32_t) fo_hub_now(hub);
        fo_queue_append(&hub->waiting, &sub->queue);

        if (entry->state == FO_ENTRY_NEW) {
            if (topic->known) {
                *error = fo_entry_begin(hub, entry);

                if (*error != FO_ERR_NONE) {
                    fo_entry_fail(entry, *error);
                }

            } else {
                fo_topic_look(hub, topic->row);
            }
        }
    }

    fo_topic_release(topic);
    fo_hub_post(hub);

    return sub;
}


void
fo_unsubscribe(fo_sub_t *sub)
{
    fo_sub_detach(sub);
    fo_sub_free(sub);
}


static fo_feed_t *
fo_feed_get(fo_hub_t *hub, fo_entry_t *entry, const fo_dialect_t *dialect)
{
    fo_feed_t       *feed;
    fo_more_feed_t  *more;

    for (feed = fo_entry_feeds(entry); feed; feed = feed->next) {
        if (feed->dialect == dialect) {
            return feed;
        }
    }

    if (entry->feed.dialect == NULL) {
        feed = &entry->feed;
        feed->inner = 1;

    } else {
        more = fo_alloc(hub->alloc, sizeof(fo_more_feed_t));
        if (more == NULL) {
            return NULL;
        }

        more->entry = entry;

        feed = &more->feed;
        feed->inner = 0;
        feed->next = entry->feed.next;
        entry->feed.next = feed;
    }

    feed->dialect = dialect;
    feed->nsubs = 0;
    fo_feed_log_init(&feed->log);
    feed->subs = NULL;

    fo_stat_add(hub->stats, FO_STAT_FEEDS, 1);

    return feed;
}


/* its last subscription is gone; the entry may go with it */

static void
fo_feed_drop(fo_hub_t *hub, fo_feed_t *feed)
{
    fo_feed_t  **p;
    fo_entry_t  *entry;

    entry = fo_feed_entry(feed);

    fo_feed_settle(&hub->chunks, &feed->log);

    if (feed->inner) {
        feed->dialect = NULL;

    } else {
        for (p = &entry->feed.next; *p != feed; p = &(*p)->next) {
            /* void */
        }

        *p = feed->next;
        fo_free(hub->alloc, fo_data(feed, fo_more_feed_t, feed));
    }

    fo_stat_add(hub->stats, FO_STAT_FEEDS, -1);

    if (fo_entry_feeds(entry) == NULL) {
        fo_entry_drop(hub, entry);
    }
}


/* one more of this feed, cleared, in no list; NULL: no memory */

static fo_sub_t *
fo_sub_get(fo_hub_t *hub, fo_feed_t *feed)
{
    fo_sub_t       *sub;
    fo_entry_t     *entry;
    fo_more_sub_t  *more;

    entry = feed->inner ? fo_feed_entry(feed) : NULL;

    if (entry && entry->sub.session == NULL) {
        sub = &entry->sub;
        memset(sub, 0, sizeof(fo_sub_t));
        sub->inner = 1;

    } else {
        more = fo_alloc(hub->alloc, sizeof(fo_more_sub_t));
        if (more == NULL) {
            return NULL;
        }

        memset(more, 0, sizeof(fo_more_sub_t));
        more->feed = feed;
        sub = &more->sub;
    }

    fo_queue_init(&sub->queue);

    return sub;
}


/* takes a subscription out of its feed */

static void
fo_sub_detach(fo_sub_t *sub)
{
    fo_hub_t   *hub;
    fo_feed_t  *feed;

    if (sub->detached) {
        return;
    }

    feed = fo_sub_feed(sub);
    hub = sub->session->hub;

    fo_sub_idle(sub);
    fo_feed_part(feed, sub);
    fo_feed_leave(&hub->chunks, &feed->log, &sub->pos);

    sub->detached = 1;
    sub->live = 0;

    fo_stat_add(hub->stats, FO_STAT_SUBSCRIPTIONS, -1);

    if (--feed->nsubs == 0) {
        fo_feed_drop(hub, feed);
    }
}


static void
fo_sub_free(fo_sub_t *sub)
{
    fo_hub_t      *hub;
    fo_entry_t    *entry;
    fo_session_t  *s;

    s = sub->session;
    hub = s->hub;

    fo_queue_remove(&sub->queue);
    fo_queue_remove(&sub->in_session);
    s->nsubs--;

    if (!sub->inner) {
        fo_free(hub->alloc, fo_data(sub, fo_more_sub_t, sub));
        return;
    }

    sub->session = NULL;
    entry = fo_data(sub, fo_entry_t, sub);

    if (entry->gone) {
        fo_free(hub->alloc, entry);
    }
}


/* served from now on: what has gathered in the feed is for it */

void
fo_sub_live(fo_sub_t *sub)
{
    if (sub->live) {
        return;
    }

    sub->live = 1;
    sub->tell_ready = 1;

    if (sub->pos.chunk) {
        fo_sub_ready(sub);
    }

    fo_sub_note(sub);
}


void
fo_sub_fail(fo_sub_t *sub, fo_error_e error)
{
    fo_sub_detach(sub);

    sub->error = error;
    fo_sub_note(sub);
}


/* "frames" were skipped, or an unknown number of them */

void
fo_sub_missed(fo_sub_t *sub, uint64_t frames, int counted)
{
    fo_hub_t  *hub;

    hub = sub->session->hub;

    sub->tell_gap = 1;

    if (frames > UINT32_MAX - sub->pos.spare) {
        frames = UINT32_MAX - sub->pos.spare;
        counted = 0;
    }

    sub->pos.spare += (uint32_t) frames;

    if (!counted) {
        sub->uncounted = 1;
    }

    fo_stat_add(hub->stats, FO_STAT_GAP_RECORDS, (int64_t) frames);

    if (sub->live) {
        fo_sub_note(sub);
    }
}


/* "frames" of a feed found no memory: one notice for all until it is told */

void
fo_feed_missed(fo_feed_t *feed, uint64_t frames, int counted)
{
    fo_sub_t    *sub;
    uint32_t     n;
    fo_queue_t  *q;

    for (n = feed->nsubs, q = feed->subs; n; n--, q = q->next) {
        sub = fo_data(q, fo_sub_t, in_feed);

        if (!sub->tell_gap) {
            fo_stat_add(sub->session->hub->stats, FO_STAT_GAPS, 1);
        }

        fo_sub_missed(sub, frames, counted);
    }
}


/* it will be told at the turn's end */

static void
fo_sub_note(fo_sub_t *sub)
{
    fo_hub_t  *hub;

    hub = sub->session->hub;

    fo_queue_remove(&sub->queue);
    fo_queue_append(&hub->noted, &sub->queue);

    fo_hub_post(hub);
}


void
fo_sub_timeouts(fo_hub_t *hub, uint64_t now)
{
    fo_sub_t  *sub;

    while (!fo_queue_empty(&hub->waiting)) {
        sub = fo_data(hub->waiting.next, fo_sub_t, queue);

        if ((uint32_t) now - sub->since < FO_SUBSCRIBE_TIMEOUT) {
            break;
        }

        fo_sub_fail(sub, FO_ERR_UNREACHABLE);
    }
}


void
fo_sub_tell(fo_hub_t *hub)
{
    fo_sub_t    *sub;
    fo_queue_t   noted;

    fo_queue_init(&noted);
    fo_queue_move(&noted, &hub->noted);

    while (!fo_queue_empty(&noted)) {
        sub = fo_data(noted.next, fo_sub_t, queue);
        fo_queue_remove(&sub->queue);

        /* who can't be sent to hears of all gaps at once, later */

        if (!sub->session->busy || sub->error || sub->tell_ready) {
            fo_sub_tell_one(sub);
        }
    }
}


/* it can be sent to again: gaps that were held back */

void
fo_sub_tell_session(fo_session_t *s)
{
    fo_sub_t    *sub;
    fo_queue_t  *q;

    for (q = s->subs.next; q != &s->subs; q = q->next) {
        sub = fo_data(q, fo_sub_t, in_session);

        if (sub->tell_gap && sub->live) {
            fo_sub_note(sub);
        }
    }
}


static void
fo_sub_tell_one(fo_sub_t *sub)
{
    fo_event_t     ev;
    fo_session_t  *s;

    s = sub->session;
    memset(&ev, 0, sizeof(fo_event_t));

    if (sub->error) {
        fo_sub_detach(sub);

        ev.type = FO_EVENT_ERROR;
        ev.error = (fo_error_e) sub->error;

        fo_stat_put(&s->hub->stats->error[ev.error], 1);

        s->ops->event(s, sub, &ev);
        fo_sub_free(sub);
        return;
    }

    if (sub->tell_ready) {
        sub->tell_ready = 0;

        if (sub->tell_gap) {

            /* the transport may end the subscription: come again */

            fo_sub_note(sub);
        }

        ev.type = FO_EVENT_READY;
        s->ops->event(s, sub, &ev);
        return;
    }

    if (sub->tell_gap) {
        ev.type = FO_EVENT_GAP;
        ev.counted = !sub->uncounted;
        ev.count = sub->pos.spare;

        sub->tell_gap = 0;
        sub->uncounted = 0;
        sub->pos.spare = 0;

        s->ops->event(s, sub, &ev);
    }
}
