
/*
 * The floor of writing: a server that takes websockets and then does nothing
 * but send() the bytes of a record in the bare dialect to each of them, by a
 * schedule of its own.
 *
 *     floor --sessions N [options]
 *
 *     --size N             bytes of a value (100)
 *     --keys N             as many as sessions: each record goes to one of
 *                          them, in turn (1: to all)
 *
 * Prints its port, then "open" when all have come.  On stdin:
 *
 *     warm                 a warm record to each
 *     go COUNT RATE JOIN   so many records, RATE a second (0: all at once),
 *                          JOIN of them in a send
 *
 * After go it prints start (ns), sends and CPU (ns) as JSON.
 */


#include "mark.h"

#include <poll.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>


#define ANSWER                                                                \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"              \
    "Connection: upgrade\r\n"                                                 \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


typedef struct {
    int64_t     sessions, size, keys;
    int         listening;
    int        *fd;
    char       *buf;
    char       *value;
    uint64_t    sends;
} floor_t;


static floor_t  f;


static void
floor_listen(void)
{
    socklen_t           len;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    f.listening = socket(AF_INET, SOCK_STREAM, 0);

    if (f.listening == -1
        || bind(f.listening, (struct sockaddr *) &sin, len) == -1
        || listen(f.listening, 4096) == -1
        || getsockname(f.listening, (struct sockaddr *) &sin, &len) == -1)
    {
        die("listen: %s", strerror(errno));
    }

    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);
}


/* the number of a session is in its request: /N */

static void
floor_accept(void)
{
    int       fd, one;
    char      request[2048];
    ssize_t   n;
    int64_t   i, number;

    for (i = 0; i < f.sessions; i++) {
        fd = accept4(f.listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd == -1) {
            die("accept: %s", strerror(errno));
        }

        /* a request that comes in one piece, as load sends it */

        n = recv(fd, request, sizeof(request) - 1, 0);
        if (n <= 0) {
            die("a session has gone");
        }

        request[n] = '\0';

        if (sscanf(request, "GET /%" SCNd64, &number) != 1
            || number < 0 || number >= f.sessions || f.fd[number] != -1)
        {
            die("not a session's request");
        }

        one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

        f.fd[number] = fd;

        if (send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL) == -1) {
            die("send: %s", strerror(errno));
        }
    }

    puts("open");
    fflush(stdout);
}


static size_t
floor_frame(char *p, const char *data, size_t len)
{
    size_t  n;

    n = 0;
    p[n++] = (char) 0x82;

    if (len < 126) {
        p[n++] = len;

    } else if (len < 65536) {
        p[n++] = 126;
        p[n++] = len >> 8;
        p[n++] = len & 0xff;

    } else {
        p[n++] = 127;
        memset(p + n, 0, 4);
        n += 4;
        p[n++] = (len >> 24) & 0xff;
        p[n++] = (len >> 16) & 0xff;
        p[n++] = (len >> 8) & 0xff;
        p[n++] = len & 0xff;
    }

    memcpy(p + n, data, len);

    return n + len;
}


static void
floor_send(int fd, const char *data, size_t len)
{
    ssize_t        n;
    struct pollfd  pfd;

    while (len) {
        n = send(fd, data, len, MSG_DONTWAIT|MSG_NOSIGNAL);
        f.sends++;

        if (n > 0) {
            data += n;
            len -= n;

        } else if (errno == EAGAIN) {
            pfd.fd = fd;
            pfd.events = POLLOUT;
            (void) poll(&pfd, 1, 1000);

        } else {
            die("send: %s", strerror(errno));
        }
    }
}


static void
floor_warm(void)
{
    size_t   len;
    int64_t  i;

    len = floor_frame(f.buf, "key-0", 5);
    len += floor_frame(f.buf + len, "warm ", 5);

    for (i = 0; i < f.sessions; i++) {
        floor_send(f.fd[i], f.buf, len);
    }
}


/* the bytes of the i-th record */

static size_t
floor_record(char *p, int64_t i, int64_t due)
{
    int     n;
    char    key[32];
    size_t  len;
    mark_t  m;

    n = snprintf(key, sizeof(key), "key-%" PRId64, i % f.keys);

    m.seq = i / f.keys;
    m.due = due;
    m.stream = 0;

    len = floor_frame(p, key, n);

    return len + floor_frame(p + len, f.value,
                             mark_write(f.value, f.size, &m));
}


static int64_t
floor_cpu(void)
{
    struct rusage  ru;

    getrusage(RUSAGE_SELF, &ru);

    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * NS
           + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000;
}


static void
floor_go(int64_t count, int64_t rate, int64_t join)
{
    size_t           len;
    int64_t          i, j, n, start, due, cpu;
    struct timespec  ts;

    f.buf = realloc(f.buf, join * (f.size + MARK_MAX + 64));
    if (f.buf == NULL) {
        die("out of memory");
    }

    f.sends = 0;
    cpu = floor_cpu();
    start = now_ns();
    due = start;

    for (i = 0; i < count; i += n) {
        n = count - i < join ? count - i : join;

        if (rate) {
            due = start + i * NS / rate;
            ts.tv_sec = due / NS;
            ts.tv_nsec = due % NS;

            if (due > now_ns()) {
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
            }
        }

        for (j = 0, len = 0; j < n; j++) {
            len += floor_record(f.buf + len, i + j, due);
        }

        if (f.keys > 1) {
            floor_send(f.fd[i % f.keys], f.buf, len);
            continue;
        }

        for (j = 0; j < f.sessions; j++) {
            floor_send(f.fd[j], f.buf, len);
        }
    }

    printf("{\"start\":%" PRId64 ",\"sends\":%" PRIu64 ",\"cpu\":%" PRId64
           "}\n", start, f.sends, floor_cpu() - cpu);
    fflush(stdout);
}


static void
floor_commands(void)
{
    char     line[256];
    int64_t  count, rate, join;

    while (fgets(line, sizeof(line), stdin)) {

        if (strcmp(line, "warm\n") == 0) {
            floor_warm();

        } else if (sscanf(line, "go %" SCNd64 " %" SCNd64 " %" SCNd64,
                          &count, &rate, &join) == 3
                   && join > 0 && (f.keys == 1 || join == 1))
        {
            floor_go(count, rate, join);

        } else {
            die("no such command: \"%s\"", line);
        }
    }
}


int
main(int argc, char **argv)
{
    int            c, i;
    int64_t        j;
    struct rlimit  rl;

    struct option  options[] = {
        { "sessions", required_argument, NULL, 0x100 },
        { "size", required_argument, NULL, 0x101 },
        { "keys", required_argument, NULL, 0x102 },
        { NULL, 0, NULL, 0 }
    };

    int64_t  *values[] = { &f.sessions, &f.size, &f.keys };

    f.size = 100;
    f.keys = 1;

    while ((c = getopt_long(argc, argv, "", options, &i)) != -1) {
        if (c < 0x100) {
            exit(2);
        }

        *values[c & 0xff] = number(options[i].name, optarg);
    }

    if (f.sessions < 1 || (f.keys != 1 && f.keys != f.sessions)) {
        die("--sessions is needed, --keys is 1 or as many");
    }

    f.fd = malloc(f.sessions * sizeof(int));
    f.buf = malloc(4096);
    f.value = malloc(f.size + MARK_MAX);

    if (f.fd == NULL || f.buf == NULL || f.value == NULL) {
        die("out of memory");
    }

    for (j = 0; j < f.sessions; j++) {
        f.fd[j] = -1;
    }

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    floor_listen();
    floor_accept();
    floor_commands();

    return 0;
}
