
/*
 * The opening handshake of a websocket (RFC 6455, section 4.2) as an HTTP
 * request of nginx.
 */


#include "http/ngx_http_fanout_http.h"
#include "core/fo_handshake.h"

#include <ngx_sha1.h>


#define NGX_HTTP_FANOUT_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


static ngx_table_elt_t *ngx_http_fanout_header(ngx_http_request_t *r,
    const char *name, ngx_uint_t *count);
static ngx_uint_t ngx_http_fanout_tokens(ngx_http_request_t *r,
    const char *name, const char *token);
static ngx_int_t ngx_http_fanout_origin(ngx_http_request_t *r,
    ngx_http_fanout_loc_conf_t *conf);
static ngx_int_t ngx_http_fanout_protocol(ngx_http_request_t *r,
    ngx_http_fanout_loc_conf_t *conf, const fo_dialect_t **dialect,
    ngx_uint_t *named);
static ngx_int_t ngx_http_fanout_upgrade_required(ngx_http_request_t *r,
    const char *text);
static ngx_int_t ngx_http_fanout_refuse(ngx_http_request_t *r,
    ngx_int_t status, const char *text);
static ngx_int_t ngx_http_fanout_add_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);


static ngx_str_t  ngx_http_fanout_upgrade = ngx_string("Upgrade");
static ngx_str_t  ngx_http_fanout_websocket = ngx_string("websocket");
static ngx_str_t  ngx_http_fanout_version =
    ngx_string("Sec-WebSocket-Version");
static ngx_str_t  ngx_http_fanout_13 = ngx_string("13");


ngx_int_t
ngx_http_fanout_handshake(ngx_http_request_t *r,
    const fo_dialect_t **dialect, ngx_uint_t *named, ngx_str_t *key)
{
    fo_str_t                     value;
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    ngx_table_elt_t             *h;
    ngx_http_fanout_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_fanout_module);

    if (r->method != NGX_HTTP_GET) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    /* an upgrade is between this client and us, in HTTP/1.1 only */

    if (r != r->main || r->http_version != NGX_HTTP_VERSION_11) {
        return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST,
                                      "websocket needs HTTP/1.1");
    }

    if (!ngx_http_fanout_tokens(r, "upgrade", "websocket")
        || !ngx_http_fanout_tokens(r, "connection", "upgrade"))
    {
        return ngx_http_fanout_upgrade_required(r, "this is a websocket");
    }

    h = ngx_http_fanout_header(r, "sec-websocket-version", &n);

    if (h == NULL || n != 1 || h->value.len != 2
        || ngx_strncmp(h->value.data, "13", 2) != 0)
    {
        return ngx_http_fanout_upgrade_required(r,
                                             "websocket version must be 13");
    }

    h = ngx_http_fanout_header(r, "sec-websocket-key", &n);

    if (h == NULL || n != 1) {
        return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST,
                                      "one Sec-WebSocket-Key is needed");
    }

    value.data = h->value.data;
    value.len = h->value.len;

    if (!fo_handshake_key_valid(&value)) {
        return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST,
                                      "bad Sec-WebSocket-Key");
    }

    *key = h->value;

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST,
                                      "a websocket request has no body");
    }

    rc = ngx_http_fanout_origin(r, conf);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_fanout_protocol(r, conf, dialect, named);
}


/* the first header of this (lower case) name, and how many there are */

static ngx_table_elt_t *
ngx_http_fanout_header(ngx_http_request_t *r, const char *name,
    ngx_uint_t *count)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *found;

    len = ngx_strlen(name);
    found = NULL;
    *count = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                if (found == NULL) {
                    found = &h[i];
                }

                (*count)++;
            }
        }
    }

    return found;
}


/* is the token in one of all the lines of this header? */

static ngx_uint_t
ngx_http_fanout_tokens(ngx_http_request_t *r, const char *name,
    const char *token)
{
    size_t            len;
    fo_str_t          value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != len
                || ngx_strncasecmp(h[i].key.data, (u_char *) name, len) != 0)
            {
                continue;
            }

            value.data = h[i].value.data;
            value.len = h[i].value.len;

            if (fo_handshake_has_token(&value, token)) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_fanout_origin(ngx_http_request_t *r,
    ngx_http_fanout_loc_conf_t *conf)
{
    fo_str_t          origin, host, *pattern;
    ngx_uint_t        i, n;
    const char       *scheme;
    ngx_table_elt_t  *h;

    h = ngx_http_fanout_header(r, "origin", &n);

    if (h == NULL) {

        /* not a browser */

        return NGX_OK;
    }

    origin.data = h->value.data;
    origin.len = h->value.len;

    if (n == 1 && conf->origins) {
        pattern = conf->origins->elts;

        for (i = 0; i < conf->origins->nelts; i++) {
            if (fo_handshake_origin_match(&pattern[i], &origin)) {
                return NGX_OK;
            }
        }

    } else if (n == 1 && r->headers_in.host) {
        host.data = r->headers_in.host->value.data;
        host.len = r->headers_in.host->value.len;

        scheme = "http";

#if (NGX_HTTP_SSL)
        if (r->connection->ssl) {
            scheme = "https";
        }
#endif

        if (fo_handshake_same_origin(&origin, &host, scheme)) {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "websocket request of foreign origin \"%V\"", &h->value);

    return NGX_HTTP_FORBIDDEN;
}


/* the first dialect that the client names and the location offers */

static ngx_int_t
ngx_http_fanout_protocol(ngx_http_request_t *r,
    ngx_http_fanout_loc_conf_t *conf, const fo_dialect_t **dialect,
    ngx_uint_t *named)
{
    u_char               *p;
    fo_str_t              value, name;
    ngx_str_t             text;
    ngx_int_t             rc;
    ngx_uint_t            i, j, any;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    const fo_dialect_t  **d;
    u_char                buf[NGX_HTTP_FANOUT_DIALECTS * 16 + 64];

    d = conf->dialects;
    any = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof("Sec-WebSocket-Protocol") - 1
                || ngx_strncasecmp(h[i].key.data,
                                   (u_char *) "Sec-WebSocket-Protocol",
                                   h[i].key.len)
                   != 0)
            {
                continue;
            }

            any = 1;
            value.data = h[i].value.data;
            value.len = h[i].value.len;

            for ( ;; ) {
                rc = fo_handshake_next_protocol(&value, &name);

                if (rc != FO_OK) {
                    break;
                }

                for (j = 0; d[j]; j++) {
                    if (d[j]->name.len == name.len
                        && ngx_memcmp(d[j]->name.data, name.data, name.len)
                           == 0)
                    {
                        *dialect = d[j];
                        *named = 1;
                        return NGX_OK;
                    }
                }
            }

            if (rc == FO_ERROR) {
                return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST,
                                              "bad Sec-WebSocket-Protocol");
            }
        }
    }

    if (!any) {
        *dialect = d[0];
        *named = 0;
        return NGX_OK;
    }

    p = ngx_cpymem(buf, "offered subprotocols:",
                   sizeof("offered subprotocols:") - 1);

    for (j = 0; d[j]; j++) {
        text.data = d[j]->name.data;
        text.len = d[j]->name.len;
        p = ngx_slprintf(p, buf + sizeof(buf) - 1, " %V", &text);
    }

    *p = '\0';

    return ngx_http_fanout_refuse(r, NGX_HTTP_BAD_REQUEST, (char *) buf);
}


/* RFC 6455, 4.4, and RFC 9110, 15.5.22: says what would be spoken */

static ngx_int_t
ngx_http_fanout_upgrade_required(ngx_http_request_t *r, const char *text)
{
    if (ngx_http_fanout_add_header(r, &ngx_http_fanout_upgrade,
                                   &ngx_http_fanout_websocket)
        != NGX_OK
        || ngx_http_fanout_add_header(r, &ngx_http_fanout_version,
                                      &ngx_http_fanout_13)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");

    return ngx_http_fanout_refuse(r, 426, text);
}


/* answers with a text of our own; what the content handler is to return */

static ngx_int_t
ngx_http_fanout_refuse(ngx_http_request_t *r, ngx_int_t status,
    const char *text)
{
    ngx_int_t                 rc;
    ngx_str_t                 type;
    ngx_http_complex_value_t  cv;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "websocket request refused: %s", text);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.data = ngx_pnalloc(r->pool, ngx_strlen(text) + 1);
    if (cv.value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cv.value.len = ngx_cpymem(cv.value.data, text, ngx_strlen(text))
                   - cv.value.data;
    cv.value.data[cv.value.len++] = LF;

    ngx_str_set(&type, "text/plain");

    rc = ngx_http_send_response(r, status, &type, &cv);

    /*
     * its NGX_OK would read as a good handshake: finalized here, and once
     * more by the content phase, with NGX_DONE
     */

    r->main->count++;
    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_fanout_add_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *name;
    h->value = *value;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_fanout_accept(ngx_http_request_t *r, const fo_dialect_t *dialect,
    ngx_uint_t named, ngx_str_t *key)
{
    ngx_str_t   digest, name, value;
    ngx_sha1_t  sha1;
    u_char      hash[20];

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, NGX_HTTP_FANOUT_GUID,
                    sizeof(NGX_HTTP_FANOUT_GUID) - 1);
    ngx_sha1_final(hash, &sha1);

    digest.data = hash;
    digest.len = sizeof(hash);

    value.data = ngx_pnalloc(r->pool, ngx_base64_encoded_length(20));
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_encode_base64(&value, &digest);

    ngx_str_set(&name, "Sec-WebSocket-Accept");

    if (ngx_http_fanout_add_header(r, &ngx_http_fanout_upgrade,
                                   &ngx_http_fanout_websocket)
        != NGX_OK
        || ngx_http_fanout_add_header(r, &name, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (named) {
        ngx_str_set(&name, "Sec-WebSocket-Protocol");
        value.data = dialect->name.data;
        value.len = dialect->name.len;

        if (ngx_http_fanout_add_header(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    r->keepalive = 0;

    /* by way of an error_page it is no error any more */

    r->err_status = 0;

    /* the header filter adds "Connection: upgrade" */

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    if (ngx_http_send_header(r) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}
