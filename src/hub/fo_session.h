
/*
 * The interface between the hub and a transport: sessions and their
 * subscriptions.
 */


#ifndef FO_SESSION_H
#define FO_SESSION_H


#include <sys/uio.h>

#include "core/fo_feed.h"
#include "core/fo_queue.h"
#include "hub/fo_hub.h"
#include "proto/fo_dialect.h"


typedef struct fo_session_s  fo_session_t;
typedef struct fo_sub_s      fo_sub_t;


#define FO_SEND_VECTORS  64     /* at most, in one send */
#define FO_SAY_MAX       ((1U << 30) + 4096)   /* a message, and frames */


/* a kind of transport */

typedef struct {
    /* one system call: sends at most what is there; bytes taken (then also
       *busy: 1 if the rest must wait for fo_session_writable()), or
       FO_ERROR: the connection is broken */
    ssize_t    (*send)(fo_session_t *s, const struct iovec *iov, unsigned n,
                       unsigned *busy);

    /* send() will be called soon: what it needs is brought into the cache */
    void       (*soon)(const fo_session_t *s);

    /* something happened to a subscription (NULL: to the session).  May
       call fo_session_say(), fo_unsubscribe() and fo_session_end() */
    void       (*event)(fo_session_t *s, fo_sub_t *sub, const fo_event_t *ev);

    /* all was said and sent, or broke: the transport calls
       fo_session_close(), now or later */
    void       (*ended)(fo_session_t *s, unsigned broken);
} fo_transport_ops_t;


typedef enum {
    FO_PENDING_GAP = 0,
    FO_PENDING_DISCONNECT
} fo_pending_e;


/* Sessions.  The transport embeds a session and calls open first. */

typedef struct {
    fo_chunk_t   *chunk;       /* NULL: no rest */
    uint32_t      pos;         /* in the chunk's data */
    uint32_t      len;
} fo_rest_t;


/* control frames and replies, sent from pos to len */

typedef struct {
    uint32_t      pos;
    uint32_t      len;
    uint32_t      size;        /* of data */
    u_char        data[];
} fo_out_t;


/* two cache lines, with what a transport needs for a send behind them */

struct fo_session_s {
    fo_hub_t                  *hub;
    const fo_transport_ops_t  *ops;
    fo_queue_t                 subs;       /* all, by fo_sub_t.in_session:
                                              those with frames to send last,
                                              in the order they came to them */
    fo_queue_t                *ready;      /* the first of these, or &subs */
    fo_queue_t                 queue;      /* in hub->ready or ->joined */
    fo_rest_t                  rest;       /* of a frame cut by a send */
    fo_out_t                  *out;        /* NULL: nothing to be said */
    uint64_t                   pending;    /* bytes a subscription may lag */
    uint32_t                   nsubs;
    uint32_t                   subs_max;
    uint32_t                   since;      /* us, low bits: joined */
    unsigned                   policy:2;   /* fo_pending_e */
    unsigned                   busy:1;     /* waits for fo_session_writable */
    unsigned                   ending:1;   /* nothing but out is sent */
    unsigned                   broken:1;
    unsigned                   stopped:1;  /* ops->ended() is or was called */
    unsigned                   open:1;
    unsigned                   joined:1;   /* it is in hub->joined */
};


void fo_session_open(fo_hub_t *hub, fo_session_t *s,
    const fo_transport_ops_t *ops);

/* ends all subscriptions and forgets the session; idempotent */
void fo_session_close(fo_session_t *s);

/* the socket takes bytes again */
void fo_session_writable(fo_session_t *s);

/* appends whole control frames or replies to be sent before any feed;
   FO_ERROR: no memory, or more than FO_SAY_MAX bytes in all */
int fo_session_say(fo_session_t *s, const u_char *data, size_t len);

/* bytes said and not yet sent */
size_t fo_session_unsent(const fo_session_t *s);

/* no more feeds; after what was said is sent, ops->ended() is called */
void fo_session_end(fo_session_t *s);


/*
 * Subscribes to a filter (copied).  Ends in an event READY or ERROR for
 * the subscription within 4 s, often before it returns; after ERROR the
 * subscription is gone.  NULL: refused at once, *error says why.
 */
fo_sub_t *fo_subscribe(fo_session_t *s, unsigned cluster,
    const fo_filter_t *f, const fo_dialect_t *dialect, fo_error_e *error);

/* not for the subscription that an event ERROR is about: it goes by itself */
void fo_unsubscribe(fo_sub_t *sub);


#endif /* FO_SESSION_H */
