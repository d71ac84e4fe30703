
/*
 * The interface between the hub and a source: what brings in the records of
 * a cluster.
 */


#ifndef FO_SOURCE_H
#define FO_SOURCE_H


#include "hub/fo_hub.h"
#include "proto/fo_event.h"


typedef struct fo_owned_s  fo_owned_t;


/* a kind of source: one for each cluster (and one for timers) */

typedef struct {
    /* how many partitions?  Ends in fo_hub_described(), may be at once */
    void       (*describe)(void *ctx, unsigned row, const fo_str_t *topic);

    /* begin to read; ends in fo_hub_started() or, after trouble, again and
       again tries until stop().  from: an offset or FO_OFFSET_*.  FO_ERROR:
       no memory, tried again later */
    int        (*start)(void *ctx, fo_owned_t *o, const fo_str_t *topic,
                        uint32_t partition, int64_t from);

    /* nothing of this partition comes after it returns */
    void       (*stop)(void *ctx, fo_owned_t *o);

    /* fo_hub_record() had said FO_AGAIN: there may be room now */
    void       (*resume)(void *ctx);

    /* the only partition that can have this key, or -1: any */
    int32_t    (*partition)(void *ctx, const fo_str_t *topic,
                            const fo_str_t *key, uint32_t partitions);
} fo_source_ops_t;


/* adds a cluster; "id" as told to fo_slot_claim_locked(); returns its
   index or FO_ERROR */
int fo_hub_source(fo_hub_t *hub, uint64_t id, const fo_source_ops_t *ops,
    void *ctx, unsigned linger_ms);


/* What a source tells the hub. */

/* error: FO_ERR_NONE, or why the topic can't be had; ignored if the row is
   another topic's by now.  "ctx" is the source's.  FO_ERR_NO_MEMORY: nobody
   could be asked, it may be described again */
void fo_hub_described(fo_hub_t *hub, const void *ctx, unsigned row,
    const fo_str_t *topic, unsigned error, uint32_t partitions);

/* reading begins exactly at "offset" */
void fo_hub_started(fo_owned_t *o, int64_t offset);

/* a record that will be handed over soon, after others: its hash is set, and
   what is to be looked up for it is brought into the cache */
void fo_hub_ahead(const fo_owned_t *o, fo_record_t *rec);

/* a record; offsets of one partition ascend.  FO_AGAIN: the ring is full,
   keep it and wait for resume() */
int fo_hub_record(fo_owned_t *o, const fo_record_t *rec);

/* all up to "offset" (excluded) was read, without more records */
void fo_hub_reached(fo_owned_t *o, int64_t offset);

/* what was to be read next is gone (retention, a topic made anew): reading
   goes on elsewhere, which fo_hub_started() tells; who listens gets a gap */
void fo_hub_lost(fo_owned_t *o);

/* a record's key was not where the declared partitioner puts it */
void fo_hub_mismatch(fo_owned_t *o);

/* the high watermark */
void fo_hub_watermark(fo_owned_t *o, int64_t high);


#endif /* FO_SOURCE_H */
