
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

#include <signal.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>


#define WS_KEY     "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define WS_TEXT    1
#define WS_BINARY  2
#define WS_CLOSE   8
#define WS_PING    9
#define WS_PONG    10

#define BUFFER     262144
#define REPLY_MAX  1280
#define PENDING    512       /* handshakes under way at once */


typedef enum {
    ST_NONE = 0,
    ST_CONNECT,
    ST_HANDSHAKE,
    ST_PROMPT,
    ST_OPEN,
    ST_LEAVING
} state_e;


typedef struct {
    int               fd;
    state_e           state;
    uint32_t          number;        /* of the session or churn cycle */
    unsigned          stalled:1;
    uint64_t          leave;         /* churn: after so many records */
    check_t           check;

    unsigned char    *rest;          /* input that is no whole frame yet */
    size_t            rest_len;
    size_t            rest_size;
} session_t;


typedef struct {
    const char       *host;
    const char       *path;
    const char       *filter;
    int64_t           port, mod, sessions, rate, keys, expect, each;
    int64_t           settle, timeout, stall, rcvbuf, churn, hold, abrupt;
    int               binary, idle, commands;

    int               ep;
    session_t        *s;
    int64_t           started;       /* sessions or cycles */
    int64_t           pending;       /* of them, in the handshake */
    int64_t           ended;         /* sessions or cycles that are over */
    int               ready;
    int               stop;
    int64_t           begin;         /* ns */
    int64_t           complete_at;   /* 0: not yet */

    uint64_t          subscribed, failed, closed, bytes, reads, broken;
    notice_t          notices[NOTICES];
    notice_t          closes[NOTICES];
    checks_t          all;
} load_t;


static load_t         l;
static unsigned char  buffer[BUFFER];


static void load_options(int argc, char **argv);
static void load_setup(void);
static void load_run(void);
static int load_timeout(void);
static void load_connects(void);
static void load_command(void);
static void load_report(void);
static int load_bad(void);
static void session_start(session_t *s, uint32_t number);
static void session_events(session_t *s, uint32_t events);
static void session_send(session_t *s, const void *data, size_t len);
static void session_frame(session_t *s, int opcode, const void *data,
    size_t len);
static void session_request(session_t *s);
static void session_read(session_t *s);
static size_t session_parse(session_t *s, unsigned char *p, size_t len);
static size_t session_handshake(session_t *s, unsigned char *p, size_t len);
static void session_message(session_t *s, int opcode, unsigned char *p,
    size_t len);
static void session_reply(session_t *s);
static void session_binary(session_t *s, unsigned char *p, size_t len);
static void session_text(session_t *s, unsigned char *p, size_t len);
static void session_leave(session_t *s);
static void session_end(session_t *s);
static void session_failed(session_t *s);


/* "%d" in the pattern becomes the number */

static int
expand(char *buf, size_t size, const char *pattern, int64_t n)
{
    const char  *at;

    at = strstr(pattern, "%d");

    if (at == NULL) {
        return snprintf(buf, size, "%s", pattern);
    }

    return snprintf(buf, size, "%.*s%" PRId64 "%s", (int) (at - pattern),
                    pattern, n, at + 2);
}


static void
session_start(session_t *s, uint32_t number)
{
    int                  one;
    char                 filter[REPLY_MAX];
    struct sockaddr_in   sin;
    struct epoll_event   ee;

    s->number = number;
    s->state = ST_CONNECT;
    s->rest_len = 0;
    s->leave = l.hold ? number % (l.hold + 1) : 0;
    s->stalled = 0;

    expand(filter, sizeof(filter), l.filter, number % l.mod);
    check_init(&l.all, &s->check, filter);

    s->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (s->fd == -1) {
        die("socket: %s", strerror(errno));
    }

    one = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (l.rcvbuf && number < l.stall) {
        one = l.rcvbuf;
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(l.port);

    if (inet_pton(AF_INET, l.host, &sin.sin_addr) != 1) {
        die("\"%s\" is no address", l.host);
    }

    l.pending++;

    if (connect(s->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        && errno != EINPROGRESS)
    {
        die("connect: %s", strerror(errno));
    }

    ee.events = EPOLLOUT;
    ee.data.ptr = s;

    if (epoll_ctl(l.ep, EPOLL_CTL_ADD, s->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


static void
session_events(session_t *s, uint32_t events)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = s;

    if (epoll_ctl(l.ep, EPOLL_CTL_MOD, s->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


/* what is sent here always fits into an empty socket buffer */

static void
session_send(session_t *s, const void *data, size_t len)
{
    if (send(s->fd, data, len, MSG_NOSIGNAL) != (ssize_t) len
        && s->state < ST_OPEN)
    {
        session_failed(s);
    }
}


static void
session_frame(session_t *s, int opcode, const void *data, size_t len)
{
    size_t                i, n;
    const unsigned char  *p;
    static uint32_t       mask = 0x9e3779b9;
    unsigned char         frame[REPLY_MAX + 8], *m;

    if (len > REPLY_MAX) {
        die("a reply of %zu bytes", len);
    }

    p = data;
    n = 0;
    frame[n++] = 0x80 | opcode;

    if (len < 126) {
        frame[n++] = 0x80 | len;

    } else {
        frame[n++] = 0x80 | 126;
        frame[n++] = len >> 8;
        frame[n++] = len & 0xff;
    }

    mask = mask * 1664525 + 1013904223;

    m = frame + n;
    memcpy(m, &mask, 4);
    n += 4;

    for (i = 0; i < len; i++) {
        frame[n++] = p[i] ^ m[i & 3];
    }

    session_send(s, frame, n);
}


static void
session_request(session_t *s)
{
    int        error, n;
    char       path[1024], request[2048];
    socklen_t  len;

    len = sizeof(error);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1
        || error != 0)
    {
        notice_add(l.notices, strerror(error), strlen(strerror(error)));
        session_failed(s);
        return;
    }

    expand(path, sizeof(path), l.path, s->number % l.mod);

    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\n"
                 "Host: %s:%" PRId64 "\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Key: " WS_KEY "\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 path, l.host, l.port);

    s->state = ST_HANDSHAKE;

    session_events(s, EPOLLIN);
    session_send(s, request, n);
}


static void
session_read(session_t *s)
{
    size_t   len, used;
    ssize_t  n;

    if (s->rest_len >= BUFFER / 2) {
        die("a frame of more than %d bytes", BUFFER / 2);
    }

    memcpy(buffer, s->rest, s->rest_len);

    n = recv(s->fd, buffer + s->rest_len, BUFFER - s->rest_len, 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n <= 0) {
        if (s->state == ST_LEAVING) {
            session_end(s);

        } else {
            session_failed(s);
        }

        return;
    }

    l.reads++;
    l.bytes += n;

    len = s->rest_len + n;
    used = session_parse(s, buffer, len);

    s->rest_len = 0;

    if (s->state == ST_NONE || used == len) {
        return;
    }

    len -= used;

    if (len > s->rest_size) {
        s->rest_size = len + 256;
        s->rest = realloc(s->rest, s->rest_size);
        if (s->rest == NULL) {
            die("out of memory");
        }
    }

    memcpy(s->rest, buffer + used, len);
    s->rest_len = len;
}


/* returns how much of the input was whole frames */

static size_t
session_parse(session_t *s, unsigned char *p, size_t len)
{
    size_t    used, head;
    uint64_t  size;

    used = 0;

    if (s->state == ST_HANDSHAKE) {
        used = session_handshake(s, p, len);
        if (used == 0) {
            return 0;
        }
    }

    while (s->state != ST_NONE && len - used >= 2) {

        head = 2;
        size = p[used + 1] & 0x7f;

        if (size == 126) {
            head = 4;

            if (len - used < head) {
                break;
            }

            size = p[used + 2] << 8 | p[used + 3];

        } else if (size == 127) {
            head = 10;

            if (len - used < head) {
                break;
            }

            memcpy(&size, p + used + 2, 8);
            size = be64toh(size);
        }

        /* whole, no reserved bits, not masked */

        if ((p[used] & 0xf0) != 0x80 || (p[used + 1] & 0x80)) {
            l.broken++;
            session_failed(s);
            break;
        }

        if (len - used - head < size) {
            break;
        }

        session_message(s, p[used] & 0x0f, p + used + head, size);

        used += head + size;
    }

    return used;
}


static size_t
session_handshake(session_t *s, unsigned char *p, size_t len)
{
    unsigned char  *end;

    end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    if (len < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0
        || memmem(p, end - p, WS_ACCEPT, sizeof(WS_ACCEPT) - 1) == NULL)
    {
        notice_add(l.notices, p, len < 12 ? len : 12);
        session_failed(s);
        return 0;
    }

    s->state = ST_PROMPT;

    if (l.filter[0] == '\0') {
        session_reply(s);
    }

    return end + 4 - p;
}


static void
session_message(session_t *s, int opcode, unsigned char *p, size_t len)
{
    int   n;
    char  code[16];

    switch (opcode) {

    case WS_PING:
        session_frame(s, WS_PONG, p, len);
        return;

    case WS_PONG:
        return;

    case WS_CLOSE:
        n = snprintf(code, sizeof(code), "%d",
                     len >= 2 ? p[0] << 8 | p[1] : 1005);

        if (s->state == ST_LEAVING) {
            session_end(s);
            return;
        }

        notice_add(l.closes, code, n);
        session_frame(s, WS_CLOSE, p, len >= 2 ? 2 : 0);
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

        if (s->state == ST_NONE) {
            return;
        }
    }

    s->state = ST_OPEN;
    l.pending--;
    l.subscribed++;

    if (s->number < l.stall) {
        s->stalled = 1;
        session_events(s, 0);
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

    close(s->fd);
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

        if (l.s[i].state == ST_NONE && (l.churn || i >= l.started)) {
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
            if (l.s[i].stalled && l.s[i].state != ST_NONE) {
                l.s[i].stalled = 0;
                session_events(&l.s[i], EPOLLIN);
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

        n = epoll_wait(l.ep, events, 256, ms);

        for (i = 0; i < n; i++) {
            s = events[i].data.ptr;

            if (s == NULL) {
                l.stop = 1;

            } else if (s == l.s + l.sessions) {
                load_command();

            } else if (s->state == ST_CONNECT) {
                session_request(s);

            } else if (s->state != ST_NONE) {

                if (s->stalled && (events[i].events & (EPOLLHUP|EPOLLERR))) {
                    session_failed(s);

                } else {
                    session_read(s);
                }
            }
        }
    }
}


static void
load_setup(void)
{
    int                 sfd;
    sigset_t            set;
    struct rlimit       rl;
    struct epoll_event  ee;

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    /* one more: its address stands for stdin */

    l.s = calloc(l.sessions + 1, sizeof(session_t));
    l.ep = epoll_create1(EPOLL_CLOEXEC);

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);

    sfd = signalfd(-1, &set, SFD_CLOEXEC);

    if (l.s == NULL || l.ep == -1 || sfd == -1) {
        die("setup: %s", strerror(errno));
    }

    ee.events = EPOLLIN;
    ee.data.ptr = NULL;
    epoll_ctl(l.ep, EPOLL_CTL_ADD, sfd, &ee);

    if (l.commands) {
        setvbuf(stdin, NULL, _IONBF, 0);
        ee.data.ptr = l.s + l.sessions;

        if (epoll_ctl(l.ep, EPOLL_CTL_ADD, 0, &ee) == -1) {
            die("--commands: stdin is no pipe");
        }
    }
}


static int
load_bad(void)
{
    return l.failed || l.broken || l.all.lost || l.all.doubled
           || l.all.disorder || l.all.foreign || l.all.aborted;
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
    print_count(bytes);
    print_count(reads);

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
        &l.port, &l.mod, &l.sessions, &l.rate, &l.keys, &l.all.first, &l.expect,
        &l.each, &l.settle, &l.timeout, &l.stall, &l.rcvbuf, &l.churn,
        &l.hold, &l.abrupt
    };

    l.host = "127.0.0.1";
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
            l.host = optarg;
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

    if (l.port == 0 || l.mod < 1 || l.sessions < 1 || l.keys < 1
        || optind != argc)
    {
        die("--port is needed, and numbers above 0");
    }
}


int
main(int argc, char **argv)
{
    load_options(argc, argv);
    load_setup();
    load_run();
    load_report();

    return 0;
}
