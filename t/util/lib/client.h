
/*
 * A websocket client on an epoll: the connection, the opening handshake and
 * frames.  What it says and means is its owner's, who embeds a client_t as
 * the first member of a session.
 */


#ifndef FO_CLIENT_H
#define FO_CLIENT_H


#include "lib/util.h"

#include <sys/types.h>


#define WS_TEXT     1
#define WS_BINARY   2
#define WS_CLOSE    8
#define WS_PING     9
#define WS_PONG     10

#define CLIENT_FRAME_MAX  1280     /* of what is sent */


typedef enum {
    CLIENT_NONE = 0,
    CLIENT_CONNECT,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN
} client_state_e;


/* why there is no connection any more; the text that comes with it */

typedef enum {
    GONE_CONNECT,                  /* the error */
    GONE_REFUSED,                  /* the status line's first 12 bytes */
    GONE_BROKEN,                   /* bytes that are no frame of a server */
    GONE_EOF,
    GONE_RESET                     /* the error */
} gone_e;


typedef struct client_s  client_t;

struct client_s {
    int               fd;
    client_state_e    state;
    void             *io;          /* what the owner's client_io_t has */
    const char       *path;        /* pattern, see expand() */
    int64_t           number;      /* for it */
    int64_t           worker;      /* of the header Worker, 0: none */

    unsigned char    *rest;        /* input that is no whole frame yet */
    size_t            rest_len;
    size_t            rest_size;
};


/*
 * What is between a client and its socket, TLS for one; the calls return
 * what recv() and send() would.
 */

typedef struct {
    int             (*open)(client_t *c);      /* connected; may block; -1 */
    ssize_t         (*recv)(client_t *c, void *buf, size_t size);
    ssize_t         (*send)(client_t *c, const void *data, size_t len);
    int             (*pending)(client_t *c);   /* recv() has more at once */
    void            (*close)(client_t *c);
} client_io_t;


/*
 * All clients of a process.  In each call the owner may close the client;
 * after gone() it is closed already.  message() gets whole messages, all but
 * Ping, which is answered, and Pong.
 */

typedef struct {
    const char       *host;
    int64_t           port;
    const char       *source;      /* address to come from, NULL: any */
    const client_io_t *io;         /* NULL: the plain socket */
    int               ep;
    uint64_t          bytes;
    uint64_t          reads;

    void            (*open)(client_t *c);
    void            (*message)(client_t *c, int opcode, unsigned char *p,
                               size_t len);
    void            (*gone)(client_t *c, gone_e why, const char *text);
} clients_t;


extern clients_t  clients;


/* as many files as are allowed, the epoll; SIGTERM and SIGINT come as an
 * event with a NULL pointer, stdin's with the one that is given, if any */

void clients_setup(void *commands);

void client_connect(client_t *c, int rcvbuf);
void client_event(client_t *c);
void client_events(client_t *c, uint32_t events);
int client_send(client_t *c, const void *data, size_t len);
int client_frame(client_t *c, int opcode, const void *data, size_t len);
void client_close(client_t *c);
void client_reset(client_t *c);

/* "%d" in the pattern becomes the number */

int expand(char *buf, size_t size, const char *pattern, int64_t n);


#endif /* FO_CLIENT_H */
