
/*
 * UTF-8 (RFC 3629) checked in pieces, failing at the first byte that no
 * valid text can have there: no overlong forms, no surrogates, nothing
 * above U+10FFFF.
 */


#ifndef FO_UTF8_H
#define FO_UTF8_H


#include "core/fo_core.h"


typedef struct {
    uint32_t   state;    /* 0: between two characters; else fo_utf8.c's */
} fo_utf8_t;


#define fo_utf8_init(u)      ((u)->state = 0)

/* may the text end here? */
#define fo_utf8_complete(u)  ((u)->state == 0)

/*
 * FO_OK, or FO_ERROR: not UTF-8, whatever follows; and so is every later
 * call.  "p" may be NULL when len is 0.
 */
int fo_utf8_check(fo_utf8_t *u, const u_char *p, size_t len);


#endif /* FO_UTF8_H */
