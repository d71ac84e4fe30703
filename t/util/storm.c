
/*
 * Connections that come and go as fast as they are taken, all of them
 * sending the same bytes, or the beginning of them.
 *
 *     storm --port N [options] <BYTES
 *
 *     --count N            connections in all (1000)
 *     --at-once N          at the same time (100)
 *     --cut                the i-th sends only the first i modulo
 *                          (length + 1) bytes
 *     --end HOW            what it does then, in words: "reset" and "close"
 *                          at once; "answer": reset as soon as anything was
 *                          read; "wait": read to the end (wait)
 *     --timeout S          give up (60)
 *
 * What is sent is read from stdin.  Prints its figures as JSON; ends with 0
 * unless the time was over.
 */


#include "lib/util.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>


#define BYTES  65536


typedef enum {
    END_RESET = 0,
    END_CLOSE,
    END_ANSWER,
    END_WAIT
} end_e;


typedef struct {
    int               fd;
    uint32_t          number;
    unsigned          connected:1;
    unsigned          answered:1;
} peer_t;


typedef struct {
    int64_t           port, count, at_once, timeout;
    int               cut;
    end_e             end;

    char              bytes[BYTES];
    size_t            len;

    int               ep;
    int64_t           started;
    int64_t           under_way;
    int64_t           ended;
    int64_t           connected;
    int64_t           failed;        /* to connect */
    int64_t           upgraded;      /* 101 */
    int64_t           answered;      /* anything else */
    int64_t           closed;        /* by the server, orderly */
    int64_t           broken;        /* reset by the server */
} storm_t;


static storm_t  s;


static void peer_start(peer_t *p);
static void peer_connected(peer_t *p);
static void peer_read(peer_t *p);
static void peer_end(peer_t *p, int reset);
static void storm_options(int argc, char **argv);
static void storm_run(void);


static struct option  options[] = {
    { "port", required_argument, NULL, 'p' },
    { "count", required_argument, NULL, 'c' },
    { "at-once", required_argument, NULL, 'a' },
    { "cut", no_argument, NULL, 'u' },
    { "end", required_argument, NULL, 'e' },
    { "timeout", required_argument, NULL, 't' },
    { NULL, 0, NULL, 0 }
};

static const char  *ends[] = { "reset", "close", "answer", "wait" };


static void
peer_start(peer_t *p)
{
    struct sockaddr_in  sin;
    struct epoll_event  ee;

    p->number = s.started++;
    p->connected = 0;
    p->answered = 0;
    s.under_way++;

    p->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (p->fd == -1) {
        die("socket: %s", strerror(errno));
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(s.port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(p->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        && errno != EINPROGRESS)
    {
        s.failed++;
        peer_end(p, 0);
        return;
    }

    ee.events = EPOLLOUT;
    ee.data.ptr = p;

    if (epoll_ctl(s.ep, EPOLL_CTL_ADD, p->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


static void
peer_connected(peer_t *p)
{
    int                 error;
    size_t              len;
    socklen_t           size;
    struct epoll_event  ee;

    size = sizeof(error);

    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1
        || error != 0)
    {
        s.failed++;
        peer_end(p, 0);
        return;
    }

    p->connected = 1;
    s.connected++;

    len = s.cut ? p->number % (s.len + 1) : s.len;

    /* what is sent fits into an empty socket buffer; whether the peer is
       still there is seen by reading */

    if (len && send(p->fd, s.bytes, len, MSG_NOSIGNAL) == -1
        && errno != EPIPE && errno != ECONNRESET)
    {
        die("send: %s", strerror(errno));
    }

    if (s.end == END_RESET || s.end == END_CLOSE) {
        peer_end(p, s.end == END_RESET);
        return;
    }

    ee.events = EPOLLIN;
    ee.data.ptr = p;

    if (epoll_ctl(s.ep, EPOLL_CTL_MOD, p->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


static void
peer_read(peer_t *p)
{
    ssize_t      n;
    static char  buf[BYTES];

    n = recv(p->fd, buf, sizeof(buf), 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n == -1) {
        s.broken++;
        peer_end(p, 0);
        return;
    }

    if (n == 0) {
        s.closed++;
        peer_end(p, 0);
        return;
    }

    if (!p->answered) {
        p->answered = 1;

        if (n > 12 && memcmp(buf, "HTTP/1.1 101", 12) == 0) {
            s.upgraded++;
        } else {
            s.answered++;
        }
    }

    if (s.end == END_ANSWER) {
        peer_end(p, 1);
    }
}


static void
peer_end(peer_t *p, int reset)
{
    struct linger  linger = { 1, 0 };

    if (reset) {
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }

    close(p->fd);

    p->fd = -1;
    s.under_way--;
    s.ended++;
}


static void
storm_options(int argc, char **argv)
{
    int     c;
    size_t  i, n;

    s.count = 1000;
    s.at_once = 100;
    s.timeout = 60;
    s.end = END_WAIT;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            s.port = number("--port", optarg);
            break;
        case 'c':
            s.count = number("--count", optarg);
            break;
        case 'a':
            s.at_once = number("--at-once", optarg);
            break;
        case 'u':
            s.cut = 1;
            break;
        case 'e':
            n = sizeof(ends) / sizeof(ends[0]);

            for (i = 0; i < n && strcmp(ends[i], optarg) != 0; i++) {
                /* void */
            }

            if (i == n) {
                die("no such end: %s", optarg);
            }

            s.end = i;
            break;
        case 't':
            s.timeout = number("--timeout", optarg);
            break;
        default:
            exit(2);
        }
    }

    s.len = fread(s.bytes, 1, BYTES, stdin);
}


static void
storm_run(void)
{
    int                 i, n;
    int64_t             until;
    peer_t             *peers, *p;
    struct epoll_event  events[256];

    peers = calloc(s.at_once, sizeof(peer_t));
    s.ep = epoll_create1(EPOLL_CLOEXEC);

    if (peers == NULL || s.ep == -1) {
        die("out of memory");
    }

    for (i = 0; i < s.at_once; i++) {
        peers[i].fd = -1;
    }

    until = now_ns() + s.timeout * NS;

    while (s.ended < s.count && now_ns() < until) {

        for (i = 0; i < s.at_once && s.under_way < s.at_once
                    && s.started < s.count; i++)
        {
            if (peers[i].fd == -1) {
                peer_start(&peers[i]);
            }
        }

        n = epoll_wait(s.ep, events, 256, 100);

        for (i = 0; i < n; i++) {
            p = events[i].data.ptr;

            if (p->connected) {
                peer_read(p);
            } else {
                peer_connected(p);
            }
        }
    }

    free(peers);
}


int
main(int argc, char **argv)
{
    double   seconds;
    int64_t  begin;

    storm_options(argc, argv);

    begin = now_ns();
    storm_run();
    seconds = (now_ns() - begin) / (double) NS;

    printf("{\"count\":%" PRId64 ",\"connected\":%" PRId64 ",\"failed\":%"
           PRId64 ",\"upgraded\":%" PRId64 ",\"answered\":%" PRId64
           ",\"closed\":%" PRId64 ",\"broken\":%" PRId64 ",\"left\":%" PRId64
           ",\"seconds\":%.3f,\"rate\":%.0f}\n",
           s.ended, s.connected, s.failed, s.upgraded, s.answered, s.closed,
           s.broken, s.under_way, seconds, s.ended / seconds);

    return s.ended < s.count;
}
