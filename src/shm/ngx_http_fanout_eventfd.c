
/*
 * An eventfd as a connection of nginx.
 */


#include "shm/ngx_http_fanout_eventfd.h"


ngx_connection_t *
ngx_http_fanout_eventfd_add(ngx_cycle_t *cycle, int fd,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NULL;
    }

    c->data = data;
    c->log_error = NGX_ERROR_ALERT;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = handler;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        c->shared = 1;
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


void
ngx_http_fanout_eventfd_remove(ngx_connection_t *c)
{
    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }

    /* a shared connection is given back without closing its fd */

    c->shared = 1;
    ngx_close_connection(c);
}
