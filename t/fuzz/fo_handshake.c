
/*
 * Input: three texts, a line each: a list or an origin, a host, a pattern.
 * Each lies in memory of its own size, so that a look behind its end is
 * seen; besides, what must hold whatever they are is checked.
 */


#include <stdlib.h>

#include "core/fo_handshake.h"


#define check(cond)  if (!(cond)) { __builtin_trap(); }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* "before", then the text, then "after" */

static fo_str_t
text(const char *before, const u_char *p, size_t len, const char *after)
{
    size_t    b, a;
    fo_str_t  s;

    b = strlen(before);
    a = strlen(after);

    s.len = b + len + a;
    s.data = malloc(s.len);
    check(s.data);

    memcpy(s.data, before, b);

    if (len) {
        memcpy(s.data + b, p, len);
    }

    memcpy(s.data + b + len, after, a);

    return s;
}


/* upper and lower case exchanged */

static fo_str_t
swapped(const fo_str_t *from)
{
    size_t    i;
    u_char    ch;
    fo_str_t  s;

    s = text("", from->data, from->len, "");

    for (i = 0; i < s.len; i++) {
        ch = s.data[i] | 0x20;

        if (ch >= 'a' && ch <= 'z') {
            s.data[i] ^= 0x20;
        }
    }

    return s;
}


static int
has(const fo_str_t *s, u_char ch)
{
    return s->len && memchr(s->data, ch, s->len) != NULL;
}


static void
test_list(const fo_str_t *value)
{
    int       rc, listed;
    char     *token;
    size_t    n;
    fo_str_t  rest, name, joined;

    rest = *value;
    n = 0;

    for ( ;; ) {
        rc = fo_handshake_next_protocol(&rest, &name);
        check(rest.data + rest.len == value->data + value->len);

        if (rc != FO_OK) {
            break;
        }

        check(name.len);
        check(name.data >= value->data && name.data + name.len <= rest.data);
        check(!has(&name, ',') && !has(&name, ' ') && !has(&name, '\0'));

        /* a protocol is one of the tokens of the same value */

        token = calloc(1, name.len + 1);
        check(token);
        memcpy(token, name.data, name.len);
        check(fo_handshake_has_token(value, token));
        free(token);

        check(++n <= value->len);
    }

    check(rc == FO_AGAIN || rc == FO_ERROR);
    check(rc == FO_ERROR || rest.len == 0);

    /* one element more is always found, and none is made up */

    listed = fo_handshake_has_token(value, "upgrade");
    check(!listed || value->len >= 7);

    joined = text("", value->data, value->len, " ,\tUPgrade ");
    check(fo_handshake_has_token(&joined, "upgrade"));
    free(joined.data);

    joined = text("", value->data, value->len, ", upgrade x");
    check(fo_handshake_has_token(&joined, "upgrade") == listed);
    free(joined.data);

    if (fo_handshake_key_valid(value)) {
        check(value->len == 24 && !has(value, ',') && has(value, '='));
    }
}


/* what is accepted as the same origin is the host behind "://", and no more */

static void
test_same(const fo_str_t *origin, const fo_str_t *host, const char *scheme)
{
    int       same;
    u_char   *name;
    size_t    len;
    fo_str_t  o, h;

    same = fo_handshake_same_origin(origin, host, scheme);

    o = swapped(origin);
    h = swapped(host);

    check(fo_handshake_same_origin(&o, &h, scheme) == same);

    free(o.data);
    free(h.data);

    if (!same) {
        return;
    }

    check(host->len);
    check(!has(origin, '@') && !has(origin, ' ') && !has(origin, '%'));
    check(!has(origin, '\\') && !has(origin, '?') && !has(origin, '#'));
    check(!has(origin, '*') && !has(origin, '\0'));
    check(fo_handshake_origin_match(origin, origin));

    name = memchr(origin->data, '/', origin->len);
    check(name && name[-1] == ':' && name[1] == '/');
    name += 2;

    len = (size_t) (origin->data + origin->len - name);
    check(memchr(name, '/', len) == NULL);

    /* up to the port, if any, both are of one length; "[" ends with "]" */

    h.data = host->data[0] == '[' ? memchr(host->data, ']', host->len)
                                  : memchr(host->data, ':', host->len);
    h.len = h.data ? (size_t) (h.data - host->data) : host->len;
    check(len >= h.len);

    o.data = name[0] == '[' ? memchr(name, ']', len) : memchr(name, ':', len);
    o.len = o.data ? (size_t) (o.data - name) : len;
    check(o.len == h.len);
}


static void
test_match(const fo_str_t *pattern, const fo_str_t *origin)
{
    int       match;
    fo_str_t  p, o;

    match = fo_handshake_origin_match(pattern, origin);

    p = swapped(pattern);
    o = swapped(origin);

    check(fo_handshake_origin_match(&p, &o) == match);

    free(p.data);
    free(o.data);

    check(!match || fo_handshake_pattern_valid(pattern));

    if (match && pattern->len > 1) {
        check(!has(origin, '@') && !has(origin, '*'));
        check(fo_handshake_pattern_valid(origin));
        check(fo_handshake_origin_match(origin, origin));

        /* but for a wildcard, the other way round as well */

        check(has(pattern, '*')
              || fo_handshake_origin_match(origin, pattern));
    }
}


/* a host that is one is the same as itself, and below its own wildcard */

static void
test_host(const fo_str_t *host)
{
    int       valid;
    fo_str_t  origin, sub, pattern;

    origin = text("http://", host->data, host->len, "");
    valid = fo_handshake_same_origin(&origin, host, "http");

    check(valid == fo_handshake_origin_match(&origin, &origin));
    check(valid == (fo_handshake_pattern_valid(&origin)
                    && !(host->len && host->data[0] == '*')));
    check(!valid || !fo_handshake_same_origin(&origin, host, "ftp")
          || has(host, ':'));

    sub = text("http://www.", host->data, host->len, "");
    pattern = text("http://*.", host->data, host->len, "");

    check(fo_handshake_origin_match(&pattern, &sub)
          == (valid && host->data[0] != '['));
    check(!fo_handshake_origin_match(&pattern, &origin));

    free(origin.data);
    free(sub.data);
    free(pattern.data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i;
    fo_str_t       s[3];
    const u_char  *p, *end;

    p = data;

    for (i = 0; i < 3; i++) {
        end = (i < 2 && size) ? memchr(p, '\n', size) : NULL;

        s[i] = text("", p, end ? (size_t) (end - p) : size, "");

        size -= s[i].len + (end ? 1 : 0);
        p = end ? end + 1 : p + s[i].len;
    }

    for (i = 0; i < 3; i++) {
        test_list(&s[i]);
        test_host(&s[i]);
    }

    test_same(&s[0], &s[1], "http");
    test_same(&s[0], &s[1], "https");
    test_match(&s[2], &s[0]);
    test_match(&s[0], &s[2]);

    for (i = 0; i < 3; i++) {
        free(s[i].data);
    }

    return 0;
}
