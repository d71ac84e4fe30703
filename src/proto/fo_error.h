
/*
 * The one table of what clients are told when something fails.
 */


#ifndef FO_ERROR_H
#define FO_ERROR_H


#include "core/fo_core.h"


/* id, name in the status, text, temporary, websocket close code */

#define FO_ERRORS(F)                                                          \
    F(NONE, none, "", 0, 1000)                                                \
    F(BAD_SUBSCRIPTION, bad_subscription, "bad subscription", 0, 1008)        \
    F(UNKNOWN_TOPIC, unknown_topic, "unknown topic", 0, 1008)                 \
    F(NOT_ALLOWED, not_allowed, "not allowed", 0, 1008)                       \
    F(FORBIDDEN, forbidden_topic, "not allowed", 0, 1008)                     \
    F(NO_SUBSCRIPTION, no_subscription, "no subscription in time", 0, 1008)   \
    F(TOO_SLOW, too_slow, "too slow", 0, 1008)                                \
    F(NO_ROOM, no_room, "no room, try later", 1, 1013)                        \
    F(UNREACHABLE, kafka_unreachable, "kafka unreachable, try later", 1,      \
      1013)                                                                   \
    F(NO_MEMORY, no_memory, "no room, try later", 1, 1013)                    \
    F(LIMIT, subscriptions_limit, "no room, try later", 1, 1013)              \
    F(GOING_AWAY, going_away, "going away", 1, 1001)


typedef enum {
#define FO_ERROR_ENUM(id, name, text, temporary, code)  FO_ERR_ ## id,
    FO_ERRORS(FO_ERROR_ENUM)
#undef FO_ERROR_ENUM
    FO_ERR_N
} fo_error_e;


typedef struct {
    const char   *name;         /* in the status */
    fo_str_t      text;         /* for the client */
    unsigned      temporary;    /* 1: the same request may succeed later */
    unsigned      close;        /* websocket close code */
} fo_error_t;


/* "error" below FO_ERR_N */
const fo_error_t *fo_error(unsigned error);


#endif /* FO_ERROR_H */
