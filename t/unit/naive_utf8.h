
/*
 * What UTF-8 is, told the slow way: each character is decoded, then it is
 * looked at whether it may be written so (RFC 3629, section 3).
 */


#ifndef NAIVE_UTF8_H
#define NAIVE_UTF8_H


#include "core/fo_core.h"


/*
 * The character at "p", of "n" bytes by its lead, of which "have" are there:
 * does any text have it?
 */

static inline int
naive_utf8_character(const u_char *p, size_t n, size_t have)
{
    size_t    i;
    uint32_t  low, high;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    /* from the smallest to the largest that it can become */

    low = high = (n == 1) ? p[0] : p[0] & (0xffu >> (n + 1));

    for (i = 1; i < n; i++) {
        if (i < have && p[i] >> 6 != 2) {
            return 0;
        }

        low = low << 6 | (i < have ? p[i] & 0x3f : 0);
        high = high << 6 | (i < have ? p[i] & 0x3f : 0x3f);
    }

    return high >= least[n] && low <= 0x10ffff
           && (low < 0xd800 || high > 0xdfff);
}


/* FO_OK; FO_AGAIN: it ends inside a character; FO_ERROR: not UTF-8 */

static inline int
naive_utf8(const u_char *p, size_t len)
{
    size_t  n, have;

    while (len) {
        n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3
            : p[0] >> 3 == 30 ? 4 : 0;

        have = fo_min(n, len);

        if (n == 0 || !naive_utf8_character(p, n, have)) {
            return FO_ERROR;
        }

        if (have < n) {
            return FO_AGAIN;
        }

        p += n;
        len -= n;
    }

    return FO_OK;
}


#endif /* NAIVE_UTF8_H */
