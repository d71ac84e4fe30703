
/*
 * Values of properties: words of the line, a file, or the environment.
 *
 * What comes from a file or the environment is taken as a secret, so that
 * no message repeats it.
 */


#include "source/ngx_http_fanout_kafka_conf.h"


#define NGX_HTTP_FANOUT_KAFKA_VALUE_MAX  65536


static ngx_int_t ngx_http_fanout_kafka_join(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_fanout_kafka_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_fanout_kafka_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *value);
static ngx_int_t ngx_http_fanout_kafka_read(ngx_conf_t *cf, ngx_file_t *file,
    ngx_str_t *value);
static ngx_uint_t ngx_http_fanout_kafka_secret(ngx_str_t *name);


/* parts of the names of properties that are secrets, or may hold one */

static const char  *ngx_http_fanout_kafka_secrets[] = {
    "password",
    "passphrase",
    "secret",
    ".pem",
    "oauthbearer.config",
    "oauthbearer.extensions",
    "kinit.cmd",
    NULL
};


ngx_int_t
ngx_http_fanout_kafka_copy(ngx_pool_t *pool, ngx_str_t *dst,
    const u_char *data, size_t len)
{
    u_char  *p;

    p = ngx_pnalloc(pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(p, data, len) = '\0';

    dst->data = p;
    dst->len = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_fanout_kafka_value(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p)
{
    ngx_int_t  rc;
    ngx_str_t  value, source;

    p->secret = ngx_http_fanout_kafka_secret(&p->name);

    if (ngx_http_fanout_kafka_join(cf, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    source = value;

    if (value.len > 4 && ngx_strncmp(value.data, "env:", 4) == 0) {
        source.data += 4;
        source.len -= 4;

        p->secret = 1;
        rc = ngx_http_fanout_kafka_env(cf, &source, &value);

    } else if (value.len > 5 && ngx_strncmp(value.data, "file:", 5) == 0) {
        source.data += 5;
        source.len -= 5;

        p->secret = 1;
        rc = ngx_http_fanout_kafka_file(cf, &source, &value);

    } else {
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_strlen(value.data) != value.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the value of property \"%V\" has a zero byte",
                           &p->name);
        return NGX_ERROR;
    }

    p->value = value;

    return NGX_OK;
}


/* the words after the first, with a blank between them */

static ngx_int_t
ngx_http_fanout_kafka_join(ngx_conf_t *cf, ngx_str_t *value)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *word;
    ngx_uint_t   i;

    word = cf->args->elts;

    for (len = 0, i = 1; i < cf->args->nelts; i++) {
        len += word[i].len + 1;
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = len - 1;

    for (i = 1; i < cf->args->nelts; i++) {
        p = ngx_cpymem(p, word[i].data, word[i].len);
        *p++ = ' ';
    }

    p[-1] = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_kafka_env(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value)
{
    char  *text;

    text = getenv((char *) name->data);

    if (text == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "environment variable \"%V\" is not set", name);
        return NGX_ERROR;
    }

    return ngx_http_fanout_kafka_copy(cf->pool, value, (u_char *) text,
                                      ngx_strlen(text));
}


static ngx_int_t
ngx_http_fanout_kafka_file(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *value)
{
    ngx_int_t   rc;
    ngx_file_t  file;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *path;
    file.log = cf->log;

    file.fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = ngx_http_fanout_kafka_read(cf, &file, value);

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", path);
    }

    return rc;
}


static ngx_int_t
ngx_http_fanout_kafka_read(ngx_conf_t *cf, ngx_file_t *file,
    ngx_str_t *value)
{
    u_char           *buf;
    size_t            len;
    ssize_t           n;
    ngx_file_info_t   fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_HTTP_FANOUT_KAFKA_VALUE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no file, or has more than %d bytes",
                           &file->name, NGX_HTTP_FANOUT_KAFKA_VALUE_MAX);
        return NGX_ERROR;
    }

    len = (size_t) ngx_file_size(&fi);

    buf = ngx_pnalloc(cf->pool, len + 1);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    n = ngx_read_file(file, buf, len, 0);

    if (n == NGX_ERROR || (size_t) n != len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           ngx_read_file_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    /* editors end a file with a newline */

    if (len && buf[len - 1] == '\n') {
        len--;

        if (len && buf[len - 1] == '\r') {
            len--;
        }
    }

    buf[len] = '\0';

    value->data = buf;
    value->len = len;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_fanout_kafka_secret(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_fanout_kafka_secrets[i]; i++) {
        if (ngx_strstr(name->data, ngx_http_fanout_kafka_secrets[i])) {
            return 1;
        }
    }

    return 0;
}
