
/*
 * The ways in: what the handlers of locations share.
 */


#ifndef NGX_HTTP_FANOUT_HTTP_H
#define NGX_HTTP_FANOUT_HTTP_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "hub/fo_session.h"
#include "http/ngx_http_fanout_template.h"


#define NGX_HTTP_FANOUT_DIALECTS  8


/* a cluster of the configuration, as the status names it */

typedef struct {
    ngx_str_t                   name;
    uint64_t                    id;
} ngx_http_fanout_cluster_t;


/* the configuration of a location */

typedef struct {
    const fo_dialect_t         *dialects[NGX_HTTP_FANOUT_DIALECTS + 1];
    ngx_uint_t                  ndialects;
    ngx_str_t                   kafka;         /* empty: the first one */
    ngx_uint_t                  cluster;       /* its index */

    ngx_array_t                *subscribe;     /* ngx_http_fanout_template_t;
                                                  what fanout_allow allows */
    ngx_http_complex_value_t   *filter;        /* NULL: the client says */
    ngx_array_t                *origins;       /* fo_str_t */

    size_t                      pending;
    ngx_uint_t                  policy;        /* fo_pending_e */
    size_t                      frame_max;
    ngx_flag_t                  detach;
    ngx_msec_t                  handshake_timeout;
    ngx_msec_t                  ping_interval;
    ngx_msec_t                  ping_timeout;
} ngx_http_fanout_loc_conf_t;


/* a client that stays, as its worker knows it: the way in embeds it */

typedef struct ngx_http_fanout_client_s  ngx_http_fanout_client_t;

typedef void (*ngx_http_fanout_client_pt)(ngx_http_fanout_client_t *client);

struct ngx_http_fanout_client_s {
    ngx_connection_t           *connection;
    ngx_queue_t                 queue;         /* prev NULL: not added */
    ngx_http_fanout_client_pt   leave;         /* says goodbye, and removes it
                                                  now or later; NULL: was
                                                  called */
};


/* a worker process, as the ways in see it */

typedef struct {
    fo_hub_t                   *hub;           /* NULL: no slot, 503 */
    fo_zone_t                  *zone;
    ngx_str_t                   zone_name;
    unsigned                    slot;
    ngx_http_fanout_cluster_t  *clusters;
    ngx_uint_t                  nclusters;
    u_char                     *buffer;        /* for receiving, of all */
    size_t                      buffer_size;

    /* librdkafka's statistics of this worker's handle, may be empty */
    void                      (*statistics)(ngx_uint_t cluster,
                                            ngx_str_t *json);
} ngx_http_fanout_worker_t;


extern ngx_module_t              ngx_http_fanout_module;
extern ngx_http_fanout_worker_t  ngx_http_fanout_worker;


/* content handlers */
ngx_int_t ngx_http_fanout_websocket_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_fanout_status_handler(ngx_http_request_t *r);

/* the checks of the opening handshake: NGX_OK, with the chosen dialect,
   *named: 1 if the client asked for it by name, and the key; or the status
   to answer with */
ngx_int_t ngx_http_fanout_handshake(ngx_http_request_t *r,
    const fo_dialect_t **dialect, ngx_uint_t *named, ngx_str_t *key);

/* sends the 101 */
ngx_int_t ngx_http_fanout_accept(ngx_http_request_t *r,
    const fo_dialect_t *dialect, ngx_uint_t named, ngx_str_t *key);

/* all clients are added, and removed when they end (idempotent).  A client
   whose connection->close is set is ended by worker_shutdown_timeout, or
   because the process exits: what it is told must be told at once */
void ngx_http_fanout_client_add(ngx_http_fanout_client_t *client);
void ngx_http_fanout_client_remove(ngx_http_fanout_client_t *client);

/* before any of them comes */
void ngx_http_fanout_clients_init(ngx_log_t *log);
void ngx_http_fanout_timer_init(ngx_log_t *log);

/* the one timer of a client, set or moved: when it is due, at most a tenth
   of a second later, its read handler is called with timedout set.  It is
   not nginx's, which nobody sets meanwhile; a client that is removed has
   none */
void ngx_http_fanout_timer_set(ngx_http_fanout_client_t *client,
    ngx_msec_t delay);
void ngx_http_fanout_timer_del(ngx_http_fanout_client_t *client);

/* the worker leaves: clients stay until they end by themselves if "drain"
   is 0, else are told to go, one after the other, in that time */
void ngx_http_fanout_clients_leave(ngx_msec_t drain);

/* the process exits: all that are left end now */
void ngx_http_fanout_clients_cut(void);

/* may this request subscribe to "f"?  NGX_OK, NGX_DECLINED, NGX_ERROR */
ngx_int_t ngx_http_fanout_allowed(ngx_http_request_t *r,
    ngx_array_t *templates, const fo_filter_t *f);


#endif /* NGX_HTTP_FANOUT_HTTP_H */
