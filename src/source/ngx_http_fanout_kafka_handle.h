
/*
 * A handle of librdkafka: its making, which blocks for some milliseconds,
 * and its events.  Made and destroyed on the helper thread; in between its
 * events are taken on the main thread.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_HANDLE_H
#define NGX_HTTP_FANOUT_KAFKA_HANDLE_H


#include "source/ngx_http_fanout_kafka_conf.h"


#define NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT  256

typedef char  ngx_http_fanout_kafka_text_t[NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT];


typedef enum {
    NGX_HTTP_FANOUT_KAFKA_CONTROL = 0,
    NGX_HTTP_FANOUT_KAFKA_LIVE
} ngx_http_fanout_kafka_kind_e;


typedef struct {
    rd_kafka_t                     *rk;
    rd_kafka_queue_t               *events;    /* errors, logs, statistics */
    rd_kafka_queue_t               *records;   /* LIVE only */
    ngx_http_fanout_kafka_kind_e    kind;
} ngx_http_fanout_kafka_handle_t;


/*
 * Any thread.  Queues write to the eventfd "fd" when something is in them.
 * NULL: "error", of NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT bytes, says why.
 */
ngx_http_fanout_kafka_handle_t *ngx_http_fanout_kafka_handle_create(
    const ngx_http_fanout_kafka_conf_t *conf,
    ngx_http_fanout_kafka_kind_e kind, int fd, char *error);

/* any thread; may block, even for ever */
void ngx_http_fanout_kafka_handle_destroy(ngx_http_fanout_kafka_handle_t *h);


#endif /* NGX_HTTP_FANOUT_KAFKA_HANDLE_H */
