
/*
 * Where a key is, by the partitioner that was declared for its topic.
 *
 * librdkafka's partitioners take no topic handle for this.  Those without
 * "_random" in the name are used: what the random ones do without a key
 * can't be foretold.
 */


#include "source/ngx_http_fanout_kafka_conf.h"


ngx_http_fanout_kafka_partitioner_e
ngx_http_fanout_kafka_partitioner(ngx_http_fanout_kafka_conf_t *conf,
    const fo_str_t *topic)
{
    ngx_uint_t                     i;
    ngx_http_fanout_kafka_rule_t  *rule, *best;

    rule = conf->rules.elts;
    best = NULL;

    for (i = 0; i < conf->rules.nelts; i++) {

        if (rule[i].name.len > topic->len
            || ngx_memcmp(rule[i].name.data, topic->data, rule[i].name.len)
               != 0)
        {
            continue;
        }

        if (!rule[i].prefix) {
            if (rule[i].name.len == topic->len) {
                return rule[i].partitioner;
            }

            continue;
        }

        if (best == NULL || rule[i].name.len > best->name.len) {
            best = &rule[i];
        }
    }

    return best ? best->partitioner : NGX_HTTP_FANOUT_KAFKA_ANY;
}


int32_t
ngx_http_fanout_kafka_partition(
    ngx_http_fanout_kafka_partitioner_e partitioner, const void *key,
    size_t len, int32_t partitions)
{
    if (partitions <= 0 || key == NULL) {
        return -1;
    }

    switch (partitioner) {

    case NGX_HTTP_FANOUT_KAFKA_MURMUR2:
        return rd_kafka_msg_partitioner_murmur2(NULL, key, len, partitions,
                                                NULL, NULL);

    case NGX_HTTP_FANOUT_KAFKA_CRC32:

        /* consistent_random, librdkafka's default, takes an empty key as
           none: it may be anywhere */

        if (len == 0) {
            return -1;
        }

        return rd_kafka_msg_partitioner_consistent(NULL, key, len,
                                                   partitions, NULL, NULL);

    case NGX_HTTP_FANOUT_KAFKA_FNV1A:
        return rd_kafka_msg_partitioner_fnv1a(NULL, key, len, partitions,
                                              NULL, NULL);

    default: /* NGX_HTTP_FANOUT_KAFKA_ANY */
        return -1;
    }
}
