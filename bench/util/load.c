
/*
 * Many subscribers in one process, on one epoll, which measure how late each
 * record is.
 *
 *     load --port N --filter TEXT [options]
 *
 *     --dialect D          bare, pairs, plain or nats (bare)
 *     --path P             (/ws); %d in the path or filter is the number of
 *                          the session
 *     --sessions N         (1)
 *     --first N            number of the first one (0)
 *     --source A           address to come from
 *     --tls                over TLS
 *     --at-once N          handshakes under way at a time (256)
 *     --expect N           end when so many records came in all
 *     --stall N            the first N read nothing once they are warm, and
 *                          are expected to get nothing
 *     --settle MS          then still look for doubles (100)
 *     --timeout S          give up, counted from the last thing that came
 *                          (20)
 *
 * Prints "open" and the milliseconds it took when all have subscribed,
 * "warm" when each has had a warm record, its figures as JSON at the end.
 * The end of stdin stops it, "expect N" from there sets the number.
 */


#include "dialect.h"
#include "tls.h"

#include <unistd.h>
#include <sys/epoll.h>


#define STALLED  4096         /* receive buffer of who reads nothing */


typedef struct {
    const char        *path;
    const dialect_t   *dialect;
    int64_t            sessions, first, at_once, expect, settle, timeout;
    int64_t            stall;
    int                tls;

    session_t         *s;
    int64_t            started;
    int64_t            subscribed;
    int64_t            warm;
    int64_t            gone;
    int64_t            last;          /* when something came, ns */
    int64_t            complete;      /* when all had come, ns; 0: not yet */
    int                stop;

    tally_t            tally;
    notice_t           notices[NOTICES];
} load_t;


static load_t  l;


static void load_connects(void);
static void load_command(void);
static int load_timeout(void);
static void load_run(void);
static void load_report(void);
static void load_options(int argc, char **argv);
static void session_open(client_t *c);
static void session_message(client_t *c, int opcode, unsigned char *p,
    size_t len);
static void session_gone(client_t *c, gone_e why, const char *text);


static void
session_open(client_t *c)
{
    l.dialect->open((session_t *) c);
}


static void
session_message(client_t *c, int opcode, unsigned char *p, size_t len)
{
    session_t  *s;

    s = (session_t *) c;

    if (opcode == WS_CLOSE) {
        notice_add(l.notices, p + 2, len > 2 ? len - 2 : 0);
        client_close(c);
        l.gone++;
        return;
    }

    l.dialect->message(s, opcode, p, len);
}


static void
session_gone(client_t *c, gone_e why, const char *text)
{
    notice_add(l.notices, text, strlen(text));
    l.gone++;
}


void
session_subscribed(session_t *s)
{
    if (s->subscribed) {
        return;
    }

    s->subscribed = 1;

    if (++l.subscribed == l.sessions) {
        printf("open %" PRId64 "\n", (now_ns() - l.last) / 1000000);
        fflush(stdout);
    }
}


void
session_value(session_t *s, const unsigned char *p, size_t len)
{
    mark_t  m;

    if (mark_read(&m, p, len) == 0) {
        tally_add(&l.tally, &s->tally, &m);
        return;
    }

    if (!mark_warm(p, len)) {
        l.tally.foreign++;
        return;
    }

    if (s->warm) {
        return;
    }

    s->warm = 1;

    if (s - l.s < l.stall) {
        s->stalled = 1;
        client_events(&s->client, 0);
    }

    if (++l.warm == l.sessions) {
        puts("warm");
        fflush(stdout);
    }
}


void
session_notice(session_t *s, const unsigned char *p, size_t len)
{
    notice_add(l.notices, p, len);
}


static void
load_connects(void)
{
    session_t  *s;

    while (l.started < l.sessions && l.started - l.subscribed - l.gone
                                     < l.at_once)
    {
        s = &l.s[l.started];
        s->number = l.first + l.started++;
        s->client.number = s->number;
        s->client.path = l.path;

        client_connect(&s->client, l.started <= l.stall ? STALLED : 0);
    }
}


static void
load_command(void)
{
    char  line[256];

    if (fgets(line, sizeof(line), stdin) == NULL) {
        l.stop = 1;
        return;
    }

    line[strcspn(line, "\n")] = '\0';

    if (strncmp(line, "expect ", 7) == 0) {
        l.expect = number("expect", line + 7);
        l.last = now_ns();
        tally_start(&l.tally);
        return;
    }

    die("no such command: \"%s\"", line);
}


/* ms until something is due; sets stop when the end has come */

static int
load_timeout(void)
{
    int64_t  now, last, until;

    if (l.expect == 0) {
        return -1;
    }

    now = now_ns();
    last = l.tally.last_at > l.last ? l.tally.last_at : l.last;
    until = last + l.timeout * NS;

    if ((int64_t) l.tally.deliveries >= l.expect) {
        if (l.complete == 0) {
            l.complete = now;
        }

        until = l.complete + l.settle * 1000000;
    }

    if (now >= until || l.gone == l.sessions) {
        l.stop = 1;
        return 0;
    }

    return (until - now) / 1000000 + 1;
}


static void
load_run(void)
{
    int                  i, n;
    session_t           *s;
    struct epoll_event   events[512];

    l.last = now_ns();

    while (!l.stop) {
        load_connects();

        n = epoll_wait(clients.ep, events, 512, load_timeout());

        for (i = 0; i < n; i++) {
            s = events[i].data.ptr;

            if (s == NULL) {
                l.stop = 1;

            } else if (s == l.s + l.sessions) {
                load_command();

            } else {
                client_event(&s->client);
            }
        }
    }
}


static void
load_report(void)
{
    printf("{");
    tally_print(&l.tally);
    notice_print("notices", l.notices);
    printf("\"reads\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"gone\":%" PRId64
           ",\"complete\":%d}\n",
           clients.reads, clients.bytes, l.gone,
           (int64_t) l.tally.deliveries == l.expect);
}


static void
load_options(int argc, char **argv)
{
    int  c, i;

    struct option  options[] = {
        { "dialect", required_argument, NULL, 'd' },
        { "path", required_argument, NULL, 'p' },
        { "filter", required_argument, NULL, 'f' },
        { "source", required_argument, NULL, 's' },
        { "tls", no_argument, &l.tls, 1 },

        /* numbers: in the order of "values" */

        { "port", required_argument, NULL, 0x100 },
        { "sessions", required_argument, NULL, 0x101 },
        { "first", required_argument, NULL, 0x102 },
        { "at-once", required_argument, NULL, 0x103 },
        { "expect", required_argument, NULL, 0x104 },
        { "settle", required_argument, NULL, 0x105 },
        { "timeout", required_argument, NULL, 0x106 },
        { "stall", required_argument, NULL, 0x107 },
        { NULL, 0, NULL, 0 }
    };

    int64_t  *values[] = {
        &clients.port, &l.sessions, &l.first, &l.at_once, &l.expect,
        &l.settle, &l.timeout, &l.stall
    };

    clients.host = "127.0.0.1";
    l.dialect = dialect_find("bare");
    l.path = "/ws";
    l.sessions = 1;
    l.at_once = 256;
    l.settle = 100;
    l.timeout = 20;

    while ((c = getopt_long(argc, argv, "", options, &i)) != -1) {
        switch (c) {
        case 0:
            break;
        case 'd':
            l.dialect = dialect_find(optarg);
            break;
        case 'p':
            l.path = optarg;
            break;
        case 'f':
            session_filter = optarg;
            break;
        case 's':
            clients.source = optarg;
            break;
        default:
            if (c < 0x100) {
                exit(2);
            }

            *values[c & 0xff] = number(options[i].name, optarg);
        }
    }

    if (clients.port == 0 || l.sessions < 1 || l.at_once < 1
        || session_filter == NULL || l.dialect == NULL || optind != argc)
    {
        die("--port, --filter and a dialect that there is are needed");
    }
}


int
main(int argc, char **argv)
{
    char  line[256];

    load_options(argc, argv);

    /* one more: its address stands for stdin */

    l.s = calloc(l.sessions + 1, sizeof(session_t));
    if (l.s == NULL) {
        die("out of memory");
    }

    clients.open = session_open;
    clients.message = session_message;
    clients.gone = session_gone;
    clients.io = l.tls ? &tls_io : NULL;
    clients_setup(l.s + l.sessions);

    load_run();
    load_report();

    /* what it takes to end the sessions belongs to nobody's figures: they
       stay until stdin ends */

    fflush(stdout);

    while (fgets(line, sizeof(line), stdin)) {
        /* void */
    }

    return 0;
}
