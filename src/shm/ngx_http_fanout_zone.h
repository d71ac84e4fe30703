
/*
 * The zone in nginx: its shared memory, its lock, and the eventfds that
 * wake its workers.
 */


#ifndef NGX_HTTP_FANOUT_ZONE_H
#define NGX_HTTP_FANOUT_ZONE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "core/fo_rows.h"


#define NGX_HTTP_FANOUT_WORKERS_MAX  96    /* old and new ones have slots */


typedef struct {
    ngx_cycle_t      *cycle;         /* that it belongs to */
    ngx_shm_zone_t   *shm_zone;
    ngx_str_t         name;          /* as configured */
    fo_zone_shape_t   shape;
    size_t            size;          /* of the shared memory */
    fo_zone_t         zone;          /* this process's view */
    int              *eventfd;       /* FO_SLOTS of them, in the zone */
    ngx_slab_pool_t  *shpool;
} ngx_http_fanout_zone_t;


/*
 * Adds the zone to the configuration; z->name, z->size and what is set of
 * z->shape are given.  NGX_ERROR: logged with file and line.
 */
ngx_int_t ngx_http_fanout_zone_add(ngx_conf_t *cf,
    ngx_http_fanout_zone_t *z, void *tag);

/*
 * The zone's lock.  Inside: bounded steps, no log, no callback, no early
 * return.  If its holder died it is taken from it, and lists are mended.
 */
void ngx_http_fanout_zone_lock(ngx_http_fanout_zone_t *z);
void ngx_http_fanout_zone_unlock(ngx_http_fanout_zone_t *z);

/* wakes the worker of a slot, if it is armed */
void ngx_http_fanout_zone_wake(ngx_http_fanout_zone_t *z, unsigned slot);


#endif /* NGX_HTTP_FANOUT_ZONE_H */
