
/*
 * The websocket protocol, server side (RFC 6455): frames in both
 * directions.  No extension is ever agreed to, so RSV bits are errors.
 */


#ifndef FO_WS_H
#define FO_WS_H


#include "core/fo_core.h"
#include "core/fo_utf8.h"


#define FO_WS_CONTINUATION  0x0
#define FO_WS_TEXT          0x1
#define FO_WS_BINARY        0x2
#define FO_WS_CLOSE         0x8
#define FO_WS_PING          0x9
#define FO_WS_PONG          0xa

/* status codes (RFC 6455, section 7.4.1) */

#define FO_WS_NORMAL        1000
#define FO_WS_GOING_AWAY    1001
#define FO_WS_PROTOCOL      1002
#define FO_WS_NO_STATUS     1005    /* never on the wire */
#define FO_WS_BAD_DATA      1007
#define FO_WS_POLICY        1008
#define FO_WS_TOO_BIG       1009
#define FO_WS_INTERNAL      1011
#define FO_WS_TRY_LATER     1013

#define FO_WS_HEADER_MAX    10      /* of a frame that the server sends */
#define FO_WS_CONTROL_MAX   125     /* payload of ping, pong, close */


/*
 * Building: unmasked, whole frames.  Writes the header for a payload of
 * "len" bytes and returns its length (2, 4 or 10), which is also
 * fo_ws_header_len(len).
 */
#define fo_ws_header_len(len)                                                 \
    ((len) < 126 ? 2 : ((len) < 65536 ? (size_t) 4 : (size_t) 10))

size_t fo_ws_header(u_char *p, unsigned opcode, uint64_t len);

/*
 * A close frame with "code" and "reason" (UTF-8, cut at a character to fit
 * in 123 bytes; NULL: none).  "p" must hold 2 + 125 bytes.  Returns the
 * frame's length.  Code 0: a close frame without a body.
 */
size_t fo_ws_close(u_char *p, unsigned code, const fo_str_t *reason);


/*
 * Parsing.  The parser unmasks in place and hands out pieces: whoever holds
 * the connection joins them if it wants whole messages.  It keeps no bytes
 * of payload; those of a control frame that is cut go into a buffer that the
 * caller lends for as long.
 */

typedef enum {
    FO_WS_EV_NONE = 0,     /* all input used up */
    FO_WS_EV_DATA,         /* a piece of a message: type, data, fin */
    FO_WS_EV_PING,         /* data: the payload */
    FO_WS_EV_PONG,
    FO_WS_EV_CLOSE,        /* code (1005 if none was given), data: reason */
    FO_WS_EV_ROOM,         /* a control frame is cut: set ws->control to
                              FO_WS_CONTROL_MAX bytes, and call again; they
                              are free again after the frame's event */
    FO_WS_EV_ERROR         /* code: what to close with; reason: why */
} fo_ws_event_e;


typedef struct {
    unsigned        opcode;    /* DATA: FO_WS_TEXT or FO_WS_BINARY, of the
                                  message; else of the control frame */
    unsigned        fin;       /* DATA: the message ends with this piece */
    unsigned        first;     /* DATA: the message begins with this piece */
    unsigned        code;
    fo_str_t        data;      /* in the input, or in ws->control; valid
                                  until the next call */
    const char     *reason;    /* ERROR: a static text */
} fo_ws_event_t;


typedef struct {
    uint64_t        max;       /* bytes of a whole message */
    uint64_t        message;   /* bytes of this message so far, with the
                                  announced length of the current frame */
    uint64_t        left;      /* payload bytes of this frame to come */
    u_char         *control;   /* the caller's, or NULL */
    fo_utf8_t       utf8;
    u_char          mask[4];
    uint8_t         state;
    uint8_t         opcode;    /* of the current frame */
    uint8_t         type;      /* of the message in progress, 0: none */
    uint8_t         fin;
    uint8_t         fresh;     /* no piece of this message handed out yet */
    uint8_t         mask_pos;  /* 0 to 3 */
    uint8_t         need;      /* bytes of length or mask key to come */
    uint8_t         used;      /* bytes in control */
} fo_ws_parser_t;


/* max: bytes of a whole message, more is FO_WS_TOO_BIG as early as known */
void fo_ws_parser_init(fo_ws_parser_t *ws, uint64_t max);

/*
 * Reads from *p up to "last", moves *p over what it used, unmasks the
 * payload in place.  Call it again until it returns FO_WS_EV_NONE (then *p
 * == last), FO_WS_EV_ERROR or FO_WS_EV_CLOSE; after these two it must not
 * be called again.  Text is checked as UTF-8 across pieces, and a text
 * message that is cut inside a character at its end is FO_WS_BAD_DATA.  An
 * empty final piece is handed out only if needed to tell fin (an empty
 * message, or an empty last frame).
 */
fo_ws_event_e fo_ws_parse(fo_ws_parser_t *ws, u_char **p, u_char *last,
    fo_ws_event_t *ev);

/* is a header, a frame or a fragmented message unfinished? */
int fo_ws_parser_busy(const fo_ws_parser_t *ws);

/* may this code be in a close frame on the wire (RFC 6455, 7.4)? */
int fo_ws_close_code_valid(unsigned code);


#endif /* FO_WS_H */
