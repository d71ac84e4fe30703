
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
 *
 * In the midst of a text no state is needed: whether a byte may be where it
 * is can be told from it and the three before it, for 16 bytes at once.  So
 * the states are for the first three bytes that are not left out as ASCII,
 * for the last character and for short pieces:
 *
 *     ASCII |   3    |   16   |   16   |  ...  |    16   |
 *             states | each with the 3 before it  | states: the last one
 *
 * That a vector is compared with itself moved by one, two and three bytes
 * is from J. Keiser, D. Lemire, "Validating UTF-8 In Less Than One
 * Instruction Per Byte", arXiv:2010.03090; their tables need a shuffle of
 * bytes, which SSE2 has not, so the rules are comparisons here.
 */


#include "core/fo_utf8.h"
#include "core/fo_vec.h"


#define FO_UTF8_BROKEN  8
#define FO_UTF8_BACK    3    /* bytes that a vector looks back */
#define FO_UTF8_SPAN    32
#define FO_UTF8_HIGH    0x8080808080808080ull

/* bytes as signed ones in the same order */
#define fo_utf8_rank(byte)  ((signed char) ((byte) ^ 0x80))


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


static uint32_t fo_utf8_step(uint32_t state, const u_char *p,
    const u_char *last);
static const u_char *fo_utf8_skip_ascii(const u_char *p, const u_char *last);
static const u_char *fo_utf8_spans(const u_char *p, const u_char *last);
static fo_vec_t fo_utf8_wrong(const u_char *p);


int
fo_utf8_check(fo_utf8_t *u, const u_char *p, size_t len)
{
    const u_char  *last;

    if (len == 0) {
        return (u->state == FO_UTF8_BROKEN) ? FO_ERROR : FO_OK;
    }

    last = p + len;

    if (u->state == 0) {
        p = fo_utf8_skip_ascii(p, last);
    }

    if (!FO_VEC_FAST || last - p < FO_UTF8_BACK + FO_UTF8_SPAN) {
        u->state = fo_utf8_step(u->state, p, last);

    } else {
        u->state = fo_utf8_step(u->state, p, p + FO_UTF8_BACK);

        if (u->state != FO_UTF8_BROKEN) {
            p = fo_utf8_spans(p + FO_UTF8_BACK, last);
            u->state = p ? fo_utf8_step(0, p, last) : FO_UTF8_BROKEN;
        }
    }

    return (u->state == FO_UTF8_BROKEN) ? FO_ERROR : FO_OK;
}


static uint32_t
fo_utf8_step(uint32_t state, const u_char *p, const u_char *last)
{
    const fo_utf8_range_t  *range;

    while (p < last) {

        if (state == 0) {
            p = fo_utf8_skip_ascii(p, last);
            if (p == last) {
                break;
            }

            state = (*p < 0xc0) ? 0 : fo_utf8_lead[*p - 0xc0];
            if (state == 0) {
                return FO_UTF8_BROKEN;
            }

            p++;
            continue;
        }

        range = &fo_utf8_range[state];

        if (*p < range->low || *p > range->high) {
            return FO_UTF8_BROKEN;
        }

        state = range->next;
        p++;
    }

    return state;
}


static const u_char *
fo_utf8_skip_ascii(const u_char *p, const u_char *last)
{
    fo_vec_t  all;
    uint64_t  word;

    while (last - p >= FO_UTF8_SPAN) {
        all = fo_vec_load(p) | fo_vec_load(p + 16);

        if (fo_vec_bits(all) & FO_UTF8_HIGH) {
            break;
        }

        p += FO_UTF8_SPAN;
    }

    while (last - p >= 8) {
        memcpy(&word, p, 8);

        if (word & FO_UTF8_HIGH) {
            break;
        }

        p += 8;
    }

    while (p < last && *p < 0x80) {
        p++;
    }

    return p;
}


/*
 * From "p" on, a span at least; the bytes before it are right, with what
 * they leave open.  Returns where the last character begins, be it whole or
 * not, or NULL: not UTF-8.
 */

static const u_char *
fo_utf8_spans(const u_char *p, const u_char *last)
{
    fo_vec_t       wrong, all;
    const u_char  *final;

    wrong = (fo_vec_t) { 0 };
    final = last - FO_UTF8_SPAN;

    do {
        /* the last span may begin inside the one before */

        p = fo_min(p, final);

        all = fo_vec_load(p - FO_UTF8_BACK) | fo_vec_load(p)
              | fo_vec_load(p + 16);

        if (fo_vec_bits(all) & FO_UTF8_HIGH) {
            wrong |= fo_utf8_wrong(p) | fo_utf8_wrong(p + 16);
        }

        p += FO_UTF8_SPAN;

    } while (p < last);

    if (fo_vec_bits(wrong)) {
        return NULL;
    }

    do {
        p--;
    } while ((*p & 0xc0) == 0x80);

    return p;
}


/*
 * Which of the 16 bytes at "p" can't be where they are: not 0.  Those that
 * are due behind them are not asked for.
 */

static fo_vec_t
fo_utf8_wrong(const u_char *p)
{
    fo_vec_t  v, back1, back2, back3, due, next, wrong;

    v = fo_vec_load(p);
    next = v < (signed char) 0xc0;

    v ^= fo_utf8_rank(0);
    back1 = fo_vec_load(p - 1) ^ fo_utf8_rank(0);
    back2 = fo_vec_load(p - 2) ^ fo_utf8_rank(0);
    back3 = fo_vec_load(p - 3) ^ fo_utf8_rank(0);

    /* 80..BF where a lead is near enough, and nowhere else */

    due = (back1 > fo_utf8_rank(0xbf)) | (back2 > fo_utf8_rank(0xdf))
          | (back3 > fo_utf8_rank(0xef));

    wrong = due ^ next;

    /* C0, C1 and F5..FF are in no character */

    wrong |= (v & (signed char) 0xfe) == fo_utf8_rank(0xc0);
    wrong |= v > fo_utf8_rank(0xf4);

    /* overlong after E0 and F0; surrogates after ED, too high after F4 */

    wrong |= back1 == (((v > fo_utf8_rank(0x9f)) & (0xed - 0xe0))
                       | fo_utf8_rank(0xe0));
    wrong |= back1 == (((v > fo_utf8_rank(0x8f)) & (0xf4 - 0xf0))
                       | fo_utf8_rank(0xf0));

    return wrong;
}
