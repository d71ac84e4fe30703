
/*
 * A feed's log: chunks, frames and positions.  See fo_feed.h for a picture.
 */


#include "core/fo_feed.h"


/* frame i of a chunk: the index grows down from the end of data */

#define fo_chunk_frame(c, i)                                                  \
    ((fo_frame_t *) (void *) ((c)->data + (c)->size) - 1 - (i))

#define fo_chunk_start(c, i)  ((i) ? fo_chunk_frame(c, (i) - 1)->end : 0)


static fo_chunk_t *fo_chunk_get(fo_chunks_t *pool, size_t need,
    unsigned class);
static int fo_chunk_fits(const fo_chunk_t *c, size_t len);
static void fo_feed_prune(fo_chunks_t *pool, fo_feed_log_t *log);
static void fo_feed_step(fo_chunks_t *pool, fo_feed_log_t *log,
    fo_pos_t *pos);


void
fo_chunks_init(fo_chunks_t *pool, const fo_alloc_t *alloc)
{
    memset(pool, 0, sizeof(fo_chunks_t));
    pool->alloc = alloc;
    fo_queue_init(&pool->fresh);
}


void
fo_chunks_trim(fo_chunks_t *pool, size_t keep)
{
    int          i;
    fo_chunk_t  *c;

    for (i = FO_CHUNK_CLASSES - 1; i >= 0; i--) {
        while (pool->free[i] && pool->kept > keep) {
            c = pool->free[i];
            pool->free[i] = c->next;
            pool->kept -= (size_t) FO_CHUNK_MIN << i;
            fo_free(pool->alloc, c);
        }
    }
}


void
fo_chunk_release(fo_chunks_t *pool, fo_chunk_t *c)
{
    size_t  size;

    if (--c->refs) {
        return;
    }

    size = sizeof(fo_chunk_t) + c->size;

    pool->chunks--;
    pool->bytes -= size;

    if (c->class == FO_CHUNK_CLASSES || pool->kept + size > FO_CHUNK_KEEP) {
        fo_free(pool->alloc, c);
        return;
    }

    c->next = pool->free[c->class];
    pool->free[c->class] = c;
    pool->kept += size;
}


/* a chunk of this class, or larger, that holds "need" bytes in all */

static fo_chunk_t *
fo_chunk_get(fo_chunks_t *pool, size_t need, unsigned class)
{
    size_t       size;
    fo_chunk_t  *c;

    while (class < FO_CHUNK_CLASSES
           && ((size_t) FO_CHUNK_MIN << class) < need)
    {
        class++;
    }

    if (class < FO_CHUNK_CLASSES) {
        size = (size_t) FO_CHUNK_MIN << class;
        c = pool->free[class];

    } else {
        size = need;
        c = NULL;
    }

    if (c) {
        pool->free[class] = c->next;
        pool->kept -= size;

    } else {
        c = fo_alloc(pool->alloc, size);
        if (c == NULL) {
            return NULL;
        }
    }

    memset(c, 0, sizeof(fo_chunk_t));
    c->size = (uint32_t) (size - sizeof(fo_chunk_t));
    c->class = class;
    c->refs = 1;
    fo_queue_init(&c->queue);

    pool->chunks++;
    pool->bytes += size;

    return c;
}


static int
fo_chunk_fits(const fo_chunk_t *c, size_t len)
{
    return c->used + len + (c->n + 1) * sizeof(fo_frame_t) <= c->size;
}


u_char *
fo_feed_append(fo_chunks_t *pool, fo_feed_log_t *log, size_t len,
    fo_frame_t **frame)
{
    size_t       need;
    u_char      *p;
    unsigned     class;
    fo_chunk_t  *c, *tail, *head;

    tail = log->head ? log->head->state.tail : NULL;
    c = tail;

    if (c == NULL || !fo_chunk_fits(c, len)) {

        need = fo_align8(sizeof(fo_chunk_t) + len + sizeof(fo_frame_t));

        if (need > UINT32_MAX) {
            return NULL;
        }

        class = c ? fo_min(c->class + 1, FO_CHUNK_CLASSES - 1) : 0;

        c = fo_chunk_get(pool, need, class);
        if (c == NULL) {
            return NULL;
        }

        if (tail) {
            c->bytes = tail->bytes + tail->used;
            c->frames = tail->frames + tail->n;
            tail->next = c;

        } else {
            log->head = c;
        }

        log->head->state.tail = c;
    }

    head = log->head;

    if (head->state.fresh == NULL) {
        head->state.fresh = c;
        c->fresh = c->n;
        c->log = log;
        c->positions++;

        fo_queue_append(&pool->fresh, &c->queue);
    }

    p = c->data + c->used;
    c->used += (uint32_t) len;

    *frame = fo_chunk_frame(c, c->n);
    (*frame)->end = c->used;
    c->n++;

    return p;
}


void
fo_feed_mark(fo_feed_log_t *log)
{
    fo_log_state_t  *state;

    state = &log->head->state;
    state->marked = state->tail->frames + state->tail->n;
}


int
fo_feed_marked(const fo_feed_log_t *log, const fo_pos_t *pos)
{
    if (pos->chunk == NULL) {
        return 0;
    }

    return log->head->state.marked > pos->chunk->frames + pos->frame;
}


fo_feed_log_t *
fo_feed_first(fo_chunks_t *pool)
{
    fo_chunk_t  *c;

    if (fo_queue_empty(&pool->fresh)) {
        return NULL;
    }

    c = fo_data(pool->fresh.next, fo_chunk_t, queue);

    return c->log;
}


void
fo_feed_enter(fo_feed_log_t *log, fo_pos_t *pos)
{
    fo_chunk_t  *c;

    if (!fo_feed_fresh(log)) {
        return;
    }

    c = log->head->state.fresh;
    c->positions++;

    pos->chunk = c;
    pos->frame = c->fresh;
}


void
fo_feed_settle(fo_chunks_t *pool, fo_feed_log_t *log)
{
    fo_chunk_t  *c;

    if (!fo_feed_fresh(log)) {
        return;
    }

    c = log->head->state.fresh;
    log->head->state.fresh = NULL;

    fo_queue_remove(&c->queue);
    c->positions--;

    fo_feed_prune(pool, log);
}


void
fo_feed_leave(fo_chunks_t *pool, fo_feed_log_t *log, fo_pos_t *pos)
{
    if (pos->chunk == NULL) {
        return;
    }

    pos->chunk->positions--;
    pos->chunk = NULL;
    pos->frame = 0;

    fo_feed_prune(pool, log);
}


/* takes what no position needs out of the list, from its head */

static void
fo_feed_prune(fo_chunks_t *pool, fo_feed_log_t *log)
{
    fo_chunk_t  *c;

    while (log->head && log->head->positions == 0) {
        c = log->head;
        log->head = c->next;

        if (log->head) {
            log->head->state = c->state;
        }

        fo_chunk_release(pool, c);
    }
}


uint64_t
fo_feed_lag_bytes(const fo_feed_log_t *log, const fo_pos_t *pos)
{
    fo_chunk_t  *tail;

    if (pos->chunk == NULL) {
        return 0;
    }

    tail = log->head->state.tail;

    return tail->bytes + tail->used - pos->chunk->bytes
           - fo_chunk_start(pos->chunk, pos->frame);
}


uint64_t
fo_feed_lag_frames(const fo_feed_log_t *log, const fo_pos_t *pos)
{
    fo_chunk_t  *tail;

    if (pos->chunk == NULL) {
        return 0;
    }

    tail = log->head->state.tail;

    return tail->frames + tail->n - pos->chunk->frames - pos->frame;
}


size_t
fo_feed_data(const fo_pos_t *pos, u_char **data)
{
    uint32_t  start;

    start = fo_chunk_start(pos->chunk, pos->frame);
    *data = pos->chunk->data + start;

    return pos->chunk->used - start;
}


/* from the end of a chunk to the next one, or to the tail */

static void
fo_feed_step(fo_chunks_t *pool, fo_feed_log_t *log, fo_pos_t *pos)
{
    fo_chunk_t  *next;

    next = pos->chunk->next;

    if (next == NULL) {
        fo_feed_leave(pool, log, pos);
        return;
    }

    next->positions++;
    pos->chunk->positions--;
    pos->chunk = next;
    pos->frame = 0;

    fo_feed_prune(pool, log);
}


unsigned
fo_feed_advance(fo_chunks_t *pool, fo_feed_log_t *log, fo_pos_t *pos,
    size_t n, fo_chunk_t **chunk, fo_str_t *rest)
{
    size_t       end;
    uint32_t     low, high, mid, from;
    fo_chunk_t  *c;

    c = pos->chunk;
    from = pos->frame;
    end = fo_chunk_start(c, from) + n;

    *chunk = NULL;
    rest->len = 0;
    rest->data = NULL;

    /* the first frame that ends at or after "end" */

    low = from;
    high = c->n;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (fo_chunk_frame(c, mid)->end < end) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    /* n == 0: nothing is passed; else frame "low" is the last one touched */

    if (n) {
        low++;
    }

    if (n && fo_chunk_frame(c, low - 1)->end > end) {
        rest->data = c->data + end;
        rest->len = fo_chunk_frame(c, low - 1)->end - end;
        *chunk = c;
        c->refs++;
    }

    pos->frame = low;

    if (low == c->n) {
        fo_feed_step(pool, log, pos);
    }

    return low - from;
}
