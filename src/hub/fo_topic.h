
/*
 * Topics that this worker holds, their partitions as it reads them, and the
 * filters that somebody subscribes to.
 */


#ifndef FO_TOPIC_H
#define FO_TOPIC_H


#include "core/fo_index.h"
#include "hub/fo_hub.h"


typedef struct fo_topic_s  fo_topic_t;
typedef struct fo_src_s    fo_src_t;
typedef struct fo_entry_s  fo_entry_t;
typedef struct fo_feed_s   fo_feed_t;


struct fo_src_s {
    fo_topic_t             *topic;
    uint32_t                partition;
    uint32_t                row;          /* FO_NONE: not demanded yet */
    uint32_t                generation;
    uint32_t                entries;      /* that need it */
    uint32_t                ring;         /* the only one that it is heard
                                             by, FO_NONE or FO_RING_OWN */
    uint32_t                tenure;       /* of the owner it is heard from */
    uint32_t                resets;       /* those that are known here */
    uint32_t                grown;        /* found by growth, no base yet */
    uint32_t                lapsed;       /* what came since "next" is lost */
    uint64_t                floor;        /* older bases are not for us */
    uint64_t                base_seq;     /* of the newest base, 0: none */
    int64_t                 next;         /* lower offsets have been seen */
};


#define FO_RING_OWN  0xfffffffe           /* no ring: brought in here */


struct fo_topic_s {
    uint64_t                hash;         /* in hub->names; also the seed
                                             of its filters' hashes */
    fo_hub_t               *hub;
    fo_str_t                name;
    uint64_t                cluster_id;
    uint32_t                cluster;
    uint32_t                row;
    uint32_t                known;        /* partitions are known */
    uint32_t                any;          /* no pruning for it */
    uint32_t                held;         /* may not go, even if empty */
    uint32_t                partitions;
    fo_src_t              **sources;      /* by partition, NULL: unneeded */
    fo_entry_t             *all;          /* the entry for everything */
    fo_queue_t              waiting;      /* entries that are not live */
    fo_queue_t              entries;      /* entries that are */
    uint64_t                prefixes;     /* lengths in use, as hashed */
    uint32_t                prefix[FO_PREFIX_MAX + 1];  /* entries by length */
    uint32_t                wanted[FO_PREFIX_MAX + 1];  /* those in the zone */
};


typedef enum {
    FO_ENTRY_NEW = 0,          /* waits for the topic */
    FO_ENTRY_PENDING,          /* waits for bases */
    FO_ENTRY_LIVE
} fo_entry_state_e;


/* fo_topic.c: topics, sources as read, entries */

uint64_t fo_topic_hashed(void *ctx, const void *topic);
fo_topic_t *fo_topic_get(fo_hub_t *hub, unsigned cluster,
    const fo_str_t *name);
void fo_topic_hold(fo_topic_t *topic);
void fo_topic_release(fo_topic_t *topic);   /* drops an empty one */

/* the row may have changed: reads it and acts on what is new */
void fo_topic_look(fo_hub_t *hub, unsigned row);

/* whence a word about a source comes */

typedef struct {
    uint32_t                row;
    uint32_t                generation;   /* of the row */
    uint32_t                tenure;       /* of the owner; bases, takeovers */
    uint32_t                resets;       /* bases, resets */
    uint32_t                ring;         /* FO_RING_OWN: brought in here */
} fo_origin_t;


/* the source, if this is the way by which it is heard; else NULL */
fo_src_t *fo_src_heard(fo_hub_t *hub, const fo_origin_t *from);

/* another owner brings it in; all that the one before wrote was read */
void fo_src_takeover(fo_hub_t *hub, const fo_origin_t *from);

/* "next" is the next record of it that can come */
void fo_src_base(fo_hub_t *hub, const fo_origin_t *from, uint64_t seq,
    int64_t next);

/* reading begins anew at "next"; what was in between is missing */
void fo_src_reset(fo_hub_t *hub, const fo_origin_t *from, int64_t next);

/* this worker was too slow for a ring: bases are asked for anew */
void fo_src_lapsed(fo_hub_t *hub, unsigned ring);


/* fo_entry.c */

uint64_t fo_entry_hashed(void *hub, const void *entry);
fo_entry_t *fo_entry_get(fo_topic_t *topic, const fo_filter_t *f);
void fo_entry_drop(fo_hub_t *hub, fo_entry_t *entry);
fo_error_e fo_entry_begin(fo_hub_t *hub, fo_entry_t *entry);
void fo_entry_live(fo_hub_t *hub, fo_entry_t *entry);
void fo_entry_fail(fo_entry_t *entry, fo_error_e error);
int fo_entry_uses(const fo_entry_t *entry, const fo_src_t *src);

fo_error_e fo_entry_grow(fo_hub_t *hub, fo_entry_t *entry);
fo_error_e fo_entry_unprune(fo_hub_t *hub, fo_entry_t *entry);


#endif /* FO_TOPIC_H */
