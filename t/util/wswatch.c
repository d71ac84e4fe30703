
/*
 * Websocket sessions of the bare dialect that live through faults, and a
 * report of what each of them got.
 *
 *     wswatch --port N --report FILE [options]
 *
 *     --host A --path P    where (127.0.0.1, /ws); %d in the path or filter
 *                          is the session's number modulo --mod
 *     --filter TEXT        the reply to the prompt (topic/key-%d)
 *     --mod N              (1)
 *     --sessions N         at a time (1)
 *     --keys N             key-0 .. key-(N-1) may come (1024)
 *     --rcvbuf N           bytes of their receive buffers
 *     --stay MS            each leaves by itself after 0 .. MS
 *     --leave WAYS         how, in turn: close, reset, cut (in the middle of
 *                          a frame), bad (a frame that must be refused);
 *                          separated by commas (close)
 *     --seed N             of what is drawn (1)
 *     --name TEXT          for the report (sessions)
 *     --timeout S          give up (600)
 *
 * A session that was ended comes back as a new one within 200 ms.  It is
 * checked from the first number on that it gets.
 *
 * Prints "ready" once all sessions have replied; from stdin: "stall N", the
 * first N sessions read no more, "resume", "count" (prints how many records
 * came so far), "stop".  At the end come figures as JSON.  Ends with 0 if
 * nothing was lost, doubled, out of order, foreign, torn or broken; whether
 * what was missed behind a gap should have been is not known here.
 *
 * The report has a JSON object a line.  Times are seconds of
 * CLOCK_MONOTONIC, "worker" is what the header Worker of the 101 said, 0
 * without.
 *
 *     kind    lost, missed, doubled, disorder, foreign, aborted, torn:
 *             key, seq, made, partition, pseq of the record, and of the
 *             first two "by" which number (key or partition), "from" the
 *             first missing one, "to" behind the last
 *     kind    end: how a session ended, when it had replied ("opened"), how
 *             many notices it got; "exact": whether all that they counted
 *             must be in "missed", because no number came for the first time
 *             behind one; "marks": [id, first and last number, notices since
 *             the last one] of each key or partition
 */


#include "lib/check.h"
#include "lib/client.h"

#include <stddef.h>
#include <sys/epoll.h>


#define PENDING    256       /* handshakes under way at once */
#define LEAVE      (5 * NS)  /* within this time a session must be let go */
#define PROMPT     "what topic/key do you want?\n"


typedef enum {
    ST_NONE = 0,
    ST_PROMPT,
    ST_OPEN,
    ST_LEAVING
} state_e;


typedef struct {
    client_t          client;
    check_t           check;
    state_e           state;
    uint32_t          number;
    uint32_t          life;          /* how many sessions it was before */
    int64_t           due;           /* ns, when it connects or leaves */
    int64_t           opened;        /* ns, when it replied */
    int64_t           left;          /* ns, when it wanted to go */
    unsigned          told:1;        /* an error: a Close follows */
    unsigned          stalled:1;     /* is not read */
} session_t;


typedef struct {
    const char       *path;
    const char       *filter;
    const char       *report;
    const char       *name;
    const char       *leave;
    int64_t           mod, sessions, rcvbuf, stay, seed, timeout;

    session_t        *s;
    FILE             *out;
    uint64_t          random;
    int64_t           begin;         /* ns */
    int64_t           replied;       /* sessions that did so at least once */
    int64_t           pending;       /* in connect or handshake */
    int64_t           stall;         /* the first so many do not read */
    int               ready;
    int               stop;

    uint64_t          lives, broken;
    notice_t          ends[NOTICES];
    notice_t          notices[NOTICES];
    checks_t          all;
} watch_t;


static watch_t  w;


static void watch_options(int argc, char **argv);
static void watch_run(void);
static void watch_timers(void);
static void watch_command(void);
static void watch_figures(void);
static void watch_found(check_t *c, const found_t *f);
static void report_head(session_t *s, const char *kind);
static void report_end(session_t *s, const char *how);
static void session_start(session_t *s);
static void session_open(client_t *c);
static void session_message(client_t *c, int opcode, unsigned char *p,
    size_t len);
static void session_gone(client_t *c, gone_e why, const char *text);
static void session_text(session_t *s, unsigned char *p, size_t len);
static void session_leave(session_t *s);
static void session_stall(session_t *s);
static void session_end(session_t *s, const char *how);


/* xorshift: the same for the same seed */

static uint64_t
watch_random(uint64_t n)
{
    w.random ^= w.random << 13;
    w.random ^= w.random >> 7;
    w.random ^= w.random << 17;

    return w.random % n;
}


static void
report_head(session_t *s, const char *kind)
{
    char  filter[CLIENT_FRAME_MAX];

    expand(filter, sizeof(filter), w.filter, s->number % w.mod);

    fprintf(w.out, "{\"kind\":\"%s\",\"group\":\"%s\",\"session\":%" PRIu32
            ",\"life\":%" PRIu32 ",\"filter\":\"%s\",\"worker\":%" PRId64
            ",\"opened\":%.3f,\"at\":%.3f,\"gaps\":%" PRIu64
            ",\"counted\":%" PRIu64 ",\"uncounted\":%" PRIu64,
            kind, w.name, s->number, s->life, filter, s->client.worker,
            s->opened / 1e9, now_ns() / 1e9, s->check.gaps, s->check.counted,
            s->check.uncounted);
}


static void
report_mark(int *n, check_t *c, int64_t number, mark_t *m)
{
    if (m->first == UNKNOWN) {
        return;
    }

    fprintf(w.out, "%s[\"%s-%" PRId64 "\",%" PRId64 ",%" PRId64 ",%" PRIu64 "]",
            (*n)++ ? "," : "", c->whole ? "partition" : "key", number,
            m->first, m->last, c->gaps - m->gaps);
}


static void
report_end(session_t *s, const char *how)
{
    int       n;
    size_t    i;
    check_t  *c;

    c = &s->check;

    report_head(s, "end");
    fprintf(w.out, ",\"how\":\"%s\",\"received\":%" PRIu64 ",\"missed\":%"
            PRIu64 ",\"exact\":%s,\"marks\":[", how, c->received, c->missed,
            c->gaps == 0 || c->seen == c->seen_first ? "true" : "false");

    n = 0;

    if (c->whole) {
        for (i = 0; i < PARTITIONS; i++) {
            report_mark(&n, c, i, &c->pseq[i]);
        }

    } else if (c->prefix) {
        for (i = 0; i < w.all.keys; i++) {
            report_mark(&n, c, i, &c->seq[i]);
        }

    } else {
        report_mark(&n, c, c->key, &c->seq[0]);
    }

    fprintf(w.out, "]}\n");
}


static void
watch_found(check_t *c, const found_t *f)
{
    session_t  *s;

    s = (session_t *) ((char *) c - offsetof(session_t, check));

    report_head(s, check_kind(f->kind));
    fprintf(w.out, ",\"key\":\"key-%" PRId64 "\",\"seq\":%" PRId64
            ",\"made\":%.3f,\"partition\":%" PRId64 ",\"pseq\":%" PRId64,
            f->key, f->seq, f->made / 1e9, f->partition, f->pseq);

    if (f->kind <= FOUND_MISSED) {
        fprintf(w.out, ",\"by\":\"%s\",\"from\":%" PRId64 ",\"to\":%" PRId64,
                f->whole ? "partition" : "key", f->from, f->to);
    }

    fprintf(w.out, "}\n");
}


static void
session_start(session_t *s)
{
    char  filter[CLIENT_FRAME_MAX];

    expand(filter, sizeof(filter), w.filter, s->number % w.mod);
    check_init(&w.all, &s->check, filter);

    s->state = ST_NONE;
    s->opened = 0;
    s->told = 0;
    s->stalled = 0;
    s->client.path = w.path;
    s->client.number = s->number % w.mod;

    w.pending++;
    client_connect(&s->client, w.rcvbuf);
}


static void
session_open(client_t *c)
{
    session_t  *s = (session_t *) c;

    s->state = ST_PROMPT;
}


static void
session_gone(client_t *c, gone_e why, const char *text)
{
    session_t  *s = (session_t *) c;

    switch (why) {

    case GONE_CONNECT:
        session_end(s, "connect");
        return;

    case GONE_REFUSED:
        notice_add(w.notices, text, strlen(text));
        session_end(s, "refused");
        return;

    case GONE_BROKEN:
        w.broken++;
        session_end(s, "broken");
        return;

    case GONE_EOF:
        session_end(s, s->state == ST_LEAVING ? "left" : "eof");
        return;

    case GONE_RESET:
        session_end(s, s->state == ST_LEAVING ? "left" : "reset");
        return;
    }
}


static void
session_message(client_t *c, int opcode, unsigned char *p, size_t len)
{
    session_t  *s = (session_t *) c;

    char  code[16];

    if (opcode == WS_CLOSE) {
        snprintf(code, sizeof(code), "%d",
                 len >= 2 ? p[0] << 8 | p[1] : 1005);
        client_frame(c, WS_CLOSE, p, len >= 2 ? 2 : 0);
        session_end(s, s->state == ST_LEAVING ? "left" : code);
        return;
    }

    switch (s->state) {

    case ST_LEAVING:
        return;

    case ST_OPEN:
        if (opcode == WS_TEXT) {
            session_text(s, p, len);

        } else if (s->check.have_key) {
            check_value(&w.all, &s->check, p, len);

        } else {
            check_key(&w.all, &s->check, p, len);
        }

        return;

    default:
        break;
    }

    session_text(s, p, opcode == WS_TEXT ? len : 0);
}


static void
session_text(session_t *s, unsigned char *p, size_t len)
{
    int   n;
    char  filter[CLIENT_FRAME_MAX];

    if (s->state == ST_OPEN && len >= 4 && memcmp(p, "gap", 3) == 0) {
        check_gap(&w.all, &s->check, p, len);
        return;
    }

    if (s->state == ST_OPEN && !s->check.have_key && len
        && p[len - 1] == '\n')
    {
        s->told = 1;
        notice_add(w.notices, p, len - 1);
        return;
    }

    if (s->state != ST_PROMPT || len != sizeof(PROMPT) - 1
        || memcmp(p, PROMPT, len) != 0)
    {
        w.broken++;
        client_close(&s->client);
        session_end(s, "broken");
        return;
    }

    n = expand(filter, sizeof(filter), w.filter, s->number % w.mod);
    client_frame(&s->client, WS_TEXT, filter, n);

    s->state = ST_OPEN;
    s->opened = now_ns();
    s->due = w.stay ? s->opened + (int64_t) watch_random(w.stay) * 1000000 : 0;

    w.pending--;
    w.lives++;
    w.replied += (s->life == 0);
    session_stall(s);
}


/* the next of the ways in which sessions leave */

static void
session_leave(session_t *s)
{
    const char       *way;
    static unsigned   turn;
    unsigned          i;

    for (way = w.leave, i = turn++; i; i--) {
        way = strchr(way, ',');
        way = way ? way + 1 : w.leave;
    }

    s->state = ST_LEAVING;
    s->left = now_ns();
    s->due = 0;

    /* text of 100 bytes announced; a reserved bit */

    switch (*way) {

    case 'r':
        client_reset(&s->client);
        session_end(s, "left");
        return;

    case 'c':
        if (way[1] == 'u') {
            client_send(&s->client, "\x81\xe4" "mask" "half", 10);
            client_reset(&s->client);
            session_end(s, "left");
            return;
        }

        client_frame(&s->client, WS_CLOSE, "\x03\xe8", 2);
        break;

    case 'b':
        client_send(&s->client, "\xf1\x80" "mask", 6);
        break;
    }
}


static void
session_stall(session_t *s)
{
    unsigned  stalled;

    stalled = (s->number < w.stall);

    if (s->state != ST_OPEN || s->stalled == stalled) {
        return;
    }

    s->stalled = stalled;
    client_events(&s->client, stalled ? 0 : EPOLLIN);
}


static void
session_end(session_t *s, const char *how)
{
    if (s->told) {
        notice_add(w.ends, "told", 4);

    } else {
        notice_add(w.ends, how, strlen(how));
    }

    if (s->state < ST_OPEN) {
        w.pending--;
    }

    report_end(s, s->told ? "told" : how);

    if (s->client.state != CLIENT_NONE) {
        client_close(&s->client);
    }

    s->life++;
    s->state = ST_NONE;
    s->due = now_ns() + (int64_t) (20 + watch_random(180)) * 1000000;
}


static void
watch_command(void)
{
    char      line[256];
    int64_t   i;

    if (fgets(line, sizeof(line), stdin) == NULL
        || strcmp(line, "stop\n") == 0)
    {
        w.stop = 1;
        return;
    }

    line[strcspn(line, "\n")] = '\0';

    if (strcmp(line, "count") == 0) {
        printf("count %" PRIu64 "\n", w.all.deliveries);
        fflush(stdout);
        return;
    }

    if (strncmp(line, "stall ", 6) == 0) {
        w.stall = number("stall", line + 6);

    } else if (strcmp(line, "resume") == 0) {
        w.stall = 0;

    } else {
        die("no such command: \"%s\"", line);
    }

    for (i = 0; i < w.sessions; i++) {
        session_stall(&w.s[i]);
    }
}


static void
watch_timers(void)
{
    int64_t     i, now;
    session_t  *s;

    now = now_ns();

    if (now - w.begin > w.timeout * NS) {
        die("not told to stop in time");
    }

    for (i = 0; i < w.sessions; i++) {
        s = &w.s[i];

        if (s->client.state == CLIENT_NONE) {
            if (s->due <= now && w.pending < PENDING) {
                session_start(s);
            }

        } else if (s->state == ST_OPEN && s->due && s->due <= now) {
            session_leave(s);
        }
    }

    if (!w.ready && w.replied == w.sessions) {
        w.ready = 1;
        printf("ready\n");
        fflush(stdout);
    }
}


static void
watch_run(void)
{
    int                  i, n;
    int64_t              timers;
    session_t           *s;
    struct epoll_event   events[256];

    w.begin = now_ns();
    timers = 0;

    for ( ;; ) {

        /* sessions are many, and their times are no finer than that */

        if (now_ns() - timers > 10 * 1000000) {
            timers = now_ns();
            watch_timers();
        }

        n = epoll_wait(clients.ep, events, 256, 10);

        for (i = 0; i < n; i++) {
            s = events[i].data.ptr;

            if (s == NULL) {
                w.stop = 1;

            } else if (s == w.s + w.sessions) {
                watch_command();

            } else if (s->stalled && s->client.state != CLIENT_NONE) {

                if (events[i].events & (EPOLLHUP|EPOLLERR)) {
                    client_close(&s->client);
                    session_end(s, "reset");
                }

            } else {
                client_event(&s->client);
            }
        }

        if (w.stop) {
            return;
        }
    }
}


static void
watch_figures(void)
{
    int64_t  i, live, leaving;

    live = 0;
    leaving = 0;

    for (i = 0; i < w.sessions; i++) {
        if (w.s[i].state == ST_OPEN) {
            live++;
            report_end(&w.s[i], w.s[i].stalled ? "stalled" : "live");
        }

        leaving += (w.s[i].state == ST_LEAVING
                    && w.s[i].left < now_ns() - LEAVE);
    }

    if (fclose(w.out) == EOF) {
        die("%s: %s", w.report, strerror(errno));
    }

#define print_count(name)  printf("\"" #name "\":%" PRIu64 ",", w.name)
#define print_check(name)  printf("\"" #name "\":%" PRIu64 ",", w.all.name)

    printf("{\"name\":\"%s\",\"live\":%" PRId64 ",\"leaving\":%" PRId64 ",",
           w.name, live, leaving);
    print_count(lives);
    print_check(deliveries);
    print_check(lost);
    print_check(missed);
    print_check(doubled);
    print_check(disorder);
    print_check(foreign);
    print_check(aborted);
    print_check(torn);
    print_count(broken);
    print_check(gaps);
    print_check(gap_records);
    notice_print("ends", w.ends);
    notice_print("notices", w.notices);
    printf("\"p99_ms\":%.1f,\"max_ms\":%.1f}\n",
           latency_at(&w.all.latency, 0.99) / 1e3, w.all.latency.max / 1e6);
}


static void
watch_options(int argc, char **argv)
{
    int  c, i;

    static struct option  options[] = {
        { "host", required_argument, NULL, 'h' },
        { "path", required_argument, NULL, 'p' },
        { "filter", required_argument, NULL, 'f' },
        { "report", required_argument, NULL, 'r' },
        { "name", required_argument, NULL, 'n' },
        { "leave", required_argument, NULL, 'l' },

        /* numbers: in the order of "values" */

        { "port", required_argument, NULL, 0x100 },
        { "mod", required_argument, NULL, 0x101 },
        { "sessions", required_argument, NULL, 0x102 },
        { "keys", required_argument, NULL, 0x103 },
        { "rcvbuf", required_argument, NULL, 0x104 },
        { "stay", required_argument, NULL, 0x105 },
        { "seed", required_argument, NULL, 0x106 },
        { "timeout", required_argument, NULL, 0x107 },
        { NULL, 0, NULL, 0 }
    };

    int64_t  keys = 1024;

    int64_t  *values[] = {
        &clients.port, &w.mod, &w.sessions, &keys, &w.rcvbuf, &w.stay,
        &w.seed, &w.timeout
    };

    clients.host = "127.0.0.1";
    w.path = "/ws";
    w.filter = "topic/key-%d";
    w.name = "sessions";
    w.leave = "close";
    w.mod = 1;
    w.sessions = 1;
    w.seed = 1;
    w.timeout = 600;

    while ((c = getopt_long(argc, argv, "", options, &i)) != -1) {
        switch (c) {
        case 'h': clients.host = optarg; break;
        case 'p': w.path = optarg; break;
        case 'f': w.filter = optarg; break;
        case 'r': w.report = optarg; break;
        case 'n': w.name = optarg; break;
        case 'l': w.leave = optarg; break;

        default:
            if (c < 0x100) {
                exit(2);
            }

            *values[c & 0xff] = number(options[i].name, optarg);
        }
    }

    w.all.keys = keys;
    w.all.first = UNKNOWN;
    w.all.whole = 1;
    w.all.found = watch_found;

    /* no state of xorshift is 0, and small seeds are to differ at once */

    w.random = (w.seed + 1) * 0x9e3779b97f4a7c15 | 1;

    if (clients.port == 0 || w.report == NULL || w.mod < 1 || keys < 1
        || w.sessions < 1 || optind != argc)
    {
        die("--port and --report are needed, and numbers above 0");
    }
}


int
main(int argc, char **argv)
{
    int64_t  i;

    watch_options(argc, argv);

    w.out = fopen(w.report, "w");
    if (w.out == NULL) {
        die("%s: %s", w.report, strerror(errno));
    }

    /* one more: its address stands for stdin */

    w.s = calloc(w.sessions + 1, sizeof(session_t));
    if (w.s == NULL) {
        die("out of memory");
    }

    for (i = 0; i < w.sessions; i++) {
        w.s[i].number = i;
    }

    clients.open = session_open;
    clients.message = session_message;
    clients.gone = session_gone;
    clients_setup(w.s + w.sessions);

    watch_run();
    watch_figures();

    return w.broken || w.all.lost || w.all.doubled || w.all.disorder
           || w.all.foreign || w.all.aborted || w.all.torn;
}
