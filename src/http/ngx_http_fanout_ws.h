
/*
 * A websocket session, as the files of the transport share it:
 * ngx_http_fanout_websocket.c (its life), ngx_http_fanout_ws_end.c,
 * ngx_http_fanout_ws_input.c, ngx_http_fanout_ws_send.c and
 * ngx_http_fanout_ws_detach.c.
 */


#ifndef NGX_HTTP_FANOUT_WS_H
#define NGX_HTTP_FANOUT_WS_H


#include "http/ngx_http_fanout_http.h"
#include "core/fo_ws.h"


#define NGX_HTTP_FANOUT_LAST    5000        /* ms between two writes of the
                                               last words */


typedef struct {
    fo_session_t                 session;    /* must be first */
    uint32_t                     heard;      /* ms, low bits: bytes came last */
    unsigned                     plain:1;    /* no TLS, and the 101 is sent */
    unsigned                     subscribed:1;
    unsigned                     pinged:1;   /* and not heard since */
    unsigned                     held:1;     /* not read: answers wait */
    unsigned                     failed:1;   /* no memory */
    unsigned                     closing:1;  /* Close was said */
    unsigned                     closed:1;   /* the peer's Close or end came */
    unsigned                     done:1;     /* finalized */
    unsigned                     detaching:1;
    ngx_http_fanout_client_t     client;
    ngx_http_request_t          *request;    /* NULL: given back */
    ngx_http_fanout_loc_conf_t  *conf;
    const fo_dialect_t          *dialect;
    fo_ws_parser_t               parser;
    u_char                      *message;    /* of an unfinished message */
    uint32_t                     length;
    uint32_t                     size;
} ngx_http_fanout_ws_t;


/* bytes from the peer, which it may change */
void ngx_http_fanout_ws_input(ngx_http_fanout_ws_t *ws, u_char *p,
    u_char *last);

/* what a control frame was gathered in */
void ngx_http_fanout_ws_control_free(ngx_http_fanout_ws_t *ws);

/* if it is allowed; else the session ends with the notice */
void ngx_http_fanout_ws_subscribe(ngx_http_fanout_ws_t *ws,
    const fo_filter_t *f);

/* one whole message */
void ngx_http_fanout_ws_say(ngx_http_fanout_ws_t *ws,
    unsigned opcode, const fo_str_t *data);

/* a refusal of ours: the dialect's notice, counted, then the end; detail may
   be NULL */
void ngx_http_fanout_ws_fail(ngx_http_fanout_ws_t *ws,
    fo_error_e error, const fo_str_t *detail);

/* says Close, unless it was said, and ends; code 0: without a code */
void ngx_http_fanout_ws_close(ngx_http_fanout_ws_t *ws,
    unsigned code, const char *reason);

/* the peer gave a sign of life */
void ngx_http_fanout_ws_alive(ngx_http_fanout_ws_t *ws);

/* its connection can be read from, or is at its end; or written to */
void ngx_http_fanout_ws_read(ngx_http_fanout_ws_t *ws);
void ngx_http_fanout_ws_write(ngx_http_fanout_ws_t *ws);

/* no more than what was said is sent, and no waiting for a peer that takes
   none */
void ngx_http_fanout_ws_end(ngx_http_fanout_ws_t *ws);

/* fanout_drain: its turn has come */
void ngx_http_fanout_ws_leave(ngx_http_fanout_client_t *client);

/* ends the session; "ws" may be gone when it returns */
void ngx_http_fanout_ws_finalize(ngx_http_fanout_ws_t *ws, ngx_int_t rc);

/* last words if c->close is set, and all memory but the connection's */
void ngx_http_fanout_ws_cleanup(void *data);

/* fanout_detach: gives the request back soon, if it is needed no more; one
   that is fresh is still held by those who called */
void ngx_http_fanout_ws_detach(ngx_http_fanout_ws_t *ws, ngx_uint_t fresh);

/* the end of a session without request: rc as for a request */
void ngx_http_fanout_ws_gone(ngx_http_fanout_ws_t *ws, ngx_int_t rc);

/* of fo_transport_ops_t */
void ngx_http_fanout_ws_soon(const fo_session_t *s);
ssize_t ngx_http_fanout_ws_send(fo_session_t *s,
    const struct iovec *iov, unsigned n, unsigned *busy);
void ngx_http_fanout_ws_event(fo_session_t *s, fo_sub_t *sub,
    const fo_event_t *ev);
void ngx_http_fanout_ws_ended(fo_session_t *s, unsigned broken);


#endif /* NGX_HTTP_FANOUT_WS_H */
