
/*
 * fanout_detach: a websocket that needs its request no more gives it back,
 * with all its memory, and goes on with the connection alone.
 *
 * The request is freed by an event handler of our own: those of nginx look at
 * the request again after what they have called.  Until then it is the
 * request's handlers that are called, afterwards those below.
 *
 *     101 sent, subscribed     next turn               end
 *     request ---------------> | c->data = session --> | lingering
 *                              log, limit_conn end
 */


#include "http/ngx_http_fanout_ws.h"


static ngx_uint_t ngx_http_fanout_ws_busy(ngx_http_fanout_ws_t *ws);
static void ngx_http_fanout_ws_detach_handler(ngx_event_t *ev);
static void ngx_http_fanout_ws_give_back(ngx_http_fanout_ws_t *ws);
static void ngx_http_fanout_ws_free_buffers(ngx_connection_t *c,
    ngx_http_connection_t *hc);
static void ngx_http_fanout_ws_handler(ngx_event_t *ev);
static void ngx_http_fanout_ws_linger(ngx_connection_t *c);
static void ngx_http_fanout_ws_linger_handler(ngx_event_t *rev);


/* nginx's handler of a connection that has a request; it is static there */

static ngx_event_handler_pt  ngx_http_fanout_request_handler;


void
ngx_http_fanout_ws_detach(ngx_http_fanout_ws_t *ws, ngx_uint_t fresh)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ws->request;
    c = ws->client.connection;

    if (!ws->conf->detach || r == NULL || !ws->subscribed
        || ngx_http_fanout_ws_busy(ws))
    {
        return;
    }

    /* under way, unless a copy that failed has put nginx's handler back */

    if (ws->detaching
        && c->read->handler == ngx_http_fanout_ws_detach_handler)
    {
        return;
    }

    /* who else holds it (mirror) does not say when it lets go: the next read
       or write looks again */

    if (!fresh && (r->main->count != 1 || r->blocked)) {
        return;
    }

    ws->detaching = 1;

    ngx_http_fanout_request_handler = c->read->handler;
    c->read->handler = ngx_http_fanout_ws_detach_handler;

    ngx_post_event(c->read, &ngx_posted_next_events);
}


/* it ends, or not all of the 101 is sent */

static ngx_uint_t
ngx_http_fanout_ws_busy(ngx_http_fanout_ws_t *ws)
{
    ngx_connection_t  *c;

    c = ws->client.connection;

#if (NGX_SSL)

    /* TLS has put handlers away, which it will restore */

    if (c->ssl
        && (c->ssl->saved_read_handler || c->ssl->saved_write_handler))
    {
        return 1;
    }

#endif

    return ws->done || ws->closing || c->close || c->error || c->buffered
           || ws->request->out;
}


static void
ngx_http_fanout_ws_detach_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_fanout_ws_t  *ws;

    c = ev->data;
    r = c->data;

    ws = ngx_http_get_module_ctx(r, ngx_http_fanout_module);

    if (ws) {
        ws->detaching = 0;
    }

    /* it was ended meanwhile, and nginx does what comes after (post_action) */

    if (ws == NULL || ngx_http_fanout_ws_busy(ws) || ev->timedout
        || r->main->count != 1 || r->blocked)
    {
        ev->handler = ngx_http_fanout_request_handler;
        ev->handler(ev);
        return;
    }

    ngx_http_fanout_ws_give_back(ws);
    ngx_http_fanout_ws_handler(ev);
}


static void
ngx_http_fanout_ws_give_back(ngx_http_fanout_ws_t *ws)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_cleanup_t     *cln;
    ngx_http_connection_t  *hc;

    c = ws->client.connection;
    r = ws->request;
    hc = r->http_connection;

    for (cln = r->cleanup; cln; cln = cln->next) {
        if (cln->data == ws) {
            cln->handler = NULL;
        }
    }

    ws->request = NULL;

    ngx_http_free_request(r, 0);

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->destroyed = 0;
    c->data = ws;
    c->log->action = "serving a websocket";

    c->read->handler = ngx_http_fanout_ws_handler;
    c->write->handler = ngx_http_fanout_ws_handler;

    ngx_http_fanout_ws_free_buffers(c, hc);
}


/* what is not in the connection's pool itself, as for keepalive */

static void
ngx_http_fanout_ws_free_buffers(ngx_connection_t *c,
    ngx_http_connection_t *hc)
{
    ngx_uint_t    i;
    ngx_chain_t  *cl;

    ngx_chain_t  *lists[] = { hc->free, hc->busy };

    if (ngx_pfree(c->pool, c->buffer->start) == NGX_OK) {
        c->buffer->pos = NULL;
    }

    for (i = 0; i < 2; i++) {
        for (cl = lists[i]; cl; cl = cl->next) {
            (void) ngx_pfree(c->pool, cl->buf->start);
        }
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;
}


/* of both events of the connection */

static void
ngx_http_fanout_ws_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_http_fanout_ws_t  *ws;

    c = ev->data;
    ws = c->data;

    if (c->close) {
        ngx_http_fanout_ws_cleanup(ws);
        ngx_http_close_connection(c);
        return;
    }

    if (ev->write) {
        ngx_http_fanout_ws_write(ws);

    } else {
        ngx_http_fanout_ws_read(ws);
    }
}


void
ngx_http_fanout_ws_gone(ngx_http_fanout_ws_t *ws, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = ws->client.connection;

    ngx_http_fanout_ws_cleanup(ws);

    /* nothing is to be awaited from who has ended its side */

    if (rc == NGX_OK && !c->error && !c->read->eof) {
        ngx_http_fanout_ws_linger(c);

    } else {
        ngx_http_close_connection(c);
    }
}


/*
 * Lingering close: what the peer may still send is read and thrown away, so
 * that no reset takes our last words from it.  Its end is awaited for
 * NGX_HTTP_FANOUT_LAST ms in all.
 */

static void
ngx_http_fanout_ws_linger(ngx_connection_t *c)
{
    c->log->action = "closing a websocket";

    c->read->handler = ngx_http_fanout_ws_linger_handler;
    c->write->handler = ngx_http_empty_handler;

    ngx_add_timer(c->read, NGX_HTTP_FANOUT_LAST);

#if (NGX_SSL)

    if (c->ssl) {
        c->ssl->shutdown_without_free = 1;

        switch (ngx_ssl_shutdown(c)) {

        case NGX_ERROR:
            ngx_http_close_connection(c);
            return;

        case NGX_AGAIN:
            c->ssl->handler = ngx_http_fanout_ws_linger;
            return;
        }
    }

#endif

    if (ngx_handle_read_event(c->read, 0) != NGX_OK
        || ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) == -1)
    {
        ngx_http_close_connection(c);
        return;
    }

    ngx_reusable_connection(c, 1);

    if (c->read->ready) {
        ngx_http_fanout_ws_linger_handler(c->read);
    }
}


static void
ngx_http_fanout_ws_linger_handler(ngx_event_t *rev)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = rev->data;

    if (rev->timedout || c->close) {
        ngx_http_close_connection(c);
        return;
    }

    do {
        n = c->recv(c, ngx_http_fanout_worker.buffer,
                    ngx_http_fanout_worker.buffer_size);

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_close_connection(c);
            return;
        }

    } while (n != NGX_AGAIN && rev->ready);

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_close_connection(c);
    }
}
