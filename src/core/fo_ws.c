
/*
 * Frames of the websocket protocol (RFC 6455, section 5.2).
 *
 *     FIN RSV opcode | MASK length | length: 0, 2, 8 | key: 4 | payload
 *       first        |   second    |    length       |  mask  |
 *
 * A header is judged byte by byte, so an error is found at the same byte
 * however the input is cut, and nothing waits for bytes that can't mend it.
 * A piece of a message is handed out where it lies in the input, and so is
 * the payload of a control frame, which is only of use as a whole: if it is
 * cut, it is gathered in a buffer of its own, because it may come between two
 * fragments of a message.
 */


#include "core/fo_ws.h"
#include "core/fo_vec.h"


/* the states; from FO_WS_ST_PAYLOAD on the header is complete */

#define FO_WS_ST_FIRST    0
#define FO_WS_ST_SECOND   1
#define FO_WS_ST_LENGTH   2
#define FO_WS_ST_MASK     3
#define FO_WS_ST_PAYLOAD  4

#define fo_ws_control(opcode)  ((opcode) & 0x8)


static int fo_ws_parse_header(fo_ws_parser_t *ws, unsigned ch,
    fo_ws_event_t *ev);
static int fo_ws_parse_first(fo_ws_parser_t *ws, unsigned ch,
    fo_ws_event_t *ev);
static int fo_ws_parse_second(fo_ws_parser_t *ws, unsigned ch,
    fo_ws_event_t *ev);
static int fo_ws_parse_length(fo_ws_parser_t *ws, unsigned ch,
    fo_ws_event_t *ev);
static int fo_ws_parse_size(fo_ws_parser_t *ws, fo_ws_event_t *ev);
static fo_ws_event_e fo_ws_parse_data(fo_ws_parser_t *ws, u_char **p,
    u_char *last, fo_ws_event_t *ev);
static fo_ws_event_e fo_ws_parse_control(fo_ws_parser_t *ws, u_char **p,
    u_char *last, fo_ws_event_t *ev);
static fo_ws_event_e fo_ws_parse_close(fo_ws_parser_t *ws,
    fo_ws_event_t *ev);
static void fo_ws_unmask(fo_ws_parser_t *ws, u_char *p, size_t len);
static int fo_ws_error(fo_ws_event_t *ev, unsigned code, const char *reason);


size_t
fo_ws_header(u_char *p, unsigned opcode, uint64_t len)
{
    unsigned  i;

    p[0] = (u_char) (0x80 | opcode);

    if (len < 126) {
        p[1] = (u_char) len;
        return 2;
    }

    if (len < 65536) {
        p[1] = 126;
        p[2] = (u_char) (len >> 8);
        p[3] = (u_char) len;
        return 4;
    }

    p[1] = 127;

    for (i = 0; i < 8; i++) {
        p[2 + i] = (u_char) (len >> (56 - 8 * i));
    }

    return 10;
}


size_t
fo_ws_close(u_char *p, unsigned code, const fo_str_t *reason)
{
    size_t  n;

    if (code == 0) {
        return fo_ws_header(p, FO_WS_CLOSE, 0);
    }

    n = reason ? reason->len : 0;

    if (n > FO_WS_CONTROL_MAX - 2) {
        n = FO_WS_CONTROL_MAX - 2;

        /* back to where a character begins */

        while (n > 0 && (reason->data[n] & 0xc0) == 0x80) {
            n--;
        }
    }

    p += fo_ws_header(p, FO_WS_CLOSE, 2 + n);

    *p++ = (u_char) (code >> 8);
    *p++ = (u_char) code;

    if (n) {
        memcpy(p, reason->data, n);
    }

    return 4 + n;
}


void
fo_ws_parser_init(fo_ws_parser_t *ws, uint64_t max)
{
    memset(ws, 0, sizeof(fo_ws_parser_t));
    ws->max = max;
}


fo_ws_event_e
fo_ws_parse(fo_ws_parser_t *ws, u_char **p, u_char *last, fo_ws_event_t *ev)
{
    fo_ws_event_e  event;

    memset(ev, 0, sizeof(fo_ws_event_t));

    while (*p < last) {

        if (ws->state < FO_WS_ST_PAYLOAD) {
            if (fo_ws_parse_header(ws, *(*p)++, ev) != FO_OK) {
                return FO_WS_EV_ERROR;
            }

            /* a frame without a payload ends with its header */

            if (ws->state < FO_WS_ST_PAYLOAD || ws->left) {
                continue;
            }
        }

        if (fo_ws_control(ws->opcode)) {
            event = fo_ws_parse_control(ws, p, last, ev);

        } else {
            event = fo_ws_parse_data(ws, p, last, ev);
        }

        if (event != FO_WS_EV_NONE) {
            return event;
        }
    }

    return FO_WS_EV_NONE;
}


int
fo_ws_parser_busy(const fo_ws_parser_t *ws)
{
    return ws->state != FO_WS_ST_FIRST || ws->type != 0;
}


/*
 * RFC 6455, section 7.4.2, and the codes that were registered with IANA
 * under it later (1012, 1013, 1014); 1004, 1005, 1006 and 1015 are never
 * sent (7.4.1)
 */

int
fo_ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003)
           || (code >= 1007 && code <= 1014)
           || (code >= 3000 && code <= 4999);
}


static int
fo_ws_parse_header(fo_ws_parser_t *ws, unsigned ch, fo_ws_event_t *ev)
{
    switch (ws->state) {

    case FO_WS_ST_FIRST:
        return fo_ws_parse_first(ws, ch, ev);

    case FO_WS_ST_SECOND:
        return fo_ws_parse_second(ws, ch, ev);

    case FO_WS_ST_LENGTH:
        return fo_ws_parse_length(ws, ch, ev);

    default: /* FO_WS_ST_MASK */
        ws->mask[sizeof(ws->mask) - ws->need] = (u_char) ch;
        ws->need--;

        if (ws->need == 0) {
            ws->state = FO_WS_ST_PAYLOAD;
        }

        return FO_OK;
    }
}


static int
fo_ws_parse_first(fo_ws_parser_t *ws, unsigned ch, fo_ws_event_t *ev)
{
    unsigned  fin, opcode;

    fin = ch >> 7;
    opcode = ch & 0x0f;

    /* RFC 6455, 5.2: no extension has given RSV1, 2 or 3 a meaning */

    if (ch & 0x70) {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "reserved bit set");
    }

    switch (opcode) {

    case FO_WS_CONTINUATION:

        /* 5.4: only an unfinished message can be continued */

        if (ws->type == 0) {
            return fo_ws_error(ev, FO_WS_PROTOCOL,
                               "continuation without a message");
        }

        break;

    case FO_WS_TEXT:
    case FO_WS_BINARY:

        /* 5.4: fragments of two messages are never mixed */

        if (ws->type != 0) {
            return fo_ws_error(ev, FO_WS_PROTOCOL,
                               "new message inside a message");
        }

        ws->type = (uint8_t) opcode;
        ws->message = 0;
        ws->fresh = 1;
        fo_utf8_init(&ws->utf8);

        break;

    case FO_WS_CLOSE:
    case FO_WS_PING:
    case FO_WS_PONG:

        /* 5.5: control frames are never fragmented */

        if (!fin) {
            return fo_ws_error(ev, FO_WS_PROTOCOL,
                               "fragmented control frame");
        }

        break;

    default: /* 5.2: 0x3 to 0x7, 0xb to 0xf */
        return fo_ws_error(ev, FO_WS_PROTOCOL, "unknown opcode");
    }

    ws->opcode = (uint8_t) opcode;
    ws->fin = (uint8_t) fin;
    ws->state = FO_WS_ST_SECOND;

    return FO_OK;
}


static int
fo_ws_parse_second(fo_ws_parser_t *ws, unsigned ch, fo_ws_event_t *ev)
{
    unsigned  len;

    /* RFC 6455, 5.1: a client masks every frame */

    if (!(ch & 0x80)) {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "frame not masked");
    }

    len = ch & 0x7f;

    /* 5.5: 125 bytes at most, so there is no longer form of the length */

    if (fo_ws_control(ws->opcode) && len > FO_WS_CONTROL_MAX) {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "control frame too long");
    }

    /* 5.5.1: a body begins with a code of two bytes */

    if (ws->opcode == FO_WS_CLOSE && len == 1) {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "half a close code");
    }

    ws->used = 0;
    ws->mask_pos = 0;

    if (len > 125) {
        ws->left = 0;
        ws->need = (len == 126) ? 2 : 8;
        ws->state = FO_WS_ST_LENGTH;

        return FO_OK;
    }

    ws->left = len;
    ws->need = 0;

    return fo_ws_parse_size(ws, ev);
}


/*
 * After a byte ws->need of them are to come: 7 only behind the first of
 * eight, 2 only behind the sixth of eight.
 */

static int
fo_ws_parse_length(fo_ws_parser_t *ws, unsigned ch, fo_ws_event_t *ev)
{
    ws->left = ws->left << 8 | ch;
    ws->need--;

    /* RFC 6455, 5.2: the most significant bit must be 0 */

    if (ws->need == 7 && (ch & 0x80)) {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "length out of range");
    }

    /* 5.2: in the fewest bytes: eight from 65536, two from 126 on */

    if ((ws->need == 2 && ws->left == 0) || (ws->need == 0 && ws->left < 126))
    {
        return fo_ws_error(ev, FO_WS_PROTOCOL, "length not minimal");
    }

    return fo_ws_parse_size(ws, ev);
}


/*
 * RFC 6455, 7.4.1: 1009 for a message that is too big, from the first byte
 * on that tells it: the length bytes to come can only make it longer
 */

static int
fo_ws_parse_size(fo_ws_parser_t *ws, fo_ws_event_t *ev)
{
    if (!fo_ws_control(ws->opcode)) {

        if (ws->left << (8 * ws->need) > ws->max - ws->message) {
            return fo_ws_error(ev, FO_WS_TOO_BIG, "message too big");
        }

        if (ws->need == 0) {
            ws->message += ws->left;
        }
    }

    if (ws->need == 0) {
        ws->need = sizeof(ws->mask);
        ws->state = FO_WS_ST_MASK;
    }

    return FO_OK;
}


static fo_ws_event_e
fo_ws_parse_data(fo_ws_parser_t *ws, u_char **p, u_char *last,
    fo_ws_event_t *ev)
{
    size_t  n;

    n = (size_t) fo_min(ws->left, (uint64_t) (last - *p));

    ev->data.data = *p;
    ev->data.len = n;

    fo_ws_unmask(ws, *p, n);

    *p += n;
    ws->left -= n;

    if (ws->left == 0) {
        ws->state = FO_WS_ST_FIRST;
        ev->fin = ws->fin;
    }

    /* RFC 6455, 8.1; a character may be spread over fragments (5.6) */

    if (ws->type == FO_WS_TEXT) {

        if (fo_utf8_check(&ws->utf8, ev->data.data, n) != FO_OK
            || (ev->fin && !fo_utf8_complete(&ws->utf8)))
        {
            fo_ws_error(ev, FO_WS_BAD_DATA, "text is not UTF-8");
            return FO_WS_EV_ERROR;
        }
    }

    if (n == 0 && !ev->fin) {
        return FO_WS_EV_NONE;
    }

    ev->opcode = ws->type;
    ev->first = ws->fresh;

    ws->fresh = 0;

    if (ev->fin) {
        ws->type = 0;
    }

    return FO_WS_EV_DATA;
}


static fo_ws_event_e
fo_ws_parse_control(fo_ws_parser_t *ws, u_char **p, u_char *last,
    fo_ws_event_t *ev)
{
    size_t  n;

    /* the header has seen to it that left + used is at most 125 */

    n = (size_t) fo_min(ws->left, (uint64_t) (last - *p));

    if (ws->used == 0 && n == ws->left) {
        ev->data.data = *p;

    } else if (ws->control) {
        memcpy(ws->control + ws->used, *p, n);
        ev->data.data = ws->control;

    } else {
        return n ? FO_WS_EV_ROOM : FO_WS_EV_NONE;
    }

    *p += n;
    ws->used += (uint8_t) n;
    ws->left -= n;

    if (ws->left) {
        return FO_WS_EV_NONE;
    }

    ws->state = FO_WS_ST_FIRST;

    ev->opcode = ws->opcode;
    ev->data.len = ws->used;

    fo_ws_unmask(ws, ev->data.data, ev->data.len);

    switch (ws->opcode) {

    case FO_WS_PING:
        return FO_WS_EV_PING;

    case FO_WS_PONG:
        return FO_WS_EV_PONG;

    default: /* FO_WS_CLOSE */
        return fo_ws_parse_close(ws, ev);
    }
}


static fo_ws_event_e
fo_ws_parse_close(fo_ws_parser_t *ws, fo_ws_event_t *ev)
{
    fo_utf8_t  utf8;

    /* RFC 6455, 7.1.5: without a body the code is 1005 */

    if (ev->data.len == 0) {
        ev->code = FO_WS_NO_STATUS;
        return FO_WS_EV_CLOSE;
    }

    ev->code = (unsigned) ev->data.data[0] << 8 | ev->data.data[1];

    if (!fo_ws_close_code_valid(ev->code)) {
        fo_ws_error(ev, FO_WS_PROTOCOL, "bad close code");
        return FO_WS_EV_ERROR;
    }

    ev->data.data += 2;
    ev->data.len -= 2;

    /* 5.5.1; not the message's state, which may be inside a character */

    fo_utf8_init(&utf8);

    if (fo_utf8_check(&utf8, ev->data.data, ev->data.len) != FO_OK
        || !fo_utf8_complete(&utf8))
    {
        fo_ws_error(ev, FO_WS_BAD_DATA, "close reason is not UTF-8");
        return FO_WS_EV_ERROR;
    }

    return FO_WS_EV_CLOSE;
}


/* RFC 6455, 5.3: byte i of the payload is masked with byte i % 4 of the key */

static void
fo_ws_unmask(fo_ws_parser_t *ws, u_char *p, size_t len)
{
    size_t    i;
    u_char    key[4];
    fo_vec_t  mask;
    uint32_t  four, word;

    for (i = 0; i < 4; i++) {
        key[i] = ws->mask[(ws->mask_pos + i) & 3];
    }

    ws->mask_pos = (uint8_t) ((ws->mask_pos + (len & 3)) & 3);

    memcpy(&four, key, 4);
    mask = fo_vec_repeat(four);

    for ( /* void */ ; len >= 16; p += 16, len -= 16) {
        fo_vec_store(p, fo_vec_load(p) ^ mask);
    }

    for ( /* void */ ; len >= 4; p += 4, len -= 4) {
        memcpy(&word, p, 4);
        word ^= four;
        memcpy(p, &word, 4);
    }

    for (i = 0; i < len; i++) {
        p[i] ^= key[i];
    }
}


static int
fo_ws_error(fo_ws_event_t *ev, unsigned code, const char *reason)
{
    memset(ev, 0, sizeof(fo_ws_event_t));

    ev->code = code;
    ev->reason = reason;

    return FO_ERROR;
}
