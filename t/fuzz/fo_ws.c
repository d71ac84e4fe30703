
/*
 * Input: 4 bytes seed, 2 bytes limit of a message, then a client's stream.
 *
 * 1. The stream in one piece, and cut at random: both must give the same
 *    messages, control frames, fault and end.
 * 2. The same bytes as the payload of frames that are built here: what was
 *    put in must come out.
 *
 * Each piece lies in memory of its own size, so that a look behind its end
 * is seen.
 */


#include <stdlib.h>

#include "naive_utf8.h"
#include "core/fo_ws.h"


#define check(cond)  if (!(cond)) { __builtin_trap(); }


typedef struct {
    u_char         *data;       /* what was said: (what, length, bytes)... */
    size_t          len;
    u_char         *message;    /* the unfinished one */
    size_t          message_len;
    size_t          pieces;
    unsigned        type;
    unsigned        end;        /* the last event */
    unsigned        code;
    size_t          used;       /* bytes of input at the end */
    int             busy;
    uint64_t        max;
} log_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static uint64_t  chance;


/* below n */

static size_t
dice(size_t n)
{
    chance = chance * 6364136223846793005ull + 1442695040888963407ull;

    return n ? (size_t) (chance >> 33) % n : 0;
}


static void
log_init(log_t *log, size_t room, uint64_t max)
{
    memset(log, 0, sizeof(log_t));

    log->data = malloc(room);
    log->message = malloc(room);
    log->max = max;

    check(log->data && log->message);
}


static void
log_free(log_t *log)
{
    free(log->data);
    free(log->message);
}


static void
log_put(log_t *log, unsigned what, const u_char *p, size_t len)
{
    memcpy(log->data + log->len, &what, sizeof(what));
    log->len += sizeof(what);

    memcpy(log->data + log->len, &len, sizeof(len));
    log->len += sizeof(len);

    if (len) {
        memcpy(log->data + log->len, p, len);
        log->len += len;
    }
}


static void
log_event(log_t *log, fo_ws_event_e event, fo_ws_event_t *ev)
{
    switch (event) {

    case FO_WS_EV_DATA:
        check(ev->opcode == FO_WS_TEXT || ev->opcode == FO_WS_BINARY);
        check(ev->first == (log->pieces == 0));
        check(ev->first || ev->opcode == log->type);
        check(ev->data.len || ev->fin);

        if (ev->data.len) {
            memcpy(log->message + log->message_len, ev->data.data,
                   ev->data.len);
        }

        log->type = ev->opcode;
        log->message_len += ev->data.len;
        log->pieces++;

        check(log->message_len <= log->max);

        if (ev->fin) {
            check(log->type == FO_WS_BINARY
                  || naive_utf8(log->message, log->message_len) == FO_OK);

            log_put(log, log->type, log->message, log->message_len);
            log->message_len = 0;
            log->pieces = 0;
        }

        break;

    case FO_WS_EV_PING:
    case FO_WS_EV_PONG:
        check(ev->data.len <= FO_WS_CONTROL_MAX);
        log_put(log, ev->opcode, ev->data.data, ev->data.len);
        break;

    case FO_WS_EV_CLOSE:
        check(ev->data.len <= FO_WS_CONTROL_MAX - 2);
        check(ev->code == FO_WS_NO_STATUS
              || fo_ws_close_code_valid(ev->code));
        check(naive_utf8(ev->data.data, ev->data.len) == FO_OK);

        log->code = ev->code;
        log_put(log, ev->code, ev->data.data, ev->data.len);
        break;

    case FO_WS_EV_ERROR:
        check(ev->reason);
        check(ev->code == FO_WS_PROTOCOL || ev->code == FO_WS_BAD_DATA
              || ev->code == FO_WS_TOO_BIG);

        log->code = ev->code;
        break;

    default:
        break;
    }

    log->end = event;
}


/* returns 0 when there is nothing more to parse */

static int
feed(log_t *log, fo_ws_parser_t *ws, const u_char *p, size_t len)
{
    u_char         *copy, *pos, *before;
    fo_ws_event_e   event;
    fo_ws_event_t   ev;

    static u_char   control[FO_WS_CONTROL_MAX];

    copy = malloc(len);
    check(copy);

    if (len) {
        memcpy(copy, p, len);
    }

    pos = copy;

    do {
        before = pos;
        event = fo_ws_parse(ws, &pos, copy + len, &ev);

        check(pos >= before && pos <= copy + len);
        check(pos > before || event == FO_WS_EV_NONE
              || (event == FO_WS_EV_ROOM && ws->control == NULL));
        check(pos == copy + len || event != FO_WS_EV_NONE);

        log_event(log, event, &ev);

        if (event == FO_WS_EV_ROOM) {
            ws->control = control;

        } else if (event != FO_WS_EV_NONE && event != FO_WS_EV_DATA) {
            ws->control = NULL;
        }

    } while (event == FO_WS_EV_DATA
             || event == FO_WS_EV_ROOM
             || event == FO_WS_EV_PING
             || event == FO_WS_EV_PONG);

    log->used += (size_t) (pos - copy);
    log->busy = fo_ws_parser_busy(ws);

    free(copy);

    return event == FO_WS_EV_NONE;
}


static void
feed_cut(log_t *log, fo_ws_parser_t *ws, const u_char *p, size_t len)
{
    size_t  n, most;

    most = dice(4) ? 1 + dice(16) : len;

    do {
        n = dice(most + 1);
        n = fo_min(n, len);

        if (!feed(log, ws, p, n)) {
            return;
        }

        p += n;
        len -= n;

    } while (len);
}


static void
test_stream(const u_char *p, size_t len, uint64_t max)
{
    log_t           whole, cut;
    size_t          room;
    fo_ws_parser_t  ws;

    room = 64 + len * 4;

    log_init(&whole, room, max);
    fo_ws_parser_init(&ws, max);
    feed(&whole, &ws, p, len);

    log_init(&cut, room, max);
    fo_ws_parser_init(&ws, max);
    feed_cut(&cut, &ws, p, len);

    check(whole.len == cut.len);
    check(memcmp(whole.data, cut.data, cut.len) == 0);
    check(whole.end == cut.end);
    check(whole.code == cut.code);

    /* bad text may be told earlier, after more of it was handed out */

    check(whole.end != FO_WS_EV_NONE || cut.used == len);

    if (whole.end == FO_WS_EV_ERROR && whole.code == FO_WS_BAD_DATA) {
        check(cut.used <= whole.used);
        check(cut.message_len >= whole.message_len);

    } else {
        check(cut.used == whole.used);
        check(cut.message_len == whole.message_len);
        check(cut.busy == whole.busy);
    }

    check(memcmp(whole.message, cut.message, whole.message_len) == 0);

    log_free(&whole);
    log_free(&cut);
}


static size_t
build(u_char *to, unsigned opcode, unsigned fin, const u_char *p, size_t len)
{
    size_t  i, n;

    n = fo_ws_header(to, opcode, len);
    check(n == fo_ws_header_len(len));

    to[0] &= fin ? 0xff : 0x7f;
    to[1] |= 0x80;

    for (i = 0; i < 4; i++) {
        to[n + i] = (u_char) dice(256);
    }

    for (i = 0; i < len; i++) {
        to[n + 4 + i] = p[i] ^ to[n + (i & 3)];
    }

    return n + 4 + len;
}


static void
test_built(const u_char *p, size_t len)
{
    log_t           want, got;
    u_char         *stream, close[2 + FO_WS_CONTROL_MAX];
    size_t          n, i, part, room;
    unsigned        type, good;
    fo_str_t        reason;
    fo_ws_parser_t  ws;

    room = 4096 + len * 2;
    stream = malloc(room);
    check(stream);

    log_init(&want, room, len);
    log_init(&got, room, len);

    good = (unsigned) naive_utf8(p, len) == FO_OK;
    type = dice(2) ? FO_WS_TEXT : FO_WS_BINARY;
    n = 0;

    /* the message in up to 5 fragments, pings in between */

    for (i = 0; i < 5; i++) {
        part = (i == 4) ? 0 : dice(len + 1);
        part = fo_min(part, FO_WS_CONTROL_MAX);

        n += build(stream + n, FO_WS_PING, 1, p, part);
        log_put(&want, FO_WS_PING, p, part);

        part = (i == 4) ? len : dice(len + 1);

        n += build(stream + n, i ? FO_WS_CONTINUATION : type, i == 4, p, part);

        p += part;
        len -= part;

        if (i == 4) {
            log_put(&want, type, p - want.max, want.max);
        }
    }

    reason.data = (u_char *) p - want.max;
    reason.len = good ? want.max : 0;

    i = fo_ws_close(close, FO_WS_POLICY, &reason);
    check(i >= 4 && i <= sizeof(close));
    check(i - 2 == close[1]);
    check(i - 4 == reason.len || (i > 123 && i - 4 < reason.len));

    n += build(stream + n, FO_WS_CLOSE, 1, close + 2, i - 2);
    log_put(&want, FO_WS_POLICY, close + 4, i - 4);

    fo_ws_parser_init(&ws, want.max);
    feed_cut(&got, &ws, stream, n);

    if (type == FO_WS_BINARY || good) {
        check(got.end == FO_WS_EV_CLOSE);
        check(got.used == n);
        check(got.len == want.len);
        check(memcmp(got.data, want.data, got.len) == 0);

    } else {
        check(got.end == FO_WS_EV_ERROR && got.code == FO_WS_BAD_DATA);
    }

    log_free(&want);
    log_free(&got);
    free(stream);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t  seed;
    uint64_t  max;

    if (size < 6) {
        return 0;
    }

    memcpy(&seed, data, 4);
    chance = seed;
    max = data[4] | (uint64_t) data[5] << 8;

    test_stream(data + 6, size - 6, max);
    test_built(data + 6, size - 6);

    return 0;
}
