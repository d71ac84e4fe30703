
/*
 * The opening handshake, server side (RFC 6455, section 4.2): checks on
 * header values.  Reading the request, base64 and SHA-1 are nginx's.
 */


#ifndef FO_HANDSHAKE_H
#define FO_HANDSHAKE_H


#include "core/fo_core.h"


/*
 * Is "token" (not empty) one of the comma-separated tokens of this header
 * value (RFC 9110, 5.6.1 and 7.6.1)?  Case-insensitive; empty elements and
 * optional blanks and tabs are skipped.
 */
int fo_handshake_has_token(const fo_str_t *value, const char *token);

/* is it base64 of exactly 16 bytes: 22 characters and "=="?  The unused
   bits of the last character are not looked at. */
int fo_handshake_key_valid(const fo_str_t *key);

/*
 * Walks a Sec-WebSocket-Protocol value: sets *name to the next token, moves
 * *value behind it.  FO_OK, FO_AGAIN: no more, FO_ERROR: an element is not
 * a token (RFC 9110, 5.6.2), nothing more is to be read.
 */
int fo_handshake_next_protocol(fo_str_t *value, fo_str_t *name);

/*
 * Is "origin" (RFC 6454: scheme "://" host [":" port]) the same origin as a
 * request to "host" (a Host header's value: host [":" port]) over "scheme"
 * ("http" or "https")?  Host and port are compared, a missing port is the
 * scheme's own (80 or 443; for the Origin, its own scheme's); hosts
 * case-insensitively; IPv6 in brackets, as it is written.  "null", other
 * schemes and whatever is not exactly of this form are foreign; a host with
 * a trailing dot is another host, as it is to browsers.
 */
int fo_handshake_same_origin(const fo_str_t *origin, const fo_str_t *host,
    const char *scheme);

/*
 * Does "origin" match a pattern of the configuration: "*" (anything, even
 * "null"), a full origin of any scheme ("https://example.com", port 443
 * said or not), or one whose host begins with a wildcard ("*.example.com":
 * one label or more before it, as in server_name; not "example.com")?
 */
int fo_handshake_origin_match(const fo_str_t *pattern,
    const fo_str_t *origin);

/* is it such a pattern?  One that is not matches nothing. */
int fo_handshake_pattern_valid(const fo_str_t *pattern);


#endif /* FO_HANDSHAKE_H */
