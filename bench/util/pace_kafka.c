
/*
 * To Kafka.  Records of one partition keep their order without idempotence,
 * for nothing is sent twice while the broker is there.
 */


#include "pace.h"

#include <librdkafka/rdkafka.h>


static rd_kafka_t       *rk;
static rd_kafka_conf_t  *conf;
static uint64_t          sent;


static rd_kafka_conf_t *
kafka_conf(void)
{
    if (conf == NULL) {
        conf = rd_kafka_conf_new();

        rd_kafka_conf_set(conf, "linger.ms", "0", NULL, 0);
        rd_kafka_conf_set(conf, "acks", "1", NULL, 0);
        rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
        rd_kafka_conf_set(conf, "socket.nagle.disable", "true", NULL, 0);
        rd_kafka_conf_set(conf, "message.max.bytes", "2000000", NULL, 0);
        rd_kafka_conf_set(conf, "queue.buffering.max.messages", "2000000",
                          NULL, 0);
        rd_kafka_conf_set(conf, "allow.auto.create.topics", "false", NULL, 0);
    }

    return conf;
}


static int
kafka_set(pace_t *p, const char *name, const char *value)
{
    return rd_kafka_conf_set(kafka_conf(), name, value, NULL, 0)
           == RD_KAFKA_CONF_OK;
}


static void
kafka_acked(rd_kafka_t *handle, const rd_kafka_message_t *m, void *opaque)
{
    pace_t  *p = opaque;

    if (m->err) {
        p->failed++;

    } else {
        p->acked++;
    }
}


static void
kafka_open(pace_t *p)
{
    char                        errstr[512];
    rd_kafka_topic_t           *rkt;
    rd_kafka_resp_err_t         err;
    const rd_kafka_metadata_t  *md;

    if (p->brokers == NULL) {
        die("--brokers is needed");
    }

    if (!kafka_set(p, "bootstrap.servers", p->brokers)) {
        die("--brokers: refused");
    }

    rd_kafka_conf_set_dr_msg_cb(conf, kafka_acked);
    rd_kafka_conf_set_opaque(conf, p);

    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (rk == NULL) {
        die("%s", errstr);
    }

    /* metadata first: some versions send their first record a second late */

    rkt = rd_kafka_topic_new(rk, p->topic, NULL);
    err = rd_kafka_metadata(rk, 0, rkt, &md, 10000);

    if (err == 0) {
        err = md->topics[0].err;
        rd_kafka_metadata_destroy(md);
    }

    if (err) {
        die("topic \"%s\": %s", p->topic, rd_kafka_err2name(err));
    }

    rd_kafka_topic_destroy(rkt);
}


static void
kafka_put(pace_t *p, int32_t partition, const char *key, const char *value,
    size_t len)
{
    rd_kafka_resp_err_t  err;

    for ( ;; ) {
        err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(p->topic),
                  RD_KAFKA_V_PARTITION(partition),
                  RD_KAFKA_V_KEY(key, strlen(key)),
                  RD_KAFKA_V_VALUE((void *) value, len),
                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                  RD_KAFKA_V_END);

        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            break;
        }

        rd_kafka_poll(rk, 10);
    }

    if (err) {
        die("%s", rd_kafka_err2str(err));
    }

    if ((++sent & 63) == 0) {
        rd_kafka_poll(rk, 0);
    }
}


static void
kafka_serve(pace_t *p, int64_t ns)
{
    rd_kafka_poll(rk, ns / 1000000);
}


static void
kafka_finish(pace_t *p)
{
    if (rd_kafka_flush(rk, 60000)) {
        die("Kafka does not take all records");
    }
}


const pace_target_t  pace_kafka = {
    "kafka", kafka_open, kafka_put, kafka_serve, kafka_finish, kafka_set
};
