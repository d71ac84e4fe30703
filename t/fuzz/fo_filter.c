
/*
 * Filters: parsing, text and parsing again; matching against a naive model;
 * whoever covers another matches all that it does.
 *
 *     byte 0: length of the first text; byte 1: of the second; both texts;
 *     the rest is a key
 */


#include "fo_test.h"
#include "core/fo_filter.h"


#define KEYS  8


typedef struct {
    int           rc;
    fo_filter_t   f;
    u_char       *text;    /* exact sizes: a byte too many is seen */
    u_char       *buf;
} parsed_t;


static void
check(int ok, const char *what)
{
    if (!ok) {
        fo_test_die(what);
    }
}


static u_char *
copy(const u_char *p, size_t len)
{
    u_char  *c;

    c = malloc(len);

    if (len) {
        memcpy(c, p, len);
    }

    return c;
}


static void
parse(parsed_t *p, const u_char *text, size_t len)
{
    fo_str_t     s;
    const char  *reason;

    p->text = copy(text, len);
    p->buf = malloc(len);

    s.data = p->text;
    s.len = len;
    reason = NULL;

    p->rc = fo_filter_parse(&p->f, &s, p->buf, &reason);

    check(p->rc == FO_OK ? reason == NULL
                         : p->rc == FO_ERROR && reason != NULL,
          "result and reason");

    if (p->rc == FO_OK) {
        check(len <= FO_FILTER_MAX, "too long");
        check(p->f.topic.len > 0 && p->f.topic.len <= FO_TOPIC_MAX
              && p->f.topic.len + p->f.key.len <= len, "lengths");
        check(p->f.kind != FO_FILTER_ALL || p->f.key.len == 0,
              "a key of all");
        check(p->f.kind != FO_FILTER_PREFIX || p->f.key.len > 0,
              "an empty prefix");
    }
}


static void
done(parsed_t *p)
{
    free(p->text);
    free(p->buf);
}


static void
roundtrip(const fo_filter_t *f)
{
    size_t    len, i;
    u_char   *text;
    parsed_t  again;

    len = fo_filter_text_len(f);
    text = malloc(len);

    check(fo_filter_text(f, text) == len, "length of the text");

    for (i = 0; i < len; i++) {
        check(text[i] > 0x20 && text[i] < 0x7f, "unprintable text");
    }

    parse(&again, text, len);

    if (len > FO_FILTER_MAX) {
        check(again.rc == FO_ERROR, "a text too long");

    } else {
        check(again.rc == FO_OK, "its own text refused");
        check(fo_filter_equal(f, &again.f)
              && fo_filter_equal(&again.f, f), "its own text differs");
        check(fo_filter_covers(f, &again.f)
              && fo_filter_covers(&again.f, f), "equal but not covered");
    }

    done(&again);
    free(text);
}


/* as the grammar says it, from the text, a byte at a time */

static int
model_match(const u_char *text, size_t len, const fo_str_t *key)
{
    int       c;
    char      hex[3];
    size_t    i, n;

    for (i = 0; i < len && text[i] != '/'; i++) { /* void */ }

    if (i == len || (i + 2 == len && text[i + 1] == '*')) {
        return 1;
    }

    if (key == NULL) {
        return 0;
    }

    for (i++, n = 0; i < len; i++, n++) {

        if (text[i] == '*') {
            return 1;
        }

        c = text[i];

        if (c == '%') {
            hex[0] = (char) text[i + 1];
            hex[1] = (char) text[i + 2];
            hex[2] = '\0';
            c = (int) strtol(hex, NULL, 16);
            i += 2;
        }

        if (n == key->len || key->data[n] != c) {
            return 0;
        }
    }

    return n == key->len;
}


/* keys that are near to what the filter wants, and the given one */

static void
near_key(const fo_filter_t *f, const u_char *rest, size_t len, int i,
    fo_str_t *key)
{
    key->len = f->key.len;

    switch (i) {

    case 0:
        key->len = len;
        key->data = copy(rest, len);
        return;

    case 1:
        key->len = 0;
        break;

    case 2:
        key->len -= (key->len > 0);
        break;

    case 3:
    case 4:
        key->len++;
        break;

    default:
        break;
    }

    key->data = malloc(key->len);

    if (key->len) {
        memset(key->data, len ? rest[0] : 0, key->len);
    }

    if (f->key.len) {
        memcpy(key->data, f->key.data, fo_min(key->len, f->key.len));
    }

    if (i >= 6 && key->len) {
        key->data[(i == 6) ? 0 : key->len - 1] ^= len ? rest[0] : 1;
    }
}


static void
matches(const parsed_t *a, size_t alen, const parsed_t *b, size_t blen,
    const fo_str_t *key)
{
    int  ma, mb;

    ma = fo_filter_match(&a->f, key);
    mb = fo_filter_match(&b->f, key);

    check(ma == model_match(a->text, alen, key), "match");
    check(mb == model_match(b->text, blen, key), "match");

    if (fo_filter_covers(&a->f, &b->f)) {
        check(ma || !mb, "covered but not matched");
    }

    if (fo_filter_covers(&b->f, &a->f)) {
        check(mb || !ma, "covered but not matched");
    }

    if (fo_filter_equal(&a->f, &b->f)) {
        check(ma == mb, "equal but not in matching");
    }
}


/* what is not covered has a key that shows it */

static void
witness(const fo_filter_t *by, const fo_filter_t *f)
{
    int       shown;
    size_t    i;
    fo_str_t  key;

    if (fo_filter_covers(by, f)
        || by->topic.len != f->topic.len
        || memcmp(by->topic.data, f->topic.data, f->topic.len) != 0)
    {
        return;
    }

    shown = fo_filter_match(f, NULL) && !fo_filter_match(by, NULL);

    key.len = f->key.len + 1;
    key.data = malloc(key.len);

    for (i = 0; i < 256 && !shown; i++) {
        if (f->key.len) {
            memcpy(key.data, f->key.data, f->key.len);
        }

        key.data[f->key.len] = (u_char) i;
        key.len = f->key.len + 1;
        shown = fo_filter_match(f, &key) && !fo_filter_match(by, &key);

        key.len = f->key.len;
        shown |= fo_filter_match(f, &key) && !fo_filter_match(by, &key);
    }

    check(shown, "not covered without a key to show it");

    free(key.data);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    int       i;
    size_t    alen, blen;
    fo_str_t  key;
    parsed_t  a, b;

    if (size < 2) {
        return 0;
    }

    alen = fo_min(data[0], size - 2);
    blen = fo_min(data[1], size - 2 - alen);
    data += 2;
    size -= 2;

    if (alen == 255) {
        alen = size - blen;    /* a long one */
    }

    parse(&a, data, alen);
    parse(&b, data + alen, blen);

    data += alen + blen;
    size -= alen + blen;

    if (a.rc == FO_OK) {
        roundtrip(&a.f);
        matches(&a, alen, &a, alen, NULL);
    }

    if (b.rc == FO_OK) {
        roundtrip(&b.f);
    }

    if (a.rc == FO_OK && b.rc == FO_OK) {
        matches(&a, alen, &b, blen, NULL);

        for (i = 0; i < 2 * KEYS; i++) {
            near_key((i < KEYS) ? &a.f : &b.f, data, size, i % KEYS, &key);
            matches(&a, alen, &b, blen, &key);
            free(key.data);
        }

        witness(&a.f, &b.f);
        witness(&b.f, &a.f);
    }

    done(&a);
    done(&b);

    return 0;
}
