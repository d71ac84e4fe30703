
/*
 * A feed's log: ready frames in a list of chunks, and positions in it.
 *
 *     feed.head                                     feed.tail
 *     | chunk: header | frames -> ... <- index | -> | chunk ... | -> NULL
 *
 * The bytes of the frames grow from the left, the index of fo_frame_t from
 * the right, last frame leftmost.  A position is always a frame boundary.
 * Readers at the tail have no position and hold no chunk; the first frame
 * appended since they were last told is "fresh", which holds its chunk for
 * all of them together until each has entered there (fo_feed_settle()).
 * So a feed whose readers all are at the tail owns no chunk.
 *
 * What the log knows of itself lies in its first chunk and moves on when that
 * one goes; it means something only while there is a chunk, so a log at rest
 * is one pointer.  Bytes and frames are counted since the log was last at
 * rest.  Logs with fresh frames are in a list of the pool, by the chunk with
 * the first of them, in the order in which these came.
 *
 * A chunk is in the list while it or an earlier one holds a position; it is
 * in memory while it is in the list or holds the rest of a frame that was
 * cut by a send (refs).
 */


#ifndef FO_FEED_H
#define FO_FEED_H


#include "core/fo_queue.h"


#define FO_CHUNK_MIN      512           /* bytes, header and index included */
#define FO_CHUNK_CLASSES  8             /* 512 bytes to 64 KB */
#define FO_CHUNK_KEEP     (4 << 20)     /* bytes kept for reuse */


typedef struct {
    uint32_t      end;         /* in the chunk's data; begins where the one
                                  before ends */
    uint32_t      source;      /* the caller's name of the partition */
    int64_t       offset;
    uint32_t      key;         /* place of the key's bytes in the frame */
    uint32_t      key_len;
} fo_frame_t;


typedef struct fo_chunk_s  fo_chunk_t;


typedef struct {
    fo_chunk_t   *head;        /* NULL: at rest */
} fo_feed_log_t;


/* of a whole log, in its first chunk; void in all others */

typedef struct {
    fo_chunk_t   *tail;        /* the last one */
    fo_chunk_t   *fresh;       /* with the first fresh frame; NULL: none is */
    uint64_t      marked;      /* frames up to the last marked one */
} fo_log_state_t;


struct fo_chunk_s {
    fo_chunk_t      *next;        /* in the log; or in the pool */
    uint64_t         bytes;       /* of the log before this chunk */
    uint64_t         frames;      /* of the log before this chunk */
    uint32_t         refs;        /* 1 for the list, 1 for each rest */
    uint32_t         positions;   /* in this chunk, fresh included */
    uint32_t         size;        /* of data, index included */
    uint32_t         used;        /* bytes of frames */
    uint32_t         n;           /* frames */
    uint32_t         class;       /* FO_CHUNK_CLASSES: not for the pool */
    uint32_t         fresh;       /* the first fresh frame, if it has one */
    fo_log_state_t   state;       /* of the log */
    fo_queue_t       queue;       /* in pool->fresh, if it is state.fresh */
    fo_feed_log_t   *log;         /* that has it there */
    u_char           data[];
};


_Static_assert(offsetof(fo_chunk_t, data) == sizeof(fo_chunk_t)
               && sizeof(fo_chunk_t) % _Alignof(fo_frame_t) == 0,
               "the index of a chunk is aligned");


/* where chunks come from; one for all feeds of a worker */

typedef struct {
    const fo_alloc_t  *alloc;
    fo_chunk_t        *free[FO_CHUNK_CLASSES];
    fo_queue_t         fresh;      /* chunks of logs with fresh frames */
    size_t             kept;       /* bytes in free */
    uint64_t           chunks;     /* in use */
    uint64_t           bytes;      /* in use */
} fo_chunks_t;


typedef struct {
    fo_chunk_t   *chunk;       /* NULL: at the tail */
    uint32_t      frame;       /* below chunk->n, or equal only while it is
                                  the last chunk and more may come */
    uint32_t      spare;       /* the caller's, never touched here */
} fo_pos_t;


#define fo_feed_log_init(log)  (log)->head = NULL

/* has somebody to be told of frames? */
#define fo_feed_fresh(log)     ((log)->head && (log)->head->state.fresh)


void fo_chunks_init(fo_chunks_t *pool, const fo_alloc_t *alloc);

/* gives back kept memory until at most "keep" bytes are left */
void fo_chunks_trim(fo_chunks_t *pool, size_t keep);

/* drops a reference on a chunk */
void fo_chunk_release(fo_chunks_t *pool, fo_chunk_t *c);


/*
 * Room for a frame of len > 0 bytes at the tail; the caller writes it at
 * once.  The caller fills in source, offset and key of *frame.  NULL: no
 * memory, nothing changed.
 */
u_char *fo_feed_append(fo_chunks_t *pool, fo_feed_log_t *log, size_t len,
    fo_frame_t **frame);

/* marks the newest frame; there is one that is fresh */
void fo_feed_mark(fo_feed_log_t *log);

/* is there a marked frame at or after this position? */
int fo_feed_marked(const fo_feed_log_t *log, const fo_pos_t *pos);

/* the log that has been fresh for longest, or NULL */
fo_feed_log_t *fo_feed_first(fo_chunks_t *pool);

/* a reader at the tail gets the first fresh frame as its position */
void fo_feed_enter(fo_feed_log_t *log, fo_pos_t *pos);

/* all readers at the tail have entered or will stay there */
void fo_feed_settle(fo_chunks_t *pool, fo_feed_log_t *log);

/* the reader jumps to the tail; also before it goes away */
void fo_feed_leave(fo_chunks_t *pool, fo_feed_log_t *log, fo_pos_t *pos);

/* how far behind the tail it is */
uint64_t fo_feed_lag_bytes(const fo_feed_log_t *log, const fo_pos_t *pos);
uint64_t fo_feed_lag_frames(const fo_feed_log_t *log, const fo_pos_t *pos);

/* the bytes from "pos" to the end of its chunk; the reader is not at the
   tail */
size_t fo_feed_data(const fo_pos_t *pos, u_char **data);

/* the chunk after a position's, to look further without moving */
#define fo_feed_after(c)  ((c)->next)

/*
 * The reader has sent the first "n" bytes of fo_feed_data() (all of them:
 * it goes to the next chunk or the tail).  If that cuts a frame, the
 * position moves past it, *rest is what is left of it, and the chunk is
 * referenced: the caller releases it.  Else *rest is empty.  Returns the
 * number of frames that were passed, a cut one included.
 */
unsigned fo_feed_advance(fo_chunks_t *pool, fo_feed_log_t *log,
    fo_pos_t *pos, size_t n, fo_chunk_t **chunk, fo_str_t *rest);


#endif /* FO_FEED_H */
