
/*
 * Where paced records go: Kafka, or a peer that takes them by itself.
 */


#ifndef BENCH_PACE_H
#define BENCH_PACE_H


#include "mark.h"


typedef struct {
    const char   *brokers;
    const char   *topic;
    int64_t       port;
    int64_t       partitions;
    uint64_t      acked;
    uint64_t      failed;
} pace_t;


typedef struct {
    const char   *name;
    void        (*open)(pace_t *p);

    /* takes a copy; waits only when there is no room */

    void        (*put)(pace_t *p, int32_t partition, const char *key,
                       const char *value, size_t len);

    /* serves its sockets, at most that long */

    void        (*serve)(pace_t *p, int64_t ns);

    /* until all is acknowledged */

    void        (*finish)(pace_t *p);

    /* for librdkafka; false: no such setting */

    int         (*set)(pace_t *p, const char *name, const char *value);
} pace_target_t;


extern const pace_target_t  pace_kafka;
extern const pace_target_t  pace_http;
extern const pace_target_t  pace_nats;


#endif /* BENCH_PACE_H */
