
/*
 * An eventfd as a connection of nginx: an edge-triggered read event whose
 * handler runs once for any number of writes since.  It is never read: each
 * write is an edge, and 2^64 - 2 of them fit.
 *
 * The fd belongs to the caller, and is not closed here.  The connection
 * counts as one of worker_connections.  It is neither idle nor reusable; a
 * caller that sets c->idle has its handler called with c->close set when
 * the worker begins to quit.
 */


#ifndef NGX_HTTP_FANOUT_EVENTFD_H
#define NGX_HTTP_FANOUT_EVENTFD_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* the handler finds "data" in c->data; NULL: no connection is free */
ngx_connection_t *ngx_http_fanout_eventfd_add(ngx_cycle_t *cycle, int fd,
    ngx_event_handler_pt handler, void *data);

/* the handler is not called after this, also not from its own inside */
void ngx_http_fanout_eventfd_remove(ngx_connection_t *c);


#endif /* NGX_HTTP_FANOUT_EVENTFD_H */
