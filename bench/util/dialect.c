
/*
 * bare: a prompt, our filter, then two Binary messages a record, key and
 *       value; Text is a notice
 * pairs: the same without prompt and filter: the floor of writing
 * plain: the path says what is wanted; a message is a value (Nchan, and the
 *       service in Python)
 * nats: a stream of NATS' commands in Binary messages, cut anywhere
 */


#include "dialect.h"


const char  *session_filter;


static void bare_open(session_t *s);
static void bare_message(session_t *s, int opcode, unsigned char *p,
    size_t len);
static void plain_open(session_t *s);
static void plain_message(session_t *s, int opcode, unsigned char *p,
    size_t len);
static void nats_open(session_t *s);
static void nats_message(session_t *s, int opcode, unsigned char *p,
    size_t len);
static size_t nats_parse(session_t *s, unsigned char *p, size_t len);
static size_t nats_msg(session_t *s, unsigned char *p, size_t line,
    size_t len);


static const dialect_t  dialects[] = {
    { "bare", bare_open, bare_message },
    { "pairs", plain_open, bare_message },
    { "plain", plain_open, plain_message },
    { "nats", nats_open, nats_message },
    { NULL, NULL, NULL }
};


const dialect_t *
dialect_find(const char *name)
{
    const dialect_t  *d;

    for (d = dialects; d->name; d++) {
        if (strcmp(d->name, name) == 0) {
            return d;
        }
    }

    return NULL;
}


static void
bare_open(session_t *s)
{
    /* the prompt comes first */
}


static void
bare_message(session_t *s, int opcode, unsigned char *p, size_t len)
{
    char  filter[CLIENT_FRAME_MAX];

    if (opcode == WS_BINARY) {
        if (s->keyed) {
            session_value(s, p, len);
        }

        s->keyed = !s->keyed;
        return;
    }

    if (s->subscribed) {
        session_notice(s, p, len);
        return;
    }

    expand(filter, sizeof(filter), session_filter, s->number);

    (void) client_frame(&s->client, WS_TEXT, filter, strlen(filter));
    session_subscribed(s);
}


static void
plain_open(session_t *s)
{
    session_subscribed(s);
}


static void
plain_message(session_t *s, int opcode, unsigned char *p, size_t len)
{
    session_value(s, p, len);
}


static void
nats_open(session_t *s)
{
    /* INFO comes first */
}


static void
nats_message(session_t *s, int opcode, unsigned char *p, size_t len)
{
    size_t          used;
    unsigned char  *whole;

    whole = NULL;

    if (s->cut_len) {
        whole = realloc(s->cut, s->cut_len + len);
        if (whole == NULL) {
            die("out of memory");
        }

        memcpy(whole + s->cut_len, p, len);

        p = whole;
        len += s->cut_len;

        s->cut = NULL;
        s->cut_len = 0;
    }

    used = nats_parse(s, p, len);

    if (used < len && s->client.state != CLIENT_NONE) {
        s->cut_len = len - used;
        s->cut = malloc(s->cut_len);
        if (s->cut == NULL) {
            die("out of memory");
        }

        memcpy(s->cut, p + used, s->cut_len);
    }

    free(whole);
}


/* returns how much was whole commands */

static size_t
nats_parse(session_t *s, unsigned char *p, size_t len)
{
    int             n;
    char            filter[256], text[512];
    size_t          used, line, size;
    unsigned char  *end;

    for (used = 0; used < len; used += line) {
        end = memmem(p + used, len - used, "\r\n", 2);
        if (end == NULL) {
            break;
        }

        line = end + 2 - (p + used);

        if (memcmp(p + used, "MSG ", 4) == 0) {
            size = nats_msg(s, p + used, line, len - used);
            if (size == 0) {
                break;
            }

            line = size;

        } else if (memcmp(p + used, "INFO", 4) == 0) {
            expand(filter, sizeof(filter), session_filter, s->number);
            n = snprintf(text, sizeof(text),
                         "CONNECT {\"verbose\":false,\"pedantic\":false,"
                         "\"protocol\":1}\r\nSUB %s 1\r\nPING\r\n", filter);
            (void) client_frame(&s->client, WS_BINARY, text, n);

        } else if (memcmp(p + used, "PING", 4) == 0) {
            (void) client_frame(&s->client, WS_BINARY, "PONG\r\n", 6);

        } else if (memcmp(p + used, "PONG", 4) == 0) {
            session_subscribed(s);

        } else {
            session_notice(s, p + used, line - 2);
        }
    }

    return used;
}


/* "MSG subject sid size" and its bytes; 0: not all here */

static size_t
nats_msg(session_t *s, unsigned char *p, size_t line, size_t len)
{
    size_t  i, size, unit;

    size = 0;
    unit = 1;

    for (i = line - 3; p[i] >= '0' && p[i] <= '9'; i--) {
        size += (p[i] - '0') * unit;
        unit *= 10;
    }

    if (len < line + size + 2) {
        return 0;
    }

    session_value(s, p + line, size);

    return line + size + 2;
}
