
/*
 * Filters: every rule of the grammar with its canonical form or its error,
 * the text form, and what a filter matches and covers.
 */


#include "fo_test.h"
#include "core/fo_filter.h"


#define A  FO_FILTER_ALL
#define K  FO_FILTER_KEY
#define P  FO_FILTER_PREFIX


typedef struct {
    const char        *text;
    fo_filter_kind_e   kind;
    const char        *topic;
    const char        *key;
    const char        *canonical;    /* NULL: the same text */
} good_t;


typedef struct {
    const char        *text;
    const char        *reason;
} bad_t;


static const good_t  good[] = {
    { "t", A, "t", "", NULL },
    { "orders", A, "orders", "", NULL },
    { "a.B_c-9", A, "a.B_c-9", "", NULL },
    { "...", A, "...", "", NULL },
    { ".a", A, ".a", "", NULL },
    { "..a", A, "..a", "", NULL },
    { "@clock", A, "@clock", "", NULL },
    { "%40clock", A, "@clock", "", "@clock" },
    { "@clock/tick", K, "@clock", "tick", NULL },
    { "%6frd%65rs", A, "orders", "", "orders" },
    { "orders/*", A, "orders", "", "orders" },
    { "orders/", K, "orders", "", NULL },
    { "orders/42", K, "orders", "42", NULL },
    { "orders/%34%32", K, "orders", "42", "orders/42" },
    { "orders/42*", P, "orders", "42", NULL },
    { "orders/4", K, "orders", "4", NULL },
    { "orders/%2A", K, "orders", "*", NULL },
    { "orders/%2a", K, "orders", "*", "orders/%2A" },
    { "orders/%2a*", P, "orders", "*", "orders/%2A*" },
    { "orders/a%2Ab", K, "orders", "a*b", NULL },
    { "orders/%2f", K, "orders", "/", "orders/%2F" },
    { "orders/a%2Fb%2F*", P, "orders", "a/b/", NULL },
    { "orders/%25", K, "orders", "%", NULL },
    { "orders/%2541", K, "orders", "%41", NULL },
    { "orders/a b", K, "orders", "a b", "orders/a%20b" },
    { "orders/@.-_~?#&+", K, "orders", "@.-_~?#&+", NULL },
    { "orders/\xd0\xb0", K, "orders", "\xd0\xb0", "orders/%D0%B0" },
    { "orders/%ff\n\x7f\x7e", K, "orders", "\xff\n\x7f\x7e",
      "orders/%FF%0A%7F~" },
};


static const bad_t  bad[] = {
    { "", "empty topic" },
    { "/", "empty topic" },
    { "/key", "empty topic" },
    { "/*", "empty topic" },
    { "*", "illegal byte in the topic" },
    { "*/key", "illegal byte in the topic" },
    { "ord*", "illegal byte in the topic" },
    { "ord%2A", "illegal byte in the topic" },
    { "a@b", "illegal byte in the topic" },
    { "@@b", "illegal byte in the topic" },
    { "a b", "illegal byte in the topic" },
    { "a%2Fb", "illegal byte in the topic" },
    { "a%00b", "illegal byte in the topic" },
    { "a\n", "illegal byte in the topic" },
    { "a:b/key", "illegal byte in the topic" },
    { "\xd0\xb0", "illegal byte in the topic" },
    { ".", "illegal topic" },
    { "..", "illegal topic" },
    { "./key", "illegal topic" },
    { "%2E%2e/key", "illegal topic" },
    { "a/b/c", "second \"/\"" },
    { "a/b/", "second \"/\"" },
    { "a//", "second \"/\"" },
    { "a//*", "second \"/\"" },
    { "a/**", "\"*\" not at the end" },
    { "a/*b", "\"*\" not at the end" },
    { "a/b*c", "\"*\" not at the end" },
    { "a/b**", "\"*\" not at the end" },
    { "a/*/", "\"*\" not at the end" },
    { "%", "bad percent-encoding" },
    { "a%4", "bad percent-encoding" },
    { "a%4/1", "bad percent-encoding" },
    { "a/%", "bad percent-encoding" },
    { "a/%4", "bad percent-encoding" },
    { "a/%4g", "bad percent-encoding" },
    { "a/%g4", "bad percent-encoding" },
    { "a/%-1", "bad percent-encoding" },
    { "a/% 1", "bad percent-encoding" },
    { "a/%4*", "bad percent-encoding" },
    { "a/b%%41", "bad percent-encoding" },
    { "a/%:0", "bad percent-encoding" },
    { "a/%`0", "bad percent-encoding" },
    { "a/%@0", "bad percent-encoding" },
    { "a/%\x11" "0", "bad percent-encoding" },
};


static fo_str_t
str(const char *text)
{
    fo_str_t  s;

    s.len = strlen(text);
    s.data = (u_char *) text;

    return s;
}


/* both buffers of exact size, so that a byte too many is seen */

static int
parse(fo_filter_t *f, const void *text, size_t len, u_char **buf,
    const char **reason)
{
    int       rc;
    u_char   *copy;
    fo_str_t  s;

    copy = malloc(len);
    *buf = malloc(len);
    assert_true(len == 0 || (copy && *buf));

    if (len) {
        memcpy(copy, text, len);
    }

    s.len = len;
    s.data = copy;

    *reason = NULL;
    rc = fo_filter_parse(f, &s, *buf, reason);

    free(copy);

    if (rc == FO_ERROR) {
        assert_non_null(*reason);
    } else {
        assert_int_equal(rc, FO_OK);
        assert_null(*reason);
    }

    return rc;
}


static void
check_part(const fo_str_t *s, const char *text)
{
    assert_int_equal(s->len, strlen(text));

    if (s->len) {
        assert_memory_equal(s->data, text, s->len);
    }
}


static void
test_good(void **state)
{
    size_t         i, len;
    u_char        *buf, *buf2, *text;
    const char    *reason, *canonical;
    fo_filter_t    f, again;
    const good_t  *g;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        g = &good[i];

        if (parse(&f, g->text, strlen(g->text), &buf, &reason) != FO_OK) {
            fail_msg("\"%s\" refused: %s", g->text, reason);
        }

        assert_int_equal(f.kind, g->kind);
        check_part(&f.topic, g->topic);
        check_part(&f.key, g->key);

        canonical = g->canonical ? g->canonical : g->text;

        len = fo_filter_text_len(&f);
        text = malloc(len);

        assert_int_equal(len, strlen(canonical));
        assert_int_equal(fo_filter_text(&f, text), len);
        assert_memory_equal(text, canonical, len);

        assert_int_equal(parse(&again, text, len, &buf2, &reason), FO_OK);
        assert_true(fo_filter_equal(&f, &again));

        free(text);
        free(buf);
        free(buf2);
    }
}


static void
test_bad(void **state)
{
    size_t        i;
    u_char       *buf;
    const char   *reason;
    fo_filter_t   f;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {

        if (parse(&f, bad[i].text, strlen(bad[i].text), &buf, &reason)
            == FO_OK)
        {
            fail_msg("\"%s\" accepted", bad[i].text);
        }

        assert_string_equal(reason, bad[i].reason);
        free(buf);
    }
}


/* each byte alone as a topic, as a key and, encoded, as both */

static void
test_every_byte(void **state)
{
    int           i, legal, rc;
    char          hex[8];
    u_char       *buf, text[4];
    const char   *reason;
    fo_filter_t   f;

    for (i = 0; i < 256; i++) {
        legal = i && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                            "UVWXYZ0123456789._-", i) != NULL;

        text[0] = 'a';
        text[1] = (u_char) i;
        text[2] = 'a';

        rc = parse(&f, text, 3, &buf, &reason);
        assert_int_equal(rc, legal || i == '/' ? FO_OK : FO_ERROR);
        free(buf);

        sprintf(hex, "a%%%02x", (unsigned) i);
        assert_int_equal(parse(&f, hex, 4, &buf, &reason),
                         legal ? FO_OK : FO_ERROR);
        free(buf);

        text[1] = '/';
        text[2] = (u_char) i;
        text[3] = 'a';

        rc = parse(&f, text, 4, &buf, &reason);
        assert_int_equal(rc, i == '/' || i == '*' || i == '%'
                             ? FO_ERROR : FO_OK);

        if (rc == FO_OK) {
            assert_int_equal(f.kind, FO_FILTER_KEY);
            assert_int_equal(f.key.len, 2);
            assert_int_equal(f.key.data[0], i);
            assert_int_equal(f.key.data[1], 'a');
        }

        free(buf);

        sprintf(hex, "a/%%%02X*", (unsigned) i);
        assert_int_equal(parse(&f, hex, 6, &buf, &reason), FO_OK);
        assert_int_equal(f.kind, FO_FILTER_PREFIX);
        assert_int_equal(f.key.len, 1);
        assert_int_equal(f.key.data[0], i);
        free(buf);
    }
}


static void
test_lengths(void **state)
{
    u_char       *buf, text[FO_FILTER_MAX + 1];
    const char   *reason;
    fo_filter_t   f;

    memset(text, 'x', sizeof(text));

    assert_int_equal(parse(&f, text, 249, &buf, &reason), FO_OK);
    assert_int_equal(f.topic.len, 249);
    free(buf);

    assert_int_equal(parse(&f, text, 250, &buf, &reason), FO_ERROR);
    assert_string_equal(reason, "topic longer than 249 bytes");
    free(buf);

    /* an encoded byte is one */

    memcpy(text + 246, "%78%79%7A", 9);
    assert_int_equal(parse(&f, text, 255, &buf, &reason), FO_OK);
    assert_int_equal(f.topic.len, 249);
    assert_memory_equal(f.topic.data + 246, "xyz", 3);
    free(buf);

    assert_int_equal(parse(&f, text, 256, &buf, &reason), FO_ERROR);
    assert_string_equal(reason, "topic longer than 249 bytes");
    free(buf);

    memset(text, 'x', sizeof(text));
    text[1] = '/';

    assert_int_equal(parse(&f, text, FO_FILTER_MAX, &buf, &reason), FO_OK);
    assert_int_equal(f.key.len, FO_FILTER_MAX - 2);
    free(buf);

    assert_int_equal(parse(&f, text, FO_FILTER_MAX + 1, &buf, &reason),
                     FO_ERROR);
    assert_string_equal(reason, "longer than 1024 bytes");
    free(buf);
}


static void
test_null_text(void **state)
{
    fo_str_t      empty = { 0, NULL };
    const char   *reason;
    fo_filter_t   f;

    assert_int_equal(fo_filter_parse(&f, &empty, NULL, &reason), FO_ERROR);
    assert_string_equal(reason, "empty topic");
}


static void
test_zero_byte_in_key(void **state)
{
    u_char       *buf;
    fo_str_t      key;
    const char   *reason;
    fo_filter_t   f;

    assert_int_equal(parse(&f, "t/a\0b", 5, &buf, &reason), FO_OK);
    assert_int_equal(f.key.len, 3);
    assert_memory_equal(f.key.data, "a\0b", 3);

    key.data = (u_char *) "a\0b";
    key.len = 3;
    assert_true(fo_filter_match(&f, &key));

    key.data = (u_char *) "a\0c";
    assert_false(fo_filter_match(&f, &key));

    key.len = 1;
    assert_false(fo_filter_match(&f, &key));

    free(buf);
}


/* a filter of nothing but bytes to encode has a text that is too long */

static void
test_text_longer_than_it_may_be(void **state)
{
    u_char        text[FO_FILTER_MAX], out[3 * FO_FILTER_MAX], *buf, *buf2;
    size_t        len;
    const char   *reason;
    fo_filter_t   f, again;

    memset(text, 0xff, sizeof(text));
    text[0] = 't';
    text[1] = '/';

    /* 2 + 340 * 3 = 1022 */

    assert_int_equal(parse(&f, text, 342, &buf, &reason), FO_OK);
    assert_int_equal(fo_filter_text_len(&f), 1022);

    len = fo_filter_text(&f, out);
    assert_int_equal(len, 1022);
    assert_memory_equal(out + len - 6, "%FF%FF", 6);
    assert_int_equal(parse(&again, out, len, &buf2, &reason), FO_OK);
    assert_true(fo_filter_equal(&f, &again));

    free(buf);
    free(buf2);

    assert_int_equal(parse(&f, text, 343, &buf, &reason), FO_OK);
    len = fo_filter_text(&f, out);
    assert_int_equal(len, 1025);
    assert_int_equal(parse(&again, out, len, &buf2, &reason), FO_ERROR);
    assert_string_equal(reason, "longer than 1024 bytes");

    free(buf);
    free(buf2);
}


static void
test_escape(void **state)
{
    int        i;
    u_char     c, out[3];
    fo_str_t   s;

    s.len = 1;
    s.data = &c;

    for (i = 0; i < 256; i++) {
        c = (u_char) i;

        if (i <= 0x20 || i >= 0x7f || i == '*' || i == '/' || i == '%') {
            char  hex[4];

            sprintf(hex, "%%%02X", (unsigned) i);
            assert_int_equal(fo_filter_escape(out, &s), 3);
            assert_memory_equal(out, hex, 3);

        } else {
            assert_int_equal(fo_filter_escape(out, &s), 1);
            assert_int_equal(out[0], i);
        }
    }

    s.len = 0;
    s.data = NULL;
    assert_int_equal(fo_filter_escape(out, &s), 0);
}


static int
match(const char *text, const char *key)
{
    int           rc;
    u_char       *buf;
    fo_str_t      s;
    const char   *reason;
    fo_filter_t   f;

    assert_int_equal(parse(&f, text, strlen(text), &buf, &reason), FO_OK);

    if (key == NULL) {
        rc = fo_filter_match(&f, NULL);

    } else {
        s = str(key);
        rc = fo_filter_match(&f, &s);
    }

    free(buf);

    return rc;
}


static void
test_match(void **state)
{
    u_char        buf[8];
    fo_str_t      empty = { 0, NULL }, text;
    const char   *reason;
    fo_filter_t   f;

    assert_true(match("t", NULL));
    assert_true(match("t", ""));
    assert_true(match("t", "a"));
    assert_true(match("t/*", NULL));
    assert_true(match("t/*", "a"));

    assert_true(match("t/", ""));
    assert_false(match("t/", NULL));
    assert_false(match("t/", "a"));

    assert_true(match("t/ab", "ab"));
    assert_false(match("t/ab", NULL));
    assert_false(match("t/ab", ""));
    assert_false(match("t/ab", "a"));
    assert_false(match("t/ab", "abc"));
    assert_false(match("t/ab", "aB"));
    assert_false(match("t/ab", "xb"));

    assert_true(match("t/ab*", "ab"));
    assert_true(match("t/ab*", "abc"));
    assert_true(match("t/ab*", "ab*"));
    assert_false(match("t/ab*", NULL));
    assert_false(match("t/ab*", ""));
    assert_false(match("t/ab*", "a"));
    assert_false(match("t/ab*", "acb"));

    assert_true(match("t/%2A", "*"));
    assert_false(match("t/%2A", "a"));

    /* an empty key without a place */

    text = str("t/");
    assert_int_equal(fo_filter_parse(&f, &text, buf, &reason), FO_OK);
    assert_true(fo_filter_match(&f, &empty));

    text = str("t/a*");
    assert_int_equal(fo_filter_parse(&f, &text, buf, &reason), FO_OK);
    assert_false(fo_filter_match(&f, &empty));
}


typedef struct {
    const char  *by;
    const char  *f;
    int          covers;
    int          equal;
} pair_t;


static const pair_t  pairs[] = {
    { "t", "t", 1, 1 },
    { "t", "t/*", 1, 1 },
    { "t", "t/a", 1, 0 },
    { "t", "t/a*", 1, 0 },
    { "t", "t/", 1, 0 },
    { "t", "u", 0, 0 },
    { "t", "tt", 0, 0 },
    { "tt", "t/a", 0, 0 },
    { "t/a", "t", 0, 0 },
    { "t/a", "t/a", 1, 1 },
    { "t/a", "t/%61", 1, 1 },
    { "t/a", "t/b", 0, 0 },
    { "t/a", "t/ab", 0, 0 },
    { "t/a", "t/a*", 0, 0 },
    { "t/a", "u/a", 0, 0 },
    { "t/", "t/", 1, 1 },
    { "t/", "t/a", 0, 0 },
    { "t/", "t", 0, 0 },
    { "t/a*", "t", 0, 0 },
    { "t/a*", "t/", 0, 0 },
    { "t/a*", "t/a", 1, 0 },
    { "t/a*", "t/ab", 1, 0 },
    { "t/a*", "t/b", 0, 0 },
    { "t/a*", "t/a*", 1, 1 },
    { "t/a*", "t/ab*", 1, 0 },
    { "t/ab*", "t/a*", 0, 0 },
    { "t/ab*", "t/a", 0, 0 },
    { "t/a*", "u/a*", 0, 0 },
    { "t/a*", "t/a%2A", 1, 0 },
    { "t/%2A", "t/*", 0, 0 },
};


static void
test_covers_and_equal(void **state)
{
    size_t         i;
    u_char        *buf, *buf2;
    const char    *reason;
    fo_filter_t    by, f;
    const pair_t  *p;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        p = &pairs[i];

        assert_int_equal(parse(&by, p->by, strlen(p->by), &buf, &reason),
                         FO_OK);
        assert_int_equal(parse(&f, p->f, strlen(p->f), &buf2, &reason),
                         FO_OK);

        if (fo_filter_covers(&by, &f) != p->covers) {
            fail_msg("\"%s\" covers \"%s\": not %d", p->by, p->f, p->covers);
        }

        assert_int_equal(fo_filter_equal(&by, &f), p->equal);
        assert_int_equal(fo_filter_equal(&f, &by), p->equal);

        free(buf);
        free(buf2);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_null_text),
        cmocka_unit_test(test_zero_byte_in_key),
        cmocka_unit_test(test_text_longer_than_it_may_be),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_covers_and_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
