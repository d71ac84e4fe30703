
/*
 * What is done to bytes: frames built, frames read, UTF-8; n is the number
 * of bytes in a value or message.
 */


#include "micro.h"

#include "core/fo_ws.h"
#include "proto/fo_dialect.h"


static u_char    *out;          /* a frame */
static u_char    *in;           /* a masked message, as it came */
static u_char    *copy;         /* parsed in place, so a new one each time */
static size_t     in_len;
static u_char    *text;
static unsigned   copying;      /* only the copy, for comparison */


static void
frame_setup(micro_t *m)
{
    out = malloc(m->n + 64);
    text = malloc(m->n + 1);

    if (out == NULL || text == NULL) {
        die("out of memory");
    }

    memset(text, 'x', m->n);
}


static uint64_t
frame_run(micro_t *m)
{
    uint32_t     key;
    uint64_t     i;
    fo_record_t  rec;

    memset(&rec, 0, sizeof(fo_record_t));

    rec.key = (u_char *) "key-123456";
    rec.key_len = 10;
    rec.value = text;
    rec.value_len = m->n;

    for (i = 0; i < m->ops; i++) {
        m->sink += fo_bare.record_len(&rec);
        fo_bare.record(&rec, out, &key);
        m->sink += out[i % m->n];
    }

    return m->ops;
}


/* ASCII, or two thirds of it characters of two and three bytes */

static void
utf8_fill(micro_t *m, int ascii)
{
    size_t  i;

    static const char  some[] = "abc\xc3\xa9\xe2\x82\xac";

    text = malloc(m->n + 8);
    if (text == NULL) {
        die("out of memory");
    }

    memset(text, 'a', m->n);

    for (i = 0; !ascii && i + 8 <= m->n; i += 8) {
        memcpy(text + i, some, 8);
    }
}


static void
utf8_setup_ascii(micro_t *m)
{
    utf8_fill(m, 1);
}


static void
utf8_setup_mixed(micro_t *m)
{
    utf8_fill(m, 0);
}


static uint64_t
utf8_run(micro_t *m)
{
    uint64_t   i;
    fo_utf8_t  u;

    for (i = 0; i < m->ops; i++) {
        fo_utf8_init(&u);

        if (fo_utf8_check(&u, text, m->n) != FO_OK) {
            die("no UTF-8");
        }
    }

    return m->ops;
}


static void
parse_setup(micro_t *m, unsigned opcode)
{
    size_t         i;
    u_char        *p;

    static const u_char  mask[4] = { 0x12, 0x34, 0x56, 0x78 };

    utf8_fill(m, 1);

    in = malloc(m->n + 64);
    copy = malloc(m->n + 64);

    if (in == NULL || copy == NULL) {
        die("out of memory");
    }

    p = in + fo_ws_header(in, opcode, m->n);
    in[1] |= 0x80;
    memcpy(p, mask, 4);
    p += 4;

    for (i = 0; i < m->n; i++) {
        *p++ = text[i] ^ mask[i & 3];
    }

    in_len = p - in;
}


static void
parse_setup_binary(micro_t *m)
{
    parse_setup(m, FO_WS_BINARY);
}


static void
parse_setup_text(micro_t *m)
{
    parse_setup(m, FO_WS_TEXT);
}


static void
parse_setup_copy(micro_t *m)
{
    parse_setup(m, FO_WS_BINARY);
    copying = 1;
}


static uint64_t
parse_run(micro_t *m)
{
    u_char          *p;
    uint64_t         i, got;
    fo_ws_event_t    ev;
    fo_ws_parser_t   ws;

    fo_ws_parser_init(&ws, 1 << 20);

    for (i = 0, got = 0; i < m->ops; i++) {
        memcpy(copy, in, in_len);
        m->sink += copy[i % in_len];
        p = copy;

        while (!copying && fo_ws_parse(&ws, &p, copy + in_len, &ev)
                           == FO_WS_EV_DATA)
        {
            got += ev.data.len;
        }
    }

    if (!copying && got != m->ops * m->n) {
        die("not all was read");
    }

    return m->ops;
}


const micro_case_t  micro_bytes[] = {
    { "frame", frame_setup, frame_run, NULL },
    { "utf8-ascii", utf8_setup_ascii, utf8_run, NULL },
    { "utf8-mixed", utf8_setup_mixed, utf8_run, NULL },
    { "copy", parse_setup_copy, parse_run, NULL },
    { "copy-parse-binary", parse_setup_binary, parse_run, NULL },
    { "copy-parse-text", parse_setup_text, parse_run, NULL },
    { NULL, NULL, NULL, NULL }
};
