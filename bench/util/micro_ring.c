
/*
 * The ring with entries of n bytes: written and read by one thread in
 * batches, and from one thread to another, the reader spinning.
 */


#include "micro.h"

#include <pthread.h>
#include <sched.h>

#include "core/fo_ring.h"


#define SIZE    (4 << 20)
#define BATCH   64
#define READER  1


static fo_ring_t         *ring;
static fo_ring_writer_t   writer;
static fo_ring_reader_t   reader;
static u_char            *buf;


static void
ring_setup(micro_t *m)
{
    ring = aligned_alloc(64, (fo_ring_bytes(SIZE) + 63) & ~(size_t) 63);
    buf = malloc(m->n + 64);

    if (ring == NULL || buf == NULL) {
        die("out of memory");
    }

    memset(ring, 0, fo_ring_bytes(SIZE));
    memset(buf, 'x', m->n + 64);

    fo_ring_init(ring, SIZE);
    atomic_store(&ring->writer, 0);
    fo_ring_write_open(&writer, ring, SIZE / 16);
    fo_ring_read_open(&reader, ring, READER);
}


/* false: there is no room */

static int
ring_write(size_t len)
{
    fo_mask_t         to;
    fo_ring_entry_t  *e;

    fo_mask_clear(&to);
    fo_mask_set(&to, READER);

    e = fo_ring_append(&writer, 1, sizeof(fo_ring_entry_t) + len, &to, 0);
    if (e == NULL) {
        return 0;
    }

    memcpy(e + 1, buf, len);

    return 1;
}


static unsigned
ring_read(size_t len)
{
    size_t       need;
    unsigned     n;
    static char  entry[65536];

    for (n = 0;
         fo_ring_read(&reader, entry, sizeof(entry), &need) == FO_OK;
         n++)
    {
        if (need < len) {
            die("an entry of %zu bytes", need);
        }
    }

    (void) fo_ring_release(&reader);

    return n;
}


static uint64_t
ring_run(micro_t *m)
{
    uint64_t   i, n;
    fo_mask_t  touched;

    for (i = 0, n = 0; i < m->ops; i++) {
        if (!ring_write(m->n)) {
            die("no room");
        }

        if (i % BATCH == BATCH - 1) {
            fo_ring_publish(&writer, &touched);
            n += ring_read(m->n);
        }
    }

    fo_ring_publish(&writer, &touched);
    n += ring_read(m->n);

    if (n != m->ops) {
        die("%" PRIu64 " came", n);
    }

    return m->ops;
}


static void *
ring_thread(void *arg)
{
    micro_t   *m = arg;
    uint64_t   n;
    unsigned   some;

    for (n = 0; n < m->ops; n += some) {
        some = ring_read(m->n);

        if (some == 0) {
            sched_yield();
        }
    }

    return NULL;
}


static uint64_t
ring_run_threads(micro_t *m)
{
    uint64_t   i;
    pthread_t  thread;
    fo_mask_t  touched;

    if (pthread_create(&thread, NULL, ring_thread, m)) {
        die("no thread");
    }

    for (i = 0; i < m->ops; i++) {
        while (!ring_write(m->n)) {
            fo_ring_publish(&writer, &touched);
            sched_yield();
        }

        if (i % BATCH == BATCH - 1) {
            fo_ring_publish(&writer, &touched);
        }
    }

    fo_ring_publish(&writer, &touched);
    pthread_join(thread, NULL);

    return m->ops;
}


const micro_case_t  micro_ring[] = {
    { "ring", ring_setup, ring_run, NULL },
    { "ring-threads", ring_setup, ring_run_threads, NULL },
    { NULL, NULL, NULL, NULL }
};
