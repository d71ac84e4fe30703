
/*
 * The ring in threads: a writer and three readers, of which two stall now and
 * then and so lapse.  Entry n is meant for whom chance(n) says: each reader
 * knows so what comes next.  Reader 0 never lapses and gets everything.
 */


#include "fo_test.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "core/fo_ring.h"


#define ENTRIES   1000000
#define READERS   3
#define RING      16384
#define PATIENCE  2000000    /* ns */


typedef struct {
    fo_ring_entry_t     e;
    uint64_t            n;
    uint64_t            sum;
    u_char              data[];
} message_t;


typedef struct {
    fo_ring_t          *ring;
    unsigned            reader;
    _Atomic int        *done;
    _Atomic int        *ready;
    long                read;
    long                lapsed;
    long                bad;       /* payload, or not in order */
} reader_t;


/* has everyone read everything? */

static int
drained(fo_ring_writer_t *w)
{
    uint64_t  cursor;

    return fo_ring_slowest(w, &cursor) == FO_SLOTS;
}


static const unsigned  slots[READERS] = { 0, 70, 191 };


static uint64_t
chance(uint64_t n)
{
    n = (n + 1) * 0x9e3779b97f4a7c15ull;
    n = (n ^ n >> 31) * 0xbf58476d1ce4e5b9ull;

    return n ^ n >> 29;
}


static unsigned
whose(uint64_t n)
{
    return chance(n) & 7;
}


static fo_mask_t
set(uint64_t n)
{
    unsigned   i;
    fo_mask_t  m;

    fo_mask_clear(&m);

    for (i = 0; i < READERS; i++) {
        if (whose(n) >> i & 1) {
            fo_mask_set(&m, slots[i]);
        }
    }

    return m;
}


static size_t
data_len(uint64_t n)
{
    return chance(n) >> 8 & 0x7f;
}


static uint64_t
checksum(const message_t *m)
{
    size_t    i;
    uint64_t  sum;

    sum = m->n * 0x9e3779b97f4a7c15ull;

    for (i = 0; i < data_len(m->n); i++) {
        sum = (sum << 7 | sum >> 57) + m->data[i];
    }

    return sum;
}


static uint64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


static void *
reader(void *data)
{
    reader_t  *r = data;

    int                rc, finished, fresh;
    long               stall;
    size_t             need, size;
    uint64_t           next;
    message_t         *m;
    fo_ring_reader_t   rd;

    size = fo_ring_entry_max(r->ring);
    m = malloc(size);
    next = 0;
    fresh = 0;
    stall = 5000;

    fo_ring_read_open(&rd, r->ring, slots[r->reader]);
    atomic_fetch_add(r->ready, 1);

    for ( ;; ) {
        finished = atomic_load(r->done);

        if (r->reader && r->read >= stall) {
            stall += 10000 + r->reader * 5000;

            /* stands still until it is passed over, or all is written */

            while (!(atomic_load(&r->ring->cursor[slots[r->reader]].cursor)
                     & FO_RING_LAPSED)
                   && !atomic_load(r->done))
            {
                sched_yield();
            }
        }

        while ((rc = fo_ring_read(&rd, m, size, &need)) == FO_OK) {

            while (!fresh && !(whose(next) >> r->reader & 1)) {
                next++;
            }

            r->bad += (fresh ? m->n < next : m->n != next)
                      || need != fo_align8(sizeof(message_t)
                                           + data_len(m->n))
                      || !(whose(m->n) >> r->reader & 1)
                      || m->sum != checksum(m);
            r->read++;

            fresh = 0;
            next = m->n + 1;

            if (r->read % 64 == 0) {
                break;
            }
        }

        if (rc == FO_ERROR || fo_ring_release(&rd) != FO_OK) {
            r->lapsed++;
            fresh = 1;
            fo_ring_read_open(&rd, r->ring, slots[r->reader]);
            continue;
        }

        if (rc == FO_AGAIN) {

            if (finished) {
                break;
            }

            sched_yield();
        }
    }

    free(m);

    return NULL;
}


/* waits for room; marks whoever does not move, but the first reader */

static void
wait_for_room(fo_ring_writer_t *w, unsigned *slot, uint64_t *cursor,
    uint64_t *since)
{
    unsigned   s;
    uint64_t   c;
    fo_mask_t  touched;

    fo_ring_publish(w, &touched);
    s = fo_ring_slowest(w, &c);

    if (s != *slot || c != *cursor) {
        *slot = s;
        *cursor = c;
        *since = now();

    } else if (s != FO_SLOTS && s != slots[0] && now() - *since > PATIENCE) {
        (void) fo_ring_lapse(w, s, c);
    }

    sched_yield();
}


static void
write_all(fo_ring_writer_t *w)
{
    size_t      i;
    unsigned    slot;
    uint64_t    n, cursor, since;
    message_t  *m;
    fo_mask_t   to, touched;

    slot = FO_SLOTS;
    cursor = 0;
    since = 0;

    for (n = 0; n < ENTRIES; n++) {
        to = set(n);

        for ( ;; ) {
            m = (message_t *) (void *)
                fo_ring_append(w, 1, sizeof(message_t) + data_len(n), &to,
                               0);

            if (m != NULL) {
                break;
            }

            wait_for_room(w, &slot, &cursor, &since);
        }

        m->n = n;

        for (i = 0; i < data_len(n); i++) {
            m->data[i] = (u_char) (n + i * 3);
        }

        m->sum = checksum(m);

        if ((chance(n) >> 20) % 16 == 0) {
            fo_ring_publish(w, &touched);
        }
    }

    fo_ring_publish(w, &touched);
}


static void
test_threads(void **state)
{
    long              mine[READERS];
    unsigned          i;
    uint64_t          n;
    _Atomic int       done, ready;
    fo_ring_t        *ring;
    reader_t          r[READERS];
    pthread_t         t[READERS];
    fo_ring_writer_t  w;

    ring = aligned_alloc(64, fo_ring_bytes(RING));
    assert_non_null(ring);

    fo_ring_init(ring, RING);
    fo_ring_write_open(&w, ring, 0);
    atomic_init(&done, 0);
    atomic_init(&ready, 0);
    memset(r, 0, sizeof(r));

    for (i = 0; i < READERS; i++) {
        r[i].ring = ring;
        r[i].reader = i;
        r[i].done = &done;
        r[i].ready = &ready;
        mine[i] = 0;

        assert_int_equal(pthread_create(&t[i], NULL, reader, &r[i]), 0);
    }

    while (atomic_load(&ready) < READERS) {
        sched_yield();
    }

    write_all(&w);
    atomic_store(&done, 1);

    for (i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }

    for (n = 0; n < ENTRIES; n++) {
        for (i = 0; i < READERS; i++) {
            mine[i] += whose(n) >> i & 1;
        }
    }

    for (i = 0; i < READERS; i++) {
        print_message("reader %u: %ld of %ld read, lapsed %ld times\n", i,
                      r[i].read, mine[i], r[i].lapsed);

        assert_int_equal(r[i].bad, 0);
        assert_true(r[i].read <= mine[i]);

        if (r[i].lapsed == 0) {
            assert_int_equal(r[i].read, mine[i]);
        }
    }

    assert_int_equal(r[0].lapsed, 0);
    assert_true(r[1].lapsed > 0 && r[1].read > 0);
    assert_true(r[2].lapsed > 0 && r[2].read > 0);
    assert_true(drained(&w));
    assert_int_equal(fo_ring_backlog(ring), 0);

    free(ring);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
