
/*
 * The topics that this worker owns: it asks the source how many partitions
 * they have, and writes the answer into their rows for all workers.
 */


#include "hub/fo_hub_int.h"


static void fo_describe_adopt(fo_hub_t *hub, unsigned row);
static void fo_describe_ask(fo_hub_t *hub, unsigned row);


void
fo_describe_look(fo_hub_t *hub, unsigned row)
{
    unsigned         ask;
    fo_topic_row_t  *t;

    t = &hub->z->topics[row];

    if (!atomic_load(&t->used)
        || !fo_owner_mine(hub, atomic_load(&t->owner)))
    {
        hub->idle[row] = 0;
        return;
    }

    fo_hub_lock(hub);

    if (hub->tenant[row] != t->hash) {

        /* another topic than the last time */

        hub->tenant[row] = t->hash;
        hub->idle[row] = 0;
        hub->asked[row] = 0;
    }

    ask = (t->state == FO_TOPIC_ASKED);

    if (t->sources || !fo_amask_empty(&t->users)) {
        hub->idle[row] = 0;

    } else if (hub->idle[row] == 0) {
        hub->idle[row] = 1;
    }

    fo_hub_unlock(hub);

    if (hub->idle[row] == 1) {
        hub->idle[row] = fo_hub_now(hub);
    }

    if (ask) {
        fo_describe_ask(hub, row);
    }
}


/* asks the source, unless it has been asked and may still answer */

static void
fo_describe_ask(fo_hub_t *hub, unsigned row)
{
    u_char           buf[FO_TOPIC_MAX];
    unsigned         i;
    uint64_t         now, cluster;
    fo_str_t         name;
    fo_topic_row_t  *t;

    now = fo_hub_now(hub);

    if (hub->asked[row] && now - hub->asked[row] < FO_SUBSCRIBE_TIMEOUT) {
        return;
    }

    t = &hub->z->topics[row];

    /* without a user it may become another topic's, in any worker's hands */

    fo_hub_lock(hub);

    cluster = t->cluster;
    name.len = t->name_len;
    name.data = buf;
    memcpy(buf, t->name, name.len);

    fo_hub_unlock(hub);

    hub->asked[row] = now;

    for (i = 0; i < hub->nclusters; i++) {
        if (hub->clusters[i].id == cluster) {
            hub->clusters[i].ops->describe(hub->clusters[i].ctx, row, &name);
            return;
        }
    }
}


void
fo_hub_described(fo_hub_t *hub, const void *ctx, unsigned row,
    const fo_str_t *topic, unsigned error, uint32_t partitions)
{
    int              same;
    uint64_t         now;
    unsigned         i;
    fo_topic_row_t  *t;

    t = &hub->z->topics[row];

    for (i = 0; i < hub->nclusters; i++) {
        if (hub->clusters[i].ctx == ctx) {
            break;
        }
    }

    if (i == hub->nclusters) {
        return;
    }

    now = fo_hub_now(hub) / 1000;

    fo_hub_lock(hub);

    same = atomic_load(&t->used)
           && fo_owner_mine(hub, atomic_load(&t->owner))
           && t->cluster == hub->clusters[i].id
           && t->name_len == topic->len
           && memcmp(t->name, topic->data, topic->len) == 0;

    /* a lack of memory says nothing about the topic: it is asked for again */

    if (same && error != FO_ERR_NO_MEMORY) {

        if (error == FO_ERR_UNREACHABLE && t->partitions) {

            /* what is known stays true until Kafka says otherwise */

            error = FO_ERR_NONE;
            partitions = t->partitions;
        }

        fo_topic_answer_locked(hub->z, row, error, partitions, now,
                               &hub->wake);
    }

    fo_hub_unlock(hub);

    if (same) {
        hub->asked[row] = 0;
        fo_hub_post(hub);
    }
}


/* nobody could own it when its owner went */

static void
fo_describe_adopt(fo_hub_t *hub, unsigned row)
{
    fo_topic_row_t  *t;

    t = &hub->z->topics[row];

    fo_hub_lock(hub);

    if (atomic_load(&t->used) && atomic_load(&t->owner) == FO_NOBODY) {
        fo_topic_pass_locked(hub->z, row, &hub->wake);
        fo_hub_post(hub);
    }

    fo_hub_unlock(hub);
}


void
fo_describe_tick(fo_hub_t *hub, uint64_t now)
{
    int              stale, gone;
    unsigned         i;
    fo_topic_row_t  *t;

    for (i = 0; i < FO_TOPICS; i++) {
        t = &hub->z->topics[i];

        if (!atomic_load_explicit(&t->used, memory_order_relaxed)) {
            continue;
        }

        if (atomic_load(&t->owner) == FO_NOBODY) {
            fo_describe_adopt(hub, i);
        }

        if (!fo_owner_mine(hub, atomic_load(&t->owner))) {
            continue;
        }

        gone = 0;
        stale = 0;

        fo_hub_lock(hub);

        if (hub->idle[i] && now - hub->idle[i] > FO_TOPIC_NEGATIVE * 1000) {
            gone = fo_topic_free_locked(hub->z, i);

        } else if (t->state == FO_TOPIC_KNOWN) {
            stale = now / 1000 - t->checked > FO_TOPIC_FRESH;

        } else if (t->state == FO_TOPIC_FAILED) {

            /* who was served before it failed still waits for its return */

            stale = !fo_amask_empty(&t->users)
                    && now / 1000 - t->checked > FO_TOPIC_NEGATIVE;
        }

        fo_hub_unlock(hub);

        if (gone) {
            continue;
        }

        if (stale) {
            fo_describe_ask(hub, i);
        }

        fo_describe_look(hub, i);
    }
}


/* others ask for these topics from now on */

void
fo_describe_leave(fo_hub_t *hub, int last)
{
    unsigned         i, slot;
    fo_topic_row_t  *t;

    for (i = 0; i < FO_TOPICS; i++) {
        t = &hub->z->topics[i];

        if (!atomic_load_explicit(&t->used, memory_order_relaxed)) {
            continue;
        }

        fo_hub_lock(hub);

        if (atomic_load(&t->used)
            && fo_owner_mine(hub, atomic_load(&t->owner)))
        {
            slot = fo_slot_choose_locked(hub->z, t->cluster, hub->slot, 0);

            if (last
                || atomic_load(&hub->z->slots[slot].state) == FO_SLOT_LIVE)
            {
                fo_topic_pass_locked(hub->z, i, &hub->wake);
            }
        }

        fo_hub_unlock(hub);
    }

    fo_hub_post(hub);
}
