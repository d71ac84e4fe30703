
/*
 * How the servers that are compared are asked for records, and how these
 * look in a websocket.
 */


#ifndef BENCH_DIALECT_H
#define BENCH_DIALECT_H


#include "lib/client.h"
#include "tally.h"


typedef struct {
    client_t      client;          /* first: see client.h */
    int64_t       number;
    unsigned      subscribed:1;    /* as far as its dialect can tell */
    unsigned      warm:1;
    unsigned      keyed:1;         /* bare: a value comes next */
    unsigned      stalled:1;

    unsigned char *cut;            /* nats: a command that is not whole */
    size_t        cut_len;

    tally_one_t   tally;
} session_t;


typedef struct {
    const char   *name;

    /* open: the websocket is there; message: one of the server's */

    void        (*open)(session_t *s);
    void        (*message)(session_t *s, int opcode, unsigned char *p,
                           size_t len);
} dialect_t;


/* the owner's: a subscriber may receive; a value has come */

void session_subscribed(session_t *s);
void session_value(session_t *s, const unsigned char *p, size_t len);
void session_notice(session_t *s, const unsigned char *p, size_t len);

/* its filter, a pattern of its number */
extern const char  *session_filter;

/* NULL: no such dialect */
const dialect_t *dialect_find(const char *name);


#endif /* BENCH_DIALECT_H */
