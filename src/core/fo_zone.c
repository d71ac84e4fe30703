
/*
 * What lies where in the zone.
 */


#include "core/fo_zone.h"
#include "core/fo_rows.h"


#define FO_RING_UNIT    ((size_t) 64 * 1024)
#define FO_BUCKETS_MIN  1024

#define fo_align64(n)   (((n) + 63) & ~(size_t) 63)


/* bytes before the rings */

static size_t
fo_zone_fixed(void)
{
    return fo_align64(sizeof(fo_zone_head_t))
           + fo_align64(FO_SLOTS * sizeof(fo_slot_t))
           + fo_align64(FO_TOPICS * sizeof(fo_topic_row_t))
           + fo_align64(FO_SOURCES * sizeof(fo_source_row_t));
}


int
fo_zone_shape(fo_zone_shape_t *shape, const char **reason, size_t *least)
{
    size_t    rings, fixed, most;
    unsigned  n;

    n = 2 * shape->owners;

    fixed = fo_zone_fixed()
            + FO_BUCKETS_MIN * sizeof(fo_interest_bucket_t);

    *least = fixed + n * fo_ring_bytes(FO_RING_UNIT);

    if (shape->size < *least) {
        *reason = "the zone is too small";
        return FO_ERROR;
    }

    if (shape->ring_size == 0) {

        /* in a small zone less than half is left for them */

        most = (shape->size - fixed) / n - fo_ring_bytes(0);
        shape->ring_size = fo_min(shape->size / 2 / n, most);
    }

    shape->ring_size -= shape->ring_size % FO_RING_UNIT;
    shape->ring_size = fo_max(shape->ring_size, FO_RING_UNIT);

    rings = n * fo_ring_bytes(shape->ring_size);

    if (fixed + rings > shape->size) {
        *reason = "the zone is too small for its rings";
        *least = fixed + rings;
        return FO_ERROR;
    }

    return FO_OK;
}


void
fo_zone_init(fo_zone_t *z, void *mem, const fo_zone_shape_t *shape,
    uint64_t seed)
{
    size_t           room;
    unsigned         i;
    uint64_t         n;
    fo_zone_head_t  *head;

    head = mem;

    head->layout = FO_ZONE_LAYOUT;
    head->seed = seed;
    head->ring_size = shape->ring_size;
    head->owners = shape->owners;
    head->nrings = 2 * shape->owners;

    room = shape->size - fo_zone_fixed()
           - head->nrings * fo_ring_bytes(shape->ring_size);

    for (n = 2; 2 * n * sizeof(fo_interest_bucket_t) <= room; n *= 2) {
        /* void */
    }

    head->nbuckets = n;

    fo_zone_view(z, mem);

    for (i = 0; i < head->nrings; i++) {
        fo_ring_init(fo_zone_ring(z, i), shape->ring_size);
    }

    for (i = 0; i < FO_SLOTS; i++) {
        atomic_store(&z->slots[i].ring, FO_NONE);
    }
}


void
fo_zone_view(fo_zone_t *z, void *mem)
{
    u_char  *p;

    p = mem;
    z->head = mem;

    p += fo_align64(sizeof(fo_zone_head_t));
    z->slots = (fo_slot_t *) (void *) p;

    p += fo_align64(FO_SLOTS * sizeof(fo_slot_t));
    z->topics = (fo_topic_row_t *) (void *) p;

    p += fo_align64(FO_TOPICS * sizeof(fo_topic_row_t));
    z->sources = (fo_source_row_t *) (void *) p;

    p += fo_align64(FO_SOURCES * sizeof(fo_source_row_t));
    z->rings = p;

    p += z->head->nrings * fo_ring_bytes(z->head->ring_size);
    z->interest.buckets = (fo_interest_bucket_t *) (void *) p;
    z->interest.nbuckets = z->head->nbuckets;
    z->interest.entries = &z->head->entries;
}


fo_ring_t *
fo_zone_ring(const fo_zone_t *z, unsigned ring)
{
    return (fo_ring_t *) (void *)
               (z->rings + ring * fo_ring_bytes(z->head->ring_size));
}
