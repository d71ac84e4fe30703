
/*
 * The grammar of filters, their canonical form and what they match.
 */


#include "core/fo_filter.h"


static int fo_filter_topic(fo_str_t *topic, const u_char *p,
    const u_char *last, const char **reason);
static int fo_filter_key(fo_filter_t *f, const u_char *p, const u_char *last,
    const char **reason);
static int fo_filter_decode(u_char *byte, const u_char **p,
    const u_char *last);
static int fo_filter_hex(u_char c);
static int fo_filter_topic_byte(u_char c);
static int fo_filter_literal(u_char c);
static int fo_filter_begins(const fo_str_t *s, const fo_str_t *prefix);
static int fo_filter_same(const fo_str_t *a, const fo_str_t *b);


int
fo_filter_parse(fo_filter_t *f, const fo_str_t *text, u_char *buf,
    const char **reason)
{
    const u_char  *p, *last, *slash;

    if (text->len > FO_FILTER_MAX) {
        *reason = "longer than 1024 bytes";
        return FO_ERROR;
    }

    if (text->len == 0) {
        *reason = "empty topic";
        return FO_ERROR;
    }

    p = text->data;
    last = p + text->len;

    slash = memchr(p, '/', text->len);

    f->kind = FO_FILTER_ALL;
    f->topic.data = buf;
    f->topic.len = 0;

    if (fo_filter_topic(&f->topic, p, slash ? slash : last, reason)
        != FO_OK)
    {
        return FO_ERROR;
    }

    f->key.data = buf + f->topic.len;
    f->key.len = 0;

    if (slash == NULL) {
        return FO_OK;
    }

    return fo_filter_key(f, slash + 1, last, reason);
}


static int
fo_filter_topic(fo_str_t *topic, const u_char *p, const u_char *last,
    const char **reason)
{
    u_char  c;

    while (p < last) {

        if (fo_filter_decode(&c, &p, last) != FO_OK) {
            *reason = "bad percent-encoding";
            return FO_ERROR;
        }

        if (!fo_filter_topic_byte(c) && !(c == '@' && topic->len == 0)) {
            *reason = "illegal byte in the topic";
            return FO_ERROR;
        }

        if (topic->len == FO_TOPIC_MAX) {
            *reason = "topic longer than 249 bytes";
            return FO_ERROR;
        }

        topic->data[topic->len++] = c;
    }

    if (topic->len == 0) {
        *reason = "empty topic";
        return FO_ERROR;
    }

    if (topic->data[0] == '.'
        && (topic->len == 1
            || (topic->len == 2 && topic->data[1] == '.')))
    {
        *reason = "illegal topic";
        return FO_ERROR;
    }

    return FO_OK;
}


static int
fo_filter_key(fo_filter_t *f, const u_char *p, const u_char *last,
    const char **reason)
{
    u_char  c;

    f->kind = FO_FILTER_KEY;

    while (p < last) {

        if (*p == '/') {
            *reason = "second \"/\"";
            return FO_ERROR;
        }

        if (*p == '*') {

            if (p + 1 != last) {
                *reason = "\"*\" not at the end";
                return FO_ERROR;
            }

            f->kind = f->key.len ? FO_FILTER_PREFIX : FO_FILTER_ALL;
            return FO_OK;
        }

        if (fo_filter_decode(&c, &p, last) != FO_OK) {
            *reason = "bad percent-encoding";
            return FO_ERROR;
        }

        f->key.data[f->key.len++] = c;
    }

    return FO_OK;
}


/* takes one byte, encoded or not, from a text that is not at its end */

static int
fo_filter_decode(u_char *byte, const u_char **p, const u_char *last)
{
    int            high, low;
    const u_char  *s;

    s = *p;

    if (*s != '%') {
        *byte = *s;
        *p = s + 1;
        return FO_OK;
    }

    if (last - s < 3) {
        return FO_ERROR;
    }

    high = fo_filter_hex(s[1]);
    low = fo_filter_hex(s[2]);

    if (high < 0 || low < 0) {
        return FO_ERROR;
    }

    *byte = (u_char) (high << 4 | low);
    *p = s + 3;

    return FO_OK;
}


static int
fo_filter_hex(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return -1;
}


static int
fo_filter_topic_byte(u_char c)
{
    return (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || c == '.' || c == '_' || c == '-';
}


size_t
fo_filter_text(const fo_filter_t *f, u_char *buf)
{
    u_char  *p;

    memcpy(buf, f->topic.data, f->topic.len);
    p = buf + f->topic.len;

    if (f->kind == FO_FILTER_ALL) {
        return p - buf;
    }

    *p++ = '/';
    p += fo_filter_escape(p, &f->key);

    if (f->kind == FO_FILTER_PREFIX) {
        *p++ = '*';
    }

    return p - buf;
}


size_t
fo_filter_text_len(const fo_filter_t *f)
{
    size_t  i, len;

    len = f->topic.len;

    if (f->kind == FO_FILTER_ALL) {
        return len;
    }

    len += 1 + (f->kind == FO_FILTER_PREFIX);

    for (i = 0; i < f->key.len; i++) {
        len += fo_filter_literal(f->key.data[i]) ? 1 : 3;
    }

    return len;
}


size_t
fo_filter_escape(u_char *out, const fo_str_t *in)
{
    size_t   i;
    u_char   c, *p;

    static const u_char  hex[] = "0123456789ABCDEF";

    p = out;

    for (i = 0; i < in->len; i++) {
        c = in->data[i];

        if (fo_filter_literal(c)) {
            *p++ = c;
            continue;
        }

        *p++ = '%';
        *p++ = hex[c >> 4];
        *p++ = hex[c & 0xf];
    }

    return p - out;
}


/* may the byte stand for itself? */

static int
fo_filter_literal(u_char c)
{
    return c > 0x20 && c < 0x7f && c != '*' && c != '/' && c != '%';
}


int
fo_filter_match(const fo_filter_t *f, const fo_str_t *key)
{
    if (f->kind == FO_FILTER_ALL) {
        return 1;
    }

    if (key == NULL) {
        return 0;
    }

    if (f->kind == FO_FILTER_KEY) {
        return fo_filter_same(key, &f->key);
    }

    return fo_filter_begins(key, &f->key);
}


int
fo_filter_equal(const fo_filter_t *a, const fo_filter_t *b)
{
    return a->kind == b->kind
           && fo_filter_same(&a->topic, &b->topic)
           && fo_filter_same(&a->key, &b->key);
}


int
fo_filter_covers(const fo_filter_t *by, const fo_filter_t *f)
{
    if (!fo_filter_same(&by->topic, &f->topic)) {
        return 0;
    }

    if (by->kind == FO_FILTER_ALL) {
        return 1;
    }

    if (by->kind == FO_FILTER_KEY) {
        return f->kind == FO_FILTER_KEY && fo_filter_same(&by->key, &f->key);
    }

    return f->kind != FO_FILTER_ALL && fo_filter_begins(&f->key, &by->key);
}


static int
fo_filter_begins(const fo_str_t *s, const fo_str_t *prefix)
{
    return s->len >= prefix->len
           && (prefix->len == 0
               || memcmp(s->data, prefix->data, prefix->len) == 0);
}


static int
fo_filter_same(const fo_str_t *a, const fo_str_t *b)
{
    return a->len == b->len && fo_filter_begins(a, b);
}
