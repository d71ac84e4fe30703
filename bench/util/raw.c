
/*
 * The floor of reading: librdkafka by itself, with the settings that the
 * module has, from the end of a topic.
 *
 *     raw --brokers LIST --topic NAME --partitions N [-X name=value]
 *
 * Prints "open" and "warm" as load does, and its figures as JSON; "expect N"
 * and the end of stdin likewise.
 */


#include "tally.h"

#include <poll.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>


#define TIMEOUT  20


static const char   *brokers;
static const char   *topic;
static int64_t       partitions = 1;
static tally_t       tally;
static tally_one_t   one;
static int64_t       expected;
static int           stop;


static const char   *settings[][2] = {
    { "group.id", "raw" },
    { "enable.auto.commit", "false" },
    { "fetch.wait.max.ms", "100" },
    { "queued.max.messages.kbytes", "16384" },
    { "socket.nagle.disable", "true" },
    { "log_level", "3" },
    { NULL, NULL }
};


static rd_kafka_queue_t *
raw_open(rd_kafka_conf_t *conf)
{
    char               errstr[512];
    int32_t            i;
    int64_t            low, high;
    rd_kafka_t        *rk;
    rd_kafka_topic_t  *rkt;
    rd_kafka_queue_t  *queue;

    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));
    if (rk == NULL) {
        die("%s", errstr);
    }

    rkt = rd_kafka_topic_new(rk, topic, NULL);
    queue = rd_kafka_queue_new(rk);

    for (i = 0; i < partitions; i++) {
        if (rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high, 10000)
            || rd_kafka_consume_start_queue(rkt, i, high, queue) == -1)
        {
            die("partition %" PRId32 " can't be read", i);
        }
    }

    puts("open 0");
    fflush(stdout);

    return queue;
}


static void
raw_record(const rd_kafka_message_t *m)
{
    mark_t      mark;
    static int  warm;

    if (m->err) {
        die("%s", rd_kafka_err2str(m->err));
    }

    if (mark_read(&mark, m->payload, m->len) == 0) {

        /* with a number for each key, order shows nowhere here */

        tally_add(&tally, &one, &mark);

    } else if (mark_warm(m->payload, m->len)) {
        if (!warm++) {
            puts("warm");
            fflush(stdout);
        }

    } else {
        tally.foreign++;
    }
}


static void
raw_command(void)
{
    char           line[256];
    struct pollfd  pfd;

    pfd.fd = 0;
    pfd.events = POLLIN;

    if (poll(&pfd, 1, 0) != 1) {
        return;
    }

    if (fgets(line, sizeof(line), stdin) == NULL) {
        stop = 1;
        return;
    }

    line[strcspn(line, "\n")] = '\0';

    if (strncmp(line, "expect ", 7) != 0) {
        die("no such command: \"%s\"", line);
    }

    expected = number("expect", line + 7);
    tally.last_at = now_ns();
    tally_start(&tally);
}


static void
raw_run(rd_kafka_queue_t *queue)
{
    rd_kafka_message_t  *m;

    while (!stop) {
        m = rd_kafka_consume_queue(queue, 50);

        if (m) {
            raw_record(m);
            rd_kafka_message_destroy(m);

        }

        if (m == NULL || expected == 0) {
            raw_command();
        }

        if (expected
            && ((int64_t) tally.deliveries >= expected
                || (m == NULL && now_ns() > tally.last_at + TIMEOUT * NS)))
        {
            stop = 1;
        }
    }
}


int
main(int argc, char **argv)
{
    int               c, i;
    char             *value;
    rd_kafka_conf_t  *conf;

    struct option  options[] = {
        { "brokers", required_argument, NULL, 'b' },
        { "topic", required_argument, NULL, 't' },
        { "partitions", required_argument, NULL, 'p' },
        { NULL, 0, NULL, 0 }
    };

    conf = rd_kafka_conf_new();
    setvbuf(stdin, NULL, _IONBF, 0);

    for (i = 0; settings[i][0]; i++) {
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], NULL, 0);
    }

    while ((c = getopt_long(argc, argv, "X:", options, NULL)) != -1) {
        switch (c) {
        case 'b': brokers = optarg; break;
        case 't': topic = optarg; break;
        case 'p': partitions = number("--partitions", optarg); break;
        case 'X':
            value = strchr(optarg, '=');

            if (value) {
                *value++ = '\0';
            }

            if (value == NULL
                || rd_kafka_conf_set(conf, optarg, value, NULL, 0))
            {
                die("-X %s: refused", optarg);
            }

            break;
        default:
            exit(2);
        }
    }

    if (brokers == NULL || topic == NULL || partitions < 1
        || partitions > MARK_STREAMS)
    {
        die("--brokers and --topic are needed");
    }

    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);

    raw_run(raw_open(conf));

    printf("{");
    tally_print(&tally);
    printf("\"reads\":0,\"bytes\":0,\"gone\":0,\"notices\":{},"
           "\"complete\":%d}\n", (int64_t) tally.deliveries == expected);

    /* the broker's connections need no farewell */

    fflush(stdout);
    _exit(0);
}
