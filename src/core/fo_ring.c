
/*
 * The ring; its layout and first rules are in the header.
 *
 * Who needs what.  end[r] is the end of the last entry meant for reader r,
 * start[r] the beginning of the first one since r had last read everything;
 * the writer keeps its own copies, which run ahead of the published ones.
 * "limit" is a lower bound of all that readers need, so entries may grow to
 * limit + size; it is computed anew only when that does not suffice.
 *
 * The bad interleavings, and what prevents them:
 *
 * 1. A reader loads start, then end.  In between the writer, which owes it
 *    nothing, publishes {start 900, end 950}; the reader has its old start,
 *    100, and walks from 100 to 950 through bytes that nobody keeps for it.
 *    So: the writer stores start before end (release), the reader loads end
 *    (acquire) before start.  Having seen pos < end, it reads the very start
 *    that belongs to that end: the writer moves start only after it has seen
 *    the cursor at its own end, and the cursor is behind until we say so.
 *
 * 2. The writer loads the cursor, sees that the reader is done and overwrites
 *    an entry which the reader's processor still copies.  So: the reader
 *    moves its cursor with release after the copy, the writer loads cursors
 *    with acquire before it reuses what they gave free.
 *
 * 3. A reader is stopped in the middle of a copy, blocks the writer and is
 *    marked; the writer overwrites the entry; the reader wakes, copies the
 *    second half of another entry and trusts both.  So: copy, acquire fence,
 *    look at the cursor; and in the writer: mark, release fence, overwrite.
 *    Whoever copies one byte that was written after the mark sees the mark.
 *    The copy races with the writer then, which C11 has no words for (as in
 *    every seqlock): the bytes are thrown away unseen, and the lengths that
 *    the walk follows are checked before they are followed.
 *
 * 4. A reader stores its new cursor plainly just when the writer marks it:
 *    the mark is lost, the writer overwrites, the reader trusts.  So: both
 *    use compare-and-swap, and one of them fails.
 *
 * 5. A lapsed reader opens again at the published tail T, while the writer
 *    still has entries for it that end behind T and are not yet published,
 *    and has meanwhile computed a limit without this reader, behind T too.
 *    After the publish the reader would walk from T, which nobody keeps.
 *    So: a writer that finds the mark takes back what is unpublished for
 *    that reader, end[r] becomes the published end, which is <= T; and what
 *    it appends while it sees the mark is not for this reader.  What is lost
 *    so comes before the reader asks for its bases: by that question the
 *    writer sees the reopened cursor.
 *
 * 6. A reader that has died is replaced in its slot by another process,
 *    which opens at the published tail T, while end[r] of the writer is
 *    behind T.  Harmless: the writer either saw the dead one's cursor, which
 *    is <= T, below end[r] and keeps all from max(cursor, start[r]), or saw
 *    it at end[r] <= T and owes nothing.  So all from max(T, start[r]) on is
 *    there; the new process reads a few entries that were meant for the old
 *    one, and finds nobody who wants them.  For this a cursor never is
 *    behind the published tail: publish stores the tail before any end.
 *
 * 7. A reader opens: it loads the tail T and is stopped; the writer publishes
 *    more for this slot, waits, marks it and overwrites; the reader stores T
 *    and so takes the mark away.  So: open loads the cursor before the tail
 *    and stores by compare-and-swap from what it saw.
 *
 * 8. A writer dies in the middle of a publish: some readers know of entries
 *    that others were not told of.  The next one goes on from the published
 *    tail, all ends are at or before it; it begins at the last next_offset,
 *    stored after a publish only, so what some have missed comes again and
 *    what others have seen is dropped by its offset.
 */


#include "core/fo_ring.h"


#define fo_ring_live(c)  (((c) & FO_RING_LAPSED) == 0)


/* the thread sanitizer is told of the one race that is meant, see 3 */

#if defined(__SANITIZE_THREAD__)
#define FO_RING_TSAN  1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FO_RING_TSAN  1
#endif
#endif

#if (FO_RING_TSAN)
#define fo_ring_racy  __attribute__((no_sanitize("thread")))
#else
#define fo_ring_racy
#endif


static int fo_ring_room(fo_ring_writer_t *w, uint64_t last);
static void fo_ring_address(fo_ring_writer_t *w, const fo_mask_t *to,
    uint64_t end);
static void fo_ring_forget(fo_ring_writer_t *w, unsigned slot);
static int fo_ring_next(fo_ring_reader_t *rd, uint64_t end, void *buf,
    size_t size, size_t *need);
static int fo_ring_lapsed(fo_ring_reader_t *rd);


/* "lap" is the latest position at place 0: a division once a round only */

static inline uint64_t
fo_ring_place(const fo_ring_t *ring, uint64_t *lap, uint64_t pos)
{
    uint64_t  place;

    place = pos - *lap;

    if (place >= ring->size) {
        place = pos % ring->size;
        *lap = pos - place;
    }

    return place;
}


/* copies what the writer may be overwriting, see 3 */

#if (FO_RING_TSAN)

fo_ring_racy __attribute__((noinline))
static void
fo_ring_copy(void *dst, const volatile void *src, size_t len)
{
    size_t                  i;
    volatile u_char        *d = dst;
    const volatile u_char  *s = src;

    for (i = 0; i < len; i++) {
        d[i] = s[i];
    }
}

#else

#define fo_ring_copy(dst, src, len)  memcpy(dst, (const void *) (src), len)

#endif


void
fo_ring_init(fo_ring_t *ring, uint64_t size)
{
    unsigned  i;

    ring->size = size;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->writer, FO_RING_NO_WRITER);

    for (i = 0; i < FO_SLOTS; i++) {
        atomic_init(&ring->range[i].start, 0);
        atomic_init(&ring->range[i].end, 0);

        /* a slot that has never opened the ring does not limit it */

        atomic_init(&ring->cursor[i].cursor, FO_RING_LAPSED);
    }
}


void
fo_ring_write_open(fo_ring_writer_t *w, fo_ring_t *ring, uint64_t reserve)
{
    unsigned          i;
    fo_ring_range_t  *range;

    w->ring = ring;
    w->tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    w->lap = w->tail - w->tail % ring->size;
    w->limit = 0;
    w->reserve = reserve;
    fo_mask_clear(&w->touched);

    for (i = 0; i < FO_SLOTS; i++) {
        range = &ring->range[i];

        w->end[i] = atomic_load_explicit(&range->end, memory_order_acquire);
        w->start[i] = atomic_load_explicit(&range->start,
                                           memory_order_relaxed);
    }
}


uint64_t
fo_ring_entry_max(const fo_ring_t *ring)
{
    return ring->size / 4 & ~(uint64_t) 7;
}


fo_ring_entry_t *
fo_ring_append(fo_ring_writer_t *w, uint16_t type, size_t len,
    const fo_mask_t *to, int control)
{
    uint64_t          place, pad, last;
    fo_ring_t        *ring;
    fo_ring_entry_t  *e;

    ring = w->ring;

    if (len > fo_ring_entry_max(ring)) {
        return NULL;
    }

    len = fo_align8(fo_max(len, sizeof(fo_ring_entry_t)));

    place = fo_ring_place(ring, &w->lap, w->tail);
    pad = (len > ring->size - place) ? ring->size - place : 0;

    last = w->tail + pad + len + (control ? 0 : w->reserve);

    if (last - w->limit > ring->size && !fo_ring_room(w, last)) {
        return NULL;
    }

    if (pad) {
        e = (fo_ring_entry_t *) (void *) (ring->data + place);
        e->len = (uint32_t) pad;
        e->type = FO_RING_PAD;
        e->reserved = 0;

        w->tail += pad;
        place = fo_ring_place(ring, &w->lap, w->tail);
    }

    fo_ring_address(w, to, w->tail + len);

    w->tail += len;

    e = (fo_ring_entry_t *) (void *) (ring->data + place);

    /* what alignment adds, or the end of the header */
    memset((u_char *) e + len - 8, 0, 8);

    e->len = (uint32_t) len;
    e->type = type;
    e->reserved = 0;
    e->to = *to;

    return e;
}


/* the readers of "to" need what is from the tail to "end" */

static void
fo_ring_address(fo_ring_writer_t *w, const fo_mask_t *to, uint64_t end)
{
    unsigned   i, slot;
    uint64_t   bits, cursor;

    for (i = 0; i < FO_MASK_WORDS; i++) {

        for (bits = to->word[i]; bits; bits &= bits - 1) {
            slot = i * 64 + (unsigned) __builtin_ctzll(bits);

            /* whoever has unpublished entries can't be at their end */

            if (!fo_mask_test(&w->touched, slot)) {
                cursor = atomic_load_explicit(&w->ring->cursor[slot].cursor,
                                              memory_order_acquire);

                if (!fo_ring_live(cursor)) {
                    continue;
                }

                if (cursor >= w->end[slot]) {
                    w->start[slot] = w->tail;
                }

                fo_mask_set(&w->touched, slot);
            }

            w->end[slot] = end;
        }
    }
}


/* computes the limit anew; is there room up to "last"? */

static int
fo_ring_room(fo_ring_writer_t *w, uint64_t last)
{
    uint64_t  cursor;

    (void) fo_ring_slowest(w, &cursor);

    return last - w->limit <= w->ring->size;
}


unsigned
fo_ring_slowest(fo_ring_writer_t *w, uint64_t *cursor)
{
    unsigned  i, slot;
    uint64_t  c, needed, limit;

    slot = FO_SLOTS;
    limit = w->tail;
    *cursor = limit;

    for (i = 0; i < FO_SLOTS; i++) {

        if (w->end[i] <= w->limit) {
            continue;
        }

        c = atomic_load_explicit(&w->ring->cursor[i].cursor,
                                 memory_order_acquire);

        if (!fo_ring_live(c)) {
            fo_ring_forget(w, i);
            continue;
        }

        if (c >= w->end[i]) {
            continue;
        }

        needed = fo_max(c, w->start[i]);

        if (needed < limit) {
            limit = needed;
            slot = i;
            *cursor = c;
        }
    }

    w->limit = limit;

    return slot;
}


int
fo_ring_owed(fo_ring_writer_t *w, unsigned slot, uint64_t *cursor)
{
    *cursor = atomic_load_explicit(&w->ring->cursor[slot].cursor,
                                   memory_order_acquire);

    return fo_ring_live(*cursor) && *cursor < w->end[slot];
}


/* takes back what is unpublished for a lapsed reader, see 5 */

static void
fo_ring_forget(fo_ring_writer_t *w, unsigned slot)
{
    w->end[slot] = atomic_load_explicit(&w->ring->range[slot].end,
                                        memory_order_relaxed);
    fo_mask_unset(&w->touched, slot);
}


int
fo_ring_lapse(fo_ring_writer_t *w, unsigned slot, uint64_t cursor)
{
    if (!fo_ring_live(cursor)
        || !atomic_compare_exchange_strong_explicit(
               &w->ring->cursor[slot].cursor, &cursor,
               cursor | FO_RING_LAPSED,
               memory_order_acq_rel, memory_order_relaxed))
    {
        return 0;
    }

    /* before anything is overwritten, see 3 */
    atomic_thread_fence(memory_order_release);

    fo_ring_forget(w, slot);

    return 1;
}


void
fo_ring_publish(fo_ring_writer_t *w, fo_mask_t *touched)
{
    unsigned          i, slot;
    uint64_t          bits;
    fo_ring_range_t  *range;

    *touched = w->touched;

    if (atomic_load_explicit(&w->ring->tail, memory_order_relaxed)
        == w->tail)
    {
        return;
    }

    /* the tail before all ends, see 6 */

    atomic_store_explicit(&w->ring->tail, w->tail, memory_order_release);

    for (i = 0; i < FO_MASK_WORDS; i++) {

        for (bits = w->touched.word[i]; bits; bits &= bits - 1) {
            slot = i * 64 + (unsigned) __builtin_ctzll(bits);
            range = &w->ring->range[slot];

            /* start before end, see 1 */

            atomic_store_explicit(&range->start, w->start[slot],
                                  memory_order_relaxed);
            atomic_store_explicit(&range->end, w->end[slot],
                                  memory_order_release);
        }
    }

    fo_mask_clear(&w->touched);
}


uint64_t
fo_ring_backlog(fo_ring_t *ring)
{
    unsigned          i;
    uint64_t          tail, low, start, end, cursor;
    fo_ring_range_t  *range;

    tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    low = tail;

    for (i = 0; i < FO_SLOTS; i++) {
        range = &ring->range[i];

        cursor = atomic_load_explicit(&ring->cursor[i].cursor,
                                      memory_order_acquire);
        end = atomic_load_explicit(&range->end, memory_order_acquire);
        start = atomic_load_explicit(&range->start, memory_order_relaxed);

        if (fo_ring_live(cursor) && cursor < end) {
            low = fo_min(low, fo_max(cursor, start));
        }
    }

    return tail - low;
}


void
fo_ring_read_open(fo_ring_reader_t *rd, fo_ring_t *ring, unsigned slot)
{
    uint64_t           cursor, tail;
    _Atomic uint64_t  *shared;

    shared = &ring->cursor[slot].cursor;
    cursor = atomic_load_explicit(shared, memory_order_acquire);

    /* the cursor before the tail, see 7 */

    do {
        tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    } while (!atomic_compare_exchange_weak_explicit(shared, &cursor, tail,
                                                    memory_order_acq_rel,
                                                    memory_order_acquire));

    rd->ring = ring;
    rd->slot = slot;
    rd->cursor = tail;
    rd->pos = tail;
    rd->lap = tail - tail % ring->size;
    rd->limit = FO_RING_NO_LIMIT;
}


int
fo_ring_read(fo_ring_reader_t *rd, void *buf, size_t size, size_t *need)
{
    int               rc;
    uint64_t          end, start, pos;
    fo_ring_range_t  *range;

    range = &rd->ring->range[rd->slot];

    /* end before start, see 1 */

    end = atomic_load_explicit(&range->end, memory_order_acquire);
    end = fo_min(end, rd->limit);

    pos = rd->pos;
    rc = FO_AGAIN;
    *need = 0;

    if (pos < end) {
        start = atomic_load_explicit(&range->start, memory_order_relaxed);
        rd->pos = fo_max(pos, start);

        rc = fo_ring_next(rd, end, buf, size, need);
    }

    /* after the copy, see 3 */
    atomic_thread_fence(memory_order_acquire);

    if (rc == FO_ERROR || fo_ring_lapsed(rd)) {
        rd->pos = pos;
        *need = 0;
        return FO_ERROR;
    }

    return rc;
}


/*
 * Walks to the next entry for this reader and copies it; trusts nothing
 * that it finds, because the writer may be overwriting it.  Volatile: what
 * is used is what was checked.
 */

fo_ring_racy
static int
fo_ring_next(fo_ring_reader_t *rd, uint64_t end, void *buf, size_t size,
    size_t *need)
{
    uint64_t                         place, room;
    uint32_t                         len;
    const volatile fo_ring_entry_t  *e;

    while (rd->pos < end) {
        place = fo_ring_place(rd->ring, &rd->lap, rd->pos);
        room = fo_min(rd->ring->size - place, end - rd->pos);

        e = (fo_ring_entry_t *) (void *) (rd->ring->data + place);
        len = e->len;

        if (len > room || len < 8 || len % 8) {
            return FO_ERROR;
        }

        if (e->type == FO_RING_PAD) {
            rd->pos += len;
            continue;
        }

        if (len < sizeof(fo_ring_entry_t)) {
            return FO_ERROR;
        }

        if ((e->to.word[rd->slot / 64] >> (rd->slot % 64) & 1) == 0) {
            rd->pos += len;
            continue;
        }

        *need = len;

        if (len <= size) {
            fo_ring_copy(buf, e, len);
            rd->pos += len;
        }

        return FO_OK;
    }

    return FO_AGAIN;
}


int
fo_ring_pending(fo_ring_reader_t *rd)
{
    return atomic_load_explicit(&rd->ring->range[rd->slot].end,
                                memory_order_acquire) > rd->pos
           || fo_ring_lapsed(rd);
}


static int
fo_ring_lapsed(fo_ring_reader_t *rd)
{
    return !fo_ring_live(atomic_load_explicit(
                             &rd->ring->cursor[rd->slot].cursor,
                             memory_order_acquire));
}


int
fo_ring_release(fo_ring_reader_t *rd)
{
    uint64_t  cursor;

    cursor = rd->cursor;

    if (cursor == rd->pos) {
        return fo_ring_lapsed(rd) ? FO_ERROR : FO_OK;
    }

    /* release after the copies, see 2; by exchange, see 4 */

    if (!atomic_compare_exchange_strong_explicit(
            &rd->ring->cursor[rd->slot].cursor, &cursor, rd->pos,
            memory_order_acq_rel, memory_order_relaxed))
    {
        return FO_ERROR;
    }

    rd->cursor = rd->pos;

    return FO_OK;
}
