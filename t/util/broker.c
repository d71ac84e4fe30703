
/*
 * An embedded broker: librdkafka's mock cluster, until SIGTERM or SIGINT.
 * Prints its bootstrap servers on the first line.
 *
 *     broker [--brokers N] [--port-file FILE] [--topic NAME:PARTITIONS]...
 *            [--commands]
 *
 * With --commands it reads commands from stdin, a line each, answers "ok"
 * or "error: REASON" to each, and ends at the end of the input:
 *
 *     topic NAME PARTITIONS     make a topic
 *     error NAME CODE           fail requests for the topic; the code by
 *                               number or name, NO_ERROR clears it
 *     rtt MS                    delay every answer
 *     down, up                  refuse connections, take them again
 *
 * It holds a fetch that finds nothing for the whole fetch.wait.max.ms: a
 * consumer of it wants that at 10.  It makes an unknown topic as soon as it
 * is asked for it.
 */


#include "lib/util.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>


typedef struct {
    int                       brokers;
    rd_kafka_mock_cluster_t  *mock;
} broker_t;


static const char *broker_topic(broker_t *b, const char *name, int partitions);
static const char *broker_error(broker_t *b, const char *name,
    const char *code);
static const char *broker_each(broker_t *b, const char *what, int n);
static const char *broker_command(broker_t *b, char *line);
static void broker_run(broker_t *b, int sfd, int commands);


static struct option  options[] = {
    { "brokers", required_argument, NULL, 'b' },
    { "port-file", required_argument, NULL, 'p' },
    { "topic", required_argument, NULL, 't' },
    { "commands", no_argument, NULL, 'c' },
    { NULL, 0, NULL, 0 }
};


/* the commands return NULL, or what is wrong */

static const char *
broker_topic(broker_t *b, const char *name, int partitions)
{
    rd_kafka_resp_err_t  err;

    err = rd_kafka_mock_topic_create(b->mock, name, partitions, 1);

    return err ? rd_kafka_err2name(err) : NULL;
}


static const char *
broker_error(broker_t *b, const char *name, const char *code)
{
    size_t                           i, n;
    const struct rd_kafka_err_desc  *descs;

    rd_kafka_get_err_descs(&descs, &n);

    for (i = 0; i < n; i++) {
        if (descs[i].name != NULL
            && (strcmp(descs[i].name, code) == 0
                || (strspn(code, "-0123456789") == strlen(code)
                    && descs[i].code == atoi(code))))
        {
            rd_kafka_mock_topic_set_error(b->mock, name, descs[i].code);
            return NULL;
        }
    }

    return "no such error code";
}


static const char *
broker_each(broker_t *b, const char *what, int n)
{
    int                  id;
    rd_kafka_resp_err_t  err;

    for (id = 1; id <= b->brokers; id++) {

        switch (what[0]) {
        case 'd':
            err = rd_kafka_mock_broker_set_down(b->mock, id);
            break;

        case 'u':
            err = rd_kafka_mock_broker_set_up(b->mock, id);
            break;

        default:
            err = rd_kafka_mock_broker_set_rtt(b->mock, id, n);
        }

        if (err) {
            return rd_kafka_err2name(err);
        }
    }

    return NULL;
}


static const char *
broker_command(broker_t *b, char *line)
{
    char  *word[3];
    int    n;

    for (n = 0; n < 3; n++) {
        word[n] = strtok(n ? NULL : line, " \n");
        if (word[n] == NULL) {
            break;
        }
    }

    if (n == 3 && strcmp(word[0], "topic") == 0) {
        return broker_topic(b, word[1], atoi(word[2]));
    }

    if (n == 3 && strcmp(word[0], "error") == 0) {
        return broker_error(b, word[1], word[2]);
    }

    if (n == 2 && strcmp(word[0], "rtt") == 0) {
        return broker_each(b, word[0], atoi(word[1]));
    }

    if (n == 1 && (strcmp(word[0], "down") == 0
                   || strcmp(word[0], "up") == 0))
    {
        return broker_each(b, word[0], 0);
    }

    return "no such command";
}


static void
broker_run(broker_t *b, int sfd, int commands)
{
    char           line[1024];
    const char    *error;
    struct pollfd  fds[2];

    fds[0] = (struct pollfd) { .fd = sfd, .events = POLLIN };
    fds[1] = (struct pollfd) { .fd = commands ? 0 : -1, .events = POLLIN };

    /* unbuffered, so that poll() knows of every line */

    setvbuf(stdin, NULL, _IONBF, 0);

    for ( ;; ) {
        if (poll(fds, 2, -1) == -1) {
            die("poll: %s", strerror(errno));
        }

        if (fds[0].revents) {
            return;
        }

        if (fds[1].revents) {
            if (fgets(line, sizeof(line), stdin) == NULL) {
                return;
            }

            error = broker_command(b, line);

            printf(error ? "error: %s\n" : "ok\n", error);
            fflush(stdout);
        }
    }
}


int
main(int argc, char **argv)
{
    int               c, sfd, commands;
    char              errstr[512], *colon;
    sigset_t          set;
    broker_t          b;
    rd_kafka_t       *rk;
    const char       *port_file, *servers, *error;
    rd_kafka_conf_t  *conf;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);

    /* before librdkafka's threads, which inherit the mask */

    sigprocmask(SIG_BLOCK, &set, NULL);

    sfd = signalfd(-1, &set, SFD_CLOEXEC);
    if (sfd == -1) {
        die("signalfd: %s", strerror(errno));
    }

    b.brokers = 1;
    port_file = NULL;
    commands = 0;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'b':
            b.brokers = number("--brokers", optarg);
            break;
        case 'p':
            port_file = optarg;
            break;
        case 't':
            break;
        case 'c':
            commands = 1;
            break;
        default:
            return 2;
        }
    }

    conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);

    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (rk == NULL) {
        die("%s", errstr);
    }

    b.mock = rd_kafka_mock_cluster_new(rk, b.brokers);
    if (b.mock == NULL) {
        die("no mock cluster");
    }

    optind = 1;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 't') {
            continue;
        }

        colon = strrchr(optarg, ':');
        if (colon == NULL) {
            die("--topic wants NAME:PARTITIONS");
        }

        *colon = '\0';

        error = broker_topic(&b, optarg, number("--topic", colon + 1));
        if (error) {
            die("topic \"%s\": %s", optarg, error);
        }
    }

    servers = rd_kafka_mock_cluster_bootstraps(b.mock);

    if (port_file) {
        write_file(port_file, servers);
    }

    printf("%s\n", servers);
    fflush(stdout);

    broker_run(&b, sfd, commands);

    rd_kafka_mock_cluster_destroy(b.mock);
    rd_kafka_destroy(rk);

    return 0;
}
