
/*
 * Templates of filters: "orders/$remote_user", "news/" with "*", and "*"
 * alone, which stands for everything.
 *
 * The value of a variable is literal: its bytes are percent-encoded before
 * the whole is parsed, so that no client widens a template by what it
 * sends.  A template with an empty variable matches nothing.
 */


#ifndef NGX_HTTP_FANOUT_TEMPLATE_H
#define NGX_HTTP_FANOUT_TEMPLATE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/fo_filter.h"


typedef struct {
    ngx_str_t     text;          /* literal, if index is NGX_ERROR */
    ngx_int_t     index;         /* of a variable */
} ngx_http_fanout_segment_t;


typedef struct {
    ngx_array_t   segments;      /* ngx_http_fanout_segment_t */
    unsigned      everything:1;
} ngx_http_fanout_template_t;


/* NGX_ERROR: the error is logged with file and line */
ngx_int_t ngx_http_fanout_template_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_fanout_template_t *t);

/*
 * Expands and parses for this request; the filter lives in r->pool.
 * NGX_DECLINED: a variable is empty, or the result is no filter.
 */
ngx_int_t ngx_http_fanout_template_filter(ngx_http_request_t *r,
    ngx_http_fanout_template_t *t, fo_filter_t *f);


#endif /* NGX_HTTP_FANOUT_TEMPLATE_H */
