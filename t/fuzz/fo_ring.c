
/*
 * The ring against a naive model: bytes are operations of a writer and of
 * readers.
 *
 *     byte 0: size of the ring; byte 1: reserve
 *     then two bytes each: what to do, and how
 *
 * The model keeps all entries in a list with, for each reader, whether it
 * still has to read them; it says what is full, who is slowest, and what
 * every reader gets.
 */


#include "fo_test.h"
#include "core/fo_ring.h"


#define READERS   4
#define ENTRIES   4096
#define PAYLOAD   sizeof(fo_ring_entry_t)


typedef struct {
    uint64_t   first;      /* its position, behind a pad */
    uint64_t   last;
    uint32_t   len;
    uint16_t   type;
    fo_mask_t  to;
    u_char     mine;       /* a bit a reader: owes or owed it this */
} entry_t;


typedef struct {
    int        open;
    int        lapsed;
    uint64_t   start;
    uint64_t   cursor;     /* released */
    uint64_t   pos;        /* read */
    uint64_t   end;        /* with what is unpublished */
    unsigned   next;       /* the entry that it looks at next */
} model_t;


static const unsigned    slots[READERS] = { 0, 63, 64, 191 };

static fo_ring_t        *ring;
static fo_ring_writer_t  writer;
static fo_ring_reader_t  readers[READERS];
static model_t           models[READERS];

static entry_t           entries[ENTRIES];
static unsigned          nentries;     /* with the unpublished */
static unsigned          npublished;
static uint64_t          published, tail;


static void
check(int ok, const char *what)
{
    if (!ok) {
        fo_test_die(what);
    }
}


static u_char
payload(const entry_t *e, size_t i)
{
    return (u_char) ((e - entries) * 31 + i * 7 + e->type);
}


/* what the reader needs from, or UINT64_MAX */

static uint64_t
needs(const model_t *m)
{
    if (!m->open || m->lapsed || m->cursor >= m->end) {
        return UINT64_MAX;
    }

    return fo_max(m->cursor, m->start);
}


static uint64_t
limit(uint64_t most)
{
    unsigned  r;

    for (r = 0; r < READERS; r++) {
        most = fo_min(most, needs(&models[r]));
    }

    return most;
}


static void
append(unsigned how)
{
    int               control, fits;
    size_t            i, want, len;
    unsigned          r;
    uint64_t          place, pad, last;
    entry_t          *e;
    fo_ring_entry_t  *p;

    if (nentries == ENTRIES) {
        return;
    }

    control = how & 1;
    e = &entries[nentries];
    memset(e, 0, sizeof(entry_t));

    /* mostly small, sometimes the largest, sometimes one too large */

    want = (how >> 5) * (fo_ring_entry_max(ring) + 1) / 7 + (how >> 1 & 3);
    len = fo_max(want, sizeof(fo_ring_entry_t));
    len = (len + 7) / 8 * 8;

    fo_mask_set(&e->to, 100);          /* a slot that nobody has opened */

    for (r = 0; r < READERS; r++) {
        if ((how * 0x9d + nentries * 0x35) >> r & 1) {
            fo_mask_set(&e->to, slots[r]);
        }
    }

    place = tail % ring->size;
    pad = (place + len > ring->size) ? ring->size - place : 0;
    last = tail + pad + len + (control ? 0 : writer.reserve);

    fits = want <= fo_ring_entry_max(ring)
           && last - limit(tail) <= ring->size;

    p = fo_ring_append(&writer, (uint16_t) (1 + how), want, &e->to, control);

    check(fits == (p != NULL), "room");

    if (p == NULL) {
        return;
    }

    e->first = tail + pad;
    e->last = e->first + len;
    e->len = (uint32_t) len;
    e->type = (uint16_t) (1 + how);

    check((u_char *) p == ring->data + e->first % ring->size, "place");
    check(p->len == len && p->type == e->type
          && memcmp(&p->to, &e->to, sizeof(fo_mask_t)) == 0, "header");

    for (i = PAYLOAD; i < want; i++) {
        ((u_char *) p)[i] = payload(e, i);
    }

    for (r = 0; r < READERS; r++) {

        if (!models[r].open || models[r].lapsed
            || !fo_mask_test(&e->to, slots[r]))
        {
            continue;
        }

        if (models[r].cursor >= models[r].end) {
            models[r].start = e->first;
        }

        models[r].end = e->last;
        e->mine |= (u_char) (1 << r);
    }

    tail = e->last;
    nentries++;
}


static void
publish(void)
{
    unsigned   i, r;
    fo_mask_t  touched, expected;

    fo_mask_clear(&expected);

    for (i = npublished; i < nentries; i++) {
        for (r = 0; r < READERS; r++) {
            if (entries[i].mine >> r & 1) {
                fo_mask_set(&expected, slots[r]);
            }
        }
    }

    fo_ring_publish(&writer, &touched);

    check(memcmp(&touched, &expected, sizeof(fo_mask_t)) == 0, "touched");
    check(atomic_load(&ring->tail) == tail, "the published tail");

    npublished = nentries;
    published = tail;
}


/* the next published entry that is this reader's, or NULL */

static entry_t *
next_entry(unsigned r)
{
    model_t  *m;

    m = &models[r];

    for ( /* void */ ; m->next < npublished; m->next++) {
        if (entries[m->next].mine >> r & 1) {
            return &entries[m->next];
        }
    }

    return NULL;
}


static void
read_one(unsigned r, unsigned how)
{
    int       rc;
    size_t    size, need, i;
    u_char   *buf;
    entry_t  *e;
    model_t  *m;

    m = &models[r];

    if (!m->open) {
        return;
    }

    e = next_entry(r);

    size = e ? e->len : 64;
    size = (how == 1) ? size - 1 : (how == 2) ? 0 : size;

    check(fo_ring_pending(&readers[r]) == (m->lapsed || e), "pending");

    buf = malloc(size);
    memset(buf, 0xa5, size);
    need = 12345;

    rc = fo_ring_read(&readers[r], buf, size, &need);

    if (m->lapsed) {
        check(rc == FO_ERROR, "read though lapsed");

    } else if (e == NULL) {
        check(rc == FO_AGAIN, "read what is not there");

    } else {
        check(rc == FO_OK && need == e->len, "not read");
        m->pos = e->first;

        if (need <= size) {
            check(memcmp(buf, &e->len, 4) == 0
                  && memcmp(buf + 4, &e->type, 2) == 0
                  && memcmp(buf + 8, &e->to, sizeof(fo_mask_t)) == 0,
                  "another header");

            for (i = PAYLOAD; i + 8 <= e->len; i++) {
                check(buf[i] == payload(e, i), "another payload");
            }

            m->pos = e->last;
            m->next++;
        }
    }

    free(buf);
}


static void
release(unsigned r)
{
    model_t  *m;

    m = &models[r];

    if (!m->open) {
        return;
    }

    if (m->lapsed) {
        check(fo_ring_release(&readers[r]) == FO_ERROR, "released, lapsed");
        return;
    }

    check(fo_ring_release(&readers[r]) == FO_OK, "not released");
    m->cursor = m->pos;
}


/* a new process in the slot, or one that has lapsed */

static void
open_reader(unsigned r)
{
    model_t  *m;

    m = &models[r];

    fo_ring_read_open(&readers[r], ring, slots[r]);

    m->open = 1;
    m->lapsed = 0;
    m->next = npublished;
    m->cursor = m->pos = published;
}


static void
open_writer(unsigned how)
{
    unsigned  i, r;

    /* the old one has died with what it had not published */

    nentries = npublished;
    tail = published;

    memset(&writer, 0xa5, sizeof(writer));
    fo_ring_write_open(&writer, ring, ring->size / 8 * (how & 3) / 8 * 8);

    for (r = 0; r < READERS; r++) {
        models[r].end = 0;

        for (i = 0; i < nentries; i++) {
            if (entries[i].mine >> r & 1) {
                models[r].end = entries[i].last;
            }
        }
    }
}


static void
lapse(unsigned how)
{
    unsigned   r, i, slot;
    uint64_t   cursor, low;

    slot = fo_ring_slowest(&writer, &cursor);
    low = limit(UINT64_MAX);

    if (slot == FO_SLOTS) {
        check(low == UINT64_MAX, "somebody limits");
        return;
    }

    for (r = 0; r < READERS && slots[r] != slot; r++) { /* void */ }

    check(r < READERS, "a slot that nobody has opened");
    check(needs(&models[r]) == low, "not the slowest");
    check(cursor == models[r].cursor, "its cursor");

    check(fo_ring_lapse(&writer, slot, cursor + 8) == 0, "another cursor");
    check(fo_ring_lapse(&writer, slot, cursor | FO_RING_LAPSED) == 0,
          "a mark is no cursor");

    if (how & 1) {
        return;
    }

    check(fo_ring_lapse(&writer, slot, cursor) == 1, "not lapsed");
    check(fo_ring_lapse(&writer, slot, cursor) == 0, "lapsed twice");

    models[r].lapsed = 1;
    models[r].end = 0;

    for (i = 0; i < nentries; i++) {

        if (i >= npublished) {
            entries[i].mine &= (u_char) ~(1 << r);
        }

        if (entries[i].mine >> r & 1) {
            models[r].end = entries[i].last;
        }
    }
}


static void
check_all(void)
{
    unsigned  r, i;
    uint64_t  low, end, cursor;
    model_t  *m;

    check((fo_ring_slowest(&writer, &cursor) == FO_SLOTS)
          == (limit(UINT64_MAX) == UINT64_MAX), "drained");

    /* what others see ends with what is published */

    for (r = 0, low = published; r < READERS; r++) {
        m = &models[r];

        for (i = 0, end = 0; i < npublished; i++) {
            if (entries[i].mine >> r & 1) {
                end = entries[i].last;
            }
        }

        if (m->open && !m->lapsed && m->cursor < end) {
            low = fo_min(low, fo_max(m->cursor, m->start));
        }
    }

    check(fo_ring_backlog(ring) == published - low, "backlog");
}


static void
run(unsigned what, unsigned how)
{
    unsigned  r;

    r = how & 3;

    switch (what % 16) {

    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        append(how);
        break;

    case 5:
        append(how);
        publish();
        break;

    case 6:
        publish();
        break;

    case 7:
    case 8:
    case 9:
        read_one(r, how >> 2 & 3);
        break;

    case 10:
        release(r);
        break;

    case 11:
        publish();

        for (r = 0; r < READERS; r++) {
            while (next_entry(r) && models[r].open && !models[r].lapsed) {
                read_one(r, 0);
            }

            release(r);
        }

        break;

    case 12:
        lapse(how);
        break;

    case 13:
        open_reader(r);
        break;

    case 14:
        if ((how & 12) == 0) {
            open_writer(how);
        }

        break;

    default:
        check_all();
    }
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    unsigned  r;
    uint64_t  bytes;

    if (size < 2) {
        return 0;
    }

    bytes = 192 + 64 * (data[0] % 32);

    ring = aligned_alloc(64, fo_ring_bytes(bytes));
    check(ring != NULL, "no memory");
    memset((void *) ring, 0xa5, fo_ring_bytes(bytes));

    fo_ring_init(ring, bytes);

    memset(models, 0, sizeof(models));
    nentries = npublished = 0;
    published = tail = 0;

    open_writer(data[1]);

    /* the last one opens later, if at all */

    for (r = 0; r < READERS - 1; r++) {
        open_reader(r);
    }

    for (data += 2, size -= 2; size >= 2; data += 2, size -= 2) {
        run(data[0], data[1]);
    }

    publish();
    check_all();

    for (r = 0; r < READERS; r++) {
        do {
            read_one(r, 0);
        } while (next_entry(r) && models[r].open && !models[r].lapsed);

        release(r);
    }

    check_all();
    free(ring);

    return 0;
}
