
/*
 * The private index: linear hashing.  With n buckets and m the largest power
 * of two not above n, a hash belongs to bucket hash % 2m if that is below n,
 * else to hash % m.  Bucket n - m is the next to be split into itself and n.
 *
 * Each insert splits at most one bucket, each remove merges a few.
 *
 * Segment 0 holds FO_INDEX_FIRST buckets, segment k > 0 as many as all
 * before it: bucket b of segment k is FO_INDEX_FIRST << (k - 1) + b.
 */


#include "core/fo_index.h"


#define FO_INDEX_MERGES  8


static fo_link_t **fo_index_bucket(const fo_index_t *ix, uint64_t b);
static fo_link_t **fo_index_place(const fo_index_t *ix, uint64_t hash);
static unsigned fo_index_segment(uint64_t b);
static void fo_index_grow(fo_index_t *ix);
static void fo_index_shrink(fo_index_t *ix);


static unsigned
fo_index_segment(uint64_t b)
{
    if (b < FO_INDEX_FIRST) {
        return 0;
    }

    return 64 - (unsigned) __builtin_clzll(b / FO_INDEX_FIRST);
}


static fo_link_t **
fo_index_bucket(const fo_index_t *ix, uint64_t b)
{
    unsigned  k;

    k = fo_index_segment(b);

    if (k) {
        b -= (uint64_t) FO_INDEX_FIRST << (k - 1);
    }

    return &ix->segment[k][b];
}


/* the largest power of two not above the number of buckets */

#define fo_index_base(n)  ((uint64_t) 1 << (63 - __builtin_clzll(n)))


static fo_link_t **
fo_index_place(const fo_index_t *ix, uint64_t hash)
{
    uint64_t  m, b;

    /* the hash's low bits are spoiled by the marks of keys and prefixes */

    hash >>= 2;

    m = fo_index_base(ix->buckets);
    b = hash & (2 * m - 1);

    if (b >= ix->buckets) {
        b -= m;
    }

    return fo_index_bucket(ix, b);
}


int
fo_index_init(fo_index_t *ix, const fo_alloc_t *alloc)
{
    memset(ix, 0, sizeof(fo_index_t));
    ix->alloc = alloc;

    ix->segment[0] = fo_alloc(alloc, FO_INDEX_FIRST * sizeof(fo_link_t *));
    if (ix->segment[0] == NULL) {
        return FO_ERROR;
    }

    memset(ix->segment[0], 0, FO_INDEX_FIRST * sizeof(fo_link_t *));
    ix->buckets = FO_INDEX_FIRST;

    return FO_OK;
}


void
fo_index_done(fo_index_t *ix)
{
    unsigned  i;

    for (i = 0; i < FO_INDEX_SEGMENTS; i++) {
        if (ix->segment[i]) {
            fo_free(ix->alloc, ix->segment[i]);
            ix->segment[i] = NULL;
        }
    }
}


void
fo_index_insert(fo_index_t *ix, fo_link_t *link)
{
    fo_link_t  **place;

    place = fo_index_place(ix, link->hash);

    link->next = *place;
    *place = link;
    ix->n++;

    if (ix->n > ix->buckets) {
        fo_index_grow(ix);
    }
}


void
fo_index_remove(fo_index_t *ix, fo_link_t *link)
{
    unsigned     i;
    fo_link_t  **place;

    place = fo_index_place(ix, link->hash);

    while (*place != link) {
        place = &(*place)->next;
    }

    *place = link->next;
    ix->n--;

    /* four would keep pace with the links */

    for (i = 0; i < FO_INDEX_MERGES && ix->n < ix->buckets / 4; i++) {
        fo_index_shrink(ix);
    }
}


/* one bucket more: splits the next one in turn */

static void
fo_index_grow(fo_index_t *ix)
{
    size_t       size;
    unsigned     k;
    uint64_t     b, m;
    fo_link_t  **from, **to, *link;

    b = ix->buckets;
    m = fo_index_base(b);
    k = fo_index_segment(b);

    if (k == 0 || k == FO_INDEX_SEGMENTS) {
        return;
    }

    from = fo_index_bucket(ix, b - m);

    if (ix->segment[k] == NULL) {
        size = ((size_t) FO_INDEX_FIRST << (k - 1)) * sizeof(fo_link_t *);

        ix->segment[k] = fo_alloc(ix->alloc, size);
        if (ix->segment[k] == NULL) {
            return;
        }
    }

    to = fo_index_bucket(ix, b);
    *to = NULL;

    ix->buckets++;

    /* all buckets below ix->buckets are set, in older segments, too */

    /* cppcheck-suppress uninitvar */
    while (*from) {
        link = *from;

        if (((link->hash >> 2) & (2 * m - 1)) == b) {
            *from = link->next;
            link->next = *to;
            *to = link;

        } else {
            from = &link->next;
        }
    }
}


/* one bucket less: merges the last one into the one it was split from */

static void
fo_index_shrink(fo_index_t *ix)
{
    unsigned     k;
    uint64_t     b;
    fo_link_t  **from, **to;

    if (ix->buckets == FO_INDEX_FIRST) {
        return;
    }

    b = --ix->buckets;

    from = fo_index_bucket(ix, b);
    to = fo_index_bucket(ix, b - fo_index_base(b));

    while (*to) {
        to = &(*to)->next;
    }

    *to = *from;

    k = fo_index_segment(b);

    if (k && b == (uint64_t) FO_INDEX_FIRST << (k - 1)) {
        fo_free(ix->alloc, ix->segment[k]);
        ix->segment[k] = NULL;
    }
}


fo_link_t *
fo_index_find(const fo_index_t *ix, uint64_t hash)
{
    fo_link_t  *link;

    for (link = *fo_index_place(ix, hash);
         link && link->hash != hash;
         link = link->next)
    {
        /* void */
    }

    return link;
}


void
fo_index_prefetch(const fo_index_t *ix, uint64_t hash)
{
    __builtin_prefetch(fo_index_place(ix, hash));
}


fo_link_t *
fo_index_next(const fo_link_t *link)
{
    uint64_t  hash;

    hash = link->hash;

    do {
        link = link->next;
    } while (link && link->hash != hash);

    return (fo_link_t *) link;
}
