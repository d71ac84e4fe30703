
/*
 * UTF-8 against the slow check: a text cut at random, and what is said
 * after each piece.
 *
 *     byte 0: how much ASCII comes first; bytes 1 and 2: where it is cut
 *     then the text
 *
 * Each piece lies in memory of its own size, so that a look before its
 * beginning or behind its end is seen.
 */


#include "fo_test.h"
#include "naive_utf8.h"
#include "core/fo_utf8.h"


static int
told(const fo_utf8_t *u, int rc)
{
    return rc != FO_OK ? rc : fo_utf8_complete(u) ? FO_OK : FO_AGAIN;
}


static int
feed(fo_utf8_t *u, const u_char *p, size_t len)
{
    int      rc;
    u_char  *piece;

    piece = malloc(len);

    if (len) {
        memcpy(piece, p, len);
    }

    rc = told(u, fo_utf8_check(u, piece, len));

    free(piece);

    return rc;
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t      ascii, len, pos, n;
    u_char     *text;
    uint32_t    chance;
    fo_utf8_t   whole, cut;

    if (size < 3) {
        return 0;
    }

    ascii = data[0] % 96;
    chance = data[1] << 8 | data[2];
    len = ascii + size - 3;

    text = malloc(len);
    memset(text, 'a', len);

    if (size > 3) {
        memcpy(text + ascii, data + 3, size - 3);
    }

    fo_utf8_init(&whole);

    if (feed(&whole, text, len) != naive_utf8(text, len)) {
        fo_test_die("whole");
    }

    fo_utf8_init(&cut);

    for (pos = 0; pos < len; pos += n) {
        chance = chance * 1103515245 + 12345;
        n = chance >> 16 & ((chance & 0x4000) ? 7 : 127);
        n = fo_min(n, len - pos);

        if (feed(&cut, text + pos, n) != naive_utf8(text, pos + n)) {
            fo_test_die("in pieces");
        }
    }

    free(text);

    return 0;
}
