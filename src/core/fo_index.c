
/*
 * The private index: linear hashing.  With n buckets and m the largest power
 * of two not above n, a hash belongs to bucket hash % 2m if that is below n,
 * else to hash % m.  Bucket n - m is the next to be split into itself and n.
 *
 * Each insert splits at most one bucket, each remove merges a few.
 *
 * Segment 0 holds FO_INDEX_FIRST buckets, segment k > 0 as many as all
 * before it: bucket b of segment k is FO_INDEX_FIRST << (k - 1) + b.
 *
 * Memory: an insert may need a line more, and fails without.  A split never
 * does: a and b items that were together in ceil((a + b) / 7) lines need no
 * more than that beside the new bucket's own.  A merge may need one, and is
 * left for later without.
 */


#include "core/fo_index.h"


#define FO_INDEX_MERGES  2
#define FO_INDEX_LINE    64


#define fo_slot(hash, item)                                                   \
    (((hash) & ~fo_slot_mask) | (uint64_t) (uintptr_t) (item))

#define fo_slot_item(slot)  (void *) (uintptr_t) ((slot) & fo_slot_mask)
#define fo_slot_mask        (((uint64_t) 1 << 48) - 1)


_Static_assert(sizeof(fo_bucket_t) == FO_INDEX_LINE, "a bucket is a line");


static fo_bucket_t *fo_index_bucket(const fo_index_t *ix, uint64_t b);
static fo_bucket_t *fo_index_place(const fo_index_t *ix, uint64_t hash);
static unsigned fo_index_segment(uint64_t b);
static u_char *fo_index_memory(const fo_index_t *ix, size_t buckets);
static fo_bucket_t *fo_index_line(const fo_index_t *ix);
static void fo_index_put(fo_bucket_t *b, uint64_t slot, fo_bucket_t **spare);
static uint64_t fo_index_count(const fo_bucket_t *b);
static void fo_index_grow(fo_index_t *ix);
static void fo_index_split(fo_index_t *ix, uint64_t b);
static int fo_index_shrink(fo_index_t *ix);
static void fo_index_merge(fo_bucket_t *from, fo_bucket_t *to,
    fo_bucket_t **spare);


static unsigned
fo_index_segment(uint64_t b)
{
    if (b < FO_INDEX_FIRST) {
        return 0;
    }

    return 64 - (unsigned) __builtin_clzll(b / FO_INDEX_FIRST);
}


static inline fo_bucket_t *
fo_index_bucket(const fo_index_t *ix, uint64_t b)
{
    unsigned   k;
    uintptr_t  start;

    k = fo_index_segment(b);

    if (k) {
        b -= (uint64_t) FO_INDEX_FIRST << (k - 1);
    }

    start = ((uintptr_t) ix->segment[k] + FO_INDEX_LINE - 1)
            & ~(uintptr_t) (FO_INDEX_LINE - 1);

    return (fo_bucket_t *) start + b;
}


/* lines that so many items take */

#define fo_index_lines(n)  (((n) + FO_INDEX_SLOTS - 1) / FO_INDEX_SLOTS)

/* the largest power of two not above the number of buckets */

#define fo_index_base(n)  ((uint64_t) 1 << (63 - __builtin_clzll(n)))

/* the hash's low bits are spoiled by the marks of keys and prefixes */

#define fo_index_bits(hash)  ((hash) >> 2)


static inline fo_bucket_t *
fo_index_place(const fo_index_t *ix, uint64_t hash)
{
    uint64_t  m, b;

    m = fo_index_base(ix->buckets);
    b = fo_index_bits(hash) & (2 * m - 1);

    if (b >= ix->buckets) {
        b -= m;
    }

    return fo_index_bucket(ix, b);
}


/* room for buckets, to be aligned by fo_index_bucket() */

static u_char *
fo_index_memory(const fo_index_t *ix, size_t buckets)
{
    return fo_alloc(ix->alloc,
                    buckets * sizeof(fo_bucket_t) + FO_INDEX_LINE - 1);
}


int
fo_index_init(fo_index_t *ix, const fo_alloc_t *alloc, fo_index_hash_pt hash,
    void *ctx)
{
    memset(ix, 0, sizeof(fo_index_t));

    ix->alloc = alloc;
    ix->hash = hash;
    ix->ctx = ctx;

    ix->segment[0] = fo_index_memory(ix, FO_INDEX_FIRST);
    if (ix->segment[0] == NULL) {
        return FO_ERROR;
    }

    ix->buckets = FO_INDEX_FIRST;
    memset(fo_index_bucket(ix, 0), 0, FO_INDEX_FIRST * sizeof(fo_bucket_t));

    return FO_OK;
}


void
fo_index_done(fo_index_t *ix)
{
    uint64_t      i;
    fo_bucket_t  *line, *next;

    for (i = 0; i < ix->buckets; i++) {
        for (line = fo_index_bucket(ix, i)->more; line; line = next) {
            next = line->more;
            fo_free(ix->alloc, line);
        }
    }

    for (i = 0; i < FO_INDEX_SEGMENTS; i++) {
        if (ix->segment[i]) {
            fo_free(ix->alloc, ix->segment[i]);
            ix->segment[i] = NULL;
        }
    }
}


static fo_bucket_t *
fo_index_line(const fo_index_t *ix)
{
    fo_bucket_t  *line;

    line = fo_alloc(ix->alloc, sizeof(fo_bucket_t));

    if (line) {
        line->more = NULL;
    }

    return line;
}


/* a slot more for a bucket, with a line of *spare if it is full */

static void
fo_index_put(fo_bucket_t *b, uint64_t slot, fo_bucket_t **spare)
{
    unsigned  i;

    while (b->more) {
        b = b->more;
    }

    for (i = 0; i < FO_INDEX_SLOTS; i++) {
        if (b->slot[i] == 0) {
            b->slot[i] = slot;
            return;
        }
    }

    b->more = *spare;
    *spare = (*spare)->more;

    b = b->more;
    memset(b, 0, sizeof(fo_bucket_t));
    b->slot[0] = slot;
}


/* items of a bucket */

static uint64_t
fo_index_count(const fo_bucket_t *b)
{
    unsigned  i;
    uint64_t  n;

    for (n = 0; b->more; b = b->more) {
        n += FO_INDEX_SLOTS;
    }

    for (i = 0; i < FO_INDEX_SLOTS && b->slot[i]; i++) {
        n++;
    }

    return n;
}


int
fo_index_insert(fo_index_t *ix, uint64_t hash, void *item)
{
    fo_bucket_t  *b, *last, *line;

    if ((uint64_t) (uintptr_t) item & ~fo_slot_mask) {
        return FO_ERROR;
    }

    b = fo_index_place(ix, hash);
    line = NULL;

    for (last = b; last->more; last = last->more) {
        /* void */
    }

    if (last->slot[FO_INDEX_SLOTS - 1]) {
        line = fo_index_line(ix);
        if (line == NULL) {
            return FO_ERROR;
        }
    }

    fo_index_put(last, fo_slot(hash, item), &line);
    ix->n++;

    if (ix->n > ix->buckets * FO_INDEX_LOAD) {
        fo_index_grow(ix);
    }

    return FO_OK;
}


/* its slot is filled with the last one of the bucket */

void
fo_index_remove(fo_index_t *ix, uint64_t hash, void *item)
{
    unsigned      i;
    uint64_t      slot, *hole;
    fo_bucket_t  *b, *before;

    slot = fo_slot(hash, item);
    b = fo_index_place(ix, hash);
    before = NULL;

    for (i = 0; b->slot[i] != slot; /* void */ ) {
        if (++i == FO_INDEX_SLOTS) {
            before = b;
            b = b->more;
            i = 0;
        }
    }

    hole = &b->slot[i];

    while (b->more) {
        before = b;
        b = b->more;
        i = 0;
    }

    while (i + 1 < FO_INDEX_SLOTS && b->slot[i + 1]) {
        i++;
    }

    *hole = b->slot[i];
    b->slot[i] = 0;
    ix->n--;

    if (i == 0 && before) {
        before->more = NULL;
        fo_free(ix->alloc, b);
    }

    /* one would keep pace with the items */

    for (i = 0; i < FO_INDEX_MERGES; i++) {
        if (ix->n * 4 >= ix->buckets * FO_INDEX_LOAD
            || fo_index_shrink(ix) != FO_OK)
        {
            break;
        }
    }
}


/* one bucket more: splits the next one in turn */

static void
fo_index_grow(fo_index_t *ix)
{
    unsigned  k;
    uint64_t  b;

    b = ix->buckets;
    k = fo_index_segment(b);

    if (k == 0 || k == FO_INDEX_SEGMENTS) {
        return;
    }

    if (ix->segment[k] == NULL) {
        ix->segment[k] = fo_index_memory(ix,
                                         (size_t) FO_INDEX_FIRST << (k - 1));
        if (ix->segment[k] == NULL) {
            return;
        }
    }

    ix->buckets++;

    fo_index_split(ix, b);
}


static void
fo_index_split(fo_index_t *ix, uint64_t b)
{
    uint64_t      m, hash;
    unsigned      i;
    fo_bucket_t  *from, *to, *line, *next, *spare, copy;

    m = fo_index_base(b);

    from = fo_index_bucket(ix, b - m);
    to = fo_index_bucket(ix, b);

    copy = *from;
    memset(from, 0, sizeof(fo_bucket_t));
    memset(to, 0, sizeof(fo_bucket_t));

    spare = NULL;

    for ( ;; ) {

        for (i = 0; i < FO_INDEX_SLOTS && copy.slot[i]; i++) {
            hash = ix->hash(ix->ctx, fo_slot_item(copy.slot[i]));

            fo_index_put((fo_index_bits(hash) & (2 * m - 1)) == b ? to : from,
                         copy.slot[i], &spare);
        }

        line = copy.more;
        if (line == NULL) {
            break;
        }

        copy = *line;
        line->more = spare;
        spare = line;
    }

    for (line = spare; line; line = next) {
        next = line->more;
        fo_free(ix->alloc, line);
    }
}


/* one bucket less: merges the last one into the one it was split from */

static int
fo_index_shrink(fo_index_t *ix)
{
    unsigned      k;
    uint64_t      b, n, m;
    fo_bucket_t  *from, *to, *line, *next, *spare;

    if (ix->buckets == FO_INDEX_FIRST) {
        return FO_ERROR;
    }

    b = ix->buckets - 1;
    from = fo_index_bucket(ix, b);
    to = fo_index_bucket(ix, b - fo_index_base(b));
    spare = NULL;

    n = fo_index_count(from);
    m = fo_index_count(to);

    if (n && m && fo_index_lines(n + m) == fo_index_lines(n)
                                           + fo_index_lines(m))
    {
        spare = fo_index_line(ix);
        if (spare == NULL) {
            return FO_ERROR;
        }
    }

    fo_index_merge(from, to, &spare);

    for (line = spare; line; line = next) {
        next = line->more;
        fo_free(ix->alloc, line);
    }

    ix->buckets--;
    k = fo_index_segment(b);

    if (k && b == (uint64_t) FO_INDEX_FIRST << (k - 1)) {
        fo_free(ix->alloc, ix->segment[k]);
        ix->segment[k] = NULL;
    }

    return FO_OK;
}


/* a line is spare before its items are placed; those of the bucket come last */

static void
fo_index_merge(fo_bucket_t *from, fo_bucket_t *to, fo_bucket_t **spare)
{
    unsigned      i;
    fo_bucket_t  *line, copy;

    while (from->more) {
        line = from->more;
        from->more = line->more;

        copy = *line;
        line->more = *spare;
        *spare = line;

        for (i = 0; i < FO_INDEX_SLOTS && copy.slot[i]; i++) {
            fo_index_put(to, copy.slot[i], spare);
        }
    }

    for (i = 0; i < FO_INDEX_SLOTS && from->slot[i]; i++) {
        fo_index_put(to, from->slot[i], spare);
    }
}


/* a bit for each slot with these 16 bits; no branch, one cache line */

static inline unsigned
fo_index_compare(const fo_bucket_t *b, uint64_t hash)
{
    unsigned  i, bits;

    bits = 0;

#pragma GCC unroll 7
    for (i = FO_INDEX_SLOTS; i-- > 0; /* void */ ) {
        bits += bits + ((b->slot[i] ^ hash) <= fo_slot_mask);
    }

    return bits;
}


void *
fo_index_find(const fo_index_t *ix, uint64_t hash, fo_index_at_t *at)
{
    at->hash = hash;
    at->b = fo_index_place(ix, hash);
    at->bits = fo_index_compare(at->b, hash);

    return fo_index_next(at);
}


void *
fo_index_next(fo_index_at_t *at)
{
    void  *item;

    for ( ;; ) {

        while (at->bits) {
            item = fo_slot_item(at->b->slot[__builtin_ctz(at->bits)]);
            at->bits &= at->bits - 1;

            /* a free slot looks like one whose 16 bits are 0 */

            if (item) {
                return item;
            }
        }

        if (at->b->more == NULL) {
            return NULL;
        }

        at->b = at->b->more;
        at->bits = fo_index_compare(at->b, at->hash);
    }
}


void
fo_index_prefetch(const fo_index_t *ix, uint64_t hash)
{
    __builtin_prefetch(fo_index_place(ix, hash));
}
