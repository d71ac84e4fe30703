
/*
 * A ring: one worker's outgoing log to the other workers, in shared memory.
 * One writer, many readers, no lock.
 *
 *     | head | reader[192]: start, end | cursor[192] | data ............ |
 *
 * Positions are 64-bit byte counts that only grow, also over writers that
 * own the ring one after the other; the place in the data is position %
 * size.  Entries are contiguous and 8-byte aligned; a pad entry fills what
 * is left before the wrap.  Each entry carries the set of readers that it
 * is meant for.
 *
 * For each reader the writer keeps the range {start, end} of what is meant
 * for it.  A reader limits the writer only while its cursor < end, at
 * max(cursor, start); one that has read everything costs nothing, however
 * old its cursor is, because it goes on from start.
 *
 * 1. The writer moves start only while cursor >= end, so a reader that saw
 *    cursor < end can trust the start that it loads after end.
 * 2. What was appended is seen by others after fo_ring_publish() only; a
 *    writer that dies before has sent nothing.
 * 3. A reader that blocks the writer for too long is marked lapsed: the
 *    writer sets FO_RING_LAPSED in its cursor by compare-and-swap, and from
 *    then on may overwrite what the reader is looking at.  So a reader
 *    copies an entry and looks at its cursor again before it trusts it.
 */


#ifndef FO_RING_H
#define FO_RING_H


#include "core/fo_mask.h"


#define FO_RING_LAPSED     ((uint64_t) 1 << 63)
#define FO_RING_PAD        0
#define FO_RING_NO_WRITER  0xffff


/* every entry begins so; a pad entry has nothing but len and type */

typedef struct {
    uint32_t               len;       /* of the whole entry, 8-aligned */
    uint16_t               type;      /* FO_RING_PAD or the caller's */
    uint16_t               reserved;
    fo_mask_t              to;
} fo_ring_entry_t;


typedef struct {
    _Atomic uint64_t       start;     /* writer writes, before end */
    _Atomic uint64_t       end;       /* writer writes (release) */
} fo_ring_range_t;


typedef struct {
    /* the reader writes (release); the writer may set FO_RING_LAPSED */
    _Atomic uint64_t       cursor;
    uint64_t               pad[7];
} fo_ring_cursor_t;


typedef struct {
    uint64_t               size;      /* of data; a multiple of 64 */
    _Atomic uint64_t       tail;      /* the writer writes (release) */
    _Atomic uint64_t       writer;    /* slot, FO_RING_NO_WRITER: free;
                                         written under the zone's lock */
    uint64_t               pad[5];
    fo_ring_range_t        range[FO_SLOTS];
    fo_ring_cursor_t       cursor[FO_SLOTS];
    u_char                 data[];
} fo_ring_t;


/* private to the writing process */

typedef struct {
    fo_ring_t             *ring;
    uint64_t               tail;       /* with what is not yet published */
    uint64_t               lap;        /* the latest position at place 0 */
    uint64_t               limit;      /* no reader needs what is before;
                                          may be older than the truth */
    uint64_t               reserve;    /* bytes for control entries only */
    fo_mask_t              touched;    /* readers with unpublished entries */
    uint64_t               start[FO_SLOTS];
    uint64_t               end[FO_SLOTS];
} fo_ring_writer_t;


/* private to a reading process */

typedef struct {
    fo_ring_t             *ring;
    unsigned               slot;
    uint64_t               cursor;     /* what it last stored */
    uint64_t               pos;        /* where it reads */
    uint64_t               lap;        /* the latest position at place 0 */
    uint64_t               limit;      /* entries from here on are not read
                                          now; the caller may set it, at a
                                          position that was a tail */
} fo_ring_reader_t;


/* bytes of shared memory for a ring with "size" bytes of data */
#define fo_ring_bytes(size)  (sizeof(fo_ring_t) + (size))

#define FO_RING_NO_LIMIT   ((uint64_t) -1)

/* makes a fresh ring in memory aligned to 64; nobody else sees it yet */
void fo_ring_init(fo_ring_t *ring, uint64_t size);


/*
 * Writer.  fo_ring_write_open() goes on where the previous writer of this
 * ring ended.  The caller holds the zone's lock and has set ring->writer.
 * A reserve of at most half the ring leaves room for the largest entry.
 */
void fo_ring_write_open(fo_ring_writer_t *w, fo_ring_t *ring,
    uint64_t reserve);

/* the largest entry that a ring takes: a quarter of it */
uint64_t fo_ring_entry_max(const fo_ring_t *ring);

/*
 * Room for an entry of "len" bytes in all (header included; need not be
 * aligned), at most fo_ring_entry_max().  "to" may contain any slots; those
 * that have lapsed or never opened the ring get nothing.  The header is
 * filled in; the caller writes the rest before it calls anything
 * else here.  control != 0: may use the reserve.  NULL: full.
 */
fo_ring_entry_t *fo_ring_append(fo_ring_writer_t *w, uint16_t type,
    size_t len, const fo_mask_t *to, int control);

/* makes all appended entries visible; "touched" says who has got some */
void fo_ring_publish(fo_ring_writer_t *w, fo_mask_t *touched);

/*
 * The reader that limits the writer most, or FO_SLOTS; *cursor is where it
 * stands.  Judge it after fo_ring_publish() only: nobody can read on to what
 * is not published.
 */
unsigned fo_ring_slowest(fo_ring_writer_t *w, uint64_t *cursor);

/* is there something that this reader has still to read?  *cursor as above */
int fo_ring_owed(fo_ring_writer_t *w, unsigned slot, uint64_t *cursor);

/* marks a reader lapsed if its cursor is still "cursor"; 1 if it was */
int fo_ring_lapse(fo_ring_writer_t *w, unsigned slot, uint64_t cursor);

/* up to where entries are visible now */
#define fo_ring_tail(ring)                                                    \
    atomic_load_explicit(&(ring)->tail, memory_order_acquire)

/* bytes that some reader still needs; any process may ask */
uint64_t fo_ring_backlog(fo_ring_t *ring);


/*
 * Reader.  Open sets the cursor to the published tail: nothing older is
 * read.  Also the way back for one that has lapsed.
 */
void fo_ring_read_open(fo_ring_reader_t *rd, fo_ring_t *ring, unsigned slot);

/*
 * Copies the next entry meant for this reader to "buf".  FO_OK; FO_AGAIN:
 * nothing more; FO_ERROR: lapsed.  If the entry is longer than "size",
 * FO_OK with *need > size and nothing read: call again with a larger
 * buffer (at most fo_ring_entry_max()).  Entries that fail a sanity check
 * of their length count as lapsed, too.
 */
int fo_ring_read(fo_ring_reader_t *rd, void *buf, size_t size, size_t *need);

/* is there something to read? (two loads) */
int fo_ring_pending(fo_ring_reader_t *rd);

/*
 * Tells the writer that everything read so far is no longer needed.
 * FO_ERROR: lapsed meanwhile (what was copied before stays trustworthy).
 */
int fo_ring_release(fo_ring_reader_t *rd);


#endif /* FO_RING_H */
