
/*
 * The table of errors.
 */


#include "proto/fo_error.h"


static const fo_error_t  fo_errors[] = {

#define FO_ERROR_ROW(id, name, text, temporary, code)                         \
    { #name, fo_str(text), temporary, code },

    FO_ERRORS(FO_ERROR_ROW)
};


const fo_error_t *
fo_error(unsigned error)
{
    return &fo_errors[error];
}
