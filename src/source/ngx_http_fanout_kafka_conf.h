
/*
 * The configuration of a cluster.  Nothing changes it after it was parsed,
 * so that the helper thread may read it as well.
 */


#ifndef NGX_HTTP_FANOUT_KAFKA_CONF_H
#define NGX_HTTP_FANOUT_KAFKA_CONF_H


#include <librdkafka/rdkafka.h>

#include "source/ngx_http_fanout_kafka.h"


typedef enum {
    NGX_HTTP_FANOUT_KAFKA_ANY = 0,     /* a key may be in any partition */
    NGX_HTTP_FANOUT_KAFKA_MURMUR2,     /* Java and most others */
    NGX_HTTP_FANOUT_KAFKA_CRC32,       /* librdkafka's consistent */
    NGX_HTTP_FANOUT_KAFKA_FNV1A        /* sarama */
} ngx_http_fanout_kafka_partitioner_e;


/* strings are terminated */

typedef struct {
    ngx_str_t    name;          /* the usual one, where there is an alias */
    ngx_str_t    value;
    unsigned     secret:1;      /* not to be shown */
    unsigned     standard:1;    /* set by us, not by the user */
} ngx_http_fanout_kafka_property_t;


typedef struct {
    ngx_str_t                             name;      /* or prefix */
    ngx_uint_t                            prefix;
    ngx_http_fanout_kafka_partitioner_e   partitioner;
} ngx_http_fanout_kafka_rule_t;


struct ngx_http_fanout_kafka_conf_s {
    ngx_str_t                          name;
    uint64_t                           id;
    ngx_array_t                        properties;
                                       /* ngx_http_fanout_kafka_property_t */
    ngx_array_t                        rules;
                                       /* ngx_http_fanout_kafka_rule_t */
    rd_kafka_conf_t                   *scratch;   /* while parsing */
};


ngx_http_fanout_kafka_property_t *ngx_http_fanout_kafka_property(
    ngx_http_fanout_kafka_conf_t *conf, const char *name);

/* a terminated copy */
ngx_int_t ngx_http_fanout_kafka_copy(ngx_pool_t *pool, ngx_str_t *dst,
    const u_char *data, size_t len);

/* takes the value from cf->args, a file or the environment; logs errors */
ngx_int_t ngx_http_fanout_kafka_value(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p);

/* what is wrong with the whole; logs it */
ngx_int_t ngx_http_fanout_kafka_check(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);

/* one property, before it is set; NULL or what is wrong with it */
const char *ngx_http_fanout_kafka_check_property(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p);

/* librdkafka versions with which nothing can be promised */
const char *ngx_http_fanout_kafka_check_version(int version);

/* the rule for a topic: an exact name, else the longest prefix */
ngx_http_fanout_kafka_partitioner_e ngx_http_fanout_kafka_partitioner(
    ngx_http_fanout_kafka_conf_t *conf, const fo_str_t *topic);

/* the only partition that the partitioner gives a key, or -1; key may be
   NULL: none */
int32_t ngx_http_fanout_kafka_partition(
    ngx_http_fanout_kafka_partitioner_e partitioner, const void *key,
    size_t len, int32_t partitions);


#endif /* NGX_HTTP_FANOUT_KAFKA_CONF_H */
