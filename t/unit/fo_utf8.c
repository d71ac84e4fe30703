
/*
 * UTF-8: every character there is at every place where it can be cut, every
 * text that is none, and the same behind and across words of ASCII; then at
 * each place of a text that is long enough for vectors.
 */


#include "fo_test.h"
#include "naive_utf8.h"
#include "core/fo_utf8.h"


#define CODES  0x110000
#define TEXT   72           /* two spans of vectors and what is beside them */


/* bytes that the grammar tells apart */

static const u_char  edges[] = {
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
    0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff
};

#define EDGES  sizeof(edges)


/* characters of one, two, three and four bytes; 12 bytes each */

static const char  *fillers[] = {
    "abcdefghijkl",
    "z\xc2\x80\xc3\xa9\xd0\x96\xce\xb1\xdf\xbfz",
    "\xe2\x82\xac\xed\x9f\xbf\xe0\xa4\xb9xyz",
    "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xf0\x90\x80\x80"
};

#define FILLERS  4


static int
check(const u_char *p, size_t len)
{
    fo_utf8_t  u;

    fo_utf8_init(&u);

    if (fo_utf8_check(&u, p, len) != FO_OK) {
        assert_false(fo_utf8_complete(&u));
        return FO_ERROR;
    }

    return fo_utf8_complete(&u) ? FO_OK : FO_AGAIN;
}


/* RFC 3629, section 3: the table of the encoding */

static size_t
encode(u_char *p, uint32_t code)
{
    if (code < 0x80) {
        p[0] = (u_char) code;
        return 1;
    }

    if (code < 0x800) {
        p[0] = (u_char) (0xc0 | code >> 6);
        p[1] = (u_char) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        p[0] = (u_char) (0xe0 | code >> 12);
        p[1] = (u_char) (0x80 | (code >> 6 & 0x3f));
        p[2] = (u_char) (0x80 | (code & 0x3f));
        return 3;
    }

    p[0] = (u_char) (0xf0 | code >> 18);
    p[1] = (u_char) (0x80 | (code >> 12 & 0x3f));
    p[2] = (u_char) (0x80 | (code >> 6 & 0x3f));
    p[3] = (u_char) (0x80 | (code & 0x3f));

    return 4;
}


static void
test_every_character(void **state)
{
    size_t    n, cut;
    u_char    buf[4];
    uint32_t  code;

    (void) state;

    for (code = 0; code < CODES; code++) {

        if (code == 0xd800) {
            code = 0xe000;
        }

        n = encode(buf, code);

        if (check(buf, n) != FO_OK) {
            fail_msg("U+%04X is refused", code);
        }

        for (cut = 1; cut < n; cut++) {
            if (check(buf, cut) != FO_AGAIN) {
                fail_msg("U+%04X: %zu bytes are refused", code, cut);
            }
        }
    }
}


/*
 * All sequences that are not refused, by their length, whole and unfinished.
 * Since each character is accepted, right counts mean that nothing else is,
 * and that nothing is refused later than it could be.
 */

static void
count(u_char *buf, size_t n, long *whole, long *unfinished)
{
    unsigned  i;

    for (i = 0; i < 256; i++) {
        buf[n] = (u_char) i;

        switch (check(buf, n + 1)) {

        case FO_OK:
            whole[n]++;
            break;

        case FO_AGAIN:
            unfinished[n]++;

            assert_true(n < 3);
            count(buf, n + 1, whole, unfinished);

            break;

        default:
            break;
        }
    }
}


static void
test_nothing_but_characters(void **state)
{
    long    whole[4], unfinished[4];
    u_char  buf[4];

    (void) state;

    memset(whole, 0, sizeof(whole));
    memset(unfinished, 0, sizeof(unfinished));

    count(buf, 0, whole, unfinished);

    assert_int_equal(whole[0], 0x80);
    assert_int_equal(whole[1], 0x800 - 0x80);
    assert_int_equal(whole[2], 0x10000 - 0x800 - 0x800);
    assert_int_equal(whole[3], CODES - 0x10000);

    assert_int_equal(unfinished[0], 30 + 16 + 5);
    assert_int_equal(unfinished[1], (0x10000 - 0x800 - 0x800) / 64
                                    + (CODES - 0x10000) / 4096);
    assert_int_equal(unfinished[2], (CODES - 0x10000) / 64);
}


static void
test_refused(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        size_t       len;      /* that it takes to refuse it */
        const char  *what;
    } t[] = {
        { "\x80",             1, "continuation alone" },
        { "\xbf",             1, "continuation alone" },
        { "\xc0",             1, "overlong NUL" },
        { "\xc1",             1, "overlong of two" },
        { "\xe0\x80",         2, "overlong of three" },
        { "\xe0\x9f",         2, "overlong of three, the last" },
        { "\xf0\x80",         2, "overlong of four" },
        { "\xf0\x8f",         2, "overlong of four, the last" },
        { "\xed\xa0",         2, "the first surrogate" },
        { "\xed\xbf",         2, "the last surrogate" },
        { "\xf4\x90",         2, "U+110000" },
        { "\xf5",             1, "above U+10FFFF" },
        { "\xf8",             1, "a lead of five" },
        { "\xfc",             1, "a lead of six" },
        { "\xfe",             1, "0xFE" },
        { "\xff",             1, "0xFF" },
        { "\xc3\x41",         2, "ASCII inside two" },
        { "\xe2\x82\x41",     3, "ASCII inside three" },
        { "\xf0\x9f\x98\x41", 4, "ASCII inside four" },
        { "\xe2\x82\xe2",     3, "lead inside three" },
        { "\xc3\xa4\x80",     3, "one continuation too many" },
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        if (check((u_char *) t[i].text, t[i].len) != FO_ERROR) {
            fail_msg("accepted: %s", t[i].what);
        }

        if (check((u_char *) t[i].text, t[i].len - 1) == FO_ERROR) {
            fail_msg("refused too early: %s", t[i].what);
        }
    }
}


/* each byte, at each place, behind and before ASCII of each length */

static void
test_ascii_words(void **state)
{
    u_char    buf[40];
    size_t    len, at, from;
    unsigned  ch;

    (void) state;

    for (from = 0; from < 8; from++) {
        for (len = 1; len <= 32; len++) {
            for (at = 0; at < len; at++) {
                memset(buf, 'a', sizeof(buf));

                for (ch = 0; ch < 256; ch++) {
                    buf[from + at] = (u_char) ch;

                    assert_int_equal(check(buf + from, len),
                                     ch < 0x80 ? FO_OK
                                     : ch < 0xc2 || ch > 0xf4 ? FO_ERROR
                                     : at == len - 1 ? FO_AGAIN
                                     : FO_ERROR);
                }
            }
        }
    }
}


/* the same text, good or bad, in two and in three pieces */

static void
test_pieces(void **state)
{
    int          whole;
    size_t       i, a, b, len;
    u_char      *p;
    fo_utf8_t    u;

    static const char  *t[] = {
        "plain ASCII of some length, more than one word of it",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
        "a\xc3\xa4 12345678\xe2\x82\xac 1234567\xf0\x9f\x98\x80z",
        "\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
        "12345678\xf0\x9f\x98",
        "1234567\xe2\x82",
        "12345678\xed\xa0\x80 12345678",
        "\xe2\x82\xac\xe2\x82 \xac",
    };

    static const int  want[] = {
        FO_OK, FO_OK, FO_OK, FO_OK, FO_AGAIN, FO_AGAIN, FO_ERROR, FO_ERROR
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        p = (u_char *) t[i];
        len = strlen(t[i]);

        for (a = 0; a <= len; a++) {
            for (b = a; b <= len; b++) {
                fo_utf8_init(&u);

                whole = FO_OK;

                if (fo_utf8_check(&u, p, a) != FO_OK
                    || fo_utf8_check(&u, p + a, b - a) != FO_OK
                    || fo_utf8_check(&u, p + b, len - b) != FO_OK)
                {
                    whole = FO_ERROR;

                } else if (!fo_utf8_complete(&u)) {
                    whole = FO_AGAIN;
                }

                assert_int_equal(whole, want[i]);
            }
        }
    }
}


static void
fill(u_char *text, size_t filler)
{
    size_t  i;

    for (i = 0; i < TEXT; i += 12) {
        memcpy(text + i, fillers[filler], 12);
    }
}


/* the sequence "number" of "n" edges, inside a text */

static void
sequence(size_t filler, size_t n, size_t number, size_t at)
{
    size_t  i;
    u_char  text[TEXT];

    fill(text, filler);

    for (i = 0; i < n; i++) {
        text[at + i] = edges[number % EDGES];
        number /= EDGES;
    }

    if (check(text, TEXT) != naive_utf8(text, TEXT)) {
        fail_msg("filler %zu, at %zu: %02x %02x %02x %02x", filler, at,
                 text[at], text[at + 1], text[at + 2], text[at + 3]);
    }
}


/* of one and two bytes at each place, of four at one after the other */

static void
test_vectors(void **state)
{
    size_t  filler, i, at;

    (void) state;

    for (filler = 0; filler < FILLERS; filler++) {

        for (i = 0; i < EDGES * EDGES; i++) {
            for (at = 0; at <= TEXT - 4; at++) {
                sequence(filler, 1, i % EDGES, at);
                sequence(filler, 2, i, at);
            }
        }

        for (i = 0; i < EDGES * EDGES * EDGES * EDGES; i++) {
            sequence(filler, 4, i, (i + i / EDGES) % (TEXT - 3));
        }
    }
}


/* in memory of its own size: a look beside it is seen */

static int
piece(fo_utf8_t *u, const u_char *p, size_t len)
{
    int      rc;
    u_char  *copy;

    copy = malloc(len);
    assert_true(len == 0 || copy != NULL);

    if (len) {
        memcpy(copy, p, len);
    }

    rc = fo_utf8_check(u, copy, len);

    free(copy);

    return rc != FO_OK ? rc : fo_utf8_complete(u) ? FO_OK : FO_AGAIN;
}


/* each length, cut at each place, good and with each edge at the end */

static void
cut_everywhere(const u_char *text, size_t len)
{
    size_t     cut;
    fo_utf8_t  u;

    for (cut = 0; cut <= len; cut++) {
        fo_utf8_init(&u);

        assert_int_equal(piece(&u, text, cut), naive_utf8(text, cut));
        assert_int_equal(piece(&u, text + cut, len - cut),
                         naive_utf8(text, len));
    }
}


static void
test_cuts(void **state)
{
    size_t  filler, len, i;
    u_char  text[TEXT + 1];

    (void) state;

    for (filler = 0; filler < FILLERS; filler++) {
        for (len = 0; len <= TEXT; len++) {
            fill(text, filler);
            cut_everywhere(text, len);

            for (i = 0; i < EDGES; i++) {
                text[len] = edges[i];
                cut_everywhere(text, len + 1);
            }
        }
    }
}


static void
test_error_is_final(void **state)
{
    fo_utf8_t  u;

    (void) state;

    fo_utf8_init(&u);

    assert_int_equal(fo_utf8_check(&u, NULL, 0), FO_OK);
    assert_true(fo_utf8_complete(&u));

    assert_int_equal(fo_utf8_check(&u, (u_char *) "\xff", 1), FO_ERROR);
    assert_false(fo_utf8_complete(&u));

    assert_int_equal(fo_utf8_check(&u, (u_char *) "a", 1), FO_ERROR);
    assert_int_equal(fo_utf8_check(&u, (u_char *) "\x80", 1), FO_ERROR);
    assert_int_equal(fo_utf8_check(&u, NULL, 0), FO_ERROR);
    assert_false(fo_utf8_complete(&u));

    fo_utf8_init(&u);

    assert_int_equal(fo_utf8_check(&u, (u_char *) "a", 1), FO_OK);
    assert_true(fo_utf8_complete(&u));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_nothing_but_characters),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ascii_words),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_error_is_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
