
/*
 * How the hub's bytes come to a websocket peer: one system call each time,
 * or TLS.
 */


#include "http/ngx_http_fanout_ws.h"

#include <sys/syscall.h>


static void ngx_http_fanout_ws_progress(ngx_http_fanout_ws_t *ws);
static ssize_t ngx_http_fanout_ws_send_first(ngx_http_fanout_ws_t *ws,
    const struct iovec *iov, unsigned n, unsigned *busy);
static ssize_t ngx_http_fanout_ws_writev(ngx_connection_t *c,
    const struct iovec *iov, unsigned n, unsigned *busy);
static ssize_t ngx_http_fanout_ws_write_one(ngx_socket_t fd,
    const struct iovec *iov);
static ssize_t ngx_http_fanout_ws_send_chain(ngx_connection_t *c,
    const struct iovec *iov, unsigned n, unsigned *busy);


/* The transport's side of the hub. */

void
ngx_http_fanout_ws_soon(const fo_session_t *s)
{
    const ngx_connection_t  *c;

    c = ((const ngx_http_fanout_ws_t *) s)->client.connection;

    /* fd, sent */

    __builtin_prefetch(c);
    __builtin_prefetch(&c->sent, 1);
}


ssize_t
ngx_http_fanout_ws_send(fo_session_t *s, const struct iovec *iov,
    unsigned n, unsigned *busy)
{
    ssize_t                rc;
    ngx_connection_t      *c;
    ngx_http_fanout_ws_t  *ws;

    ws = (ngx_http_fanout_ws_t *) s;
    c = ws->client.connection;

    /* a plain one that isn't busy can be written to: nothing else of the
       connection needs to be looked at */

    rc = ws->plain ? ngx_http_fanout_ws_writev(c, iov, n, busy)
                   : ngx_http_fanout_ws_send_first(ws, iov, n, busy);

    if (rc == FO_ERROR) {
        c->error = 1;
        return FO_ERROR;
    }

    if (*busy && ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return FO_ERROR;
    }

    if (rc > 0 && (ws->held || ws->closing)) {
        ngx_http_fanout_ws_progress(ws);
    }

    return rc;
}


/* the 101, or what TLS holds, goes first */

static ssize_t
ngx_http_fanout_ws_send_first(ngx_http_fanout_ws_t *ws,
    const struct iovec *iov, unsigned n, unsigned *busy)
{
    ngx_connection_t  *c;

    c = ws->client.connection;

    if (c->error) {
        return FO_ERROR;
    }

    if ((ws->request && ws->request->out) || c->buffered
        || !c->write->ready)
    {
        *busy = 1;
        return 0;
    }

    if (c->ssl) {
        return ngx_http_fanout_ws_send_chain(c, iov, n, busy);
    }

    ws->plain = 1;

    return ngx_http_fanout_ws_writev(c, iov, n, busy);
}


/* the peer takes what it is sent, which is a sign of life where it is not
   read from, and gives it more time where it was said to be the last */

static void
ngx_http_fanout_ws_progress(ngx_http_fanout_ws_t *ws)
{
    if (ws->held) {
        ws->held = 0;

        ngx_http_fanout_ws_alive(ws);
        ngx_post_event(ws->client.connection->read, &ngx_posted_next_events);
    }

    if (ws->closing) {
        ngx_http_fanout_timer_set(&ws->client, NGX_HTTP_FANOUT_LAST);
    }
}


static ssize_t
ngx_http_fanout_ws_writev(ngx_connection_t *c, const struct iovec *iov,
    unsigned n, unsigned *busy)
{
    size_t     size;
    ssize_t    sent;
    unsigned   i;
    ngx_err_t  err;

    size = 0;

    for (i = 0; i < n; i++) {
        size += iov[i].iov_len;
    }

    do {
        sent = (n == 1) ? ngx_http_fanout_ws_write_one(c->fd, iov)
                        : writev(c->fd, iov, (int) n);
        err = (sent == -1) ? ngx_errno : 0;
    } while (err == NGX_EINTR);

    if (err == 0) {
        c->sent += sent;

        if ((size_t) sent < size) {
            c->write->ready = 0;
            *busy = 1;
        }

        return sent;
    }

    c->write->ready = 0;

    if (err == NGX_EAGAIN) {
        *busy = 1;
        return 0;
    }

    c->write->error = 1;
    (void) ngx_connection_error(c, err, "websocket send failed");

    return FO_ERROR;
}


/*
 * In a process with threads, and librdkafka brings some, send() of glibc
 * makes itself cancelable and back, with two locked operations.  Nobody
 * cancels a thread here.  With a sanitizer it is send(), whose bytes are
 * checked.
 */

static ssize_t
ngx_http_fanout_ws_write_one(ngx_socket_t fd, const struct iovec *iov)
{
#ifdef __SANITIZE_ADDRESS__
    return send(fd, iov->iov_base, iov->iov_len, 0);
#else
    return syscall(SYS_sendto, fd, iov->iov_base, iov->iov_len, 0, NULL, 0);
#endif
}


/*
 * TLS copies into a buffer of its own: what was copied is sent as far as
 * the hub is concerned, and is flushed by the write handler.
 */

static ssize_t
ngx_http_fanout_ws_send_chain(ngx_connection_t *c, const struct iovec *iov,
    unsigned n, unsigned *busy)
{
    off_t         sent;
    unsigned      i;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *rest;
    ngx_buf_t     bufs[64];
    ngx_chain_t   links[64];

    n = ngx_min(n, 64);

    ngx_memzero(bufs, n * sizeof(ngx_buf_t));

    for (i = 0; i < n; i++) {
        b = &bufs[i];

        b->start = iov[i].iov_base;
        b->pos = b->start;
        b->last = b->start + iov[i].iov_len;
        b->end = b->last;
        b->memory = 1;
        b->flush = (i == n - 1);

        links[i].buf = b;
        links[i].next = (i == n - 1) ? NULL : &links[i + 1];
    }

    rest = c->send_chain(c, links, 0);

    if (rest == NGX_CHAIN_ERROR) {
        return FO_ERROR;
    }

    sent = 0;

    for (cl = links; cl; cl = cl->next) {
        sent += cl->buf->pos - cl->buf->start;
    }

    if (rest || c->buffered) {
        *busy = 1;

#if (NGX_SSL)
    } else {
        ngx_ssl_free_buffer(c);
#endif
    }

    return (ssize_t) sent;
}
