
/*
 * The module's own: its main configuration, and a worker's life.
 */


#ifndef NGX_HTTP_FANOUT_MODULE_H
#define NGX_HTTP_FANOUT_MODULE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "http/ngx_http_fanout_http.h"
#include "shm/ngx_http_fanout_zone.h"
#include "source/ngx_http_fanout_kafka.h"


typedef struct {
    ngx_http_fanout_zone_t          *zone;       /* NULL: no fanout_zone */
    ngx_array_t                      kafka;      /* of pointers to
                                                    ngx_http_fanout_kafka_conf_t
                                                  */
    ngx_uint_t                       owners;
    ngx_msec_t                       linger;
    ngx_msec_t                       drain;      /* 0: sessions may stay */
    ngx_msec_t                       stall;
    ngx_msec_t                       join;
    ngx_uint_t                       used;       /* some location needs it */
} ngx_http_fanout_main_conf_t;


/* of init_process and exit_process */
ngx_int_t ngx_http_fanout_worker_init(ngx_cycle_t *cycle,
    ngx_http_fanout_main_conf_t *conf);
void ngx_http_fanout_worker_exit(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_FANOUT_MODULE_H */
