
/*
 * The private index of a worker: 64-bit hash -> the links with that hash.
 * Linear hashing: a bucket is split or merged with each insert or remove,
 * so that no single call moves everything, however large the index is.
 * Links are embedded in what they lead to; equal hashes are neighbours'
 * business: the caller compares what they stand for.
 */


#ifndef FO_INDEX_H
#define FO_INDEX_H


#include "core/fo_core.h"


#define FO_INDEX_FIRST     64      /* buckets of the first segment */
#define FO_INDEX_SEGMENTS  32      /* each as large as all before it */


typedef struct fo_link_s  fo_link_t;

struct fo_link_s {
    fo_link_t         *next;
    uint64_t           hash;
};


typedef struct {
    const fo_alloc_t  *alloc;
    fo_link_t        **segment[FO_INDEX_SEGMENTS];
    uint64_t           buckets;    /* in use, at least FO_INDEX_FIRST */
    uint64_t           n;          /* links */
} fo_index_t;


/* FO_ERROR: no memory */
int fo_index_init(fo_index_t *ix, const fo_alloc_t *alloc);

/* the links are the caller's and are not touched */
void fo_index_done(fo_index_t *ix);

/* can't fail: without memory for more buckets, chains become longer */
void fo_index_insert(fo_index_t *ix, fo_link_t *link);

/* the link must be in the index */
void fo_index_remove(fo_index_t *ix, fo_link_t *link);

/* the first link with this hash, or NULL; then the next one with the same */
fo_link_t *fo_index_find(const fo_index_t *ix, uint64_t hash);
fo_link_t *fo_index_next(const fo_link_t *link);

/* fetches the bucket of "hash" into the cache, for a look-up to come */
void fo_index_prefetch(const fo_index_t *ix, uint64_t hash);


#endif /* FO_INDEX_H */
