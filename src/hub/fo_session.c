
/*
 * Sessions: what is said to a client besides feeds, and its end.
 */


#include "hub/fo_hub_int.h"


#define FO_SAY_MIN  256


void
fo_session_open(fo_hub_t *hub, fo_session_t *s,
    const fo_transport_ops_t *ops)
{
    memset(s, 0, sizeof(fo_session_t));

    s->hub = hub;
    s->ops = ops;
    s->pending = 1 << 20;
    s->subs_max = 128;
    s->open = 1;

    fo_queue_init(&s->subs);
    s->ready = &s->subs;
    fo_queue_init(&s->queue);

    fo_stat_add(hub->stats, FO_STAT_SESSIONS, 1);
    fo_stat_add(hub->stats, FO_STAT_SESSIONS_TOTAL, 1);
}


void
fo_session_close(fo_session_t *s)
{
    fo_hub_t  *hub;

    if (!s->open) {
        return;
    }

    hub = s->hub;
    s->open = 0;

    while (!fo_queue_empty(&s->subs)) {
        fo_unsubscribe(fo_data(s->subs.next, fo_sub_t, in_session));
    }

    if (s->rest.chunk) {
        fo_chunk_release(&hub->chunks, s->rest.chunk);
        s->rest.chunk = NULL;
        s->rest.len = 0;
    }

    if (s->out) {
        fo_free(hub->alloc, s->out);
        s->out = NULL;
    }

    fo_queue_remove(&s->queue);

    fo_stat_add(hub->stats, FO_STAT_SESSIONS, -1);
}


void
fo_session_writable(fo_session_t *s)
{
    if (!s->open || !s->busy || s->stopped) {
        return;
    }

    s->busy = 0;

    fo_sub_tell_session(s);
    fo_session_ready(s);
}


int
fo_session_say(fo_session_t *s, const u_char *data, size_t len)
{
    size_t     used, size;
    fo_out_t  *out, *old;

    if (!s->open || s->broken || len == 0) {
        return FO_OK;
    }

    old = s->out;
    used = fo_session_unsent(s);

    if (len > FO_SAY_MAX - used) {
        return FO_ERROR;
    }

    if (old == NULL || len > old->size - old->len) {

        size = old ? old->size : FO_SAY_MIN;

        while (size < used + len) {
            size *= 2;
        }

        out = fo_alloc(s->hub->alloc, sizeof(fo_out_t) + size);
        if (out == NULL) {
            fo_stat_add(s->hub->stats, FO_STAT_NO_MEMORY, 1);
            return FO_ERROR;
        }

        out->pos = 0;
        out->len = (uint32_t) used;
        out->size = (uint32_t) size;

        if (old) {
            memcpy(out->data, old->data + old->pos, used);
            fo_free(s->hub->alloc, old);
        }

        s->out = out;
    }

    memcpy(s->out->data + s->out->len, data, len);
    s->out->len += (uint32_t) len;

    fo_session_ready(s);

    return FO_OK;
}


size_t
fo_session_unsent(const fo_session_t *s)
{
    return s->out ? s->out->len - s->out->pos : 0;
}


void
fo_session_end(fo_session_t *s)
{
    if (!s->open || s->ending) {
        return;
    }

    s->ending = 1;

    fo_session_ready(s);
}
