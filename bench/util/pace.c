
/*
 * Makes records by a schedule that nothing moves: a record that is late
 * carries the time when it was due, and those behind it are not put off.
 *
 *     pace --topic NAME [options]
 *
 *     --to T               kafka, http (POST to /pub?id=KEY, as Nchan takes
 *                          it) or nats (PUB NAME.KEY) (kafka)
 *     --brokers LIST       of Kafka
 *     --port N             of the others
 *     --count N            records (1000)
 *     --rate N             a second; 0: all are due at once (0)
 *     --size N             bytes of a value (100)
 *     --keys N             key-0 .. key-(N-1) in turn, numbers of their own;
 *                          1: one key, and numbers for each partition (1)
 *     --miss N             only each N-th record has such a key, the others
 *                          have keys that nobody asks for (1)
 *     --partitions N       in turn (1)
 *     --seq N              where the numbers begin (0)
 *     --warm               "warm" records, one of each key or partition
 *     -X name=value        for librdkafka
 *
 * Prints its figures as JSON: start (ns), and late_ms, how far behind its
 * schedule it was at worst.
 */


#include "pace.h"

#include <sys/resource.h>


typedef struct {
    const pace_target_t  *target;
    int64_t               count, rate, size, keys, miss, seq;
    int                   warm;
    char                 *value;
    int64_t               late;
    pace_t                to;
} paced_t;


static paced_t  p;


/* key, partition, stream and number of the i-th record */

static int32_t
pace_place(int64_t i, char *key, size_t size, mark_t *m)
{
    int64_t  n;

    m->stream = 0;

    if (i % p.miss) {
        snprintf(key, size, "miss-%" PRId64, i);
        m->seq = 0;
        return i % p.to.partitions;
    }

    n = i / p.miss;

    snprintf(key, size, "key-%" PRId64, n % p.keys);

    if (p.keys > 1) {
        m->seq = p.seq + n / p.keys;
        return n % p.keys % p.to.partitions;
    }

    m->seq = p.seq + n / p.to.partitions;
    m->stream = n % p.to.partitions;

    return m->stream;
}


static void
pace_wait(int64_t due)
{
    int64_t          left;
    struct timespec  ts;

    for ( ;; ) {
        left = due - now_ns();

        if (left <= 0) {
            if (-left > p.late) {
                p.late = -left;
            }

            return;
        }

        p.target->serve(&p.to, left);

        left = due - now_ns();

        if (left > 0 && left < 2000000) {
            ts.tv_sec = due / NS;
            ts.tv_nsec = due % NS;

            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        }
    }
}


static void
pace_warm(void)
{
    char     key[32];
    mark_t   m;
    int64_t  i, n;
    int32_t  partition;

    n = p.keys > 1 ? p.keys : p.to.partitions;

    for (i = 0; i < n; i++) {
        partition = pace_place(i * p.miss, key, sizeof(key), &m);
        p.target->put(&p.to, partition, key, "warm ", 5);
    }

    p.target->finish(&p.to);
}


static int64_t
pace_records(void)
{
    char     key[32];
    size_t   len;
    mark_t   m;
    int32_t  partition;
    int64_t  i, start;

    start = now_ns();
    m.due = start;

    for (i = 0; i < p.count; i++) {

        if (p.rate) {
            m.due = start + i * NS / p.rate;
            pace_wait(m.due);
        }

        partition = pace_place(i, key, sizeof(key), &m);
        len = mark_write(p.value, p.size, &m);

        p.target->put(&p.to, partition, key, p.value, len);
    }

    p.target->finish(&p.to);

    return start;
}


static void
pace_option(int c, const char *name, int64_t **values)
{
    const pace_target_t  **t;

    const pace_target_t   *targets[] = {
        &pace_kafka, &pace_http, &pace_nats, NULL
    };

    char  *value;

    switch (c) {
    case 0:
        return;

    case 't':
        p.to.topic = optarg;
        return;

    case 'b':
        p.to.brokers = optarg;
        return;

    case 'o':
        for (t = targets; *t && strcmp((*t)->name, optarg) != 0; t++) {
            /* void */
        }

        p.target = *t;
        return;

    case 'X':
        value = strchr(optarg, '=');

        if (value) {
            *value++ = '\0';
        }

        if (value == NULL || !pace_kafka.set(&p.to, optarg, value)) {
            die("-X %s: refused", optarg);
        }

        return;
    }

    if (c < 0x100) {
        exit(2);
    }

    *values[c & 0xff] = number(name, optarg);
}


static void
pace_options(int argc, char **argv)
{
    int  c, i;

    struct option  options[] = {
        { "to", required_argument, NULL, 'o' },
        { "topic", required_argument, NULL, 't' },
        { "brokers", required_argument, NULL, 'b' },
        { "warm", no_argument, &p.warm, 1 },

        /* numbers: in the order of "values" */

        { "port", required_argument, NULL, 0x100 },
        { "count", required_argument, NULL, 0x101 },
        { "rate", required_argument, NULL, 0x102 },
        { "size", required_argument, NULL, 0x103 },
        { "keys", required_argument, NULL, 0x104 },
        { "miss", required_argument, NULL, 0x105 },
        { "partitions", required_argument, NULL, 0x106 },
        { "seq", required_argument, NULL, 0x107 },
        { NULL, 0, NULL, 0 }
    };

    int64_t  *values[] = {
        &p.to.port, &p.count, &p.rate, &p.size, &p.keys, &p.miss,
        &p.to.partitions, &p.seq
    };

    p.target = &pace_kafka;
    p.count = 1000;
    p.size = 100;
    p.keys = 1;
    p.miss = 1;
    p.to.partitions = 1;

    while ((c = getopt_long(argc, argv, "X:", options, &i)) != -1) {
        pace_option(c, options[i].name, values);
    }

    if (p.target == NULL || p.to.topic == NULL || optind != argc
        || p.keys < 1 || p.miss < 1 || p.size < 0
        || p.to.partitions < 1 || p.to.partitions > MARK_STREAMS)
    {
        die("--topic, a target that there is and numbers in bounds, please");
    }
}


int
main(int argc, char **argv)
{
    int64_t        start;
    struct rusage  ru;

    pace_options(argc, argv);

    p.value = malloc(p.size + MARK_MAX);
    if (p.value == NULL) {
        die("out of memory");
    }

    p.target->open(&p.to);

    start = 0;

    if (p.warm) {
        pace_warm();

    } else {
        start = pace_records();
    }

    getrusage(RUSAGE_SELF, &ru);

    printf("{\"start\":%" PRId64 ",\"acked\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"late_ms\":%.3f,\"cpu_s\":%.3f}\n",
           start, p.to.acked, p.to.failed, p.late / 1e6,
           ru.ru_utime.tv_sec + ru.ru_stime.tv_sec
           + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);

    return p.to.failed != 0;
}
