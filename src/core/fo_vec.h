
/*
 * Sixteen bytes at once, by the vector extension of gcc and clang.  Every
 * x86-64 has the instructions (SSE2), every aarch64 (NEON); elsewhere the
 * compiler makes the same of words and bytes, which is as fast for bits,
 * and slow for comparisons.
 */


#ifndef FO_VEC_H
#define FO_VEC_H


#include "core/fo_core.h"


#if defined(__SSE2__) || defined(__ARM_NEON)
#define FO_VEC_FAST  1
#else
#define FO_VEC_FAST  0
#endif


/* the operators work byte by byte; comparisons give 0 and -1 */

typedef signed char fo_vec_t  __attribute__((vector_size(16)));

typedef uint32_t fo_vec_32_t  __attribute__((vector_size(16)));
typedef uint64_t fo_vec_64_t  __attribute__((vector_size(16)));


/* "p" may be any address */

static inline fo_vec_t
fo_vec_load(const u_char *p)
{
    fo_vec_t  v;

    memcpy(&v, p, sizeof(fo_vec_t));

    return v;
}


static inline void
fo_vec_store(u_char *p, fo_vec_t v)
{
    memcpy(p, &v, sizeof(fo_vec_t));
}


/* the word four times, as it is in memory */

static inline fo_vec_t
fo_vec_repeat(uint32_t word)
{
    return (fo_vec_t) (fo_vec_32_t) { word, word, word, word };
}


/* the bits that are set in its first half or in its second */

static inline uint64_t
fo_vec_bits(fo_vec_t v)
{
    return ((fo_vec_64_t) v)[0] | ((fo_vec_64_t) v)[1];
}


#endif /* FO_VEC_H */
