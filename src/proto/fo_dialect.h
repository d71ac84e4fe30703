
/*
 * A dialect: how the model's records and events look on a websocket, and
 * how messages become commands.  All output is whole websocket frames.
 */


#ifndef FO_DIALECT_H
#define FO_DIALECT_H


#include "proto/fo_event.h"


#define FO_DIALECT_EVENT_MAX  512     /* bytes of any event, frames included */


typedef struct {
    fo_str_t   name;              /* also the subprotocol's name */
    unsigned   kafka;             /* 1: needs a cluster */
    fo_str_t   prompt;            /* sent as Text at the start, if not empty
                                     and no filter is fixed */

    /* exact bytes of the frame of a record; then the frame itself.
       *key is where the key's bytes lie in it */
    size_t   (*record_len)(const fo_record_t *rec);
    void     (*record)(const fo_record_t *rec, u_char *frame, uint32_t *key);

    /* writes at most FO_DIALECT_EVENT_MAX bytes, returns how many; 0: this
       dialect says nothing at such an event */
    size_t   (*event)(const fo_event_t *ev, u_char *buf);

    /* one message; "buf" holds msg->len bytes for decoded filters */
    void     (*command)(const fo_str_t *msg, unsigned subscribed,
                        fo_command_t *cmd, u_char *buf);
} fo_dialect_t;


extern const fo_dialect_t  fo_bare;
extern const fo_dialect_t  fo_echo;

/* all dialects, NULL at the end */
extern const fo_dialect_t *const  fo_dialects[];


#endif /* FO_DIALECT_H */
