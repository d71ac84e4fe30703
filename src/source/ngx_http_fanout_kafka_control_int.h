
/*
 * The inside of the helper thread: its queues and what it does with them.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_CONTROL_INT_H
#define NGX_HTTP_FANOUT_KAFKA_CONTROL_INT_H


#include <pthread.h>
#include <stdatomic.h>

#include "source/ngx_http_fanout_kafka_control.h"


/* ms of an attempt while credentials are refused */
#define NGX_HTTP_FANOUT_KAFKA_REFUSED_TIMEOUT  400


typedef struct {
    ngx_http_fanout_kafka_job_t      *first;
    ngx_http_fanout_kafka_job_t      *last;      /* if first is set */
} ngx_http_fanout_kafka_list_t;


typedef struct ngx_http_fanout_kafka_closer_s
    ngx_http_fanout_kafka_closer_t;

struct ngx_http_fanout_kafka_closer_s {
    ngx_http_fanout_kafka_closer_t   *next;
    ngx_http_fanout_kafka_handle_t   *handle;
    pthread_t                         thread;
    atomic_uint                       done;      /* written by the thread */
};


struct ngx_http_fanout_kafka_control_s {
    const ngx_http_fanout_kafka_conf_t   *conf;
    int                                   fd;
    pthread_t                             thread;
    pthread_mutex_t                       mutex;
    pthread_cond_t                        cond;

    /* under the mutex */

    ngx_http_fanout_kafka_list_t          submitted;
    ngx_http_fanout_kafka_list_t          done;
    unsigned                              quit;
    unsigned                              ended;
    unsigned                              refused;

    /* the helper's own */

    ngx_http_fanout_kafka_list_t          describes;
    ngx_http_fanout_kafka_list_t          offsets;
    ngx_http_fanout_kafka_handle_t       *handle;
    ngx_http_fanout_kafka_closer_t       *closers;
};


void ngx_http_fanout_kafka_list_append(ngx_http_fanout_kafka_list_t *list,
    ngx_http_fanout_kafka_job_t *job);
ngx_http_fanout_kafka_job_t *ngx_http_fanout_kafka_list_shift(
    ngx_http_fanout_kafka_list_t *list);

void ngx_http_fanout_kafka_control_collect(
    ngx_http_fanout_kafka_control_t *ctl);
void ngx_http_fanout_kafka_control_done(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *job);

/* shall an attempt that began at "started" end? */
unsigned ngx_http_fanout_kafka_control_hopeless(
    ngx_http_fanout_kafka_control_t *ctl, uint64_t started);

/* a request succeeded: credentials are right */
void ngx_http_fanout_kafka_control_accepted(
    ngx_http_fanout_kafka_control_t *ctl);

/* a piece of what there is to do */
void ngx_http_fanout_kafka_work(ngx_http_fanout_kafka_control_t *ctl);


#endif /* NGX_HTTP_FANOUT_KAFKA_CONTROL_INT_H */
