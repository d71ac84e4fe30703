
/*
 * The helper thread: all that blocks.  It takes jobs from the main thread,
 * works them off on the control handle, and puts them, done, where the main
 * thread finds them after a write to the eventfd.
 *
 * A job belongs to who holds it: the main thread until it is submitted and
 * after it was taken, the helper in between.  "ctx" is the main thread's at
 * any time.
 *
 * Jobs of one kind that wait together are done together: the ends of any
 * number of partitions in one request to each broker.  A failed attempt
 * answers all jobs that wait for the same broker, so that a broker that is
 * away costs its deadline once, not once a job.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_CONTROL_H
#define NGX_HTTP_FANOUT_KAFKA_CONTROL_H


#include "source/ngx_http_fanout_kafka_handle.h"


#define NGX_HTTP_FANOUT_KAFKA_TIMEOUT  3000    /* ms, of an attempt */
#define NGX_HTTP_FANOUT_KAFKA_LEADERS  4096    /* partitions looked at */


typedef enum {
    NGX_HTTP_FANOUT_KAFKA_OPEN = 0,    /* -> handle, a LIVE one */
    NGX_HTTP_FANOUT_KAFKA_OPENED,      /* -> handle, CONTROL: told unasked */
    NGX_HTTP_FANOUT_KAFKA_CLOSE,       /* handle; no answer */
    NGX_HTTP_FANOUT_KAFKA_DESCRIBE,    /* topic -> partitions, leaderless */
    NGX_HTTP_FANOUT_KAFKA_OFFSET       /* topic, partition, from -> offset */
} ngx_http_fanout_kafka_job_e;


typedef struct ngx_http_fanout_kafka_job_s  ngx_http_fanout_kafka_job_t;

struct ngx_http_fanout_kafka_job_s {
    ngx_http_fanout_kafka_job_t      *next;
    ngx_http_fanout_kafka_job_e       type;
    void                             *ctx;
    ngx_http_fanout_kafka_handle_t   *handle;
    uint32_t                          row;           /* main's */
    uint32_t                          partitions;
    uint64_t                          leaderless    /* a bit a partition */
                                      [NGX_HTTP_FANOUT_KAFKA_LEADERS / 64];
    int32_t                           partition;
    int64_t                           from;      /* FO_OFFSET_END or BEGIN */
    int64_t                           offset;
    unsigned                          alone;     /* 1: failed in company */
    unsigned                          done;
    rd_kafka_resp_err_t               err;
    char                              error[NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT];
                                                 /* or empty */
    char                              topic[FO_TOPIC_MAX + 1];
};


typedef struct ngx_http_fanout_kafka_control_s
    ngx_http_fanout_kafka_control_t;


/* cleared; NULL: no memory */
ngx_http_fanout_kafka_job_t *ngx_http_fanout_kafka_job(
    ngx_http_fanout_kafka_job_e type, void *ctx);
void ngx_http_fanout_kafka_job_free(ngx_http_fanout_kafka_job_t *job);


/* starts the thread; NULL: it can't, errno is set */
ngx_http_fanout_kafka_control_t *ngx_http_fanout_kafka_control_create(
    const ngx_http_fanout_kafka_conf_t *conf, int fd);

void ngx_http_fanout_kafka_control_submit(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_job_t *job);

/* all that is done, as a list, or NULL */
ngx_http_fanout_kafka_job_t *ngx_http_fanout_kafka_control_take(
    ngx_http_fanout_kafka_control_t *ctl);

/*
 * A broker refused the credentials: attempts fail at once until one
 * succeeds.  To be called when the control handle's events say so.
 */
void ngx_http_fanout_kafka_control_refused(
    ngx_http_fanout_kafka_control_t *ctl);

/*
 * Drops what waits, has the thread close its handle and end.  *end is in ms
 * of the monotonic clock; NGX_OK: it ended, all is freed.  NGX_AGAIN: it
 * had not ended by then, nothing is freed, and it must be left alone.
 */
ngx_int_t ngx_http_fanout_kafka_control_destroy(
    ngx_http_fanout_kafka_control_t *ctl, uint64_t end);

/* ms of the monotonic clock; any thread */
uint64_t ngx_http_fanout_kafka_clock(void);


#endif /* NGX_HTTP_FANOUT_KAFKA_CONTROL_H */
