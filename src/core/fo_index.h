
/*
 * The private index of a worker: 64-bit hash -> items, which know their own
 * hash.  Linear hashing: a bucket is split or merged with each insert or
 * remove, so that no single call moves everything, however large the index
 * is.
 *
 *     bucket   | slot[7]: 16 bits of the hash, 48 of the pointer | more |
 *                                                                  |
 *                                          a line for what overflows
 *
 * A bucket is a cache line.  A look-up goes by the 16 bits: who finds
 * nothing has read one line and no item; what is found may bear another
 * hash, so the caller compares what it stands for.
 */


#ifndef FO_INDEX_H
#define FO_INDEX_H


#include "core/fo_core.h"


#define FO_INDEX_FIRST     16      /* buckets of the first segment */
#define FO_INDEX_SEGMENTS  32      /* each as large as all before it */
#define FO_INDEX_SLOTS     7
#define FO_INDEX_LOAD      5       /* items a bucket, on average */


typedef struct fo_bucket_s  fo_bucket_t;

struct fo_bucket_s {
    uint64_t           slot[FO_INDEX_SLOTS];   /* filled from the first on;
                                                  0: free */
    fo_bucket_t       *more;       /* only if all slots are taken */
};


typedef uint64_t (*fo_index_hash_pt)(void *ctx, const void *item);

typedef struct {
    const fo_alloc_t  *alloc;
    fo_index_hash_pt   hash;
    void              *ctx;
    u_char            *segment[FO_INDEX_SEGMENTS];  /* as allocated */
    uint64_t           buckets;    /* in use, at least FO_INDEX_FIRST */
    uint64_t           n;          /* items */
} fo_index_t;


/* where a look-up is; void after an insert or remove */

typedef struct {
    const fo_bucket_t *b;
    uint64_t           hash;
    unsigned           bits;       /* slots of b still to be looked at */
} fo_index_at_t;


/* "hash" tells an item's hash, always the same; FO_ERROR: no memory */
int fo_index_init(fo_index_t *ix, const fo_alloc_t *alloc,
    fo_index_hash_pt hash, void *ctx);

/* the items are the caller's and are not touched */
void fo_index_done(fo_index_t *ix);

/* FO_ERROR: no memory, nothing was changed */
int fo_index_insert(fo_index_t *ix, uint64_t hash, void *item);

/* the item must be in the index */
void fo_index_remove(fo_index_t *ix, uint64_t hash, void *item);

/* the first item that may have this hash, or NULL; then the next one */
void *fo_index_find(const fo_index_t *ix, uint64_t hash, fo_index_at_t *at);
void *fo_index_next(fo_index_at_t *at);

/* fetches the bucket of "hash" into the cache, for a look-up to come */
void fo_index_prefetch(const fo_index_t *ix, uint64_t hash);


#endif /* FO_INDEX_H */
