
/*
 * Many websocket sessions of the bare dialect in one process, which check
 * the records that produce makes.
 *
 *     wsload --port N [options]
 *
 *     --host A --path P    where (127.0.0.1, /ws); %d in the path or filter
 *                          is the session's number modulo --mod
 *     --filter TEXT        the reply to the prompt (topic/key-%d); "": none
 *                          is sent and no prompt awaited
 *     --mod N              (1)
 *     --binary             reply by a Binary frame
 *     --sessions N         (1)
 *     --connect-rate N     a second; 0: as fast as they are taken (0)
 *     --keys N             key-0 .. key-(N-1) may come (1024)
 *     --first N            the first number of every key; without it any
 *     --holes              numbers may be missing (a compacted topic)
 *     --expect N           end when so many records came in all,
 *     --expect-each N      or so many times the sessions
 *     --settle MS          then still look for doubles (200)
 *     --timeout S          give up (60)
 *     --stall N            the first N stop reading once subscribed
 *     --rcvbuf N           bytes of their receive buffers
 *     --idle               stay until told to stop
 *     --churn N            connect, subscribe, leave, N times in all
 *     --hold N             leave after 0 .. N records in turn (0)
 *     --abrupt K           each K-th leaves without a Close frame
 *     --commands           from stdin: "stop" and its end stop, "resume"
 *                          lets the stalled ones read again
 *
 * Prints "ready" when all sessions have replied, and its figures as JSON at
 * the end.  SIGTERM stops.  Ends with 0 if all expected came, and nothing
 * was lost, doubled, out of order, foreign or broken.
 */


#include "lib/check.h"
#include "lib/client.h"

#include <sys/epoll.h>


#define REPLY_MAX  CLIENT_FRAME_MAX
#define PENDING    512       /* handshakes under way at once */


/* of a client that is open */

typedef enum {
    ST_NONE = 0,                     /* not yet, or no more */
    ST_PROMPT,
    ST_OPEN,
    ST_LEAVING
} state_e;


typedef struct {
    client_t          client;
    state_e           state;
    uint32_t          number;        /* of the session or churn cycle */
    unsigned          stalled:1;
    uint64_t          leave;         /* churn: after so many records */
    check_t           check;
} session_t;


typedef struct {
    const char       *path;
    const char       *filter;
    int64_t           mod, sessions, rate, keys, expect, each;
    int64_t           settle, timeout, stall, rcvbuf, churn, hold, abrupt;
    int               binary, idle, commands;

    session_t        *s;
    int64_t           started;       /* sessions or cycles */
    int64_t           pending;       /* of them, in the handshake */
    int64_t           ended;         /* sessions or cycles that are over */
    int               ready;
    int               stop;
    int64_t           begin;         /* ns */
    int64_t           complete_at;   /* 0: not yet */

    uint64_t          subscribed, failed, closed, broken;
    notice_t          notices[NOTICES];
    notice_t          closes[NOTICES];
    checks_t          all;
} load_t;


static load_t  l;


static void load_options(int argc, char **argv);
static void load_run(void);
static int load_timeout(void);
static void load_connects(void);
static void load_command(void);
static void load_report(void);
static int load_bad(void);
static void session_start(session_t *s, uint32_t number);
static void session_open(client_t *c);
static void session_message(client_t *c, int opcode, unsigned char *p,
    size_t len);
static void session_gone(client_t *c, gone_e why, const char *text);
static void session_frame(session_t *s, int opcode, const void *data,
    size_t len);
static void session_reply(session_t *s);
static void session_binary(session_t *s, unsigned char *p, size_t len);
static void session_text(session_t *s, unsigned char *p, size_t len);
static void session_leave(session_t *s);
static void session_end(session_t *s);
static void session_failed(session_t *s);


static void
session_start(session_t *s, uint32_t number)
{
    char  filter[REPLY_MAX];

    s->number = number;
    s->state = ST_NONE;
    s->leave = l.hold ? number % (l.hold + 1) : 0;
    s->stalled = 0;

    expand(filter, sizeof(filter), l.filter, number % l.mod);
    check_init(&l.all, &s->check, filter);

    l.pending++;

    s->client.path = l.path;
    s->client.number = number % l.mod;

    client_connect(&s->client, number < l.stall ? l.rcvbuf : 0);
}


static void
session_open(client_t *c)
{
    session_t  *s = (session_t *) c;

    s->state = ST_PROMPT;

    if (l.filter[0] == '\0') {
        session_reply(s);
    }
}


static void
session_gone(client_t *c, gone_e why, const char *text)
{
    session_t  *s = (session_t *) c;

    if (why == GONE_CONNECT || why == GONE_REFUSED) {
        notice_add(l.notices, text, strlen(text));
    }

    if (why == GONE_BROKEN) {
        l.broken++;

    } else if (s->state == ST_LEAVING) {
        session_end(s);
        return;
    }

    session_failed(s);
}


static void
session_frame(session_t *s, int opcode, const void *data, size_t len)
{
    if (client_frame(&s->client, opcode, data, len) == -1
        && s->state < ST_OPEN)
    {
        session_failed(s);
    }
}


static void
session_message(client_t *c, int opcode, unsigned char *p, size_t len)
{
    session_t  *s = (session_t *) c;

    int   n;
    char  code[16];

    switch (opcode) {

    case WS_CLOSE:
        n = snprintf(code, sizeof(code), "%d",
                     len >= 2 ? p[0] << 8 | p[1] : 1005);

        if (s->state == ST_LEAVING) {
            session_end(s);
            return;
        }

        notice_add(l.closes, code, n);
        client_frame(c, WS_CLOSE, p, len >= 2 ? 2 : 0);
        session_failed(s);
        return;

    case WS_TEXT:
        if (s->state == ST_PROMPT) {
            session_reply(s);
            return;
        }

        session_text(s, p, len);
        return;

    case WS_BINARY:
        if (s->state == ST_LEAVING) {
            return;
        }

        if (s->state == ST_OPEN) {
            session_binary(s, p, len);
            return;
        }
    }

    l.broken++;
    session_failed(s);
}


static void
session_reply(session_t *s)
{
    int   n;
    char  filter[REPLY_MAX];

    if (l.filter[0] != '\0') {
        n = expand(filter, sizeof(filter), l.filter, s->number % l.mod);
        session_frame(s, l.binary ? WS_BINARY : WS_TEXT, filter, n);

        if (s->client.state == CLIENT_NONE) {
            return;
        }
    }

    s->state = ST_OPEN;
    l.pending--;
    l.subscribed++;

    if (s->number < l.stall) {
        s->stalled = 1;
        client_events(&s->client, 0);
    }

    if (l.churn && s->leave == 0) {
        session_leave(s);
    }
}


static void
session_binary(session_t *s, unsigned char *p, size_t len)
{
    check_t  *c;

    c = &s->check;

    if (!c->have_key) {
        check_key(&l.all, c, p, len);
        return;
    }

    check_value(&l.all, c, p, len);

    if (l.churn && c->received >= s->leave) {
        session_leave(s);
    }
}


static void
session_text(session_t *s, unsigned char *p, size_t len)
{
    if (len >= 4 && memcmp(p, "gap", 3) == 0) {
        check_gap(&l.all, &s->check, p, len);
        return;
    }

    notice_add(l.notices, p, len && p[len - 1] == '\n' ? len - 1 : len);
}


static void
session_leave(session_t *s)
{
    s->state = ST_LEAVING;

    if (l.abrupt && s->number % l.abrupt == 0) {
        session_end(s);
        return;
    }

    session_frame(s, WS_CLOSE, "\x03\xe8", 2);
}


static void
session_end(session_t *s)
{
    if (s->state < ST_OPEN) {
        l.pending--;
    }

    if (s->client.state != CLIENT_NONE) {
        client_close(&s->client);
    }

    s->state = ST_NONE;
    l.ended++;
}


static void
session_failed(session_t *s)
{
    if (s->state < ST_OPEN) {
        l.failed++;

    } else {
        l.closed++;
    }

    session_end(s);
}


static void
load_connects(void)
{
    int64_t  i, due, want;

    want = l.churn ? l.churn : l.sessions;
    due = want;

    if (l.rate) {
        due = (now_ns() - l.begin) * l.rate / NS + 1;
    }

    for (i = 0; i < l.sessions; i++) {

        if (l.started >= want || l.started >= due || l.pending >= PENDING) {
            return;
        }

        if (l.s[i].client.state == CLIENT_NONE
            && (l.churn || i >= l.started))
        {
            session_start(&l.s[i], l.started++);
        }
    }
}


static void
load_command(void)
{
    char      line[256];
    int64_t   i;

    if (fgets(line, sizeof(line), stdin) == NULL
        || strcmp(line, "stop\n") == 0)
    {
        l.stop = 1;
        return;
    }

    if (strcmp(line, "resume\n") == 0) {
        for (i = 0; i < l.sessions; i++) {
            if (l.s[i].stalled && l.s[i].client.state != CLIENT_NONE) {
                l.s[i].stalled = 0;
                client_events(&l.s[i].client, EPOLLIN);
            }
        }

        return;
    }

    die("no such command: \"%s\"", line);
}


/* ms until something is due; sets stop when the end has come */

static int
load_timeout(void)
{
    int64_t  now, until;

    now = now_ns();
    until = l.begin + l.timeout * NS;

    if (l.churn && l.ended == l.churn) {
        l.stop = 1;
    }

    if (l.expect && (int64_t) l.all.deliveries >= l.expect) {
        if (l.complete_at == 0) {
            l.complete_at = now;
        }

        until = l.complete_at + l.settle * 1000000;
    }

    /* nobody is left who could receive */

    if (!l.churn && l.ended == l.sessions) {
        l.stop = 1;
    }

    if (now >= until) {
        l.stop = 1;
    }

    if (l.started < (l.churn ? l.churn : l.sessions)) {
        return l.rate ? 1 : 10;
    }

    return (until - now) / 1000000 + 1;
}


static void
load_run(void)
{
    int                 i, n, ms;
    session_t          *s;
    struct epoll_event  events[256];

    l.begin = now_ns();

    for ( ;; ) {
        load_connects();

        if (!l.ready && !l.churn
            && l.subscribed + l.failed == (uint64_t) l.sessions)
        {
            l.ready = 1;
            printf("ready\n");
            fflush(stdout);
        }

        ms = load_timeout();

        if (l.stop) {
            return;
        }

        n = epoll_wait(clients.ep, events, 256, ms);

        for (i = 0; i < n; i++) {
            s = events[i].data.ptr;

            if (s == NULL) {
                l.stop = 1;

            } else if (s == l.s + l.sessions) {
                load_command();

            } else if (s->stalled && s->client.state != CLIENT_NONE
                       && (events[i].events & (EPOLLHUP|EPOLLERR)))
            {
                session_failed(s);

            } else {
                client_event(&s->client);
            }
        }
    }
}


static int
load_bad(void)
{
    return l.failed || l.broken || l.all.lost || l.all.doubled
           || l.all.disorder || l.all.foreign || l.all.aborted || l.all.torn;
}


static void
load_report(void)
{
    int         complete;
    int64_t     i;
    uint64_t    n, min, max;
    latency_t  *latency;

    min = UINT64_MAX;
    max = 0;

    for (i = 0; i < l.sessions; i++) {
        if (!l.churn && i < l.stall) {
            continue;
        }

        n = l.s[i].check.received;
        min = n < min ? n : min;
        max = n > max ? n : max;
    }

    complete = l.expect ? (int64_t) l.all.deliveries >= l.expect
               : l.churn ? l.ended == l.churn : 1;

    printf("{\"complete\":%s,", complete ? "true" : "false");

#define print_count(name)  printf("\"" #name "\":%" PRIu64 ",", l.name)
#define print_check(name)  printf("\"" #name "\":%" PRIu64 ",", l.all.name)

    print_count(subscribed);
    print_count(failed);
    print_count(closed);
    print_check(deliveries);
    print_check(lost);
    print_check(doubled);
    print_check(disorder);
    print_check(foreign);
    print_check(aborted);
    print_count(broken);
    print_check(gaps);
    print_check(gap_records);
    printf("\"bytes\":%" PRIu64 ",\"reads\":%" PRIu64 ",", clients.bytes,
           clients.reads);

    notice_print("notices", l.notices);
    notice_print("closes", l.closes);

    latency = &l.all.latency;

    printf("\"min\":%" PRIu64 ",\"max\":%" PRIu64 ",\"seconds\":%.3f,"
           "\"receiving\":%.6f,\"latency_us\":{\"p50\":%.1f,\"p90\":%.1f,"
           "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}}\n",
           min == UINT64_MAX ? 0 : min, max, (now_ns() - l.begin) / 1e9,
           (l.all.last_at - l.all.first_at) / 1e9, latency_at(latency, 0.5),
           latency_at(latency, 0.9), latency_at(latency, 0.99),
           latency_at(latency, 0.999), latency->max / 1e3);

    exit(!complete || load_bad());
}


static void
load_options(int argc, char **argv)
{
    int  c, i;

    static struct option  options[] = {
        { "host", required_argument, NULL, 'h' },
        { "path", required_argument, NULL, 'p' },
        { "filter", required_argument, NULL, 'f' },
        { "binary", no_argument, &l.binary, 1 },
        { "holes", no_argument, &l.all.holes, 1 },
        { "idle", no_argument, &l.idle, 1 },
        { "commands", no_argument, &l.commands, 1 },

        /* numbers: in the order of "values" */

        { "port", required_argument, NULL, 0x100 },
        { "mod", required_argument, NULL, 0x101 },
        { "sessions", required_argument, NULL, 0x102 },
        { "connect-rate", required_argument, NULL, 0x103 },
        { "keys", required_argument, NULL, 0x104 },
        { "first", required_argument, NULL, 0x105 },
        { "expect", required_argument, NULL, 0x106 },
        { "expect-each", required_argument, NULL, 0x107 },
        { "settle", required_argument, NULL, 0x108 },
        { "timeout", required_argument, NULL, 0x109 },
        { "stall", required_argument, NULL, 0x10a },
        { "rcvbuf", required_argument, NULL, 0x10b },
        { "churn", required_argument, NULL, 0x10c },
        { "hold", required_argument, NULL, 0x10d },
        { "abrupt", required_argument, NULL, 0x10e },
        { NULL, 0, NULL, 0 }
    };

    int64_t  *values[] = {
        &clients.port, &l.mod, &l.sessions, &l.rate, &l.keys, &l.all.first,
        &l.expect, &l.each, &l.settle, &l.timeout, &l.stall, &l.rcvbuf,
        &l.churn, &l.hold, &l.abrupt
    };

    clients.host = "127.0.0.1";
    l.path = "/ws";
    l.filter = "topic/key-%d";
    l.mod = 1;
    l.sessions = 1;
    l.keys = 1024;
    l.all.first = UNKNOWN;
    l.settle = 200;
    l.timeout = 60;

    while ((c = getopt_long(argc, argv, "", options, &i)) != -1) {
        switch (c) {
        case 0:
            break;
        case 'h':
            clients.host = optarg;
            break;
        case 'p':
            l.path = optarg;
            break;
        case 'f':
            l.filter = optarg;
            break;
        default:
            if (c < 0x100) {
                exit(2);
            }

            *values[c & 0xff] = number(options[i].name, optarg);
        }
    }

    l.all.keys = l.keys;

    if (l.each) {
        l.expect = l.each * (l.sessions - l.stall);
    }

    if (l.idle) {
        l.timeout = INT32_MAX;
    }

    if (clients.port == 0 || l.mod < 1 || l.sessions < 1 || l.keys < 1
        || optind != argc)
    {
        die("--port is needed, and numbers above 0");
    }
}


int
main(int argc, char **argv)
{
    load_options(argc, argv);

    /* one more: its address stands for stdin */

    l.s = calloc(l.sessions + 1, sizeof(session_t));
    if (l.s == NULL) {
        die("out of memory");
    }

    clients.open = session_open;
    clients.message = session_message;
    clients.gone = session_gone;
    clients_setup(l.commands ? l.s + l.sessions : NULL);

    load_run();
    load_report();

    return 0;
}
