
/*
 * Messages that were taken from the live handle's queue and are not handed
 * over to the hub yet, in their order.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_HAND_H
#define NGX_HTTP_FANOUT_KAFKA_HAND_H


#include "source/ngx_http_fanout_kafka_trouble.h"


#define NGX_HTTP_FANOUT_KAFKA_HAND  16      /* messages at a time */


typedef struct {
    rd_kafka_message_t  *message[NGX_HTTP_FANOUT_KAFKA_HAND];  /* NULL: its
                                               partition was stopped */
    fo_record_t          record[NGX_HTTP_FANOUT_KAFKA_HAND];
    ngx_uint_t           first;
    ngx_uint_t           last;
} ngx_http_fanout_kafka_hand_t;


/* is there a message at hand.first?  Fills an empty hand first */
ngx_uint_t ngx_http_fanout_kafka_hand_next(ngx_http_fanout_kafka_t *k);

/* the partition that a message is of, NULL if it does not run */
ngx_http_fanout_kafka_part_t *ngx_http_fanout_kafka_hand_part(
    rd_kafka_message_t *rkm);

/* destroys the messages of a partition that stops, or all (NULL) */
void ngx_http_fanout_kafka_hand_drop(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


#endif /* NGX_HTTP_FANOUT_KAFKA_HAND_H */
