
/*
 * How a websocket session ends: refused, by the peer's Close or ours, because
 * the worker leaves, or cut.  Whoever ends it, ngx_http_fanout_ws_cleanup()
 * comes last, and once.
 */


#include "http/ngx_http_fanout_ws.h"


static void ngx_http_fanout_ws_going(ngx_http_fanout_ws_t *ws);
static void ngx_http_fanout_ws_last(ngx_http_fanout_ws_t *ws);


/* a refusal of ours: the dialect's notice, counted, then the end */

void
ngx_http_fanout_ws_fail(ngx_http_fanout_ws_t *ws, fo_error_e error,
    const fo_str_t *detail)
{
    fo_event_t  ev;

    ngx_memzero(&ev, sizeof(fo_event_t));

    ev.type = FO_EVENT_END;
    ev.error = error;

    if (detail) {
        ev.detail = *detail;
    }

    fo_stat_put(&fo_hub_stats(ws->session.hub)->error[error], 1);

    ngx_http_fanout_ws_event(&ws->session, NULL, &ev);
}


/* says Close, unless it was said, and ends; code 0: without a code */

void
ngx_http_fanout_ws_close(ngx_http_fanout_ws_t *ws, unsigned code,
    const char *reason)
{
    size_t    n;
    u_char    frame[FO_WS_HEADER_MAX + FO_WS_CONTROL_MAX];
    fo_str_t  text;

    if (!ws->closing) {
        ws->closing = 1;

        text.data = (u_char *) reason;
        text.len = ngx_strlen(reason);

        n = fo_ws_close(frame, code, &text);
        (void) fo_session_say(&ws->session, frame, n);
    }

    ngx_http_fanout_ws_end(ws);
}


/* no more than what was said, and no waiting for a peer that takes none */

void
ngx_http_fanout_ws_end(ngx_http_fanout_ws_t *ws)
{
    fo_session_end(&ws->session);

    ws->pinged = 0;
    ngx_http_fanout_timer_set(&ws->client, NGX_HTTP_FANOUT_LAST);
}


/* fanout_drain: its turn has come */

void
ngx_http_fanout_ws_leave(ngx_http_fanout_client_t *client)
{
    ngx_http_fanout_ws_t  *ws;

    ws = (ngx_http_fanout_ws_t *)
             ((u_char *) client - offsetof(ngx_http_fanout_ws_t, client));

    if (ws->closing) {
        return;
    }

    ngx_http_fanout_ws_going(ws);
    ngx_http_fanout_ws_close(ws, fo_error(FO_ERR_GOING_AWAY)->close,
                             (char *) fo_error(FO_ERR_GOING_AWAY)->text.data);
}


static void
ngx_http_fanout_ws_going(ngx_http_fanout_ws_t *ws)
{
    fo_stat_put(&fo_hub_stats(ws->session.hub)->error[FO_ERR_GOING_AWAY], 1);

    ngx_log_error(NGX_LOG_INFO, ws->client.connection->log, 0,
                  "websocket is closed, this worker leaves");
}


/*
 * worker_shutdown_timeout, or the process exits: the connection is closed
 * when this returns.  What was begun or said, and Close, go out if the socket
 * takes them at once.
 */

static void
ngx_http_fanout_ws_last(ngx_http_fanout_ws_t *ws)
{
    u_char             frame[FO_WS_HEADER_MAX + FO_WS_CONTROL_MAX];
    unsigned           n, busy;
    fo_session_t      *s;
    struct iovec       iov[3];
    const fo_error_t  *e;

    s = &ws->session;
    n = 0;
    busy = 0;

    if (s->rest.chunk) {
        iov[n].iov_base = s->rest.chunk->data + s->rest.pos;
        iov[n++].iov_len = s->rest.len;
    }

    if (s->out) {
        iov[n].iov_base = s->out->data + s->out->pos;
        iov[n++].iov_len = fo_session_unsent(s);
    }

    if (!ws->closing) {
        ws->closing = 1;
        ngx_http_fanout_ws_going(ws);

        e = fo_error(FO_ERR_GOING_AWAY);
        iov[n].iov_base = frame;
        iov[n++].iov_len = fo_ws_close(frame, e->close, &e->text);
    }

    if (n == 0) {
        return;
    }

    /* set together with c->close, for those who would wait */

    ws->client.connection->error = 0;
    (void) ngx_http_fanout_ws_send(s, iov, n, &busy);
    ws->client.connection->error = 1;
}


void
ngx_http_fanout_ws_finalize(ngx_http_fanout_ws_t *ws, ngx_int_t rc)
{
    ngx_connection_t  *c;

    if (ws->done) {
        return;
    }

    ws->done = 1;
    c = ws->client.connection;

    fo_session_close(&ws->session);
    ngx_http_fanout_client_remove(&ws->client);

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (ws->request) {
        ngx_http_finalize_request(ws->request, rc);

    } else {
        ngx_http_fanout_ws_gone(ws, rc);
    }
}


/* all was sent: the peer's Close is waited for by lingering */

void
ngx_http_fanout_ws_ended(fo_session_t *s, unsigned broken)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_fanout_ws_t  *ws;

    ws = (ngx_http_fanout_ws_t *) s;
    c = ws->client.connection;
    r = ws->request;

    rc = broken ? NGX_HTTP_CLIENT_CLOSED_REQUEST : NGX_OK;

    if (r && !broken) {
        r->lingering_close = 1;
    }

    ngx_http_fanout_ws_finalize(ws, rc);

    if (r) {

        /* this is no event handler of the request, which would do it */

        ngx_http_run_posted_requests(c);
    }
}


/* the request is about to be freed, whoever ended it; or the connection of a
   client that has none any more */

void
ngx_http_fanout_ws_cleanup(void *data)
{
    ngx_http_fanout_ws_t *ws = data;

    ngx_http_request_t  *r;

    r = ws->request;

    if (!ws->done && ws->client.connection->close) {
        ngx_http_fanout_ws_last(ws);
    }

    ws->done = 1;

    /* nginx may go on with a request that we have ended */

    if (r && ngx_http_get_module_ctx(r, ngx_http_fanout_module) == ws) {
        ngx_http_set_ctx(r, NULL, ngx_http_fanout_module);
    }

    ngx_http_fanout_client_remove(&ws->client);

    if (ws->message) {
        ngx_free(ws->message);
        ws->message = NULL;
    }

    ngx_http_fanout_ws_control_free(ws);
    fo_session_close(&ws->session);

    if (ws->conf->detach) {
        ngx_free(ws);
    }
}
