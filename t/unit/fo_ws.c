
/*
 * Websocket frames: the bytes that are built, the events that come out of a
 * stream however it is cut, and the byte at which each fault is found.
 */


#include "fo_test.h"
#include "core/fo_ws.h"


#define MAX  (1024 * 1024)


/*
 * What a parser said, as text: "text:..." or "binary:..." a message,
 * "ping:...", "pong:...", "close 1000:...", "error 1002", one a line.
 */

typedef struct {
    size_t   len;
    char     text[1024];
    size_t   pieces;
    size_t   message_len;
    u_char   message[70000];
} log_t;


static log_t  out;

static const u_char  mask[4] = { 0x37, 0xfa, 0x21, 0x3d };


static void
log_clear(void)
{
    memset(&out, 0, offsetof(log_t, message));
}


static void
log_line(const char *what, const u_char *p, size_t len)
{
    char  *to;

    to = out.text + out.len;

    /* a long message is told by its length */

    if (len > 200) {
        out.len += (size_t) sprintf(to, "%s(%zu)\n", what, len);
        return;
    }

    out.len += (size_t) sprintf(to, "%s:%.*s\n", what, (int) len, p);
}


static void
log_event(fo_ws_event_e event, fo_ws_event_t *ev)
{
    char  what[32];

    switch (event) {

    case FO_WS_EV_DATA:
        assert_int_equal(ev->first, out.pieces == 0);
        assert_true(ev->data.len || ev->fin);

        memcpy(out.message + out.message_len, ev->data.data, ev->data.len);
        out.message_len += ev->data.len;
        out.pieces++;

        if (ev->fin) {
            log_line(ev->opcode == FO_WS_TEXT ? "text" : "binary",
                     out.message, out.message_len);
            out.message_len = 0;
            out.pieces = 0;
        }

        break;

    case FO_WS_EV_PING:
        assert_int_equal(ev->opcode, FO_WS_PING);
        log_line("ping", ev->data.data, ev->data.len);
        break;

    case FO_WS_EV_PONG:
        assert_int_equal(ev->opcode, FO_WS_PONG);
        log_line("pong", ev->data.data, ev->data.len);
        break;

    case FO_WS_EV_CLOSE:
        sprintf(what, "close %u", ev->code);
        log_line(what, ev->data.data, ev->data.len);
        break;

    case FO_WS_EV_ERROR:
        assert_non_null(ev->reason);
        out.len += (size_t) sprintf(out.text + out.len, "error %u\n",
                                    ev->code);
        break;

    default:
        break;
    }
}


/* a piece of input, in memory of its own; the last event is returned; lends
   a buffer only as long as the parser may need it */

static fo_ws_event_e
feed(fo_ws_parser_t *ws, const u_char *p, size_t len)
{
    u_char         *copy, *pos;
    fo_ws_event_t   ev;
    fo_ws_event_e   event;

    static u_char   control[FO_WS_CONTROL_MAX];

    copy = malloc(len);
    if (len) {
        memcpy(copy, p, len);
    }

    pos = copy;

    do {
        event = fo_ws_parse(ws, &pos, copy + len, &ev);
        log_event(event, &ev);

        if (event == FO_WS_EV_ROOM) {
            assert_null(ws->control);
            ws->control = control;

        } else if (event != FO_WS_EV_NONE && event != FO_WS_EV_DATA) {
            ws->control = NULL;
        }

    } while (event == FO_WS_EV_DATA
             || event == FO_WS_EV_ROOM
             || event == FO_WS_EV_PING
             || event == FO_WS_EV_PONG);

    if (event == FO_WS_EV_NONE) {
        assert_ptr_equal(pos, copy + len);
    }

    free(copy);

    return event;
}


static const char *
parse(const u_char *p, size_t len, uint64_t max)
{
    fo_ws_parser_t  ws;

    log_clear();
    fo_ws_parser_init(&ws, max);
    feed(&ws, p, len);

    return out.text;
}


/* a client's frame; "form": the bytes of the length, 0 for the right one */

static size_t
frame(u_char *to, unsigned first, const void *payload, size_t len,
    unsigned form)
{
    size_t         i, n;
    const u_char  *p = payload;

    if (form == 0) {
        form = len < 126 ? 1 : len < 65536 ? 2 : 8;
    }

    n = 0;
    to[n++] = (u_char) first;
    to[n++] = (u_char) (0x80 | (form == 1 ? len : form == 2 ? 126 : 127));

    for (i = form; i > 0 && form > 1; i--) {
        to[n++] = (u_char) ((uint64_t) len >> (8 * (i - 1)));
    }

    memcpy(to + n, mask, 4);
    n += 4;

    for (i = 0; i < len; i++) {
        to[n++] = p[i] ^ mask[i & 3];
    }

    return n;
}


static size_t
text_frame(u_char *to, unsigned first, const char *payload)
{
    return frame(to, first, payload, strlen(payload), 0);
}


static void
test_header_bytes(void **state)
{
    size_t  i;
    u_char  p[FO_WS_HEADER_MAX];

    static const struct {
        unsigned     opcode;
        uint64_t     len;
        size_t       n;
        const char  *bytes;
    } t[] = {
        { FO_WS_TEXT,   0,          2, "\x81\x00" },
        { FO_WS_BINARY, 1,          2, "\x82\x01" },
        { FO_WS_CLOSE,  2,          2, "\x88\x02" },
        { FO_WS_PING,   5,          2, "\x89\x05" },
        { FO_WS_PONG,   125,        2, "\x8a\x7d" },
        { FO_WS_TEXT,   125,        2, "\x81\x7d" },
        { FO_WS_BINARY, 126,        4, "\x82\x7e\x00\x7e" },
        { FO_WS_BINARY, 127,        4, "\x82\x7e\x00\x7f" },
        { FO_WS_BINARY, 256,        4, "\x82\x7e\x01\x00" },
        { FO_WS_BINARY, 65535,      4, "\x82\x7e\xff\xff" },
        { FO_WS_BINARY, 65536,     10,
          "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" },
        { FO_WS_TEXT,   0x0123456789abcdef, 10,
          "\x81\x7f\x01\x23\x45\x67\x89\xab\xcd\xef" },
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        memset(p, 0xee, sizeof(p));

        assert_int_equal(fo_ws_header(p, t[i].opcode, t[i].len), t[i].n);
        assert_int_equal(fo_ws_header_len(t[i].len), t[i].n);
        assert_memory_equal(p, t[i].bytes, t[i].n);

        if (t[i].n < sizeof(p)) {
            assert_int_equal(p[t[i].n], 0xee);
        }
    }
}


static void
test_close_bytes(void **state)
{
    u_char    p[2 + FO_WS_CONTROL_MAX + 1], text[200];
    size_t    i, n;
    fo_str_t  reason;

    (void) state;

    reason.data = (u_char *) "too slow";
    reason.len = 8;

    assert_int_equal(fo_ws_close(p, 0, &reason), 2);
    assert_memory_equal(p, "\x88\x00", 2);

    assert_int_equal(fo_ws_close(p, FO_WS_NORMAL, NULL), 4);
    assert_memory_equal(p, "\x88\x02\x03\xe8", 4);

    assert_int_equal(fo_ws_close(p, FO_WS_POLICY, &reason), 12);
    assert_memory_equal(p, "\x88\x0a\x03\xf0too slow", 12);

    /* a character of two bytes at each place around the limit of 123 */

    for (i = 118; i < 126; i++) {
        memset(text, 'a', sizeof(text));
        text[i] = 0xc3;
        text[i + 1] = 0xa4;

        reason.data = text;
        reason.len = 130;

        n = (i == 122) ? 122 : 123;

        memset(p, 0xee, sizeof(p));
        assert_int_equal(fo_ws_close(p, FO_WS_POLICY, &reason), 4 + n);
        assert_int_equal(p[1], 2 + n);
        assert_memory_equal(p + 4, text, n);
        assert_int_equal(p[sizeof(p) - 1], 0xee);
    }

    /* what fits is not cut */

    memset(text, 'a', sizeof(text));
    text[121] = 0xc3;
    text[122] = 0xa4;
    reason.len = 123;

    assert_int_equal(fo_ws_close(p, FO_WS_POLICY, &reason), 127);
    assert_memory_equal(p + 4, text, 123);
}


/* RFC 6455, section 5.7: those that a client may send, masked */

static void
test_rfc_examples(void **state)
{
    u_char  p[70000], payload[65536];
    size_t  n;

    (void) state;

    assert_string_equal(parse((u_char *) "\x81\x85\x37\xfa\x21\x3d\x7f\x9f"
                              "\x4d\x51\x58", 11, MAX),
                        "text:Hello\n");

    assert_string_equal(parse((u_char *) "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f"
                              "\x4d\x51\x58", 11, MAX),
                        "pong:Hello\n");

    n = text_frame(p, 0x01, "Hel");
    n += text_frame(p + n, 0x80, "lo");
    assert_string_equal(parse(p, n, MAX), "text:Hello\n");

    assert_string_equal(parse((u_char *) "\x81\x05Hello", 7, MAX),
                        "error 1002\n");

    n = fo_ws_header(p, FO_WS_TEXT, 5);
    memcpy(p + n, "Hello", 5);
    assert_memory_equal(p, "\x81\x05\x48\x65\x6c\x6c\x6f", 7);

    memset(payload, 'x', sizeof(payload));

    n = frame(p, 0x82, payload, 256, 0);
    assert_memory_equal(p, "\x82\xfe\x01\x00", 4);
    assert_string_equal(parse(p, n, MAX), "binary(256)\n");

    n = frame(p, 0x82, payload, 65536, 0);
    assert_memory_equal(p, "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    assert_string_equal(parse(p, n, MAX), "binary(65536)\n");
}


/* all bytes of messages of each length, cut in two within the header */

static void
test_lengths(void **state)
{
    char            want[32];
    size_t          i, j, n, cut;
    fo_ws_parser_t  ws;

    static u_char  p[70000], payload[65537];

    static const size_t  lengths[] = {
        0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 255, 256, 65535, 65536, 65537
    };

    (void) state;

    for (j = 0; j < sizeof(payload); j++) {
        payload[j] = (u_char) (j * 31 + (j >> 8));
    }

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        n = frame(p, 0x82, payload, lengths[i], 0);

        for (cut = 0; cut <= fo_min(n, 40); cut++) {
            log_clear();
            fo_ws_parser_init(&ws, lengths[i]);

            assert_int_equal(feed(&ws, p, cut), FO_WS_EV_NONE);
            assert_int_equal(feed(&ws, p + cut, n - cut), FO_WS_EV_NONE);
            assert_memory_equal(out.message, payload, lengths[i]);

            if (lengths[i] > 200) {
                sprintf(want, "binary(%zu)\n", lengths[i]);
                assert_string_equal(out.text, want);

            } else {
                assert_int_equal(strncmp(out.text, "binary:", 7), 0);
            }
        }
    }
}


static void
test_every_cut(void **state)
{
    u_char          p[512];
    size_t          n, a, b, i;
    fo_ws_parser_t  ws;

    static const char  *want =
        "text:\xce\xba 12345678 \xe2\x82\xac\n"
        "ping:\n"
        "binary:\n"
        "pong:in between\n"
        "ping:and again\n"
        "text:a\xf0\x9f\x98\x80z\n"
        "close 1000:bye \xc3\xa4\n";

    (void) state;

    n = text_frame(p, 0x81, "\xce\xba 12345678 \xe2\x82\xac");
    n += text_frame(p + n, 0x89, "");
    n += text_frame(p + n, 0x82, "");
    n += text_frame(p + n, 0x01, "a\xf0\x9f");
    n += text_frame(p + n, 0x8a, "in between");
    n += text_frame(p + n, 0x00, "\x98");
    n += text_frame(p + n, 0x00, "");
    n += text_frame(p + n, 0x89, "and again");
    n += text_frame(p + n, 0x80, "\x80z");
    n += text_frame(p + n, 0x88, "\x03\xe8" "bye \xc3\xa4");

    for (a = 0; a <= n; a++) {
        for (b = a; b <= n; b++) {
            log_clear();
            fo_ws_parser_init(&ws, 100);

            feed(&ws, p, a);

            if (a < n) {
                feed(&ws, p + a, b - a);
            }

            if (b < n) {
                feed(&ws, p + b, n - b);
            }

            assert_string_equal(out.text, want);
        }
    }

    log_clear();
    fo_ws_parser_init(&ws, 100);

    for (i = 0; i < n; i++) {
        feed(&ws, p + i, 1);
    }

    assert_string_equal(out.text, want);
}


static void
test_piece_flags(void **state)
{
    u_char          p[64], *pos;
    size_t          n;
    fo_ws_event_t   ev;
    fo_ws_parser_t  ws;

    (void) state;

    fo_ws_parser_init(&ws, 100);

    /* empty fragments are not handed out, but the last */

    n = text_frame(p, 0x02, "");
    n += text_frame(p + n, 0x00, "abc");
    n += text_frame(p + n, 0x00, "");
    n += text_frame(p + n, 0x80, "");

    pos = p;

    assert_int_equal(fo_ws_parse(&ws, &pos, p + n, &ev), FO_WS_EV_DATA);
    assert_int_equal(ev.opcode, FO_WS_BINARY);
    assert_int_equal(ev.first, 1);
    assert_int_equal(ev.fin, 0);
    assert_int_equal(ev.data.len, 3);
    assert_memory_equal(ev.data.data, "abc", 3);

    /* where it lay in the input */

    assert_ptr_equal(ev.data.data, p + 6 + 6);

    assert_int_equal(fo_ws_parse(&ws, &pos, p + n, &ev), FO_WS_EV_DATA);
    assert_int_equal(ev.opcode, FO_WS_BINARY);
    assert_int_equal(ev.first, 0);
    assert_int_equal(ev.fin, 1);
    assert_int_equal(ev.data.len, 0);

    assert_int_equal(fo_ws_parse(&ws, &pos, p + n, &ev), FO_WS_EV_NONE);
    assert_ptr_equal(pos, p + n);

    /* one frame in two pieces; a header alone gives none */

    n = text_frame(p, 0x81, "abcd");
    pos = p;

    assert_int_equal(fo_ws_parse(&ws, &pos, p + 6, &ev), FO_WS_EV_NONE);
    assert_int_equal(fo_ws_parse(&ws, &pos, p + 7, &ev), FO_WS_EV_DATA);
    assert_int_equal(ev.opcode, FO_WS_TEXT);
    assert_int_equal(ev.first, 1);
    assert_int_equal(ev.fin, 0);
    assert_memory_equal(ev.data.data, "a", 1);

    assert_int_equal(fo_ws_parse(&ws, &pos, p + n, &ev), FO_WS_EV_DATA);
    assert_int_equal(ev.first, 0);
    assert_int_equal(ev.fin, 1);
    assert_int_equal(ev.data.len, 3);
    assert_memory_equal(ev.data.data, "bcd", 3);
}


/* a control frame that lies whole in the input needs no buffer */

static void
test_room(void **state)
{
    u_char          p[200], room[FO_WS_CONTROL_MAX], *pos;
    size_t          n, cut;
    fo_ws_event_t   ev;
    fo_ws_parser_t  ws;

    (void) state;

    n = text_frame(p, 0x89, "abcd");

    for (cut = 0; cut <= n; cut++) {
        n = text_frame(p, 0x89, "abcd");
        fo_ws_parser_init(&ws, 100);
        pos = p;

        if (cut > 6 && cut < n) {
            assert_int_equal(fo_ws_parse(&ws, &pos, p + cut, &ev),
                             FO_WS_EV_ROOM);
            assert_ptr_equal(pos, p + 6);
            ws.control = room;
        }

        if (cut < n) {
            assert_int_equal(fo_ws_parse(&ws, &pos, p + cut, &ev),
                             FO_WS_EV_NONE);
        }

        assert_int_equal(fo_ws_parse(&ws, &pos, p + n, &ev), FO_WS_EV_PING);
        assert_ptr_equal(ev.data.data, (cut > 6 && cut < n) ? room : p + 6);
        assert_int_equal(ev.data.len, 4);
        assert_memory_equal(ev.data.data, "abcd", 4);
    }
}


/* each length and place, in two pieces, against one byte at a time */

static void
test_unmask(void **state)
{
    u_char          p[120], *pos;
    size_t          len, cut, from, i, got;
    fo_ws_event_t   ev;
    fo_ws_parser_t  ws;

    static u_char  payload[80];

    (void) state;

    for (i = 0; i < sizeof(payload); i++) {
        payload[i] = (u_char) (i * 37 + 11);
    }

    for (from = 0; from < 16; from++) {
        for (len = 1; len <= sizeof(payload); len++) {
            for (cut = 1; cut <= len; cut++) {
                frame(p + from, 0x82, payload, len, 0);
                memset(p + from + 6 + len, 0xee, 8);

                fo_ws_parser_init(&ws, 100);
                pos = p + from;
                got = 0;

                while (got < len) {
                    assert_int_equal(fo_ws_parse(&ws, &pos,
                                           p + from + 6 + (got ? len : cut),
                                           &ev),
                                     FO_WS_EV_DATA);
                    assert_memory_equal(ev.data.data, payload + got,
                                        ev.data.len);
                    got += ev.data.len;
                }

                assert_int_equal(got, len);

                for (i = 0; i < 8; i++) {
                    assert_int_equal(p[from + 6 + len + i], 0xee);
                }
            }
        }
    }
}


/*
 * The last byte of each input is the one that can't be mended: nothing is
 * said before it, and all of it at once gives the same.
 */

static void
test_faults(void **state)
{
    u_char           p[64];
    size_t           i, j;
    fo_ws_parser_t   ws;

    static const struct {
        const char  *bytes;
        size_t       len;
        const char  *want;
    } t[] = {

#define T(bytes, want)  { bytes, sizeof(bytes) - 1, want }

        /* reserved bits, also where the opcode is bad */
        T("\xc1",                                   "error 1002\n"),
        T("\xa1",                                   "error 1002\n"),
        T("\x91",                                   "error 1002\n"),
        T("\xf3",                                   "error 1002\n"),
        T("\xc9",                                   "error 1002\n"),

        /* opcodes */
        T("\x83",                                   "error 1002\n"),
        T("\x87",                                   "error 1002\n"),
        T("\x8b",                                   "error 1002\n"),
        T("\x8f",                                   "error 1002\n"),
        T("\x03",                                   "error 1002\n"),

        /* fragmented control frames */
        T("\x08",                                   "error 1002\n"),
        T("\x09",                                   "error 1002\n"),
        T("\x0a",                                   "error 1002\n"),

        /* fragments out of place; the key of these frames is 0 */
        T("\x80",                                   "error 1002\n"),
        T("\x00",                                   "error 1002\n"),
        T("\x01\x80\0\0\0\0\x81",                   "error 1002\n"),
        T("\x01\x81\0\0\0\0a\x02",                  "error 1002\n"),
        T("\x01\x81\0\0\0\0a\x80\x80\0\0\0\0\x80",  "text:a\nerror 1002\n"),
        T("\x81\x81\0\0\0\0a\x80",                  "text:a\nerror 1002\n"),

        /* not masked */
        T("\x81\x00",                               "error 1002\n"),
        T("\x82\x7e",                               "error 1002\n"),
        T("\x89\x05",                               "error 1002\n"),

        /* control frames of 126 and 127 */
        T("\x88\xfe",                               "error 1002\n"),
        T("\x89\xfe",                               "error 1002\n"),
        T("\x8a\xff",                               "error 1002\n"),

        /* lengths that should be shorter, and one that is too long */
        T("\x82\xfe\x00\x00",                       "error 1002\n"),
        T("\x82\xfe\x00\x7d",                       "error 1002\n"),
        T("\x82\xff\x00\x00\x00\x00\x00\x00",       "error 1002\n"),
        T("\x82\xff\x80",                           "error 1002\n"),
        T("\x82\xff\xff",                           "error 1002\n"),

        /* more than 1000 bytes: 1001, 0x400, 65536, 2^56 */
        T("\x82\xfe\x03\xe9",                       "error 1009\n"),
        T("\x82\xfe\x04",                           "error 1009\n"),
        T("\x82\xff\x00\x00\x00\x00\x00\x01",       "error 1009\n"),
        T("\x82\xff\x01",                           "error 1009\n"),

        /* 2 bytes, then 999 more; a ping does not count */
        T("\x02\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\xfe\x03\xe7",
                                                    "ping:p\nerror 1009\n"),

        /* text */
        T("\x81\x85\0\0\0\0a\x80",                  "error 1007\n"),
        T("\x81\x82\0\0\0\0\xc0",                   "error 1007\n"),
        T("\x81\x85\0\0\0\0\xed\xa0",               "error 1007\n"),
        T("\x81\x82\0\0\0\0\xe2\x82",               "error 1007\n"),
        T("\x01\x81\0\0\0\0\xe2\x00\x81\0\0\0\0\x41",
                                                    "error 1007\n"),
        T("\x01\x81\0\0\0\0\xe2\x80\x80\0\0\0\0",   "error 1007\n"),
        T("\x01\x81\0\0\0\0\xe2\x89\x81\0\0\0\0\xac\x80\x81\0\0\0\0\x41",
                                              "ping:\xac\nerror 1007\n"),

        /* close */
        T("\x88\x81",                               "error 1002\n"),
        T("\x88\x82\0\0\0\0\x00\x00",               "error 1002\n"),
        T("\x88\x82\0\0\0\0\x03\xed",               "error 1002\n"),
        T("\x88\x82\0\0\0\0\x03\xf7",               "error 1002\n"),
        T("\x88\x83\0\0\0\0\x03\xe8\xff",           "error 1007\n"),
        T("\x88\x84\0\0\0\0\x03\xe8\xe2\x82",       "error 1007\n"),

        /* not faults of the stream, but ends of it */
        T("\x88\x80\0\0\0\0",                       "close 1005:\n"),
        T("\x88\x82\0\0\0\0\x03\xe9",               "close 1001:\n"),
        T("\x88\x84\0\0\0\0\x0f\xa0ok",             "close 4000:ok\n"),

#undef T
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {

        log_clear();
        fo_ws_parser_init(&ws, 1000);

        for (j = 0; j + 1 < t[i].len; j++) {
            if (feed(&ws, (u_char *) t[i].bytes + j, 1) != FO_WS_EV_NONE) {
                fail_msg("fault %zu: byte %zu gives \"%s\"", i, j, out.text);
            }
        }

        feed(&ws, (u_char *) t[i].bytes + j, 1);

        if (strcmp(out.text, t[i].want) != 0) {
            fail_msg("fault %zu: \"%s\"", i, out.text);
        }

        /* in one piece, and with more behind it */

        memset(p, 0xff, sizeof(p));
        memcpy(p, t[i].bytes, t[i].len);

        if (strcmp(parse(p, t[i].len, 1000), t[i].want) != 0
            || strcmp(parse(p, sizeof(p), 1000), t[i].want) != 0)
        {
            fail_msg("fault %zu in one piece: \"%s\"", i, out.text);
        }
    }
}


static void
test_size(void **state)
{
    u_char          p[64];
    size_t          n;
    fo_ws_parser_t  ws;

    (void) state;

    /* exactly as much as is allowed, in one frame and in three */

    n = text_frame(p, 0x81, "12345");
    assert_string_equal(parse(p, n, 5), "text:12345\n");
    assert_string_equal(parse(p, n, 4), "error 1009\n");

    n = text_frame(p, 0x01, "12");
    n += text_frame(p + n, 0x00, "34");
    n += text_frame(p + n, 0x80, "5");
    assert_string_equal(parse(p, n, 5), "text:12345\n");
    assert_string_equal(parse(p, n, 4), "error 1009\n");
    assert_string_equal(parse(p, n, 3), "error 1009\n");

    /* of each message anew */

    n = text_frame(p, 0x81, "12345");
    n += text_frame(p + n, 0x82, "12345");
    assert_string_equal(parse(p, n, 5), "text:12345\nbinary:12345\n");

    /* control frames have a limit of their own */

    n = text_frame(p, 0x89, "12345");
    n += text_frame(p + n, 0x82, "");
    n += text_frame(p + n, 0x82, "1");
    assert_string_equal(parse(p, n, 0), "ping:12345\nbinary:\nerror 1009\n");

    /* no limit: the sum of the longest frames does not wrap around */

    log_clear();
    fo_ws_parser_init(&ws, UINT64_MAX);

    memcpy(p, "\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14);
    assert_int_equal(feed(&ws, p, 14), FO_WS_EV_NONE);
    assert_true(ws.left == INT64_MAX);
    assert_true(ws.message == INT64_MAX);

    ws.state = 0;
    ws.message = UINT64_MAX - 1;

    n = text_frame(p, 0x80, "12");
    assert_int_equal(feed(&ws, p, n), FO_WS_EV_ERROR);
    assert_string_equal(out.text, "error 1009\n");
}


/* text is UTF-8, binary is anything */

static void
test_binary_is_not_text(void **state)
{
    u_char  p[64];
    size_t  n;

    (void) state;

    n = text_frame(p, 0x02, "\xff\xe2");
    n += text_frame(p + n, 0x80, "\x80");
    n += text_frame(p + n, 0x81, "ok");

    assert_string_equal(parse(p, n, MAX), "binary:\xff\xe2\x80\ntext:ok\n");

    n = text_frame(p, 0x89, "\xff");
    n += text_frame(p + n, 0x8a, "\xe2\x82");

    assert_string_equal(parse(p, n, MAX), "ping:\xff\npong:\xe2\x82\n");
}


static void
test_close_codes(void **state)
{
    char      want[32];
    u_char    p[16], body[2];
    size_t    n;
    unsigned  code, valid, total;

    static const unsigned  bad[] = {
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535
    };

    (void) state;

    total = 0;

    for (code = 0; code < 65536; code++) {
        valid = (unsigned) fo_ws_close_code_valid(code);
        total += valid;

        body[0] = (u_char) (code >> 8);
        body[1] = (u_char) code;
        n = frame(p, 0x88, body, 2, 0);

        sprintf(want, valid ? "close %u:\n" : "error 1002\n", code);

        assert_string_equal(parse(p, n, 0), want);
    }

    /* 1000 to 1003, 1007 to 1014, 3000 to 4999 */

    assert_int_equal(total, 4 + 8 + 2000);

    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        assert_false(fo_ws_close_code_valid(bad[n]));
    }

    assert_true(fo_ws_close_code_valid(1000));
    assert_true(fo_ws_close_code_valid(1003));
    assert_true(fo_ws_close_code_valid(1007));
    assert_true(fo_ws_close_code_valid(1014));
    assert_true(fo_ws_close_code_valid(3000));
    assert_true(fo_ws_close_code_valid(4999));
}


static void
test_control_of_125(void **state)
{
    u_char  p[300], payload[FO_WS_CONTROL_MAX];
    char    want[300];
    size_t  n;

    (void) state;

    memset(payload, 'p', sizeof(payload));

    n = frame(p, 0x89, payload, sizeof(payload), 0);
    n += frame(p + n, 0x8a, payload, sizeof(payload), 0);

    sprintf(want, "ping:%.125s\npong:%.125s\n", payload, payload);
    assert_string_equal(parse(p, n, 0), want);
}


static void
test_busy(void **state)
{
    u_char          p[64];
    size_t          i, n;
    fo_ws_parser_t  ws;

    (void) state;

    log_clear();
    fo_ws_parser_init(&ws, 100);
    assert_false(fo_ws_parser_busy(&ws));

    n = text_frame(p, 0x89, "abc");

    for (i = 0; i + 1 < n; i++) {
        feed(&ws, p + i, 1);
        assert_true(fo_ws_parser_busy(&ws));
    }

    feed(&ws, p + i, 1);
    assert_false(fo_ws_parser_busy(&ws));

    /* between fragments, and in control frames there */

    n = text_frame(p, 0x01, "");
    n += text_frame(p + n, 0x89, "abc");
    n += text_frame(p + n, 0x80, "");

    for (i = 0; i + 1 < n; i++) {
        feed(&ws, p + i, 1);
        assert_true(fo_ws_parser_busy(&ws));
    }

    feed(&ws, p + i, 1);
    assert_false(fo_ws_parser_busy(&ws));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_header_bytes),
        cmocka_unit_test(test_close_bytes),
        cmocka_unit_test(test_rfc_examples),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_piece_flags),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_unmask),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_binary_is_not_text),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_control_of_125),
        cmocka_unit_test(test_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
