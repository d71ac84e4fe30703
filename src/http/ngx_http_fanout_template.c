
/*
 * Templates of filters, and what they allow.
 */


#include "http/ngx_http_fanout_http.h"


static ngx_int_t ngx_http_fanout_template_variable(ngx_conf_t *cf,
    ngx_str_t *text, size_t *pos, ngx_http_fanout_segment_t *seg);
static ngx_int_t ngx_http_fanout_template_check(ngx_conf_t *cf,
    ngx_str_t *text, ngx_http_fanout_template_t *t);


#define ngx_http_fanout_name_char(ch)                                         \
    (((ch) >= 'a' && (ch) <= 'z') || ((ch) >= 'A' && (ch) <= 'Z')             \
     || ((ch) >= '0' && (ch) <= '9') || (ch) == '_')


ngx_int_t
ngx_http_fanout_template_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_fanout_template_t *t)
{
    size_t                      i, start;
    ngx_http_fanout_segment_t  *seg;

    ngx_memzero(t, sizeof(ngx_http_fanout_template_t));

    if (text->len == 1 && text->data[0] == '*') {
        t->everything = 1;
        return NGX_OK;
    }

    if (ngx_array_init(&t->segments, cf->pool, 2,
                       sizeof(ngx_http_fanout_segment_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    i = 0;

    while (i < text->len) {

        seg = ngx_array_push(&t->segments);
        if (seg == NULL) {
            return NGX_ERROR;
        }

        if (text->data[i] == '$') {
            i++;

            if (ngx_http_fanout_template_variable(cf, text, &i, seg)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        start = i;

        while (i < text->len && text->data[i] != '$') {
            i++;
        }

        seg->index = NGX_ERROR;
        seg->text.data = text->data + start;
        seg->text.len = i - start;
    }

    return ngx_http_fanout_template_check(cf, text, t);
}


/* "name" or "{name}" after a "$" */

static ngx_int_t
ngx_http_fanout_template_variable(ngx_conf_t *cf, ngx_str_t *text,
    size_t *pos, ngx_http_fanout_segment_t *seg)
{
    size_t      i, start;
    ngx_str_t   name;
    ngx_uint_t  brace;

    i = *pos;
    brace = (i < text->len && text->data[i] == '{');
    i += brace;
    start = i;

    while (i < text->len && ngx_http_fanout_name_char(text->data[i])) {
        i++;
    }

    name.data = text->data + start;
    name.len = i - start;

    if (name.len == 0
        || (brace && (i == text->len || text->data[i] != '}')))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable name in \"%V\"", text);
        return NGX_ERROR;
    }

    *pos = i + brace;

    seg->index = ngx_http_get_variable_index(cf, &name);

    return (seg->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* it must be a filter whatever the variables hold */

static ngx_int_t
ngx_http_fanout_template_check(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_fanout_template_t *t)
{
    u_char                     *p;
    fo_str_t                    sample;
    ngx_uint_t                  i;
    const char                 *reason;
    fo_filter_t                 f;
    ngx_http_fanout_segment_t  *seg;

    p = ngx_pnalloc(cf->temp_pool, 2 * (text->len + 1));
    if (p == NULL) {
        return NGX_ERROR;
    }

    sample.data = p;
    seg = t->segments.elts;

    for (i = 0; i < t->segments.nelts; i++) {

        if (seg[i].index == NGX_ERROR) {
            p = ngx_cpymem(p, seg[i].text.data, seg[i].text.len);
        } else {
            *p++ = 'x';
        }
    }

    sample.len = p - sample.data;

    if (fo_filter_parse(&f, &sample, p, &reason) != FO_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a filter: %s", text, reason);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_fanout_template_filter(ngx_http_request_t *r,
    ngx_http_fanout_template_t *t, fo_filter_t *f)
{
    u_char                     *p, *buf;
    size_t                      len;
    fo_str_t                    text, in;
    ngx_uint_t                  i;
    const char                 *reason;
    ngx_http_variable_value_t  *v;
    ngx_http_fanout_segment_t  *seg;

    len = 0;
    seg = t->segments.elts;

    for (i = 0; i < t->segments.nelts; i++) {

        if (seg[i].index == NGX_ERROR) {
            len += seg[i].text.len;
            continue;
        }

        v = ngx_http_get_indexed_variable(r, seg[i].index);

        if (v == NULL || v->not_found || v->len == 0) {
            return NGX_DECLINED;
        }

        len += 3 * v->len;
    }

    p = ngx_pnalloc(r->pool, 2 * len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p;
    buf = p + len;

    for (i = 0; i < t->segments.nelts; i++) {

        if (seg[i].index == NGX_ERROR) {
            p = ngx_cpymem(p, seg[i].text.data, seg[i].text.len);
            continue;
        }

        v = ngx_http_get_indexed_variable(r, seg[i].index);
        in.data = v->data;
        in.len = v->len;

        p += fo_filter_escape(p, &in);
    }

    text.len = p - text.data;

    if (fo_filter_parse(f, &text, buf, &reason) != FO_OK) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_fanout_allowed(ngx_http_request_t *r, ngx_array_t *templates,
    const fo_filter_t *f)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    fo_filter_t                  by;
    ngx_http_fanout_template_t  *t;

    if (templates == NULL) {
        return NGX_DECLINED;
    }

    t = templates->elts;

    for (i = 0; i < templates->nelts; i++) {

        if (t[i].everything) {
            return NGX_OK;
        }

        rc = ngx_http_fanout_template_filter(r, &t[i], &by);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK && fo_filter_covers(&by, f)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
