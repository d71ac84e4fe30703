
/*
 * Header values of the opening handshake: lists of tokens, keys, and above
 * all origins that look like another one.
 */


#include "fo_test.h"
#include "core/fo_handshake.h"


/* a text in memory of its own, not terminated */

static fo_str_t
text(const char *s)
{
    fo_str_t  str;

    str.len = strlen(s);
    str.data = malloc(str.len);

    if (str.len) {
        memcpy(str.data, s, str.len);
    }

    return str;
}


static int
has_token(const char *s, const char *token)
{
    int       rc;
    fo_str_t  value;

    value = text(s);
    rc = fo_handshake_has_token(&value, token);
    free(value.data);

    return rc;
}


static int
key_valid(const char *s)
{
    int       rc;
    fo_str_t  key;

    key = text(s);
    rc = fo_handshake_key_valid(&key);
    free(key.data);

    return rc;
}


static int
same_origin(const char *o, const char *h, const char *scheme)
{
    int       rc;
    fo_str_t  origin, host;

    origin = text(o);
    host = text(h);
    rc = fo_handshake_same_origin(&origin, &host, scheme);
    free(origin.data);
    free(host.data);

    return rc;
}


static int
origin_match(const char *p, const char *o)
{
    int       rc;
    fo_str_t  pattern, origin;

    pattern = text(p);
    origin = text(o);
    rc = fo_handshake_origin_match(&pattern, &origin);
    free(pattern.data);
    free(origin.data);

    return rc;
}


static int
pattern_valid(const char *p)
{
    int       rc;
    fo_str_t  pattern;

    pattern = text(p);
    rc = fo_handshake_pattern_valid(&pattern);
    free(pattern.data);

    return rc;
}


static void
test_token(void **state)
{
    size_t    i;
    fo_str_t  empty;

    static const char  *yes[] = {
        "upgrade", "Upgrade", "UPGRADE", " upgrade", "upgrade\t",
        "keep-alive, Upgrade", "Upgrade,keep-alive", "a,b , \tupgrade ,c",
        ",,upgrade", ", ,upgrade,", "upgrade,", "upgrades, upgrade"
    };

    static const char  *no[] = {
        "", " ", ",", ",,, ,", "close", "upgrades", "xupgrade", "upgrad",
        "up grade", "upgrade x", "upgrade/1", "upgrade;q=1", "\"upgrade\"",
        "keep-alive, upgradeX", "keep-alive upgrade", "up,grade",
        "upgrade\r", "\vupgrade"
    };

    (void) state;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!has_token(yes[i], "upgrade")) {
            fail_msg("not found in \"%s\"", yes[i]);
        }
    }

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (has_token(no[i], "upgrade")) {
            fail_msg("found in \"%s\"", no[i]);
        }
    }

    empty.len = 0;
    empty.data = NULL;

    assert_false(fo_handshake_has_token(&empty, "upgrade"));

    /* 0x20 apart, but no letters */

    assert_false(has_token("a[b", "a{b"));
    assert_false(has_token("a@b", "a`b"));
}


static void
test_key(void **state)
{
    char    key[32];
    size_t  i;

    static const char  *no[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQ= ",
        " dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j-Q==",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25jZQAAAA==",
        "c2hvcnQ=",
    };

    (void) state;

    /* RFC 6455, 1.3 */

    assert_true(key_valid("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_true(key_valid("AAAAAAAAAAAAAAAAAAAAAA=="));
    assert_true(key_valid("+/+/+/+/+/+/+/+/+/+/+g=="));

    /* unused bits that are not 0 */

    assert_true(key_valid("dGhlIHNhbXBsZSBub25jZR=="));

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (key_valid(no[i])) {
            fail_msg("valid: \"%s\"", no[i]);
        }
    }

    for (i = 0; i < 24; i++) {
        strcpy(key, "dGhlIHNhbXBsZSBub25jZQ==");
        key[i] = '*';
        assert_false(key_valid(key));
    }
}


/* all names with a bar behind each, then what ended the walk */

static const char *
protocols(const char *s)
{
    int          rc;
    size_t       n;
    fo_str_t     value, rest, name;
    static char  found[200];

    value = text(s);
    rest = value;
    n = 0;

    while ((rc = fo_handshake_next_protocol(&rest, &name)) == FO_OK) {
        n += (size_t) sprintf(found + n, "%.*s|", (int) name.len, name.data);
    }

    sprintf(found + n, "%s", rc == FO_AGAIN ? "end" : "error");

    free(value.data);

    return found;
}


static void
test_protocols(void **state)
{
    fo_str_t  empty, name;

    (void) state;

    assert_string_equal(protocols(""), "end");
    assert_string_equal(protocols(" \t, ,"), "end");
    assert_string_equal(protocols("json"), "json|end");
    assert_string_equal(protocols("json,nats"), "json|nats|end");
    assert_string_equal(protocols(" json ,\tnats\t, bare "),
                        "json|nats|bare|end");
    assert_string_equal(protocols(",,json,,nats,"), "json|nats|end");
    assert_string_equal(protocols("JSON"), "JSON|end");

    /* RFC 9110, 5.6.2: each character of a token that is no letter */

    assert_string_equal(protocols("!#$%&'*+-.^_`|~09AZaz"),
                        "!#$%&'*+-.^_`|~09AZaz|end");

    assert_string_equal(protocols("json nats"), "error");
    assert_string_equal(protocols("json, na/ts"), "json|error");
    assert_string_equal(protocols("json;v=1"), "error");
    assert_string_equal(protocols("\"json\""), "error");
    assert_string_equal(protocols("json, \xc3\xa4"), "json|error");
    assert_string_equal(protocols("json\x7f"), "error");
    assert_string_equal(protocols("(json)"), "error");
    assert_string_equal(protocols("json\r\nX: y"), "error");
    assert_string_equal(protocols("a@b"), "error");

    empty.len = 0;
    empty.data = NULL;

    assert_int_equal(fo_handshake_next_protocol(&empty, &name), FO_AGAIN);

    /* a NUL is not a token's character */

    empty.len = 1;
    empty.data = (u_char *) "";

    assert_int_equal(fo_handshake_next_protocol(&empty, &name), FO_ERROR);
}


static void
test_same_origin(void **state)
{
    size_t  i;

    static const char  *yes[][3] = {
        { "http://good.com",          "good.com",        "http" },
        { "https://good.com",         "good.com",        "https" },
        { "HTTP://GOOD.com",          "good.COM",        "http" },
        { "http://good.com:80",       "good.com",        "http" },
        { "http://good.com",          "good.com:80",     "http" },
        { "https://good.com:443",     "good.com",        "https" },
        { "https://good.com",         "good.com:443",    "https" },
        { "http://good.com:8080",     "good.com:8080",   "http" },
        { "http://good.com:65535",    "good.com:65535",  "http" },
        { "http://127.0.0.1:8080",    "127.0.0.1:8080",  "http" },
        { "http://localhost",         "localhost",       "http" },
        { "http://a_b-c.d",           "a_b-c.d",         "http" },
        { "http://good.com.",         "good.com.",       "http" },
        { "http://[::1]",             "[::1]",           "http" },
        { "http://[::1]:8080",        "[::1]:8080",      "http" },
        { "https://[2001:DB8::1]",    "[2001:db8::1]",   "https" },
        { "http://[::ffff:1.2.3.4]",  "[::ffff:1.2.3.4]:80", "http" },

        /* TLS ended before nginx, and the port is told */
        { "https://good.com",         "good.com:443",    "http" },
        { "http://good.com:443",      "good.com",        "https" },
    };

    static const char  *no[][3] = {

        /* another host that begins or ends like ours */
        { "http://good.com.evil.com", "good.com",        "http" },
        { "http://evilgood.com",      "good.com",        "http" },
        { "http://good.co",           "good.com",        "http" },
        { "http://sub.good.com",      "good.com",        "http" },
        { "http://good.com",          "sub.good.com",    "http" },
        { "http://good.com.",         "good.com",        "http" },
        { "http://good.com",          "good.com.",       "http" },

        /* what is not host and port */
        { "http://good.com@evil.com", "good.com",        "http" },
        { "http://good.com@evil.com", "evil.com",        "http" },
        { "http://user:pw@good.com",  "good.com",        "http" },
        { "http://good.com:80@evil.com", "good.com",     "http" },
        { "http://good.com/",         "good.com",        "http" },
        { "http://good.com/.evil.com", "good.com",       "http" },
        { "http://good.com?evil.com", "good.com",        "http" },
        { "http://good.com#evil.com", "good.com",        "http" },
        { "http://good.com\\evil.com", "good.com",       "http" },
        { "http://evil.com\\good.com", "good.com",       "http" },
        { "http://good.com http://evil.com", "good.com", "http" },
        { " http://good.com",         "good.com",        "http" },
        { "http://good.com ",         "good.com",        "http" },
        { "http://good%2ecom",        "good.com",        "http" },
        { "http://good%2ecom",        "good%2ecom",      "http" },
        { "http://\xc3\xa4.com",      "\xc3\xa4.com",    "http" },
        { "http://*.good.com",        "good.com",        "http" },
        { "http://*.good.com",        "*.good.com",      "http" },

        /* empty */
        { "",                         "good.com",        "http" },
        { "",                         "",                "http" },
        { "http://",                  "",                "http" },
        { "http://:80",               ":80",             "http" },
        { "http://.",                 ".",               "http" },
        { "http://..",                "..",              "http" },
        { "http://.com",              ".com",            "http" },
        { "http://good..com",         "good..com",       "http" },
        { "http://good.com",          "",                "http" },

        /* null, schemes */
        { "null",                     "null",            "http" },
        { "null",                     "good.com",        "http" },
        { "http://null",              "good.com",        "http" },
        { "good.com",                 "good.com",        "http" },
        { "//good.com",               "good.com",        "http" },
        { "://good.com",              "good.com",        "http" },
        { "http",                     "good.com",        "http" },
        { "http:",                    "good.com",        "http" },
        { "http:/",                   "good.com",        "http" },
        { "http:good.com",            "good.com",        "http" },
        { "http:/good.com",           "good.com",        "http" },
        { "http:///good.com",         "good.com",        "http" },
        { "file://good.com",          "good.com",        "http" },
        { "ftp://good.com:80",        "good.com",        "http" },
        { "httpx://good.com:80",      "good.com",        "http" },
        { "chrome-extension://good.com", "good.com",     "http" },
        { "https://good.com",         "good.com",        "http" },
        { "http://good.com",          "good.com",        "https" },

        /* ports */
        { "http://good.com:8080",     "good.com",        "http" },
        { "http://good.com",          "good.com:8080",   "http" },
        { "http://good.com:8080",     "good.com:8081",   "http" },
        { "http://good.com:",         "good.com",        "http" },
        { "http://good.com",          "good.com:",       "http" },
        { "http://good.com:0",        "good.com:0",      "http" },
        { "http://good.com:65616",    "good.com:80",     "http" },
        { "http://good.com:65536",    "good.com:65536",  "http" },
        { "http://good.com:4294967376", "good.com:80",   "http" },
        { "http://good.com:+80",      "good.com",        "http" },
        { "http://good.com:80x",      "good.com",        "http" },
        { "http://good.com:80:80",    "good.com",        "http" },
        { "http://good.com::80",      "good.com",        "http" },

        /* IPv6 */
        { "http://::1",               "::1",             "http" },
        { "http://[::1",              "[::1",            "http" },
        { "http://[]",                "[]",              "http" },
        { "http://[",                 "[",               "http" },
        { "http://[:]",               "[:]",             "http" },
        { "http://[::1]x8080",        "[::1]:8080",      "http" },
        { "http://[::1]good.com",     "good.com",        "http" },
        { "http://[::1]good.com",     "[::1]",           "http" },
        { "http://[::1]8080",         "[::1]:8080",      "http" },
        { "http://[good.com]",        "[good.com]",      "http" },
        { "http://[fe80::1%25eth0]",  "[fe80::1%25eth0]", "http" },
        { "http://[::1]",             "::1",             "http" },
        { "http://[::1]:80",          "[::1]:81",        "http" },
        { "http://[::1]",             "[::2]",           "http" },
    };

    (void) state;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!same_origin(yes[i][0], yes[i][1], yes[i][2])) {
            fail_msg("refused: %s to %s", yes[i][0], yes[i][1]);
        }
    }

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (same_origin(no[i][0], no[i][1], no[i][2])) {
            fail_msg("accepted: %s to %s", no[i][0], no[i][1]);
        }
    }
}


/* a byte that is no part of a host, at each place, makes it foreign */

static void
test_foreign_bytes(void **state)
{
    char      origin[32], host[32];
    size_t    at;
    unsigned  ch;

    (void) state;

    for (ch = 1; ch < 256; ch++) {
        for (at = 0; at <= 8; at++) {
            strcpy(origin, "http://good.com");
            strcpy(host, "good.com");

            memmove(host + at + 1, host + at, strlen(host + at) + 1);
            host[at] = (char) ch;
            strcpy(origin + 7, host);

            assert_false(same_origin(origin, "good.com", "http"));

            if (strchr("-_.:0123456789", (int) ch)
                || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z'))
            {
                continue;
            }

            assert_false(same_origin(origin, host, "http"));
        }
    }
}


static void
test_origin_match(void **state)
{
    size_t  i;

    static const char  *yes[][2] = {
        { "*",                         "https://example.com" },
        { "*",                         "null" },
        { "*",                         "" },
        { "https://example.com",       "https://example.com" },
        { "https://example.com",       "HTTPS://EXAMPLE.com" },
        { "HTTPS://Example.Com",       "https://example.com" },
        { "https://example.com:443",   "https://example.com" },
        { "https://example.com",       "https://example.com:443" },
        { "http://example.com:8080",   "http://example.com:8080" },
        { "http://[::1]:8080",         "http://[::1]:8080" },
        { "https://*.example.com",     "https://a.example.com" },
        { "https://*.example.com",     "https://a.b.example.com" },
        { "https://*.example.com",     "https://A.Example.COM:443" },
        { "https://*.example.com:8443", "https://a.example.com:8443" },
        { "chrome-extension://abc",    "chrome-extension://abc" },
        { "app+x.1://localhost",       "app+x.1://localhost" },
    };

    static const char  *no[][2] = {
        { "https://example.com",       "http://example.com" },
        { "https://example.com",       "https://example.com:8443" },
        { "https://example.com:8443",  "https://example.com" },
        { "http://example.com:443",    "https://example.com" },
        { "https://example.com",       "https://a.example.com" },
        { "https://example.com",       "https://example.com." },
        { "https://example.com",       "https://example.com/" },
        { "https://example.com",       "https://example.com@evil.com" },
        { "https://example.com",       "https://example.com.evil.com" },
        { "https://example.com",       "null" },
        { "https://example.com",       "" },

        { "https://*.example.com",     "https://example.com" },
        { "https://*.example.com",     "https://.example.com" },
        { "https://*.example.com",     "https://a..example.com" },
        { "https://*.example.com",     "https://evilexample.com" },
        { "https://*.example.com",     "https://a.example.com.evil.com" },
        { "https://*.example.com",     "https://a.example.com." },
        { "https://*.example.com",     "https://a@b.example.com" },
        { "https://*.example.com",     "https://evil.com/.example.com" },
        { "https://*.example.com",     "https://evil.com:1.example.com" },
        { "https://*.example.com",     "https://*.example.com" },
        { "https://*.example.com",     "http://a.example.com" },
        { "https://*.example.com",     "https://a.example.com:8443" },

        { "null",                      "null" },
        { "",                          "" },
        { "example.com",               "example.com" },
        { "https://*",                 "https://example.com" },
        { "https://*.",                "https://example." },
        { "https://*example.com",      "https://aexample.com" },
        { "https://a.*.com",           "https://a.b.com" },
        { "https://*.*.com",           "https://a.b.com" },
        { "http://*.[::1]",            "http://[::1]" },
        { "*://example.com",           "http://example.com" },
        { "https://example.com/",      "https://example.com/" },
        { "app://localhost",           "app://localhost:80" },
        { "1app://localhost",          "1app://localhost" },
    };

    (void) state;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!origin_match(yes[i][0], yes[i][1])) {
            fail_msg("no match: %s, %s", yes[i][0], yes[i][1]);
        }

        assert_true(pattern_valid(yes[i][0]));
    }

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (origin_match(no[i][0], no[i][1])) {
            fail_msg("match: %s, %s", no[i][0], no[i][1]);
        }
    }
}


static void
test_pattern_valid(void **state)
{
    size_t  i;

    static const char  *no[] = {
        "", "null", "**", "example.com", "//example.com", "https://",
        "https://*", "https://*.", "https://*..com", "https://.com",
        "https://*example.com", "https://a.*.com", "https://*.*.com",
        "http://*.[::1]", "*://example.com", "https://example.com/",
        "https://example.com:", "https://example.com:*",
        "https://example.com:0", "https://example.com:65536",
        "https://u@example.com", "https://example.com ", "1app://localhost"
    };

    (void) state;

    assert_true(pattern_valid("*"));
    assert_true(pattern_valid("https://*.com"));
    assert_true(pattern_valid("https://example.com:8443"));

    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (pattern_valid(no[i])) {
            fail_msg("valid: \"%s\"", no[i]);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_same_origin),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_origin_match),
        cmocka_unit_test(test_pattern_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
