
/*
 * Kafka as a source of records: the configuration block of a cluster, and
 * a worker's connection to it, which implements fo_source_ops_t.
 *
 * In each worker and for each cluster there are at most two handles of
 * librdkafka, made at their first use and closed when idle for a minute:
 *
 *     control    asks how many partitions a topic has and where they end,
 *                on a thread of its own, for its calls block
 *     live       reads all partitions that this worker owns, onto one queue
 *
 * All of this is called on the worker's main thread only.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_H
#define NGX_HTTP_FANOUT_KAFKA_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "hub/fo_source.h"


typedef struct ngx_http_fanout_kafka_conf_s  ngx_http_fanout_kafka_conf_t;
typedef struct ngx_http_fanout_kafka_s       ngx_http_fanout_kafka_t;


/*
 * The state of the connection changed.  error: NULL, or what went wrong,
 * terminated, without any secret, valid during the call.  It may be called
 * with the same "up" and another error: if it is up, one of its partitions
 * can't be read; empty: all can again.
 */
typedef void (*ngx_http_fanout_kafka_report_pt)(void *ctx, unsigned up,
    const char *error);


/*
 * Parses the body of "fanout_kafka name { ... }"; to be called by the
 * handler of a block directive.  "name" is copied.  NULL: the error is
 * logged, with file and line where it has one.
 */
ngx_http_fanout_kafka_conf_t *ngx_http_fanout_kafka_parse(ngx_conf_t *cf,
    ngx_str_t *name);

ngx_str_t *ngx_http_fanout_kafka_name(ngx_http_fanout_kafka_conf_t *conf);

/*
 * A hash of the name and of all effective properties, never 0: workers with
 * the same id may read for each other.
 */
uint64_t ngx_http_fanout_kafka_id(ngx_http_fanout_kafka_conf_t *conf);


extern const fo_source_ops_t  ngx_http_fanout_kafka_ops;

/*
 * The ctx of ngx_http_fanout_kafka_ops in one worker, to be called in
 * init_process.  It takes one of nginx's connections, which clients may have
 * taken all later; no thread or handle is made before it is used.  NULL: no
 * memory.
 */
ngx_http_fanout_kafka_t *ngx_http_fanout_kafka_create(ngx_cycle_t *cycle,
    ngx_http_fanout_kafka_conf_t *conf, fo_hub_t *hub,
    ngx_http_fanout_kafka_report_pt report, void *ctx);

/*
 * What librdkafka last told of the live handle, if statistics.interval.ms
 * is set, else empty; valid until the next turn.
 */
void ngx_http_fanout_kafka_statistics(ngx_http_fanout_kafka_t *k,
    ngx_str_t *json);

/*
 * The worker begins to quit: handles begin to close as soon as nothing is
 * read any more, instead of after a minute.  Optional.
 */
void ngx_http_fanout_kafka_quit(ngx_http_fanout_kafka_t *k);

/*
 * The process exits: closes all handles, waits for at most 500 ms in all.
 * Calls neither the hub nor report().
 */
void ngx_http_fanout_kafka_exit(ngx_http_fanout_kafka_t *k);


#endif /* NGX_HTTP_FANOUT_KAFKA_H */
