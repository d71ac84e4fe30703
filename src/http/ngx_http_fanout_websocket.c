
/*
 * The websocket transport: a request of nginx that became a session of the
 * hub.
 *
 * The request is kept as long as the session lives, so that limit_conn,
 * variables and the access log at the end are exact, unless fanout_detach
 * gives it back (ngx_http_fanout_ws_detach.c).  All receiving goes
 * through one buffer of the worker; a session keeps only the bytes of an
 * unfinished message.
 */


#include "http/ngx_http_fanout_ws.h"


#define NGX_HTTP_FANOUT_READS   8           /* recv calls in one event */
#define NGX_HTTP_FANOUT_UNSENT  (64 * 1024) /* then no more is read */


static ngx_int_t ngx_http_fanout_ws_start(ngx_http_fanout_ws_t *ws);
static ngx_int_t ngx_http_fanout_ws_fixed(ngx_http_fanout_ws_t *ws);
static void ngx_http_fanout_ws_read_handler(ngx_http_request_t *r);
static void ngx_http_fanout_ws_write_handler(ngx_http_request_t *r);
static void ngx_http_fanout_ws_timeout(ngx_http_fanout_ws_t *ws);
static void ngx_http_fanout_ws_preread(ngx_http_fanout_ws_t *ws);


static const fo_transport_ops_t  ngx_http_fanout_ws_ops = {
    ngx_http_fanout_ws_send,
    ngx_http_fanout_ws_soon,
    ngx_http_fanout_ws_event,
    ngx_http_fanout_ws_ended
};


ngx_int_t
ngx_http_fanout_websocket_handler(ngx_http_request_t *r)
{
    ngx_str_t                    key;
    ngx_int_t                    rc;
    ngx_uint_t                   named;
    const fo_dialect_t          *dialect;
    ngx_http_cleanup_t          *cln;
    ngx_http_fanout_ws_t        *ws;
    ngx_http_fanout_loc_conf_t  *conf;

    rc = ngx_http_fanout_handshake(r, &dialect, &named, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_fanout_worker.hub == NULL) {

        if (ngx_http_fanout_worker.zone) {
            atomic_fetch_add_explicit(
                                 &ngx_http_fanout_worker.zone->head->no_slot,
                                 1, memory_order_relaxed);
        }

        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_fanout_module);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a session that lives longer than the request owns itself */

    ws = conf->detach ? ngx_calloc(sizeof(ngx_http_fanout_ws_t),
                                   r->connection->log)
                      : ngx_pcalloc(r->pool, sizeof(ngx_http_fanout_ws_t));
    if (ws == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ws->request = r;
    ws->conf = conf;
    ws->dialect = dialect;

    if (ngx_http_fanout_accept(r, dialect, named, &key) != NGX_OK) {

        if (conf->detach) {
            ngx_free(ws);
        }

        return NGX_ERROR;
    }

    fo_session_open(ngx_http_fanout_worker.hub, &ws->session,
                    &ngx_http_fanout_ws_ops);

    ws->session.pending = conf->pending;
    ws->session.policy = conf->policy & 3;

    fo_ws_parser_init(&ws->parser, conf->frame_max);

    cln->handler = ngx_http_fanout_ws_cleanup;
    cln->data = ws;

    ngx_http_set_ctx(r, ws, ngx_http_fanout_module);

    ws->client.connection = r->connection;
    ws->client.leave = ngx_http_fanout_ws_leave;

    ngx_http_fanout_client_add(&ws->client);

    r->main->count++;

    if (ngx_http_fanout_ws_start(ws) != NGX_OK) {
        ngx_http_fanout_ws_finalize(ws, NGX_ERROR);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_fanout_ws_start(ngx_http_fanout_ws_t *ws)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ws->request;
    c = r->connection;

    r->read_event_handler = ngx_http_fanout_ws_read_handler;
    r->write_event_handler = ngx_http_fanout_ws_write_handler;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    c->log->action = "serving a websocket";

#if (NGX_SSL)

    /* of the 101 */

    if (c->ssl && !c->buffered) {
        ngx_ssl_free_buffer(c);
    }

#endif

    ws->heard = (uint32_t) ngx_current_msec;

    if (ws->conf->filter && ws->dialect->kafka) {
        ngx_http_fanout_timer_set(&ws->client, ws->conf->ping_interval);

        if (ngx_http_fanout_ws_fixed(ws) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ws->dialect->command) {
        ngx_http_fanout_timer_set(&ws->client, ws->conf->handshake_timeout);
        ngx_http_fanout_ws_say(ws, FO_WS_TEXT, &ws->dialect->prompt);

    } else {
        ws->subscribed = 1;
        ngx_http_fanout_timer_set(&ws->client, ws->conf->ping_interval);
    }

    ngx_http_fanout_ws_preread(ws);

    if (ws->failed) {
        return NGX_ERROR;
    }

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_fanout_ws_detach(ws, 1);

    return NGX_OK;
}


/* fanout_filter: the configuration says what this client gets */

static ngx_int_t
ngx_http_fanout_ws_fixed(ngx_http_fanout_ws_t *ws)
{
    u_char       *buf;
    fo_str_t      text, detail;
    ngx_str_t     value;
    const char   *reason;
    fo_filter_t   f;

    if (ngx_http_complex_value(ws->request, ws->conf->filter, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    text.data = value.data;
    text.len = value.len;

    buf = ngx_pnalloc(ws->request->pool, value.len + 1);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    ws->subscribed = 1;

    if (fo_filter_parse(&f, &text, buf, &reason) != FO_OK) {
        detail.data = (u_char *) reason;
        detail.len = ngx_strlen(reason);
        ngx_http_fanout_ws_fail(ws, FO_ERR_BAD_SUBSCRIPTION, &detail);
        return NGX_OK;
    }

    ngx_http_fanout_ws_subscribe(ws, &f);

    return NGX_OK;
}


static void
ngx_http_fanout_ws_read_handler(ngx_http_request_t *r)
{
    ngx_http_fanout_ws_t  *ws;

    ws = ngx_http_get_module_ctx(r, ngx_http_fanout_module);

    if (ws) {
        ngx_http_fanout_ws_read(ws);
    }
}


static void
ngx_http_fanout_ws_write_handler(ngx_http_request_t *r)
{
    ngx_http_fanout_ws_t  *ws;

    ws = ngx_http_get_module_ctx(r, ngx_http_fanout_module);

    if (ws) {
        ngx_http_fanout_ws_write(ws);
    }
}


void
ngx_http_fanout_ws_read(ngx_http_fanout_ws_t *ws)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    if (ws->done) {
        return;
    }

    c = ws->client.connection;
    rev = c->read;

    if (c->error) {
        ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_http_fanout_ws_timeout(ws);
        return;
    }

    for (i = 0; i < NGX_HTTP_FANOUT_READS; i++) {

        if (!rev->ready) {
            break;
        }

        /* who does not read what we answer is not listened to */

        if (fo_session_unsent(&ws->session) > NGX_HTTP_FANOUT_UNSENT) {
            ws->held = 1;
            break;
        }

        n = c->recv(c, ngx_http_fanout_worker.buffer,
                    ngx_http_fanout_worker.buffer_size);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
            return;
        }

        if (n == 0) {

            /* it may still read, an answer to its Close above all */

            ws->closed = 1;
            ws->closing = 1;
            ngx_http_fanout_ws_end(ws);
            break;
        }

        ngx_http_fanout_ws_alive(ws);

        ngx_http_fanout_ws_input(ws, ngx_http_fanout_worker.buffer,
                                 ngx_http_fanout_worker.buffer + n);

        if (ws->failed) {
            ngx_http_fanout_ws_finalize(ws, NGX_ERROR);
            return;
        }
    }

    if (i == NGX_HTTP_FANOUT_READS && rev->ready) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_fanout_ws_finalize(ws, NGX_ERROR);
        return;
    }

    ngx_http_fanout_ws_detach(ws, 0);
}


void
ngx_http_fanout_ws_write(ngx_http_fanout_ws_t *ws)
{
    ngx_event_t         *wev;
    ngx_chain_t         *rest;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ws->done) {
        return;
    }

    c = ws->client.connection;
    r = ws->request;
    wev = c->write;

    if (c->error) {
        ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (r && r->out) {

        /* the rest of the 101 */

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
            return;
        }

    } else if (c->buffered) {

        rest = c->send_chain(c, NULL, 0);

        if (rest == NGX_CHAIN_ERROR) {
            ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
            return;
        }
    }

    if ((r && r->out) || c->buffered) {
        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_fanout_ws_finalize(ws, NGX_ERROR);
        }

        return;
    }

#if (NGX_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif

    ngx_http_fanout_ws_detach(ws, 0);

    fo_session_writable(&ws->session);
}


/*
 * The last words can't be sent, or no reply in time, or time for a ping, or
 * no answer to it.
 */

static void
ngx_http_fanout_ws_timeout(ngx_http_fanout_ws_t *ws)
{
    u_char             frame[FO_WS_HEADER_MAX];
    ngx_msec_t         quiet;

    if (ws->closing) {
        ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (!ws->subscribed) {
        ngx_http_fanout_ws_fail(ws, FO_ERR_NO_SUBSCRIPTION, NULL);
        return;
    }

    quiet = (uint32_t) ngx_current_msec - ws->heard;

    if (quiet + 10 < ws->conf->ping_interval && !ws->pinged) {
        ngx_http_fanout_timer_set(&ws->client,
                                  ws->conf->ping_interval - quiet);
        return;
    }

    if (ws->pinged) {
        ngx_log_error(NGX_LOG_INFO, ws->client.connection->log, 0,
                      "websocket client does not answer a ping");
        ngx_http_fanout_ws_finalize(ws, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    ws->pinged = 1;
    (void) fo_ws_header(frame, FO_WS_PING, 0);
    (void) fo_session_say(&ws->session, frame, fo_ws_header_len(0));

    ngx_http_fanout_timer_set(&ws->client, ws->conf->ping_timeout);
}


/* the timer is left alone, it looks at ws->heard; but after a ping it is
   that of the answer */

void
ngx_http_fanout_ws_alive(ngx_http_fanout_ws_t *ws)
{
    ws->heard = (uint32_t) ngx_current_msec;

    if (ws->pinged) {
        ws->pinged = 0;
        ngx_http_fanout_timer_set(&ws->client, ws->conf->ping_interval);
    }
}


/* what came together with the request are the first frames */

static void
ngx_http_fanout_ws_preread(ngx_http_fanout_ws_t *ws)
{
    u_char     *p, *last;
    ngx_buf_t  *b;

    b = ws->request->header_in;

    if (b->pos == b->last) {
        return;
    }

    p = b->pos;
    last = b->last;
    b->pos = last;

    ngx_http_fanout_ws_input(ws, p, last);
}


void
ngx_http_fanout_ws_subscribe(ngx_http_fanout_ws_t *ws, const fo_filter_t *f)
{
    ngx_int_t   rc;
    fo_error_e  error;

    rc = ngx_http_fanout_allowed(ws->request, ws->conf->subscribe, f);

    if (rc != NGX_OK) {
        ngx_http_fanout_ws_fail(ws, rc == NGX_DECLINED ? FO_ERR_NOT_ALLOWED
                                                       : FO_ERR_NO_MEMORY,
                                NULL);
        return;
    }

    if (fo_subscribe(&ws->session, (unsigned) ws->conf->cluster, f,
                     ws->dialect, &error)
        == NULL)
    {
        ngx_http_fanout_ws_fail(ws, error, NULL);
    }
}


void
ngx_http_fanout_ws_say(ngx_http_fanout_ws_t *ws, unsigned opcode,
    const fo_str_t *data)
{
    size_t   n;
    u_char   header[FO_WS_HEADER_MAX];

    n = fo_ws_header(header, opcode, data->len);

    if (fo_session_say(&ws->session, header, n) != FO_OK
        || fo_session_say(&ws->session, data->data, data->len) != FO_OK)
    {
        ws->failed = 1;
    }
}


void
ngx_http_fanout_ws_event(fo_session_t *s, fo_sub_t *sub,
    const fo_event_t *ev)
{
    size_t                 n;
    u_char                 buf[FO_DIALECT_EVENT_MAX];
    ngx_http_fanout_ws_t  *ws;

    ws = (ngx_http_fanout_ws_t *) s;

    (void) sub;

    if (ws->closing) {
        return;
    }

    if (ev->type == FO_EVENT_ERROR || ev->type == FO_EVENT_END) {
        ngx_log_error(NGX_LOG_INFO, ws->client.connection->log, 0,
                      "websocket subscription ends: %s",
                      fo_error(ev->error)->name);
        ws->closing = 1;
    }

    n = ws->dialect->event ? ws->dialect->event(ev, buf) : 0;

    if (n && fo_session_say(s, buf, n) != FO_OK) {
        ws->closing = 1;
    }

    if (ws->closing) {
        ngx_http_fanout_ws_end(ws);
    }
}
