
/*
 * A producer of records that a client can check.
 *
 *     produce --brokers LIST --topic NAME [options]
 *
 *     --count N            records (1000)
 *     --rate N             a second, by an absolute schedule; 0 at once (0)
 *     --keys N             key-0 .. key-(N-1) in turn (1); 0: null keys
 *     --from N             ... from key-N on (0)
 *     --size N             bytes a value, at least what its text needs
 *     --first N            where the sequences start (0)
 *     --partitioner P      crc32, murmur2, fnv1a, roundrobin (crc32)
 *     --partition N        all to this one
 *     --txn M              in transactions of M records
 *     --abort K            before every K-th transaction one that is aborted
 *     --log FILE           write "KEY SEQ NS PARTITION PSEQ OFFSET" of each
 *                          acknowledged record; SIGTERM then ends after
 *                          those that are on their way
 *     --lines              take "key TAB value" lines from stdin instead;
 *                          \0 alone is null, \t \n \\ \xHH are bytes, a
 *                          line without TAB has a null key; print
 *                          "partition offset" of each, in their order
 *     -X name=value        for librdkafka
 *
 * A value is "SEQ NS PARTITION PSEQ xxx...": the number of the record in its
 * key, the time it was made (CLOCK_MONOTONIC, ns), its partition and its
 * number there.  Both numbers grow by one.  The values of aborted records
 * begin with "aborted".
 *
 * Prints its figures as JSON; ends with 1 if a record was not acknowledged.
 */


#include "lib/util.h"

#include <poll.h>
#include <signal.h>

#include <librdkafka/rdkafka.h>


#define PATIENCE  120000    /* ms, with a broker that is slow or restarts */


typedef int32_t (*partitioner_pt)(const rd_kafka_topic_t *rkt,
    const void *key, size_t len, int32_t n, void *rkt_opaque, void *opaque);


typedef struct {
    int32_t             partition;
    int64_t             offset;
} place_t;


typedef struct {
    char               *brokers;
    char               *topic;
    int64_t             count;
    int64_t             rate;
    int64_t             keys;
    int64_t             from;           /* the first key's number */
    int64_t             size;
    int64_t             first;
    int64_t             partition;      /* -1: by the partitioner */
    int64_t             txn;            /* records each, 0: none */
    int64_t             abort;
    int                 lines;
    const char         *partitioner;    /* NULL: round robin */
    partitioner_pt      hash;

    rd_kafka_t         *rk;
    int32_t             partitions;
    int64_t            *pseq;           /* next of each partition */
    char               *buf;
    size_t              buf_size;

    int64_t             sent;
    int64_t             acked;
    int64_t             failed;
    int64_t             late;           /* behind the schedule at worst, ns */
    rd_kafka_resp_err_t err;            /* the last one */

    FILE               *log;            /* NULL: none */
    place_t            *places;         /* of each line, NULL: not asked */
    size_t              nplaces;
} produce_t;


static void produce_setup(produce_t *p, rd_kafka_conf_t *conf);
static void produce_acked(rd_kafka_t *rk, const rd_kafka_message_t *m,
    void *opaque);
static void produce_log(produce_t *p, const rd_kafka_message_t *m);
static void produce_send(produce_t *p, int32_t partition, void *key,
    size_t key_len, void *value, size_t len);
static int32_t produce_partition(produce_t *p, void *key, size_t len);
static void produce_record(produce_t *p, int64_t i, int aborted);
static void produce_pace(produce_t *p, int64_t due);
static void produce_begin(produce_t *p);
static void produce_end(produce_t *p, int commit);
static void produce_abort(produce_t *p);
static void produce_count(produce_t *p);
static size_t produce_unescape(char *s);
static void produce_lines(produce_t *p);
static void produce_check(rd_kafka_error_t *error);
static void produce_options(produce_t *p, int argc, char **argv);


static volatile sig_atomic_t  stopped;


static struct option  options[] = {
    { "brokers", required_argument, NULL, 'b' },
    { "topic", required_argument, NULL, 't' },
    { "count", required_argument, NULL, 'c' },
    { "rate", required_argument, NULL, 'r' },
    { "keys", required_argument, NULL, 'k' },
    { "from", required_argument, NULL, 'o' },
    { "log", required_argument, NULL, 'g' },
    { "size", required_argument, NULL, 's' },
    { "first", required_argument, NULL, 'f' },
    { "partitioner", required_argument, NULL, 'p' },
    { "partition", required_argument, NULL, 'n' },
    { "txn", required_argument, NULL, 'm' },
    { "abort", required_argument, NULL, 'a' },
    { "lines", no_argument, NULL, 'l' },
    { NULL, 0, NULL, 0 }
};


static void
produce_setup(produce_t *p, rd_kafka_conf_t *conf)
{
    char                         errstr[512], id[64];
    rd_kafka_topic_t            *rkt;
    rd_kafka_resp_err_t          err;
    const rd_kafka_metadata_t   *md;

    rd_kafka_conf_set_dr_msg_cb(conf, produce_acked);
    rd_kafka_conf_set_opaque(conf, p);

    if (p->txn) {
        snprintf(id, sizeof(id), "produce-%" PRId64, now_ns());
        rd_kafka_conf_set(conf, "transactional.id", id, NULL, 0);
    }

    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (p->rk == NULL) {
        die("%s", errstr);
    }

    /* metadata first: some versions send their first record a second late */

    rkt = rd_kafka_topic_new(p->rk, p->topic, NULL);

    err = rd_kafka_metadata(p->rk, 0, rkt, &md, PATIENCE);

    if (err == 0) {
        err = md->topics[0].err;
        p->partitions = md->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(md);
    }

    if (err || p->partitions == 0) {
        die("topic \"%s\": %s", p->topic, rd_kafka_err2name(err));
    }

    rd_kafka_topic_destroy(rkt);

    p->pseq = calloc(p->partitions, sizeof(int64_t));
    p->buf_size = p->size + 256;
    p->buf = malloc(p->buf_size);

    if (p->pseq == NULL || p->buf == NULL) {
        die("out of memory");
    }

    memset(p->buf, 'x', p->buf_size);

    if (p->txn) {
        produce_check(rd_kafka_init_transactions(p->rk, PATIENCE));
    }
}


static void
produce_acked(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    produce_t  *p = opaque;

    place_t  *place;

    if (m->err) {

        /* an aborted transaction takes its records along: as meant */

        if (m->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE
            && m->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        {
            p->failed++;
            p->err = m->err;
        }

        return;
    }

    p->acked++;

    if (p->log) {
        produce_log(p, m);
    }

    if (p->places) {
        place = &p->places[(size_t) (uintptr_t) m->_private];
        place->partition = m->partition;
        place->offset = m->offset;
    }
}


static void
produce_log(produce_t *p, const rd_kafka_message_t *m)
{
    int          blanks;
    size_t       i;
    const char  *value;

    value = m->payload;

    for (i = 0, blanks = 0; i < m->len && blanks < 4; i++) {
        blanks += (value[i] == ' ');
    }

    if (fprintf(p->log, "%.*s %.*s%" PRId64 "\n", (int) m->key_len,
                (const char *) m->key, (int) i, value, m->offset) < 0)
    {
        die("--log: %s", strerror(errno));
    }
}


static void
produce_stop(int signo)
{
    stopped = 1;
}


static void
produce_send(produce_t *p, int32_t partition, void *key, size_t key_len,
    void *value, size_t len)
{
    rd_kafka_resp_err_t  err;

    for ( ;; ) {
        err = rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(p->topic),
                  RD_KAFKA_V_PARTITION(partition),
                  RD_KAFKA_V_KEY(key, key_len), RD_KAFKA_V_VALUE(value, len),
                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                  RD_KAFKA_V_OPAQUE((void *) (uintptr_t) p->sent),
                  RD_KAFKA_V_END);

        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            break;
        }

        rd_kafka_poll(p->rk, 10);
    }

    if (err) {
        die("%s", rd_kafka_err2str(err));
    }

    p->sent++;

    if ((p->sent & 63) == 0) {
        rd_kafka_poll(p->rk, 0);
    }
}


static int32_t
produce_partition(produce_t *p, void *key, size_t len)
{
    if (p->partition >= 0) {
        return p->partition;
    }

    if (p->hash == NULL || key == NULL) {
        return p->sent % p->partitions;
    }

    return p->hash(NULL, key, len, p->partitions, NULL, NULL);
}


static void
produce_record(produce_t *p, int64_t i, int aborted)
{
    int      n, len;
    char     name[32], *key;
    int64_t  keys;
    int32_t  partition;

    key = NULL;
    n = 0;
    keys = 1;

    if (p->keys) {
        keys = p->keys;
        key = name;
        n = snprintf(name, sizeof(name), "key-%" PRId64,
                     p->from + i % keys);
    }

    partition = produce_partition(p, key, n);

    if (aborted) {
        len = snprintf(p->buf, p->buf_size, "aborted %" PRId64, i);

    } else {
        len = snprintf(p->buf, p->buf_size,
                       "%" PRId64 " %" PRId64 " %" PRId32 " %" PRId64 " ",
                       p->first + i / keys, now_ns(), partition,
                       p->first + p->pseq[partition]++);
    }

    /* instead of the terminating null */

    p->buf[len] = 'x';

    produce_send(p, partition, key, n, p->buf,
                 len > p->size ? len : p->size);
}


/* serves librdkafka until the record is due */

static void
produce_pace(produce_t *p, int64_t due)
{
    int64_t          left;
    struct timespec  ts;

    for ( ;; ) {
        left = due - now_ns();

        if (left <= 0) {
            if (-left > p->late) {
                p->late = -left;
            }

            return;
        }

        rd_kafka_poll(p->rk, left / 1000000);

        left = due - now_ns();

        if (left > 0 && left < 1000000) {
            ts.tv_sec = due / NS;
            ts.tv_nsec = due % NS;

            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        }
    }
}


static void
produce_begin(produce_t *p)
{
    produce_check(rd_kafka_begin_transaction(p->rk));
}


static void
produce_end(produce_t *p, int commit)
{
    /* an abort would purge what is not sent yet: let it reach the log */

    rd_kafka_flush(p->rk, PATIENCE);

    produce_check(commit ? rd_kafka_commit_transaction(p->rk, PATIENCE)
                         : rd_kafka_abort_transaction(p->rk, PATIENCE));
}


static void
produce_abort(produce_t *p)
{
    int64_t  i;

    produce_begin(p);

    for (i = 0; i < p->txn; i++) {
        produce_record(p, i, 1);
    }

    produce_end(p, 0);
}


static void
produce_count(produce_t *p)
{
    int64_t  i, start, ended;

    start = now_ns();

    for (i = 0; i < p->count && !stopped; i++) {

        if (p->txn && i % p->txn == 0) {
            if (i) {
                produce_end(p, 1);
            }

            if (p->abort && (i / p->txn) % p->abort == 0) {
                produce_abort(p);
            }

            produce_begin(p);
        }

        if (p->rate) {
            produce_pace(p, start + i * NS / p->rate);
        }

        produce_record(p, i, 0);
    }

    if (p->txn && p->count) {
        produce_end(p, 1);
    }

    rd_kafka_flush(p->rk, PATIENCE);

    if (p->log && fclose(p->log) == EOF) {
        die("--log: %s", strerror(errno));
    }

    ended = now_ns();

    printf("{\"sent\":%" PRId64 ",\"acked\":%" PRId64 ",\"failed\":%" PRId64
           ",\"partitions\":%" PRId32 ",\"seconds\":%.3f,"
           "\"late_ms\":%.3f}\n",
           p->sent, p->acked, p->failed, p->partitions,
           (ended - start) / 1e9, p->late / 1e6);
}


/* in place; returns the length */

static size_t
produce_unescape(char *s)
{
    char          *d, *start;
    unsigned int   byte;

    for (start = d = s; *s; d++, s++) {

        if (*s != '\\') {
            *d = *s;
            continue;
        }

        switch (*++s) {
        case 't':
            *d = '\t';
            break;

        case 'n':
            *d = '\n';
            break;

        case '\\':
            *d = '\\';
            break;

        case 'x':
            if (sscanf(s + 1, "%2x", &byte) == 1 && s[1] && s[2]) {
                *d = (char) byte;
                s += 2;
                break;
            }

            /* fall through */

        default:
            die("bad escape \"\\%c\"", *s);
        }
    }

    return d - start;
}


static void
produce_lines(produce_t *p)
{
    char     *line, *key, *value;
    size_t    i, size, key_len, len;
    ssize_t   n;

    line = NULL;
    size = 0;

    while ((n = getline(&line, &size, stdin)) > 0) {

        if (line[n - 1] == '\n') {
            line[n - 1] = '\0';
        }

        if ((size_t) p->sent == p->nplaces) {
            p->nplaces = p->nplaces ? p->nplaces * 2 : 1024;
            p->places = realloc(p->places, p->nplaces * sizeof(place_t));
            if (p->places == NULL) {
                die("out of memory");
            }
        }

        key = NULL;
        value = strchr(line, '\t');

        if (value) {
            *value++ = '\0';
            key = strcmp(line, "\\0") == 0 ? NULL : line;

        } else {
            value = line;
        }

        value = strcmp(value, "\\0") == 0 ? NULL : value;

        key_len = key ? produce_unescape(key) : 0;
        len = value ? produce_unescape(value) : 0;

        produce_send(p, produce_partition(p, key, key_len), key, key_len,
                     value, len);
    }

    free(line);

    rd_kafka_flush(p->rk, PATIENCE);

    if (p->acked == p->sent) {
        for (i = 0; i < (size_t) p->sent; i++) {
            printf("%" PRId32 " %" PRId64 "\n", p->places[i].partition,
                   p->places[i].offset);
        }
    }
}


static void
produce_check(rd_kafka_error_t *error)
{
    if (error) {
        die("%s", rd_kafka_error_string(error));
    }
}


static void
produce_options(produce_t *p, int argc, char **argv)
{
    int               c;
    char              errstr[512], *value;
    rd_kafka_conf_t  *conf;

    conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "allow.auto.create.topics", "false", NULL, 0);
    rd_kafka_conf_set(conf, "linger.ms", "0", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);

    /* no doubles and no other order when a request is repeated */

    rd_kafka_conf_set(conf, "enable.idempotence", "true", NULL, 0);

    p->count = 1000;
    p->keys = 1;
    p->partition = -1;
    p->partitioner = "crc32";

    while ((c = getopt_long(argc, argv, "X:", options, NULL)) != -1) {
        switch (c) {
        case 'b': p->brokers = optarg; break;
        case 't': p->topic = optarg; break;
        case 'c': p->count = number("--count", optarg); break;
        case 'r': p->rate = number("--rate", optarg); break;
        case 'k': p->keys = number("--keys", optarg); break;
        case 's': p->size = number("--size", optarg); break;
        case 'f': p->first = number("--first", optarg); break;
        case 'p': p->partitioner = optarg; break;
        case 'n': p->partition = number("--partition", optarg); break;
        case 'm': p->txn = number("--txn", optarg); break;
        case 'a': p->abort = number("--abort", optarg); break;
        case 'l': p->lines = 1; break;
        case 'o': p->from = number("--from", optarg); break;

        case 'g':
            p->log = fopen(optarg, "w");
            if (p->log == NULL) {
                die("%s: %s", optarg, strerror(errno));
            }

            signal(SIGTERM, produce_stop);
            break;

        case 'X':
            value = strchr(optarg, '=');
            if (value == NULL) {
                die("-X wants name=value");
            }

            *value++ = '\0';

            if (rd_kafka_conf_set(conf, optarg, value, errstr,
                                  sizeof(errstr))
                != RD_KAFKA_CONF_OK)
            {
                die("%s", errstr);
            }

            break;

        default:
            exit(2);
        }
    }

    if (p->brokers == NULL || p->topic == NULL || optind != argc) {
        die("--brokers and --topic are needed");
    }

    rd_kafka_conf_set(conf, "bootstrap.servers", p->brokers, NULL, 0);

    if (strcmp(p->partitioner, "crc32") == 0) {
        p->hash = rd_kafka_msg_partitioner_consistent;

    } else if (strcmp(p->partitioner, "murmur2") == 0) {
        p->hash = rd_kafka_msg_partitioner_murmur2;

    } else if (strcmp(p->partitioner, "fnv1a") == 0) {
        p->hash = rd_kafka_msg_partitioner_fnv1a;

    } else if (strcmp(p->partitioner, "roundrobin") != 0) {
        die("no such partitioner: \"%s\"", p->partitioner);
    }

    produce_setup(p, conf);
}


int
main(int argc, char **argv)
{
    produce_t  p;

    memset(&p, 0, sizeof(produce_t));

    produce_options(&p, argc, argv);

    if (p.lines) {
        produce_lines(&p);

    } else {
        produce_count(&p);
    }

    rd_kafka_destroy(p.rk);

    free(p.pseq);
    free(p.buf);
    free(p.places);

    if (p.failed || (p.acked != p.sent && p.abort == 0)) {
        die("%" PRId64 " of %" PRId64 " records not acknowledged: %s",
            p.sent - p.acked, p.sent, rd_kafka_err2str(p.err));
    }

    return 0;
}
