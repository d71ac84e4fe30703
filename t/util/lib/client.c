
#include "lib/client.h"

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

#define BUFFER     (4 << 20)    /* of a frame with what came before it */
#define READ       262144


clients_t             clients;

static unsigned char  buffer[BUFFER];


static void client_request(client_t *c);
static void client_source(client_t *c);
static void client_read(client_t *c);
static void client_input(client_t *c);
static size_t client_parse(client_t *c, unsigned char *p, size_t len);
static size_t client_handshake(client_t *c, unsigned char *p, size_t len);
static void client_message(client_t *c, int opcode, unsigned char *p,
    size_t len);
static void client_gone(client_t *c, gone_e why, const char *text);


int
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


void
clients_setup(void *commands)
{
    int                 sfd;
    sigset_t            set;
    struct rlimit       rl;
    struct epoll_event  ee;

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    clients.ep = epoll_create1(EPOLL_CLOEXEC);

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);

    sfd = signalfd(-1, &set, SFD_CLOEXEC);

    if (clients.ep == -1 || sfd == -1) {
        die("setup: %s", strerror(errno));
    }

    ee.events = EPOLLIN;
    ee.data.ptr = NULL;
    epoll_ctl(clients.ep, EPOLL_CTL_ADD, sfd, &ee);

    if (commands) {
        setvbuf(stdin, NULL, _IONBF, 0);
        ee.data.ptr = commands;

        if (epoll_ctl(clients.ep, EPOLL_CTL_ADD, 0, &ee) == -1) {
            die("--commands: stdin is no pipe");
        }
    }
}


void
client_connect(client_t *c, int rcvbuf)
{
    int                  one;
    struct sockaddr_in   sin;
    struct epoll_event   ee;

    c->state = CLIENT_CONNECT;
    c->rest_len = 0;
    c->worker = 0;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        die("socket: %s", strerror(errno));
    }

    one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (rcvbuf) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }

    if (clients.source) {
        client_source(c);
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(clients.port);

    if (inet_pton(AF_INET, clients.host, &sin.sin_addr) != 1) {
        die("\"%s\" is no address", clients.host);
    }

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        && errno != EINPROGRESS)
    {
        die("connect: %s", strerror(errno));
    }

    ee.events = EPOLLOUT;
    ee.data.ptr = c;

    if (epoll_ctl(clients.ep, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


/* with an address of its own, a process has all ports for itself; which one
 * is not asked for before connect(), which knows what is free there */

static void
client_source(client_t *c)
{
    int                  one;
    struct sockaddr_in   sin;

    one = 1;
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;

    if (inet_pton(AF_INET, clients.source, &sin.sin_addr) != 1
        || bind(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1)
    {
        die("can't come from \"%s\"", clients.source);
    }
}


void
client_event(client_t *c)
{
    if (c->state == CLIENT_CONNECT) {
        client_request(c);

    } else if (c->state != CLIENT_NONE) {
        client_read(c);
    }
}


void
client_events(client_t *c, uint32_t events)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = c;

    if (epoll_ctl(clients.ep, EPOLL_CTL_MOD, c->fd, &ee) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


/* what is sent here always fits into an empty socket buffer; a connection
 * that is over says so when it is read */

int
client_send(client_t *c, const void *data, size_t len)
{
    ssize_t  n;

    n = clients.io ? clients.io->send(c, data, len)
                   : send(c->fd, data, len, MSG_NOSIGNAL);

    return n == (ssize_t) len ? 0 : -1;
}


int
client_frame(client_t *c, int opcode, const void *data, size_t len)
{
    size_t                i, n;
    const unsigned char  *p;
    static uint32_t       mask = 0x9e3779b9;
    unsigned char         frame[CLIENT_FRAME_MAX + 8], *m;

    if (len > CLIENT_FRAME_MAX) {
        die("a frame of %zu bytes", len);
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

    return client_send(c, frame, n);
}


void
client_close(client_t *c)
{
    if (clients.io) {
        clients.io->close(c);
    }

    close(c->fd);
    c->state = CLIENT_NONE;
}


/* RST instead of FIN */

void
client_reset(client_t *c)
{
    struct linger  linger = { 1, 0 };

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    client_close(c);
}


static void
client_request(client_t *c)
{
    int        error, n;
    char       path[1024], request[2048];
    socklen_t  len;

    len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1
        || error != 0)
    {
        client_gone(c, GONE_CONNECT, strerror(error));
        return;
    }

    if (clients.io && clients.io->open(c) == -1) {
        client_gone(c, GONE_CONNECT, "TLS");
        return;
    }

    expand(path, sizeof(path), c->path, c->number);

    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\n"
                 "Host: %s:%" PRId64 "\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Key: " WS_KEY "\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 path, clients.host, clients.port);

    c->state = CLIENT_HANDSHAKE;

    client_events(c, EPOLLIN);

    if (client_send(c, request, n) == -1) {
        client_gone(c, GONE_CONNECT, strerror(errno));
    }
}


static void
client_read(client_t *c)
{
    do {
        client_input(c);

    } while (c->state != CLIENT_NONE && clients.io && clients.io->pending(c));
}


static void
client_input(client_t *c)
{
    size_t   len, used;
    ssize_t  n;

    if (c->rest_len > BUFFER - READ) {
        die("a frame of more than %d bytes", BUFFER - READ);
    }

    if (c->rest_len) {
        memcpy(buffer, c->rest, c->rest_len);
    }

    n = clients.io ? clients.io->recv(c, buffer + c->rest_len, READ)
                   : recv(c->fd, buffer + c->rest_len, READ, 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n <= 0) {
        client_gone(c, n ? GONE_RESET : GONE_EOF, n ? strerror(errno) : "");
        return;
    }

    clients.reads++;
    clients.bytes += n;

    len = c->rest_len + n;
    used = client_parse(c, buffer, len);

    c->rest_len = 0;

    if (c->state == CLIENT_NONE || used == len) {
        return;
    }

    len -= used;

    if (len > c->rest_size) {
        c->rest_size = len + 256;
        c->rest = realloc(c->rest, c->rest_size);
        if (c->rest == NULL) {
            die("out of memory");
        }
    }

    memcpy(c->rest, buffer + used, len);
    c->rest_len = len;
}


/* returns how much of the input was whole frames */

static size_t
client_parse(client_t *c, unsigned char *p, size_t len)
{
    size_t    used, head;
    uint64_t  size;

    used = 0;

    if (c->state == CLIENT_HANDSHAKE) {
        used = client_handshake(c, p, len);
        if (used == 0) {
            return 0;
        }
    }

    while (c->state != CLIENT_NONE && len - used >= 2) {

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
            client_gone(c, GONE_BROKEN, "a frame's head");
            break;
        }

        if (len - used - head < size) {
            break;
        }

        client_message(c, p[used] & 0x0f, p + used + head, size);

        used += head + size;
    }

    return used;
}


static size_t
client_handshake(client_t *c, unsigned char *p, size_t len)
{
    char            line[13];
    unsigned char  *end, *worker;

    end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    if (len < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0
        || memmem(p, end - p, WS_ACCEPT, sizeof(WS_ACCEPT) - 1) == NULL)
    {
        snprintf(line, sizeof(line), "%.*s", (int) (end - p), (char *) p);
        client_gone(c, GONE_REFUSED, line);
        return 0;
    }

    worker = memmem(p, end - p, "\r\nWorker: ", 10);

    if (worker) {
        c->worker = strtol((char *) worker + 10, NULL, 10);
    }

    c->state = CLIENT_OPEN;
    clients.open(c);

    return end + 4 - p;
}


static void
client_message(client_t *c, int opcode, unsigned char *p, size_t len)
{
    switch (opcode) {

    case WS_PING:
        (void) client_frame(c, WS_PONG, p, len);
        return;

    case WS_PONG:
        return;

    case WS_TEXT:
    case WS_BINARY:
    case WS_CLOSE:
        clients.message(c, opcode, p, len);
        return;
    }

    client_gone(c, GONE_BROKEN, "an opcode");
}


static void
client_gone(client_t *c, gone_e why, const char *text)
{
    client_close(c);
    clients.gone(c, why, text);
}
