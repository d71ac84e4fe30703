
/*
 * Header values of the opening handshake.
 *
 * An origin is taken apart once and strictly, and only the parts are
 * compared: what is not exactly scheme "://" host [":" port] is no origin
 * and matches nothing.  So there is no way to hide a foreign host behind
 * "user@", a path, a backslash or a second colon, and no comparison of
 * beginnings or ends of texts but for whole labels of a wildcard.
 */


#include "core/fo_handshake.h"


typedef struct {
    fo_str_t   scheme;
    fo_str_t   host;        /* IPv6 with its brackets */
    uint32_t   port;        /* 0: none said, and the scheme has none */
    unsigned   wildcard;    /* of a pattern: "*." was before host */
} fo_origin_t;


static int fo_handshake_parse_origin(fo_origin_t *o, const fo_str_t *text,
    int pattern);
static int fo_handshake_parse_scheme(fo_str_t *scheme, fo_str_t *rest);
static int fo_handshake_parse_host(fo_str_t *host, fo_str_t *rest);
static int fo_handshake_parse_ipv6(fo_str_t *host, fo_str_t *rest);
static int fo_handshake_parse_port(uint32_t *port, const fo_str_t *rest);
static uint32_t fo_handshake_default_port(const fo_str_t *scheme);
static int fo_handshake_below(const fo_str_t *host, const fo_str_t *domain);
static int fo_handshake_equal(const fo_str_t *a, const fo_str_t *b);
static void fo_handshake_skip(fo_str_t *s, size_t n);
static u_char fo_handshake_lower(u_char ch);
static int fo_handshake_alpha(u_char ch);
static int fo_handshake_digit(u_char ch);
static int fo_handshake_tchar(u_char ch);


#define fo_handshake_blank(ch)  ((ch) == ' ' || (ch) == '\t')


int
fo_handshake_has_token(const fo_str_t *value, const char *token)
{
    size_t    i, start, end;
    fo_str_t  want, element;

    want.len = strlen(token);
    want.data = (u_char *) token;

    for (i = 0; i < value->len; i++) {

        start = i;

        while (i < value->len && value->data[i] != ',') {
            i++;
        }

        end = i;

        while (start < end && fo_handshake_blank(value->data[start])) {
            start++;
        }

        while (end > start && fo_handshake_blank(value->data[end - 1])) {
            end--;
        }

        element.len = end - start;
        element.data = value->data + start;

        if (fo_handshake_equal(&element, &want)) {
            return 1;
        }
    }

    return 0;
}


/* RFC 6455, 4.2.1: base64 (RFC 4648, 4) that decodes to 16 bytes */

int
fo_handshake_key_valid(const fo_str_t *key)
{
    size_t  i;
    u_char  ch;

    if (key->len != 24 || key->data[22] != '=' || key->data[23] != '=') {
        return 0;
    }

    for (i = 0; i < 22; i++) {
        ch = key->data[i];

        if (!fo_handshake_alpha(ch) && !fo_handshake_digit(ch)
            && ch != '+' && ch != '/')
        {
            return 0;
        }
    }

    return 1;
}


int
fo_handshake_next_protocol(fo_str_t *value, fo_str_t *name)
{
    size_t  n;

    /* RFC 9110, 5.6.1.2: empty elements are to be ignored */

    for (n = 0; n < value->len; n++) {
        if (value->data[n] != ',' && !fo_handshake_blank(value->data[n])) {
            break;
        }
    }

    fo_handshake_skip(value, n);

    if (value->len == 0) {
        return FO_AGAIN;
    }

    for (n = 0; n < value->len && fo_handshake_tchar(value->data[n]); n++) {
        /* void */
    }

    if (n == 0) {
        return FO_ERROR;
    }

    name->data = value->data;
    name->len = n;

    fo_handshake_skip(value, n);

    for (n = 0; n < value->len && fo_handshake_blank(value->data[n]); n++) {
        /* void */
    }

    fo_handshake_skip(value, n);

    if (value->len && value->data[0] != ',') {
        return FO_ERROR;
    }

    return FO_OK;
}


int
fo_handshake_same_origin(const fo_str_t *origin, const fo_str_t *host,
    const char *scheme)
{
    uint32_t     port;
    fo_str_t     rest, name, own;
    fo_origin_t  o;

    if (fo_handshake_parse_origin(&o, origin, 0) != FO_OK
        || fo_handshake_default_port(&o.scheme) == 0)
    {
        return 0;
    }

    own.len = strlen(scheme);
    own.data = (u_char *) scheme;

    rest = *host;
    port = fo_handshake_default_port(&own);

    if (fo_handshake_parse_host(&name, &rest) != FO_OK
        || fo_handshake_parse_port(&port, &rest) != FO_OK)
    {
        return 0;
    }

    return o.port == port && fo_handshake_equal(&o.host, &name);
}


int
fo_handshake_origin_match(const fo_str_t *pattern, const fo_str_t *origin)
{
    fo_origin_t  p, o;

    if (pattern->len == 1 && pattern->data[0] == '*') {
        return 1;
    }

    if (fo_handshake_parse_origin(&p, pattern, 1) != FO_OK
        || fo_handshake_parse_origin(&o, origin, 0) != FO_OK)
    {
        return 0;
    }

    if (p.port != o.port || !fo_handshake_equal(&p.scheme, &o.scheme)) {
        return 0;
    }

    if (p.wildcard) {
        return fo_handshake_below(&o.host, &p.host);
    }

    return fo_handshake_equal(&o.host, &p.host);
}


int
fo_handshake_pattern_valid(const fo_str_t *pattern)
{
    fo_origin_t  p;

    if (pattern->len == 1 && pattern->data[0] == '*') {
        return 1;
    }

    return fo_handshake_parse_origin(&p, pattern, 1) == FO_OK;
}


/*
 * RFC 6454, 6.2 and 7.  "null", which any page can send from a sandboxed
 * frame, is none, and of a list of origins none is trusted.
 */

static int
fo_handshake_parse_origin(fo_origin_t *o, const fo_str_t *text, int pattern)
{
    fo_str_t  rest;

    rest = *text;

    if (fo_handshake_parse_scheme(&o->scheme, &rest) != FO_OK) {
        return FO_ERROR;
    }

    o->wildcard = 0;

    if (pattern
        && rest.len > 2 && rest.data[0] == '*' && rest.data[1] == '.'
        && rest.data[2] != '[')
    {
        fo_handshake_skip(&rest, 2);
        o->wildcard = 1;
    }

    o->port = fo_handshake_default_port(&o->scheme);

    if (fo_handshake_parse_host(&o->host, &rest) != FO_OK) {
        return FO_ERROR;
    }

    return fo_handshake_parse_port(&o->port, &rest);
}


/* RFC 3986, 3.1, and "://" */

static int
fo_handshake_parse_scheme(fo_str_t *scheme, fo_str_t *rest)
{
    size_t  n;
    u_char  ch;

    for (n = 0; n < rest->len; n++) {
        ch = rest->data[n];

        if (fo_handshake_alpha(ch)) {
            continue;
        }

        if (n == 0
            || (!fo_handshake_digit(ch)
                && ch != '+' && ch != '-' && ch != '.'))
        {
            break;
        }
    }

    if (n == 0 || rest->len - n < 3
        || memcmp(rest->data + n, "://", 3) != 0)
    {
        return FO_ERROR;
    }

    scheme->data = rest->data;
    scheme->len = n;

    fo_handshake_skip(rest, n + 3);

    return FO_OK;
}


/*
 * Labels of letters, digits, "-" and "_", none of them empty, but for a
 * trailing dot, which makes it another host.  RFC 3986, 3.2.2 would allow
 * more, what names in the DNS never have.
 */

static int
fo_handshake_parse_host(fo_str_t *host, fo_str_t *rest)
{
    size_t  n;
    u_char  ch;

    if (rest->len && rest->data[0] == '[') {
        return fo_handshake_parse_ipv6(host, rest);
    }

    for (n = 0; n < rest->len && rest->data[n] != ':'; n++) {
        ch = rest->data[n];

        if (ch == '.') {
            if (n == 0 || rest->data[n - 1] == '.') {
                return FO_ERROR;
            }

        } else if (!fo_handshake_alpha(ch) && !fo_handshake_digit(ch)
                   && ch != '-' && ch != '_')
        {
            return FO_ERROR;
        }
    }

    if (n == 0) {
        return FO_ERROR;
    }

    host->data = rest->data;
    host->len = n;

    fo_handshake_skip(rest, n);

    return FO_OK;
}


/* only its bytes are looked at: browsers write an address in one way */

static int
fo_handshake_parse_ipv6(fo_str_t *host, fo_str_t *rest)
{
    size_t  n;
    u_char  ch;

    for (n = 1; n < rest->len && rest->data[n] != ']'; n++) {
        ch = fo_handshake_lower(rest->data[n]);

        if (!fo_handshake_digit(ch) && (ch < 'a' || ch > 'f')
            && ch != ':' && ch != '.')
        {
            return FO_ERROR;
        }
    }

    if (n == rest->len || n < 3) {
        return FO_ERROR;
    }

    host->data = rest->data;
    host->len = n + 1;

    fo_handshake_skip(rest, n + 1);

    return FO_OK;
}


/* all of "rest": nothing, which leaves *port as it is, or ":" and 1..65535 */

static int
fo_handshake_parse_port(uint32_t *port, const fo_str_t *rest)
{
    size_t    i;
    uint32_t  n;

    if (rest->len == 0) {
        return FO_OK;
    }

    if (rest->data[0] != ':' || rest->len > 6) {
        return FO_ERROR;
    }

    n = 0;

    for (i = 1; i < rest->len; i++) {
        if (!fo_handshake_digit(rest->data[i])) {
            return FO_ERROR;
        }

        n = n * 10 + (rest->data[i] - '0');
    }

    if (n == 0 || n > 65535) {
        return FO_ERROR;
    }

    *port = n;

    return FO_OK;
}


static uint32_t
fo_handshake_default_port(const fo_str_t *scheme)
{
    static const fo_str_t  http = fo_str("http");
    static const fo_str_t  https = fo_str("https");

    if (fo_handshake_equal(scheme, &http)) {
        return 80;
    }

    if (fo_handshake_equal(scheme, &https)) {
        return 443;
    }

    return 0;
}


/* one label or more before "domain"; that none is empty was seen to */

static int
fo_handshake_below(const fo_str_t *host, const fo_str_t *domain)
{
    fo_str_t  end;

    if (host->len < domain->len + 2) {
        return 0;
    }

    end = *host;
    fo_handshake_skip(&end, host->len - domain->len);

    return end.data[-1] == '.' && fo_handshake_equal(&end, domain);
}


/* letters of ASCII in either case, whatever the locale */

static int
fo_handshake_equal(const fo_str_t *a, const fo_str_t *b)
{
    size_t  i;

    if (a->len != b->len) {
        return 0;
    }

    for (i = 0; i < a->len; i++) {
        if (fo_handshake_lower(a->data[i]) != fo_handshake_lower(b->data[i])) {
            return 0;
        }
    }

    return 1;
}


static void
fo_handshake_skip(fo_str_t *s, size_t n)
{
    if (n) {
        s->data += n;
        s->len -= n;
    }
}


static u_char
fo_handshake_lower(u_char ch)
{
    return (ch >= 'A' && ch <= 'Z') ? (u_char) (ch | 0x20) : ch;
}


static int
fo_handshake_alpha(u_char ch)
{
    ch = fo_handshake_lower(ch);

    return ch >= 'a' && ch <= 'z';
}


static int
fo_handshake_digit(u_char ch)
{
    return ch >= '0' && ch <= '9';
}


/* RFC 9110, 5.6.2 */

static int
fo_handshake_tchar(u_char ch)
{
    return fo_handshake_alpha(ch) || fo_handshake_digit(ch)
           || (ch != '\0' && strchr("!#$%&'*+-.^_`|~", ch) != NULL);
}
