
/*
 * The dialect "echo": each message is answered with itself.  The transport
 * does that as the pieces come in; here is only what it is called.
 */


#include "proto/fo_dialect.h"


const fo_dialect_t  fo_echo = {
    fo_str("echo"), 0, { 0, NULL }, NULL, NULL, NULL, NULL
};


const fo_dialect_t *const  fo_dialects[] = { &fo_bare, &fo_echo, NULL };
