
/*
 * What goes wrong with a cluster, or with one of its partitions: how it is
 * noticed, passed over and told.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_TROUBLE_H
#define NGX_HTTP_FANOUT_KAFKA_TROUBLE_H


#include "source/ngx_http_fanout_kafka.h"
#include "source/ngx_http_fanout_kafka_handle.h"


typedef struct ngx_http_fanout_kafka_part_s  ngx_http_fanout_kafka_part_t;


/* ngx_http_fanout_kafka_skip.c */

/* a batch of records can't be read: looks for the next one that can */
void ngx_http_fanout_kafka_skip(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, int64_t offset);

/*
 * While it looks: part->next can be read, or is behind the end.  NGX_AGAIN:
 * the look goes on elsewhere.
 */
ngx_int_t ngx_http_fanout_kafka_skipped(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


/* ngx_http_fanout_kafka_event.c */

void ngx_http_fanout_kafka_events(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_handle_t *h);

/* the cluster answered */
void ngx_http_fanout_kafka_up(ngx_http_fanout_kafka_t *k);

/* it did not; text may be NULL */
void ngx_http_fanout_kafka_down(ngx_http_fanout_kafka_t *k,
    rd_kafka_resp_err_t err, const char *text);


/* one partition can't be read, or can again; each is told once */
void ngx_http_fanout_kafka_trouble(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, rd_kafka_resp_err_t err,
    const char *text);
void ngx_http_fanout_kafka_fine(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);

/* its trouble is nobody's any more */
void ngx_http_fanout_kafka_clear(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


#endif /* NGX_HTTP_FANOUT_KAFKA_TROUBLE_H */
