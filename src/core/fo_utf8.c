
/*
 * UTF-8 by the grammar of RFC 3629, section 4, which leaves overlong forms,
 * surrogates and what is above U+10FFFF out by narrowing the range of the
 * second byte.  So a state is a range for the next byte, and the state
 * after it:
 *
 *     0  between two characters
 *     1  one byte to come          4  after E0: A0..BF, then 1
 *     2  two bytes to come         5  after ED: 80..9F, then 1
 *     3  three bytes to come       6  after F0: 90..BF, then 2
 *     8  broken, for good          7  after F4: 80..8F, then 2
 */


#include "core/fo_utf8.h"


#define FO_UTF8_BROKEN  8
#define FO_UTF8_ASCII   0x8080808080808080ull


typedef struct {
    u_char   low;
    u_char   high;
    u_char   next;
} fo_utf8_range_t;


/* 0: no character begins with this byte; from 0xc0 on */

static const u_char  fo_utf8_lead[64] = {
    0, 0, 1, 1, 1, 1, 1, 1,  1, 1, 1, 1, 1, 1, 1, 1,    /* C0..CF */
    1, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 1, 1, 1, 1, 1,    /* D0..DF */
    4, 2, 2, 2, 2, 2, 2, 2,  2, 2, 2, 2, 2, 5, 2, 2,    /* E0..EF */
    6, 3, 3, 3, 7, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0     /* F0..FF */
};


static const fo_utf8_range_t  fo_utf8_range[] = {
    { 0xff, 0x00, 0 },                  /* 0: not a range */
    { 0x80, 0xbf, 0 },
    { 0x80, 0xbf, 1 },
    { 0x80, 0xbf, 2 },
    { 0xa0, 0xbf, 1 },
    { 0x80, 0x9f, 1 },
    { 0x90, 0xbf, 2 },
    { 0x80, 0x8f, 2 },
    { 0xff, 0x00, FO_UTF8_BROKEN }      /* no byte is in this one */
};


static const u_char *
fo_utf8_skip_ascii(const u_char *p, const u_char *last)
{
    uint64_t  word;

    while (last - p >= 8) {
        memcpy(&word, p, 8);

        if (word & FO_UTF8_ASCII) {
            break;
        }

        p += 8;
    }

    while (p < last && *p < 0x80) {
        p++;
    }

    return p;
}


int
fo_utf8_check(fo_utf8_t *u, const u_char *p, size_t len)
{
    uint32_t                state;
    const u_char           *last;
    const fo_utf8_range_t  *range;

    if (len == 0) {
        return (u->state == FO_UTF8_BROKEN) ? FO_ERROR : FO_OK;
    }

    state = u->state;
    last = p + len;

    while (p < last) {

        if (state == 0) {
            p = fo_utf8_skip_ascii(p, last);
            if (p == last) {
                break;
            }

            state = (*p < 0xc0) ? 0 : fo_utf8_lead[*p - 0xc0];
            if (state == 0) {
                goto broken;
            }

            p++;
            continue;
        }

        range = &fo_utf8_range[state];

        if (*p < range->low || *p > range->high) {
            goto broken;
        }

        state = range->next;
        p++;
    }

    u->state = state;

    return FO_OK;

broken:

    u->state = FO_UTF8_BROKEN;

    return FO_ERROR;
}
