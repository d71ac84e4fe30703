
/*
 * The model that every dialect speaks: what clients ask for (commands) and
 * what they are told (events).  A dialect only translates.
 */


#ifndef FO_EVENT_H
#define FO_EVENT_H


#include "proto/fo_error.h"
#include "core/fo_filter.h"


/* a record of Kafka, read in place: owned by who hands it over */

typedef struct {
    const u_char  *key;          /* NULL: no key */
    const u_char  *value;        /* NULL: no value */
    uint32_t       key_len;
    uint32_t       value_len;
    int64_t        offset;
    int64_t        time;         /* ms since 1970, -1: none */
    uint32_t       partition;
    uint64_t       hash;         /* of the key in its topic, 0: not known */
} fo_record_t;


typedef enum {
    FO_EVENT_READY = 0,    /* the subscription is served from now on */
    FO_EVENT_GAP,          /* records were missed */
    FO_EVENT_ERROR,        /* the subscription failed or has ended */
    FO_EVENT_END           /* the session ends */
} fo_event_type_e;


typedef struct {
    fo_event_type_e   type;
    unsigned          counted;   /* GAP: count is known */
    uint64_t          count;     /* GAP: frames that were skipped */
    unsigned          ranged;    /* GAP: it is known where, see below */
    uint32_t          partition;
    int64_t           from;      /* the first offset that may be missed */
    int64_t           to;        /* the first that is not; a topic made anew
                                    may begin below from */
    fo_error_e        error;     /* ERROR, END */
    fo_str_t          detail;    /* ERROR: what exactly, may be empty */
} fo_event_t;


/* a client's message, as the dialect understood it */

typedef enum {
    FO_COMMAND_NONE = 0,         /* nothing to do; counted */
    FO_COMMAND_SUBSCRIBE,        /* filter */
    FO_COMMAND_REFUSED           /* error, detail */
} fo_command_type_e;


typedef struct {
    fo_command_type_e   type;
    fo_filter_t         filter;   /* lives in the buffer of the parse call */
    fo_error_e          error;
    fo_str_t            detail;
} fo_command_t;


#endif /* FO_EVENT_H */
