
/*
 * To a peer by itself, over one connection: requests of HTTP one behind the
 * other without waiting for answers, or commands of NATS.
 */


#include "pace.h"

#include <poll.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>


#define OUT_MAX  (8 << 20)


static int             fd;
static char           *out;
static size_t          out_len, out_sent, out_size;
static char            in[65536];
static size_t          in_len;
static uint64_t        sent;
static int             ponged;


static void socket_open(pace_t *p);
static void socket_add(const void *data, size_t len);
static void socket_step(pace_t *p, int ms);
static void socket_serve(pace_t *p, int64_t ns);
static void socket_until(pace_t *p, int (*done)(pace_t *p));
static void http_read(pace_t *p);
static void nats_read(pace_t *p);


static void             (*socket_read)(pace_t *p);


static void
socket_open(pace_t *p)
{
    int                 one;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(p->port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1 || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        die("port %" PRId64 ": %s", p->port, strerror(errno));
    }

    one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}


static void
socket_add(const void *data, size_t len)
{
    if (out_len + len > out_size) {
        memmove(out, out + out_sent, out_len - out_sent);
        out_len -= out_sent;
        out_sent = 0;

        if (out_len + len > out_size) {
            out_size = 2 * (out_len + len);
            out = realloc(out, out_size);
            if (out == NULL) {
                die("out of memory");
            }
        }
    }

    memcpy(out + out_len, data, len);
    out_len += len;
}


/* what can be sent and read; waits at most that long for it */

static void
socket_step(pace_t *p, int ms)
{
    ssize_t        n;
    struct pollfd  pfd;

    if (out_sent < out_len) {
        n = send(fd, out + out_sent, out_len - out_sent,
                 MSG_DONTWAIT|MSG_NOSIGNAL);
        if (n > 0) {
            out_sent += n;

        } else if (errno != EAGAIN) {
            die("send: %s", strerror(errno));
        }
    }

    pfd.fd = fd;
    pfd.events = out_sent < out_len ? POLLIN|POLLOUT : POLLIN;

    if (poll(&pfd, 1, ms) <= 0 || !(pfd.revents & (POLLIN|POLLHUP|POLLERR))) {
        return;
    }

    n = recv(fd, in + in_len, sizeof(in) - in_len, MSG_DONTWAIT);

    if (n == 0 || (n == -1 && errno != EAGAIN)) {
        die("the server has closed the connection");
    }

    if (n > 0) {
        in_len += n;
        socket_read(p);
    }
}


static void
socket_serve(pace_t *p, int64_t ns)
{
    socket_step(p, ns / 1000000);
}


static void
socket_until(pace_t *p, int (*done)(pace_t *p))
{
    int64_t  until;

    until = now_ns() + 60 * NS;

    while (!done(p)) {
        socket_step(p, 100);

        if (now_ns() > until) {
            die("not all records were taken");
        }
    }
}


/* all is sent as soon as there is room: what is late shows in the latency */

static void
socket_flush(pace_t *p)
{
    do {
        socket_step(p, 0);

    } while (out_len - out_sent > OUT_MAX);
}


static void
http_open(pace_t *p)
{
    socket_read = http_read;
    socket_open(p);
}


static void
http_put(pace_t *p, int32_t partition, const char *key, const char *value,
    size_t len)
{
    int   n;
    char  head[256];

    n = snprintf(head, sizeof(head),
                 "POST /pub?id=%s HTTP/1.1\r\nHost: a\r\n"
                 "Content-Length: %zu\r\n\r\n", key, len);

    socket_add(head, n);
    socket_add(value, len);
    sent++;

    socket_flush(p);
}


/* answers, whole ones: their bodies have a length */

static void
http_read(pace_t *p)
{
    char    *at, *end, *body, *length;
    size_t   len;

    for (at = in; /* void */ ; at = body) {
        end = memmem(at, in + in_len - at, "\r\n\r\n", 4);
        if (end == NULL) {
            break;
        }

        length = memmem(at, end - at, "Content-Length: ", 16);
        len = length ? strtoul(length + 16, NULL, 10) : 0;
        body = end + 4 + len;

        if (body > in + in_len) {
            break;
        }

        if (memcmp(at, "HTTP/1.1 20", 11) == 0) {
            p->acked++;

        } else {
            p->failed++;
        }
    }

    in_len -= at - in;
    memmove(in, at, in_len);
}


static int
http_done(pace_t *p)
{
    return p->acked + p->failed == sent;
}


static void
http_finish(pace_t *p)
{
    socket_until(p, http_done);
}


static void
nats_open(pace_t *p)
{
    static const char  connect[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

    socket_read = nats_read;
    socket_open(p);
    socket_add(connect, sizeof(connect) - 1);
}


static void
nats_put(pace_t *p, int32_t partition, const char *key, const char *value,
    size_t len)
{
    int   n;
    char  head[512];

    n = snprintf(head, sizeof(head), "PUB %s.%s %zu\r\n", p->topic, key, len);

    socket_add(head, n);
    socket_add(value, len);
    socket_add("\r\n", 2);
    sent++;

    socket_flush(p);
}


static void
nats_read(pace_t *p)
{
    char  *at, *end;

    for (at = in; /* void */ ; at = end + 2) {
        end = memmem(at, in + in_len - at, "\r\n", 2);
        if (end == NULL) {
            break;
        }

        if (memcmp(at, "PING", 4) == 0) {
            socket_add("PONG\r\n", 6);

        } else if (memcmp(at, "PONG", 4) == 0) {
            ponged = 1;

        } else if (memcmp(at, "-ERR", 4) == 0) {
            die("%.*s", (int) (end - at), at);
        }
    }

    in_len -= at - in;
    memmove(in, at, in_len);
}


static int
nats_done(pace_t *p)
{
    return ponged;
}


static void
nats_finish(pace_t *p)
{
    ponged = 0;
    socket_add("PING\r\n", 6);
    socket_until(p, nats_done);
    p->acked = sent;
}


const pace_target_t  pace_http = {
    "http", http_open, http_put, socket_serve, http_finish, NULL
};


const pace_target_t  pace_nats = {
    "nats", nats_open, nats_put, socket_serve, nats_finish, NULL
};
