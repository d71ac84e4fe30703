
/*
 * A worker's connection to one cluster, as its files see it; main thread
 * only.
 *
 *     ngx_http_fanout_kafka.c          operations, begin and end
 *     ngx_http_fanout_kafka_answer.c   what the helper thread answers
 *     ngx_http_fanout_kafka_live.c     partitions on the live handle
 *     ngx_http_fanout_kafka_hand.c     messages from its queue
 *     ngx_http_fanout_kafka_drain.c    their records to the hub
 *     ngx_http_fanout_kafka_skip.c     what can't be read, passed over
 *     ngx_http_fanout_kafka_event.c    what librdkafka tells, state, logs
 *
 * A partition goes through these states, from start() to stop():
 *
 *     WAITING --------> ASKING --------> WAITING --------> RUNNING
 *             END, BEGIN        offset           consume
 *        ^                 |                                  |
 *        +-----------------+----------------------------------+
 *                     after trouble, a while later
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_INT_H
#define NGX_HTTP_FANOUT_KAFKA_INT_H


#include <ngx_event.h>

#include "source/ngx_http_fanout_kafka_control.h"
#include "source/ngx_http_fanout_kafka_hand.h"
#include "source/ngx_http_fanout_kafka_trouble.h"


#define NGX_HTTP_FANOUT_KAFKA_IDLE     60000   /* ms, then handles close */
#define NGX_HTTP_FANOUT_KAFKA_RETRY    1000    /* ms, after trouble */
#define NGX_HTTP_FANOUT_KAFKA_PROBE    2000    /* ms, while unreachable */
#define NGX_HTTP_FANOUT_KAFKA_REFRESH  30000   /* ms, partitions, leaders */
#define NGX_HTTP_FANOUT_KAFKA_RECHECK  2000    /* ms, while one is missing */
#define NGX_HTTP_FANOUT_KAFKA_RECORDS  4096    /* in a turn */
#define NGX_HTTP_FANOUT_KAFKA_TIME     2       /* ms in a turn */


typedef struct ngx_http_fanout_kafka_topic_s  ngx_http_fanout_kafka_topic_t;


/*
 * A topic that this worker reads, or has read since the live handle was
 * opened: librdkafka may keep its opaque, which points here, longer than
 * the topic handle.
 */

struct ngx_http_fanout_kafka_topic_s {
    ngx_queue_t                            queue;
    fo_str_t                               name;        /* terminated */
    rd_kafka_topic_t                      *rkt;         /* while users */
    ngx_uint_t                             users;       /* partitions */
    ngx_http_fanout_kafka_part_t         **parts;       /* by partition */
    ngx_uint_t                             nparts;      /* allocated */
    ngx_http_fanout_kafka_partitioner_e    partitioner;
    uint32_t                               partitions;  /* 0: not known */
    uint64_t                               asked;       /* ms, for them */
    ngx_uint_t                             ntroubled;   /* with part->err */
    unsigned                               asking:1;
    unsigned                               recheck:1;   /* ask soon */
    unsigned                               suspect:1;   /* a stray key */
};


typedef enum {
    NGX_HTTP_FANOUT_KAFKA_WAITING = 0,  /* in k->waiting */
    NGX_HTTP_FANOUT_KAFKA_ASKING,       /* has a job */
    NGX_HTTP_FANOUT_KAFKA_RUNNING
} ngx_http_fanout_kafka_state_e;


struct ngx_http_fanout_kafka_part_s {
    ngx_rbtree_node_t                      node;        /* key: owned */
    ngx_queue_t                            queue;
    fo_owned_t                            *owned;
    ngx_http_fanout_kafka_topic_t         *topic;
    ngx_http_fanout_kafka_job_t           *job;         /* ASKING */
    ngx_http_fanout_kafka_state_e          state;
    uint32_t                               partition;
    int64_t                                next;        /* or FO_OFFSET_* */
    uint64_t                               at;          /* ms, WAITING */
    rd_kafka_resp_err_t                    err;         /* its trouble */
    int64_t                                bad;         /* can't be read */
    int64_t                                good;        /* can, -1: unknown */
    int64_t                                step;        /* 0: no search */
    unsigned                               missed:1;    /* to be told */
    unsigned                               alone:1;     /* for the next job */
    unsigned                               told:1;      /* hub: started */
};


struct ngx_http_fanout_kafka_s {
    ngx_cycle_t                           *cycle;
    ngx_http_fanout_kafka_conf_t          *conf;
    fo_hub_t                              *hub;
    ngx_http_fanout_kafka_report_pt        report;
    void                                  *report_ctx;

    ngx_connection_t                      *connection;
    int                                    fd;
    ngx_http_fanout_kafka_control_t       *control;
    ngx_http_fanout_kafka_handle_t        *handles[2];  /* by kind */
    ngx_event_t                            turn;        /* posted */
    ngx_event_t                            timer;
    ngx_queue_t                            topics;
    ngx_queue_t                            waiting;
    ngx_rbtree_t                           parts;
    ngx_rbtree_node_t                      sentinel;
    ngx_uint_t                             nparts;
    ngx_uint_t                             njobs;       /* to be answered */
    ngx_uint_t                             ntroubled;   /* with part->err */

    ngx_http_fanout_kafka_hand_t           hand;
    size_t                                 kick_records;  /* 0: not needed */
    size_t                                 kick_bytes;
    size_t                                 taken_records; /* since a kick */
    size_t                                 taken_bytes;
    const char                            *username;
    const char                            *password;
    uint64_t                               used;        /* ms */
    uint64_t                               open_at;     /* ms, not before */
    uint64_t                               probed;      /* ms */
    rd_kafka_resp_err_t                    fault;
    ngx_http_fanout_kafka_text_t           detail;
    uint64_t                               detailed;    /* ms, detail logged */
    char                                   facility[32];  /* of last log line */
    uint64_t                               facility_logged;  /* ms */
    ngx_http_fanout_kafka_text_t           error;
    u_char                                *statistics;
    size_t                                 statistics_len;
    unsigned                               up:1;
    unsigned                               doubt:1;     /* to be probed */
    unsigned                               changed:1;   /* partitions have */
    unsigned                               opening:1;
    unsigned                               quitting:1;
    unsigned                               exited:1;
};


/* ngx_http_fanout_kafka.c */

/* a turn of its own in the loop's next one */
void ngx_http_fanout_kafka_post(ngx_http_fanout_kafka_t *k);

/* gives a job to the helper thread */
void ngx_http_fanout_kafka_submit(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job);

/* asks for the partitions of a topic for ourselves */
void ngx_http_fanout_kafka_ask(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t);

/* is the cluster there?  Asked by any topic in use, not too often */
void ngx_http_fanout_kafka_probe(ngx_http_fanout_kafka_t *k);


/* ngx_http_fanout_kafka_answer.c */

void ngx_http_fanout_kafka_answers(ngx_http_fanout_kafka_t *k);


/* ngx_http_fanout_kafka_live.c */

ngx_http_fanout_kafka_part_t *ngx_http_fanout_kafka_part_create(
    ngx_http_fanout_kafka_t *k, fo_owned_t *o, const fo_str_t *topic,
    uint32_t partition, int64_t from);
void ngx_http_fanout_kafka_part_destroy(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);
ngx_http_fanout_kafka_part_t *ngx_http_fanout_kafka_part_find(
    ngx_http_fanout_kafka_t *k, fo_owned_t *o);

/* goes on with those that wait and whose time has come */
void ngx_http_fanout_kafka_advance(ngx_http_fanout_kafka_t *k);

/* reading stops; it goes on at part->next in "after" ms */
void ngx_http_fanout_kafka_again(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, ngx_msec_t after);

void ngx_http_fanout_kafka_watermarks(ngx_http_fanout_kafka_t *k);

/* forgets topics; no partition is left */
void ngx_http_fanout_kafka_topics_free(ngx_http_fanout_kafka_t *k);


/* ngx_http_fanout_kafka_drain.c */

/* takes records for one turn's time */
void ngx_http_fanout_kafka_drain(ngx_http_fanout_kafka_t *k);

/* the partitions of a topic with a declared partitioner came in */
void ngx_http_fanout_kafka_counted(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, uint32_t partitions);


#endif /* NGX_HTTP_FANOUT_KAFKA_INT_H */
