
/*
 * A feed's log against a naive model: one flat array of bytes and of ends
 * of frames, and for each reader the number of the frame it stands at.
 */


#include "fo_test.h"
#include "core/fo_feed.h"


#define READERS  6
#define FRAMES   2000


typedef struct {
    fo_pos_t       pos;
    fo_chunk_t    *chunk;        /* of the rest */
    fo_str_t       rest;
    uint64_t       next;         /* the byte that it must be sent next */
    unsigned       frame;        /* in the model; equal to n: at the tail */
} reader_t;


typedef struct {
    fo_chunks_t    pool;
    fo_feed_log_t  log;
    reader_t       reader[READERS];
    uint64_t       end[FRAMES];
    unsigned       n;
    unsigned       first;        /* fresh, or n */
    unsigned       marked;       /* frames up to the last marked one */
    uint64_t       random;
} bench_t;


static unsigned
draw(bench_t *b, unsigned n)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;

    return (unsigned) ((b->random >> 11) % n);
}


static u_char
byte(uint64_t at)
{
    return (u_char) (at * 31 + at / 251);
}


static uint64_t
begins(const bench_t *b, unsigned frame)
{
    return frame ? b->end[frame - 1] : 0;
}


static int
append(bench_t *b, size_t len)
{
    size_t       i;
    u_char      *p;
    uint64_t     at;
    fo_frame_t  *f;

    at = begins(b, b->n);

    p = fo_feed_append(&b->pool, &b->log, len, &f);
    if (p == NULL) {
        assert_int_equal(fo_feed_fresh(&b->log), b->first < b->n);
        return FO_ERROR;
    }

    for (i = 0; i < len; i++) {
        p[i] = byte(at + i);
    }

    f->source = b->n;
    f->offset = (int64_t) at;
    f->key = 0;
    f->key_len = 0;

    assert_true(fo_feed_fresh(&b->log));
    assert_ptr_equal(fo_feed_first(&b->pool), &b->log);

    b->end[b->n++] = at + len;

    if (draw(b, 20) == 0) {
        fo_feed_mark(&b->log);
        b->marked = b->n;
    }

    return FO_OK;
}


/* all at the tail enter; then the log is settled */

static void
enter(bench_t *b)
{
    unsigned   i;
    reader_t  *r;

    for (i = 0; i < READERS; i++) {
        r = &b->reader[i];

        if (r->pos.chunk == NULL) {
            fo_feed_enter(&b->log, &r->pos);
            assert_int_equal(r->pos.chunk != NULL, b->first < b->n);
            r->frame = b->first;
        }
    }

    fo_feed_settle(&b->pool, &b->log);
    b->first = b->n;

    assert_false(fo_feed_fresh(&b->log));
    assert_null(fo_feed_first(&b->pool));
}


static void
send(bench_t *b, reader_t *r)
{
    size_t     n, len, i;
    u_char    *data;
    unsigned   passed, frame;

    if (r->chunk) {
        n = 1 + draw(b, (unsigned) r->rest.len);

        for (i = 0; i < n; i++) {
            assert_int_equal(r->rest.data[i], byte(r->next + i));
        }

        r->next += n;
        r->rest.data += n;
        r->rest.len -= n;

        if (r->rest.len == 0) {
            fo_chunk_release(&b->pool, r->chunk);
            r->chunk = NULL;
        }

        return;
    }

    if (r->pos.chunk == NULL) {
        return;
    }

    assert_true(fo_feed_lag_frames(&b->log, &r->pos) == b->n - r->frame);
    assert_true(fo_feed_lag_bytes(&b->log, &r->pos)
                == begins(b, b->n) - begins(b, r->frame));
    assert_int_equal(fo_feed_marked(&b->log, &r->pos),
                     b->marked > r->frame);

    len = fo_feed_data(&r->pos, &data);
    r->next = begins(b, r->frame);
    assert_true(len > 0);

    n = draw(b, 4) ? draw(b, (unsigned) len + 1) : len;

    for (i = 0; i < n; i++) {
        assert_int_equal(data[i], byte(r->next + i));
    }

    for (frame = r->frame; n && begins(b, frame) < r->next + n; frame++) {
        /* void */
    }

    passed = fo_feed_advance(&b->pool, &b->log, &r->pos, n, &r->chunk,
                             &r->rest);

    assert_int_equal(passed, frame - r->frame);
    assert_true(r->rest.len == (n ? begins(b, frame) - r->next - n : 0));
    assert_int_equal(r->chunk != NULL, r->rest.len != 0);

    r->next += n;
    r->frame = frame;

    assert_int_equal(r->pos.chunk == NULL, frame == b->n);
}


/* after whatever was done */

static void
check(bench_t *b)
{
    unsigned     i, chunks;
    fo_chunk_t  *c;

    chunks = 0;

    for (c = b->log.head; c; c = c->next) {
        chunks++;
        assert_true(c->refs >= 1 && c->n > 0);
        assert_true(c->next || c == b->log.head->state.tail);
    }

    assert_true(b->pool.chunks >= chunks);
    assert_true(b->log.head == NULL || b->log.head->positions > 0);

    if (fo_feed_fresh(&b->log)) {
        return;
    }

    for (i = 0; i < READERS; i++) {
        if (b->reader[i].pos.chunk) {
            return;
        }
    }

    /* all at the tail */

    assert_null(b->log.head);
}


static int
play(fo_alloc_t *a, uint64_t seed, unsigned steps, unsigned most)
{
    int        rc;
    unsigned   i;
    bench_t   *b;
    reader_t  *r;

    b = calloc(1, sizeof(bench_t));
    b->random = (seed + 1) * 0x9e3779b97f4a7c15ULL;

    fo_chunks_init(&b->pool, a);
    fo_feed_log_init(&b->log);

    rc = FO_OK;

    for (i = 0; i < steps; i++) {
        r = &b->reader[draw(b, READERS)];

        switch (draw(b, 8)) {

        case 0:
        case 1:
        case 2:
            if (b->n < FRAMES
                && append(b, 1 + draw(b, draw(b, 10) ? 90 : most)) != FO_OK)
            {
                rc = FO_ERROR;
            }

            break;

        case 3:
            enter(b);
            break;

        case 4:
            if (draw(b, 6) == 0) {
                if (r->pos.chunk == NULL && b->first < b->n) {
                    break;      /* still to enter what is fresh */
                }

                fo_feed_leave(&b->pool, &b->log, &r->pos);
                r->frame = b->n;
            }

            break;

        default:
            send(b, r);
        }

        check(b);
    }

    for (i = 0; i < READERS; i++) {
        r = &b->reader[i];
        fo_feed_leave(&b->pool, &b->log, &r->pos);

        if (r->chunk) {
            assert_true(b->pool.chunks > 0);
            fo_chunk_release(&b->pool, r->chunk);
        }
    }

    fo_feed_settle(&b->pool, &b->log);

    assert_null(b->log.head);
    assert_true(b->pool.chunks == 0 && b->pool.bytes == 0);
    assert_true(b->pool.kept <= FO_CHUNK_KEEP);

    fo_chunks_trim(&b->pool, 0);
    assert_true(b->pool.kept == 0);

    free(b);

    return rc;
}


static void
test_model(void **state)
{
    uint64_t         seed;
    fo_alloc_t       a;
    fo_test_alloc_t  t;

    for (seed = 0; seed < 60; seed++) {
        fo_test_alloc_init(&t, &a, 0);
        assert_int_equal(play(&a, seed, 2000, seed % 4 ? 900 : 90000),
                         FO_OK);
        fo_test_alloc_check(&t);
    }
}


static int
scenario(fo_alloc_t *a)
{
    return play(a, 4711, 150, 3000);
}


static void
test_no_memory(void **state)
{
    assert_true(fo_test_alloc_each(scenario) > 3);
}


/* what is idle costs nothing; what is kept is bounded and used again */

static void
test_chunks(void **state)
{
    unsigned         i;
    fo_pos_t         pos;
    fo_str_t         rest;
    fo_alloc_t       a;
    fo_chunk_t      *chunk;
    fo_frame_t      *f;
    fo_chunks_t      pool;
    fo_feed_log_t    log;
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 0);
    fo_chunks_init(&pool, &a);
    fo_feed_log_init(&log);

    for (i = 0; i < 100; i++) {
        assert_non_null(fo_feed_append(&pool, &log, 100, &f));
        fo_feed_enter(&log, &pos);
        fo_feed_settle(&pool, &log);

        assert_int_equal(fo_feed_advance(&pool, &log, &pos, 100, &chunk,
                                         &rest), 1);
        assert_null(chunk);
        assert_null(pos.chunk);
        assert_true(pool.chunks == 0);
        assert_int_equal(t.calls, 1);
    }

    /* larger than any class, and one that nobody wants */

    assert_non_null(fo_feed_append(&pool, &log, 5 << 20, &f));
    assert_non_null(fo_feed_append(&pool, &log, 1, &f));
    assert_true(pool.chunks == 2 && pool.bytes > 5 << 20);
    fo_feed_settle(&pool, &log);
    assert_true(pool.chunks == 0 && pool.kept <= FO_CHUNK_KEEP);

    /* one that no chunk can hold */

    assert_null(fo_feed_append(&pool, &log, (size_t) 1 << 32, &f));
    assert_null(log.head);

    fo_chunks_trim(&pool, 0);
    fo_test_alloc_check(&t);
}


/* a laggard pins the frame that was cut, not the log */

static void
test_rest(void **state)
{
    unsigned         i;
    fo_pos_t         pos;
    fo_str_t         rest;
    fo_alloc_t       a;
    fo_chunk_t      *chunk;
    fo_frame_t      *f;
    fo_chunks_t      pool;
    fo_feed_log_t    log;
    fo_test_alloc_t  t;

    fo_test_alloc_init(&t, &a, 0);
    fo_chunks_init(&pool, &a);
    fo_feed_log_init(&log);

    for (i = 0; i < 1000; i++) {
        memset(fo_feed_append(&pool, &log, 100, &f), (int) i, 100);
    }

    fo_feed_enter(&log, &pos);
    fo_feed_settle(&pool, &log);
    assert_true(pool.chunks > 2);

    assert_int_equal(fo_feed_advance(&pool, &log, &pos, 130, &chunk, &rest),
                     2);
    assert_int_equal(rest.len, 70);
    assert_int_equal(rest.data[0], 1);

    fo_feed_leave(&pool, &log, &pos);
    assert_true(pool.chunks == 1);
    assert_int_equal(rest.data[69], 1);

    fo_chunk_release(&pool, chunk);
    assert_true(pool.chunks == 0);

    fo_chunks_trim(&pool, 0);
    fo_test_alloc_check(&t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
