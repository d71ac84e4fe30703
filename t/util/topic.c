
/*
 * Topics by the Admin API, much faster than Kafka's own tools.
 *
 *     topic --brokers LIST [--replicas LIST] [-X name=value]... COMMAND
 *
 *     ping [BROKERS]                     until so many (1) are in the cluster
 *     create NAME PARTITIONS [k=v]...    with topic configuration
 *     grow NAME PARTITIONS               to that many
 *     delete NAME
 *     trim NAME PARTITION OFFSET         delete the records below
 *     list                               name and partitions, a line each
 *     offsets NAME                       partition, low, high, a line each
 *     leaders NAME                       partition, leader or -1, replicas in
 *                                        sync, replicas, a line each
 *     deny NAME PRINCIPAL                reading, by an ACL
 *     undeny NAME PRINCIPAL              takes that ACL away
 *
 * "--replicas 1,2/3,1" places the first created partition on the nodes 1
 * and 2, the second one on 3 and 1; without it the brokers place them, with as
 * many replicas as they do by default.
 *
 * create, grow and delete return when the brokers' metadata agree; every
 * command gives up after 20 s.
 */


#include "lib/util.h"

#include <librdkafka/rdkafka.h>


#define LIMIT_MS  60000


typedef struct {
    rd_kafka_t                 *rk;
    rd_kafka_queue_t           *queue;
    rd_kafka_AdminOptions_t    *options;
    char                       *replicas;
    int64_t                     deadline;
} topic_t;


static int topic_left(topic_t *t);
static rd_kafka_resp_err_t topic_result(topic_t *t);
static void topic_wait(topic_t *t, const char *name, int partitions);
static void topic_create(topic_t *t, const char *name, int partitions,
    char **config);
static void topic_place(topic_t *t, rd_kafka_NewTopic_t *nt);
static void topic_grow(topic_t *t, const char *name, int partitions);
static void topic_delete(topic_t *t, const char *name);
static void topic_trim(topic_t *t, const char *name, int partition,
    int64_t offset);
static void topic_offsets(topic_t *t, const char *name);
static void topic_leaders(topic_t *t, const char *name);
static void topic_acl(topic_t *t, const char *name, const char *principal,
    int deny);
static void topic_list(topic_t *t);


static int
topic_left(topic_t *t)
{
    int64_t  ms;

    ms = (t->deadline - now_ns()) / 1000000;

    return ms > 1 ? (int) ms : 1;
}


/*
 * The answer to the one request that is under way.  Returns the error that a
 * broker has while it is not yet, or not any more, one of the cluster, as
 * happens on a busy machine; others end the program.
 */

static rd_kafka_resp_err_t
topic_result(topic_t *t)
{
    size_t                               i, n;
    rd_kafka_event_t                    *event;
    rd_kafka_resp_err_t                  err;
    const rd_kafka_topic_result_t      **results;
    const rd_kafka_acl_result_t        **acls;
    const rd_kafka_topic_partition_list_t  *list;
    const rd_kafka_DeleteAcls_result_response_t  **responses;

    event = rd_kafka_queue_poll(t->queue, topic_left(t));

    if (event == NULL) {
        die("no answer");
    }

    if (rd_kafka_event_error(event)) {
        die("%s", rd_kafka_event_error_string(event));
    }

    n = 0;
    results = NULL;

    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
        results = rd_kafka_CreateTopics_result_topics(
                      rd_kafka_event_CreateTopics_result(event), &n);
        break;

    case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
        results = rd_kafka_DeleteTopics_result_topics(
                      rd_kafka_event_DeleteTopics_result(event), &n);
        break;

    case RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT:
        results = rd_kafka_CreatePartitions_result_topics(
                      rd_kafka_event_CreatePartitions_result(event), &n);
        break;

    case RD_KAFKA_EVENT_DELETERECORDS_RESULT:
        list = rd_kafka_DeleteRecords_result_offsets(
                   rd_kafka_event_DeleteRecords_result(event));

        if (list->elems[0].err) {
            die("%s", rd_kafka_err2str(list->elems[0].err));
        }

        break;

    case RD_KAFKA_EVENT_CREATEACLS_RESULT:
        acls = rd_kafka_CreateAcls_result_acls(
                   rd_kafka_event_CreateAcls_result(event), &n);

        if (n != 1 || rd_kafka_acl_result_error(acls[0])) {
            die("the ACL can't be made");
        }

        n = 0;
        break;

    case RD_KAFKA_EVENT_DELETEACLS_RESULT:
        responses = rd_kafka_DeleteAcls_result_responses(
                        rd_kafka_event_DeleteAcls_result(event), &n);

        if (n != 1
            || rd_kafka_DeleteAcls_result_response_error(responses[0]))
        {
            die("the ACL can't be deleted");
        }

        n = 0;
        break;

    default:
        die("unexpected answer");
    }

    for (i = 0; i < n; i++) {
        err = rd_kafka_topic_result_error(results[i]);

        if (err == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR
            && now_ns() < t->deadline)
        {
            rd_kafka_event_destroy(event);
            return err;
        }

        if (err) {
            die("%s: %s", rd_kafka_topic_result_name(results[i]),
                rd_kafka_err2name(err));
        }
    }

    rd_kafka_event_destroy(event);

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


/*
 * Until the cluster has so many brokers (name NULL), or the topic that many
 * partitions, each with a leader; 0: is unknown.
 */

static void
topic_wait(topic_t *t, const char *name, int partitions)
{
    int                             i, n;
    rd_kafka_topic_t               *rkt;
    rd_kafka_resp_err_t             err;
    const rd_kafka_metadata_t      *md;
    const rd_kafka_metadata_topic_t  *mt;

    rkt = name ? rd_kafka_topic_new(t->rk, name, NULL) : NULL;

    for ( ;; ) {
        err = rd_kafka_metadata(t->rk, 0, rkt, &md, 1000);

        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            n = 0;

            if (name) {
                mt = &md->topics[0];

                for (i = 0; mt->err == 0 && i < mt->partition_cnt; i++) {
                    n += (mt->partitions[i].leader != -1);
                }

                if (mt->err != 0
                    && mt->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
                {
                    n = -1;
                }

            } else {
                n = md->broker_cnt;
            }

            rd_kafka_metadata_destroy(md);

            if (n == partitions) {
                break;
            }
        }

        if (now_ns() > t->deadline) {
            die("%s: not ready in time", name ? name : "cluster");
        }

        /* lets librdkafka work while the brokers agree */

        rd_kafka_poll(t->rk, 10);
    }

    if (rkt) {
        rd_kafka_topic_destroy(rkt);
    }
}


static void
topic_create(topic_t *t, const char *name, int partitions, char **config)
{
    char                 errstr[512], *value;
    rd_kafka_NewTopic_t *nt;

    nt = rd_kafka_NewTopic_new(name, partitions, -1, errstr, sizeof(errstr));
    if (nt == NULL) {
        die("%s", errstr);
    }

    if (t->replicas) {
        topic_place(t, nt);
    }

    for ( /* void */ ; *config; config++) {
        value = strchr(*config, '=');
        if (value == NULL) {
            die("\"%s\" is not name=value", *config);
        }

        *value++ = '\0';

        if (rd_kafka_NewTopic_set_config(nt, *config, value)) {
            die("\"%s\" can't be set", *config);
        }
    }

    do {
        rd_kafka_CreateTopics(t->rk, &nt, 1, t->options, t->queue);
    } while (topic_result(t) != RD_KAFKA_RESP_ERR_NO_ERROR);

    rd_kafka_NewTopic_destroy(nt);

    topic_wait(t, name, partitions);
}


static void
topic_place(topic_t *t, rd_kafka_NewTopic_t *nt)
{
    char     errstr[512], *p;
    size_t   n;
    int32_t  partition, nodes[16];

    n = 0;
    partition = 0;

    for (p = t->replicas; *p; p++) {

        if (n == 16) {
            die("too many replicas");
        }

        nodes[n++] = (int32_t) strtol(p, &p, 10);

        if (*p == ',') {
            continue;
        }

        if (rd_kafka_NewTopic_set_replica_assignment(nt, partition++, nodes,
                                                     n, errstr,
                                                     sizeof(errstr))
            != RD_KAFKA_RESP_ERR_NO_ERROR)
        {
            die("%s", errstr);
        }

        if (*p != '/') {
            break;
        }

        n = 0;
    }

    if (*p) {
        die("\"--replicas\" wants nodes, as 1,2/3,1");
    }
}


static void
topic_grow(topic_t *t, const char *name, int partitions)
{
    char                      errstr[512];
    rd_kafka_NewPartitions_t *np;

    np = rd_kafka_NewPartitions_new(name, partitions, errstr,
                                    sizeof(errstr));
    if (np == NULL) {
        die("%s", errstr);
    }

    rd_kafka_CreatePartitions(t->rk, &np, 1, t->options, t->queue);
    topic_result(t);
    rd_kafka_NewPartitions_destroy(np);

    topic_wait(t, name, partitions);
}


static void
topic_delete(topic_t *t, const char *name)
{
    rd_kafka_DeleteTopic_t *dt;

    dt = rd_kafka_DeleteTopic_new(name);

    rd_kafka_DeleteTopics(t->rk, &dt, 1, t->options, t->queue);
    topic_result(t);
    rd_kafka_DeleteTopic_destroy(dt);

    topic_wait(t, name, 0);
}


static void
topic_trim(topic_t *t, const char *name, int partition, int64_t offset)
{
    rd_kafka_DeleteRecords_t         *dr;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, partition)->offset = offset;

    dr = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);

    rd_kafka_DeleteRecords(t->rk, &dr, 1, t->options, t->queue);
    topic_result(t);
    rd_kafka_DeleteRecords_destroy(dr);
}


static void
topic_offsets(topic_t *t, const char *name)
{
    int                          i, n;
    int64_t                      low, high;
    rd_kafka_topic_t            *rkt;
    rd_kafka_resp_err_t          err;
    const rd_kafka_metadata_t   *md;

    rkt = rd_kafka_topic_new(t->rk, name, NULL);

    err = rd_kafka_metadata(t->rk, 0, rkt, &md, topic_left(t));
    if (err || md->topics[0].err) {
        die("%s: %s", name,
            rd_kafka_err2name(err ? err : md->topics[0].err));
    }

    n = md->topics[0].partition_cnt;

    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(rkt);

    for (i = 0; i < n; i++) {
        err = rd_kafka_query_watermark_offsets(t->rk, name, i, &low, &high,
                                               topic_left(t));
        if (err) {
            die("%s: %s", name, rd_kafka_err2name(err));
        }

        printf("%d %" PRId64 " %" PRId64 "\n", i, low, high);
    }
}


static void
topic_leaders(topic_t *t, const char *name)
{
    int                                  i;
    rd_kafka_topic_t                    *rkt;
    rd_kafka_resp_err_t                  err;
    const rd_kafka_metadata_t           *md;
    const rd_kafka_metadata_partition_t *mp;

    rkt = rd_kafka_topic_new(t->rk, name, NULL);

    err = rd_kafka_metadata(t->rk, 0, rkt, &md, topic_left(t));
    if (err || md->topics[0].err) {
        die("%s: %s", name,
            rd_kafka_err2name(err ? err : md->topics[0].err));
    }

    for (i = 0; i < md->topics[0].partition_cnt; i++) {
        mp = &md->topics[0].partitions[i];

        printf("%d %d %d %d\n", mp->id, mp->leader, mp->isr_cnt,
               mp->replica_cnt);
    }

    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(rkt);
}


static void
topic_acl(topic_t *t, const char *name, const char *principal, int deny)
{
    char                   errstr[512];
    rd_kafka_AclBinding_t *acl;

    if (deny) {
        acl = rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, name,
                                      RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                                      principal, "*",
                                      RD_KAFKA_ACL_OPERATION_READ,
                                      RD_KAFKA_ACL_PERMISSION_TYPE_DENY,
                                      errstr, sizeof(errstr));
    } else {
        acl = rd_kafka_AclBindingFilter_new(RD_KAFKA_RESOURCE_TOPIC, name,
                                      RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                                      principal, "*",
                                      RD_KAFKA_ACL_OPERATION_READ,
                                      RD_KAFKA_ACL_PERMISSION_TYPE_DENY,
                                      errstr, sizeof(errstr));
    }

    if (acl == NULL) {
        die("%s", errstr);
    }

    if (deny) {
        rd_kafka_CreateAcls(t->rk, &acl, 1, t->options, t->queue);
    } else {
        rd_kafka_DeleteAcls(t->rk, &acl, 1, t->options, t->queue);
    }

    topic_result(t);
    rd_kafka_AclBinding_destroy(acl);
}


static void
topic_list(topic_t *t)
{
    int                          i;
    rd_kafka_resp_err_t          err;
    const rd_kafka_metadata_t   *md;

    err = rd_kafka_metadata(t->rk, 1, NULL, &md, topic_left(t));
    if (err) {
        die("%s", rd_kafka_err2name(err));
    }

    for (i = 0; i < md->topic_cnt; i++) {
        printf("%s %d\n", md->topics[i].topic, md->topics[i].partition_cnt);
    }

    rd_kafka_metadata_destroy(md);
}


int
main(int argc, char **argv)
{
    int               c, n;
    char              errstr[512], *value;
    topic_t           t;
    rd_kafka_conf_t  *conf;

    static struct option  options[] = {
        { "brokers", required_argument, NULL, 'b' },
        { "replicas", required_argument, NULL, 'r' },
        { NULL, 0, NULL, 0 }
    };

    t.replicas = NULL;

    conf = rd_kafka_conf_new();

    /* a cluster that is just starting is tried again at once */

    rd_kafka_conf_set(conf, "reconnect.backoff.ms", "20", NULL, 0);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "100", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "allow.auto.create.topics", "false", NULL, 0);

    while ((c = getopt_long(argc, argv, "X:", options, NULL)) != -1) {
        switch (c) {
        case 'b':
            value = optarg;
            optarg = "bootstrap.servers";
            break;

        case 'r':
            t.replicas = optarg;
            continue;

        case 'X':
            value = strchr(optarg, '=');
            if (value == NULL) {
                die("-X wants name=value");
            }

            *value++ = '\0';
            break;

        default:
            return 2;
        }

        if (rd_kafka_conf_set(conf, optarg, value, errstr, sizeof(errstr))
            != RD_KAFKA_CONF_OK)
        {
            die("%s", errstr);
        }
    }

    argv += optind;
    n = argc - optind;

    t.deadline = now_ns() + LIMIT_MS * 1000000LL;

    t.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (t.rk == NULL) {
        die("%s", errstr);
    }

    t.queue = rd_kafka_queue_new(t.rk);
    t.options = rd_kafka_AdminOptions_new(t.rk, RD_KAFKA_ADMIN_OP_ANY);

    rd_kafka_AdminOptions_set_request_timeout(t.options, LIMIT_MS, NULL, 0);

    if ((n == 1 || n == 2) && strcmp(argv[0], "ping") == 0) {
        topic_wait(&t, NULL, n == 2 ? number("ping", argv[1]) : 1);

    } else if (n == 1 && strcmp(argv[0], "list") == 0) {
        topic_list(&t);

    } else if (n >= 3 && strcmp(argv[0], "create") == 0) {
        topic_create(&t, argv[1], number("create", argv[2]), argv + 3);

    } else if (n == 3 && strcmp(argv[0], "grow") == 0) {
        topic_grow(&t, argv[1], number("grow", argv[2]));

    } else if (n == 2 && strcmp(argv[0], "delete") == 0) {
        topic_delete(&t, argv[1]);

    } else if (n == 4 && strcmp(argv[0], "trim") == 0) {
        topic_trim(&t, argv[1], number("trim", argv[2]),
                   number("trim", argv[3]));

    } else if (n == 2 && strcmp(argv[0], "offsets") == 0) {
        topic_offsets(&t, argv[1]);

    } else if (n == 2 && strcmp(argv[0], "leaders") == 0) {
        topic_leaders(&t, argv[1]);

    } else if (n == 3 && strcmp(argv[0], "deny") == 0) {
        topic_acl(&t, argv[1], argv[2], 1);

    } else if (n == 3 && strcmp(argv[0], "undeny") == 0) {
        topic_acl(&t, argv[1], argv[2], 0);

    } else {
        die("no such command, or not its arguments");
    }

    rd_kafka_AdminOptions_destroy(t.options);
    rd_kafka_queue_destroy(t.queue);
    rd_kafka_destroy(t.rk);

    return 0;
}
