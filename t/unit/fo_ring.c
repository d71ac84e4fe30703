
/*
 * The ring: who gets what and in which order, wrap and pad, who limits the
 * writer, lapsed readers, slots and writers that change hands, and a writer
 * with three readers in threads.  The numbered stories are those at the top
 * of src/core/fo_ring.c.
 */


#include "fo_test.h"
#include "core/fo_ring.h"


#define HEADER   sizeof(fo_ring_entry_t)
#define SIZE     4096
#define READERS  3


typedef struct {
    fo_ring_t         *ring;
    fo_ring_writer_t   w;
    fo_ring_reader_t   rd[READERS];
} bench_t;


/* has everyone read everything? */

static int
drained(fo_ring_writer_t *w)
{
    uint64_t  cursor;

    return fo_ring_slowest(w, &cursor) == FO_SLOTS;
}


static const unsigned  slots[READERS] = { 0, 70, 191 };


static fo_ring_t *
make_ring(uint64_t size)
{
    fo_ring_t  *ring;

    ring = aligned_alloc(64, fo_ring_bytes(size));
    assert_non_null(ring);

    memset((void *) ring, 0xa5, fo_ring_bytes(size));
    fo_ring_init(ring, size);

    return ring;
}


static void
make(bench_t *b, uint64_t size, uint64_t reserve)
{
    unsigned  i;

    b->ring = make_ring(size);
    memset(&b->w, 0xa5, sizeof(b->w));
    fo_ring_write_open(&b->w, b->ring, reserve);

    for (i = 0; i < READERS; i++) {
        fo_ring_read_open(&b->rd[i], b->ring, slots[i]);
    }
}


/* bit n of "who" is reader n */

static fo_mask_t
set(unsigned who)
{
    unsigned   i;
    fo_mask_t  m;

    fo_mask_clear(&m);

    for (i = 0; i < READERS; i++) {
        if (who >> i & 1) {
            fo_mask_set(&m, slots[i]);
        }
    }

    return m;
}


static int
put(bench_t *b, uint16_t type, size_t len, unsigned who, int control)
{
    size_t            i;
    fo_mask_t         to;
    fo_ring_entry_t  *e;

    to = set(who);

    e = fo_ring_append(&b->w, type, len, &to, control);
    if (e == NULL) {
        return FO_ERROR;
    }

    assert_int_equal((uintptr_t) e % 8, 0);
    assert_int_equal(e->len, fo_align8(fo_max(len, HEADER)));
    assert_int_equal(e->type, type);
    assert_int_equal(e->reserved, 0);
    assert_memory_equal(&e->to, &to, sizeof(to));

    for (i = HEADER; i < len; i++) {
        ((u_char *) e)[i] = (u_char) (type + i);
    }

    return FO_OK;
}


static unsigned
publish(bench_t *b)
{
    unsigned   i, who;
    fo_mask_t  touched;

    fo_ring_publish(&b->w, &touched);

    for (i = 0, who = 0; i < READERS; i++) {
        if (fo_mask_test(&touched, slots[i])) {
            fo_mask_unset(&touched, slots[i]);
            who |= 1 << i;
        }
    }

    assert_true(fo_mask_empty(&touched));

    return who;
}


/* the type of what was read, whose content is checked; or FO_AGAIN, ... */

static int
get(bench_t *b, unsigned reader, size_t len)
{
    int               rc;
    size_t            i, need;
    u_char           *p;
    fo_mask_t         to;
    fo_ring_entry_t   e;

    p = malloc(SIZE);
    assert_non_null(p);
    memset(p, 0x5a, SIZE);

    rc = fo_ring_read(&b->rd[reader], p, SIZE, &need);

    if (rc != FO_OK) {
        assert_int_equal(need, 0);
        free(p);
        return rc;
    }

    memcpy(&e, p, HEADER);
    assert_int_equal(need, e.len);
    assert_int_equal(need, fo_align8(fo_max(len, HEADER)));

    to = e.to;
    assert_true(fo_mask_test(&to, slots[reader]));

    for (i = HEADER; i < len; i++) {
        assert_int_equal(p[i], (u_char) (e.type + i));
    }

    for ( /* void */ ; i < need; i++) {
        assert_int_equal(p[i], 0);
    }

    for ( /* void */ ; i < SIZE; i++) {
        assert_int_equal(p[i], 0x5a);
    }

    free(p);

    return e.type;
}


static void
test_fresh(void **state)
{
    unsigned   i;
    uint64_t   cursor;
    bench_t    b;

    make(&b, SIZE, 0);

    assert_int_equal(offsetof(fo_ring_t, range) % 64, 0);
    assert_int_equal(offsetof(fo_ring_t, cursor) % 64, 0);
    assert_int_equal(offsetof(fo_ring_t, data) % 64, 0);
    assert_int_equal(sizeof(fo_ring_cursor_t), 64);

    assert_int_equal(atomic_load(&b.ring->writer), FO_RING_NO_WRITER);
    assert_int_equal(fo_ring_entry_max(b.ring), SIZE / 4);
    assert_int_equal(fo_ring_backlog(b.ring), 0);
    assert_true(drained(&b.w));
    assert_int_equal(fo_ring_slowest(&b.w, &cursor), FO_SLOTS);
    assert_int_equal(publish(&b), 0);

    for (i = 0; i < READERS; i++) {
        assert_int_equal(get(&b, i, 0), FO_AGAIN);
        assert_false(fo_ring_pending(&b.rd[i]));
        assert_int_equal(fo_ring_release(&b.rd[i]), FO_OK);
    }

    free(b.ring);
}


static void
test_nothing_is_seen_before_it_is_published(void **state)
{
    bench_t  b;

    make(&b, SIZE, 0);

    assert_int_equal(put(&b, 7, 100, 1, 0), FO_OK);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_false(fo_ring_pending(&b.rd[0]));
    assert_false(drained(&b.w));
    assert_int_equal(fo_ring_backlog(b.ring), 0);

    assert_int_equal(publish(&b), 1);
    assert_int_equal(publish(&b), 0);
    assert_true(fo_ring_pending(&b.rd[0]));
    assert_false(fo_ring_pending(&b.rd[1]));
    assert_int_equal(fo_ring_backlog(b.ring), 104);

    assert_int_equal(get(&b, 0, 100), 7);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_false(fo_ring_pending(&b.rd[0]));
    assert_false(drained(&b.w));

    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    assert_true(drained(&b.w));
    assert_int_equal(fo_ring_backlog(b.ring), 0);

    free(b.ring);
}


static void
test_each_gets_its_own_in_order(void **state)
{
    bench_t  b;

    make(&b, SIZE, 0);

    assert_int_equal(put(&b, 1, 32, 1, 0), FO_OK);
    assert_int_equal(put(&b, 2, 40, 2, 0), FO_OK);
    assert_int_equal(put(&b, 3, 48, 7, 0), FO_OK);
    assert_int_equal(put(&b, 4, 0, 0, 0), FO_OK);
    assert_int_equal(put(&b, 5, 33, 5, 0), FO_OK);
    assert_int_equal(publish(&b), 7);
    assert_int_equal(put(&b, 6, 41, 2, 0), FO_OK);
    assert_int_equal(publish(&b), 2);

    assert_int_equal(get(&b, 0, 32), 1);
    assert_int_equal(get(&b, 0, 48), 3);
    assert_int_equal(get(&b, 0, 33), 5);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    assert_int_equal(get(&b, 1, 40), 2);
    assert_int_equal(get(&b, 1, 48), 3);
    assert_int_equal(get(&b, 1, 41), 6);
    assert_int_equal(get(&b, 1, 0), FO_AGAIN);

    assert_int_equal(get(&b, 2, 48), 3);
    assert_int_equal(get(&b, 2, 33), 5);
    assert_int_equal(get(&b, 2, 0), FO_AGAIN);

    free(b.ring);
}


static void
test_buffer_too_small(void **state)
{
    u_char   *p;
    size_t    need;
    bench_t   b;

    make(&b, SIZE, 0);

    assert_int_equal(put(&b, 1, 500, 2, 0), FO_OK);
    assert_int_equal(put(&b, 2, 500, 1, 0), FO_OK);
    publish(&b);

    p = malloc(503);

    assert_int_equal(fo_ring_read(&b.rd[0], p, 503, &need), FO_OK);
    assert_int_equal(need, 504);
    assert_int_equal(fo_ring_read(&b.rd[0], NULL, 0, &need), FO_OK);
    assert_int_equal(need, 504);
    assert_true(fo_ring_pending(&b.rd[0]));
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    assert_int_equal(get(&b, 0, 500), 2);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    free(p);
    free(b.ring);
}


static void
test_entry_max(void **state)
{
    unsigned  i;
    bench_t   b;

    make(&b, SIZE, SIZE / 2);

    assert_int_equal(put(&b, 1, SIZE / 4 + 1, 1, 1), FO_ERROR);
    assert_int_equal(put(&b, 1, SIZE, 1, 1), FO_ERROR);
    assert_int_equal(put(&b, 1, SIZE_MAX, 1, 1), FO_ERROR);
    assert_int_equal(put(&b, 1, SIZE_MAX - 7, 1, 1), FO_ERROR);
    assert_true(drained(&b.w));

    /* the largest finds room in an empty ring from every place */

    for (i = 0; i < 2 * SIZE / 8; i++) {
        assert_int_equal(put(&b, 2, SIZE / 4, 1, 0), FO_OK);
        publish(&b);
        assert_int_equal(get(&b, 0, SIZE / 4), 2);
        assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);

        assert_int_equal(put(&b, 3, 40, 0, 0), FO_OK);
    }

    free(b.ring);
}


static void
test_full_and_reserve(void **state)
{
    unsigned  i;
    uint64_t  cursor;
    bench_t   b;

    make(&b, 1024, 256);

    for (i = 0; i < 6; i++) {
        assert_int_equal(put(&b, (uint16_t) (1 + i), 128, 2, 0), FO_OK);
    }

    assert_int_equal(put(&b, 9, 32, 2, 0), FO_ERROR);
    assert_int_equal(put(&b, 7, 128, 2, 1), FO_OK);
    assert_int_equal(put(&b, 8, 128, 1, 1), FO_OK);
    assert_int_equal(put(&b, 9, 32, 2, 1), FO_ERROR);

    assert_int_equal(publish(&b), 3);
    assert_int_equal(fo_ring_backlog(b.ring), 1024);
    assert_int_equal(fo_ring_slowest(&b.w, &cursor), slots[1]);
    assert_int_equal(cursor, 0);

    /* read is not released */

    assert_int_equal(get(&b, 1, 128), 1);
    assert_int_equal(get(&b, 1, 128), 2);
    assert_int_equal(put(&b, 9, 32, 2, 1), FO_ERROR);

    assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);
    assert_int_equal(fo_ring_slowest(&b.w, &cursor), slots[1]);
    assert_int_equal(cursor, 256);
    assert_int_equal(put(&b, 9, 32, 2, 0), FO_ERROR);
    assert_int_equal(put(&b, 9, 256, 2, 1), FO_OK);
    assert_int_equal(put(&b, 9, 32, 2, 1), FO_ERROR);

    assert_int_equal(publish(&b), 2);

    for (i = 3; i < 8; i++) {
        assert_int_equal(get(&b, 1, 128), (int) i);
    }

    assert_int_equal(get(&b, 1, 256), 9);
    assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);

    /* the other one needs its own entry only, not what was before it */

    assert_int_equal(fo_ring_slowest(&b.w, &cursor), slots[0]);
    assert_int_equal(cursor, 0);
    assert_int_equal(fo_ring_backlog(b.ring), 128 + 256);

    assert_int_equal(get(&b, 0, 128), 8);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    assert_true(drained(&b.w));

    free(b.ring);
}


/* however old its cursor is */

static void
test_who_is_owed_nothing_costs_nothing(void **state)
{
    unsigned  i;
    bench_t   b;

    make(&b, 1024, 0);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(put(&b, 1, 100, 1, 0), FO_OK);
        publish(&b);
        assert_int_equal(get(&b, 0, 100), 1);
        assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    }

    assert_int_equal(atomic_load(&b.ring->cursor[slots[1]].cursor), 0);

    assert_int_equal(put(&b, 2, 200, 2, 0), FO_OK);
    assert_int_equal(publish(&b), 2);
    assert_int_equal(get(&b, 1, 200), 2);
    assert_int_equal(get(&b, 1, 0), FO_AGAIN);
    assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);
    assert_true(drained(&b.w));

    /* nor do slots that never opened the ring, or nobody at all */

    for (i = 0; i < 1000; i++) {
        fo_mask_t  to;

        to = set(0);
        fo_mask_set(&to, 5);
        fo_mask_set(&to, 128);
        assert_non_null(fo_ring_append(&b.w, 1, 100, &to, 0));
    }

    assert_int_equal(publish(&b), 0);
    assert_true(drained(&b.w));

    free(b.ring);
}


/* every length at every place of rings of several sizes */

static void
test_wrap(void **state)
{
    size_t    len, sizes[] = { 192, 256, 320, 1024, 1088 };
    unsigned  i, k, who, r;
    bench_t   b;

    for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        make(&b, sizes[k], 0);

        for (i = 0; i < 5000; i++) {
            len = (i * 13) % (fo_ring_entry_max(b.ring) + 1);
            who = (i * 2654435761u >> 13) & 7;

            assert_int_equal(put(&b, (uint16_t) (1 + i % 60000), len, who,
                                 0), FO_OK);
            assert_int_equal(publish(&b), who);

            for (r = 0; r < READERS; r++) {
                assert_int_equal(get(&b, r, len),
                                 (who >> r & 1) ? (int) (1 + i % 60000)
                                                : FO_AGAIN);
                assert_int_equal(fo_ring_release(&b.rd[r]), FO_OK);
            }

            assert_true(drained(&b.w));
        }

        free(b.ring);
    }
}


static void
test_lapse(void **state)
{
    unsigned  i, n;
    uint64_t  cursor;
    bench_t   b;

    make(&b, 1024, 0);

    for (n = 0; put(&b, 1, 100, 3, 0) == FO_OK; n++) {
        publish(&b);
        assert_int_equal(get(&b, 0, 100), 1);
        assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    }

    assert_int_equal(n, 9);
    assert_int_equal(get(&b, 1, 100), 1);

    assert_int_equal(fo_ring_slowest(&b.w, &cursor), slots[1]);
    assert_int_equal(cursor, 0);

    assert_int_equal(fo_ring_lapse(&b.w, slots[1], 104), 0);
    assert_int_equal(fo_ring_lapse(&b.w, slots[1], FO_RING_LAPSED), 0);
    assert_int_equal(put(&b, 1, 100, 3, 0), FO_ERROR);
    assert_int_equal(fo_ring_lapse(&b.w, slots[1], 0), 1);
    assert_int_equal(fo_ring_lapse(&b.w, slots[1], 0), 0);
    assert_true(drained(&b.w));
    assert_int_equal(fo_ring_backlog(b.ring), 0);

    /* the reader learns it whatever it does, and again */

    for (i = 0; i < 2; i++) {
        assert_true(fo_ring_pending(&b.rd[1]));
        assert_int_equal(get(&b, 1, 0), FO_ERROR);
        assert_int_equal(fo_ring_release(&b.rd[1]), FO_ERROR);
    }

    /* the others go on, it gets nothing */

    for (i = 0; i < 100; i++) {
        assert_int_equal(put(&b, 2, 100, 3, 0), FO_OK);
        assert_int_equal(publish(&b), 1);
        assert_int_equal(get(&b, 0, 100), 2);
        assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
        assert_int_equal(get(&b, 1, 0), FO_ERROR);
    }

    fo_ring_read_open(&b.rd[1], b.ring, slots[1]);
    assert_int_equal(get(&b, 1, 0), FO_AGAIN);
    assert_false(fo_ring_pending(&b.rd[1]));
    assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);

    assert_int_equal(put(&b, 3, 100, 3, 0), FO_OK);
    assert_int_equal(publish(&b), 3);
    assert_int_equal(get(&b, 1, 100), 3);
    assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);

    free(b.ring);
}


/* one that had read everything, and just not said so */

static void
test_lapsed_with_everything_read(void **state)
{
    bench_t  b;

    make(&b, 1024, 0);

    assert_int_equal(put(&b, 1, 100, 1, 0), FO_OK);
    publish(&b);
    assert_int_equal(get(&b, 0, 100), 1);
    assert_int_equal(fo_ring_lapse(&b.w, slots[0], 0), 1);

    assert_true(fo_ring_pending(&b.rd[0]));
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_ERROR);
    assert_int_equal(get(&b, 0, 0), FO_ERROR);

    fo_ring_read_open(&b.rd[0], b.ring, slots[0]);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    free(b.ring);
}


/* story 5 */

static void
test_lapsed_and_open_again_before_the_publish(void **state)
{
    unsigned  i;
    bench_t   b;

    make(&b, 1024, 0);

    assert_int_equal(put(&b, 1, 100, 1, 0), FO_OK);
    publish(&b);
    assert_int_equal(put(&b, 2, 100, 1, 0), FO_OK);
    assert_int_equal(fo_ring_lapse(&b.w, slots[0], 0), 1);

    fo_ring_read_open(&b.rd[0], b.ring, slots[0]);
    assert_int_equal(b.rd[0].pos, 104);

    /* what was not published is taken back; nothing is owed, so it wraps */

    assert_int_equal(publish(&b), 0);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    for (i = 0; i < 50; i++) {
        assert_int_equal(put(&b, 3, 100, 2, 0), FO_OK);
        publish(&b);
        assert_int_equal(get(&b, 1, 100), 3);
        assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);
        assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    }

    assert_int_equal(put(&b, 4, 100, 1, 0), FO_OK);
    assert_int_equal(publish(&b), 1);
    assert_int_equal(get(&b, 0, 100), 4);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    assert_true(drained(&b.w));

    free(b.ring);
}


/* story 6 */

static void
test_slot_changes_hands(void **state)
{
    unsigned  n;
    bench_t   b;

    make(&b, 1024, 0);

    assert_int_equal(put(&b, 1, 100, 1, 0), FO_OK);
    assert_int_equal(put(&b, 2, 100, 1, 0), FO_OK);
    publish(&b);
    assert_int_equal(get(&b, 0, 100), 1);
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);

    assert_int_equal(put(&b, 3, 100, 1, 0), FO_OK);

    /* dead; another one comes, before the publish */

    fo_ring_read_open(&b.rd[0], b.ring, slots[0]);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    /* nothing that it will be told of is overwritten */

    for (n = 0; put(&b, 4, 100, 2, 0) == FO_OK; n++) {
        publish(&b);
        assert_int_equal(get(&b, 1, 100), 4);
        assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);
    }

    assert_int_equal(n, 8);
    assert_int_equal(get(&b, 0, 100), 3);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
    assert_true(drained(&b.w));

    free(b.ring);
}


/* the new one goes on from what the old one had published */

static void
test_writer_changes(void **state)
{
    unsigned  i;
    bench_t   b;

    make(&b, 1024, 0);

    for (i = 1; i <= 200; i++) {
        assert_int_equal(put(&b, (uint16_t) i, 100, 3, 0), FO_OK);
        assert_int_equal(put(&b, (uint16_t) i, 60, 1, 0), FO_OK);
        assert_int_equal(publish(&b), 3);

        /* dies with this */
        assert_int_equal(put(&b, 1000, 200, 7, 0), FO_OK);

        memset(&b.w, 0xa5, sizeof(b.w));
        fo_ring_write_open(&b.w, b.ring, 0);

        assert_false(drained(&b.w));
        assert_int_equal(get(&b, 0, 100), (int) i);

        assert_int_equal(put(&b, 2000, 80, 3, 0), FO_OK);
        assert_int_equal(publish(&b), 3);

        assert_int_equal(get(&b, 0, 60), (int) i);
        assert_int_equal(get(&b, 0, 80), 2000);
        assert_int_equal(get(&b, 0, 0), FO_AGAIN);
        assert_int_equal(get(&b, 1, 100), (int) i);
        assert_int_equal(get(&b, 1, 80), 2000);
        assert_int_equal(get(&b, 1, 0), FO_AGAIN);
        assert_int_equal(get(&b, 2, 0), FO_AGAIN);

        assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);
        assert_int_equal(fo_ring_release(&b.rd[1]), FO_OK);
        assert_true(drained(&b.w));
    }

    /* one who had lapsed before is still so */

    assert_int_equal(put(&b, 1, 100, 1, 0), FO_OK);
    publish(&b);
    assert_int_equal(fo_ring_lapse(&b.w, slots[0], b.rd[0].cursor), 1);
    fo_ring_write_open(&b.w, b.ring, 0);
    assert_true(drained(&b.w));
    assert_int_equal(put(&b, 2, 100, 1, 0), FO_OK);
    assert_int_equal(publish(&b), 0);
    assert_int_equal(get(&b, 0, 0), FO_ERROR);

    free(b.ring);
}


/* killed in the middle of a publish: story 8 */

static void
test_half_a_publish(void **state)
{
    unsigned  i;
    bench_t   b;

    make(&b, 1024, 0);

    assert_int_equal(put(&b, 1, 100, 3, 0), FO_OK);
    publish(&b);
    assert_int_equal(get(&b, 0, 100), 1);
    assert_int_equal(fo_ring_release(&b.rd[0]), FO_OK);

    /* tail and one start are stored, the rest is not */

    assert_int_equal(put(&b, 2, 100, 3, 0), FO_OK);
    atomic_store(&b.ring->tail, b.w.tail);
    atomic_store(&b.ring->range[slots[0]].start, b.w.start[slots[0]]);
    fo_ring_write_open(&b.w, b.ring, 0);

    assert_int_equal(get(&b, 0, 0), FO_AGAIN);
    assert_int_equal(put(&b, 3, 100, 3, 0), FO_OK);
    assert_int_equal(publish(&b), 3);
    assert_int_equal(get(&b, 0, 100), 3);
    assert_int_equal(get(&b, 0, 0), FO_AGAIN);

    /* this one has its old start and walks over the unannounced one too */

    for (i = 1; i <= 3; i++) {
        assert_int_equal(get(&b, 1, 100), (int) i);
    }

    assert_int_equal(get(&b, 1, 0), FO_AGAIN);

    free(b.ring);
}


/* lengths that make no sense are not followed */

static void
test_insane_length(void **state)
{
    u_char    buf[1024];
    size_t    need, i;
    uint32_t  bad[] = { 0, 4, 8, 24, 31, 36, 105, 112, 1024, 0x80000000,
                        0xfffffff8, 0xffffffff };
    bench_t   b;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make(&b, 1024, 0);

        assert_int_equal(put(&b, 1, 104, 1, 0), FO_OK);
        publish(&b);
        memcpy(b.ring->data, &bad[i], sizeof(uint32_t));

        need = 1;
        assert_int_equal(fo_ring_read(&b.rd[0], buf, sizeof(buf), &need),
                         FO_ERROR);
        assert_int_equal(need, 0);

        fo_ring_read_open(&b.rd[0], b.ring, slots[0]);
        assert_int_equal(get(&b, 0, 0), FO_AGAIN);
        assert_true(drained(&b.w));

        assert_int_equal(put(&b, 2, 100, 1, 0), FO_OK);
        publish(&b);
        assert_int_equal(get(&b, 0, 100), 2);

        free(b.ring);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_nothing_is_seen_before_it_is_published),
        cmocka_unit_test(test_each_gets_its_own_in_order),
        cmocka_unit_test(test_buffer_too_small),
        cmocka_unit_test(test_entry_max),
        cmocka_unit_test(test_full_and_reserve),
        cmocka_unit_test(test_who_is_owed_nothing_costs_nothing),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_lapse),
        cmocka_unit_test(test_lapsed_with_everything_read),
        cmocka_unit_test(test_lapsed_and_open_again_before_the_publish),
        cmocka_unit_test(test_slot_changes_hands),
        cmocka_unit_test(test_writer_changes),
        cmocka_unit_test(test_half_a_publish),
        cmocka_unit_test(test_insane_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
