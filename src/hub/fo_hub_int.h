
/*
 * The hub's inside, shared by its files.
 *
 *     fo_topic_t   a topic that this worker holds     zone: topic row
 *       fo_src_t     one of its partitions, as read   zone: source row
 *       fo_entry_t   a filter with subscribers        zone: interest bit
 *         fo_feed_t    the filter in one dialect: log of frames
 *           fo_sub_t     a subscription: a position in the log
 *     fo_owned_t   a partition that this worker brings in
 */


#ifndef FO_HUB_INT_H
#define FO_HUB_INT_H


#include "hub/fo_owner.h"
#include "hub/fo_sub.h"


#define FO_SUBSCRIBE_TIMEOUT  3500000   /* us; the client is told by 4 s */


typedef struct {
    uint64_t                id;
    const fo_source_ops_t  *ops;
    void                   *ctx;
    uint64_t                linger;       /* us */
} fo_cluster_t;


struct fo_hub_s {
    const fo_alloc_t       *alloc;
    fo_hub_env_t            env;
    fo_zone_t              *z;
    fo_slot_t              *me;
    fo_stats_t             *stats;
    unsigned                slot;
    unsigned                nclusters;
    fo_cluster_t            clusters[FO_CLUSTERS];

    fo_index_t              names;        /* topics */
    fo_index_t              filters;      /* entries */
    fo_chunks_t             chunks;       /* of feeds, and which are fresh */

    fo_queue_t              ready;        /* sessions to be sent to */
    fo_queue_t              joined;       /* sessions that wait for more */
    fo_queue_t              noted;        /* subs with something to be told */
    fo_queue_t              waiting;      /* subs by their since */
    fo_queue_t              ended;        /* sessions */
    fo_queue_t              moved;        /* owned, next_offset to be stored */

    fo_mask_t               wake;         /* workers, at the turn's end */
    fo_ring_writer_t       *writer;       /* NULL: no ring of its own */
    fo_ring_reader_t        readers[FO_RINGS_MAX];
    unsigned                next_ring;    /* to be read first */
    u_char                 *copy;         /* of an entry being read */
    size_t                  copy_size;

    uint64_t                stall;        /* us */
    uint32_t                join;         /* us that a session waits */
    uint64_t                stuck[FO_SLOTS];   /* cursor of each reader when
                                             it was last seen to move */
    uint64_t                since[FO_SLOTS];   /* us: when that was */

    uint64_t                second;       /* us: next slow tick */
    unsigned                hurry:1;      /* the next tick is due soon */
    unsigned                blocked:1;    /* the own ring is full */
    unsigned                posted:1;     /* fo_hub_finish() will be called */
    unsigned                finishing:1;  /* it runs */

    fo_topic_t             *topics[FO_TOPICS];
    fo_src_t               *sources[FO_SOURCES];
    fo_owned_t             *owned[FO_SOURCES];
    uint64_t                idle[FO_TOPICS];   /* us: owned topic row unused
                                                  since; 0: in use */
    uint64_t                asked[FO_TOPICS];  /* us: being described since */
    uint64_t                tenant[FO_TOPICS]; /* hash of the topic that the
                                                  two above are of */
};


#define fo_hub_now(hub)     (hub)->env.clock((hub)->env.ctx)
#define fo_hub_lock(hub)    (hub)->env.lock((hub)->env.ctx)
#define fo_hub_unlock(hub)  (hub)->env.unlock((hub)->env.ctx)


/* asks for fo_hub_finish() in this turn */
void fo_hub_post(fo_hub_t *hub);

/* entries, then offsets, are seen by others; whoever sleeps is woken */
void fo_hub_publish(fo_hub_t *hub);

#define fo_hub_leaving(hub)                                                   \
    (atomic_load(&(hub)->me->state) != FO_SLOT_LIVE)


#endif /* FO_HUB_INT_H */
