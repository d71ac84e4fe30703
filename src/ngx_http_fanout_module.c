
/*
 * The module: directives, configuration, and where a process begins and
 * ends.
 */


#include "ngx_http_fanout_module.h"
#include "core/fo_handshake.h"


static ngx_int_t ngx_http_fanout_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_fanout_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_fanout_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_fanout_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_fanout_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_fanout_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_kafka(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_websocket(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_filter(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_origins(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_pending(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_ping(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_fanout_above_zero(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_fanout_at_most(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_fanout_frame(ngx_conf_t *cf, void *post, void *data);
static ngx_int_t ngx_http_fanout_init_process(ngx_cycle_t *cycle);
static void ngx_http_fanout_exit_process(ngx_cycle_t *cycle);


/* core's return codes are nginx's */

typedef char  ngx_http_fanout_codes_t[(FO_OK == NGX_OK
                                       && FO_ERROR == NGX_ERROR
                                       && FO_AGAIN == NGX_AGAIN) ? 1 : -1];

#if (NGX_PTR_SIZE != 8)
#error the fanout module needs a 64-bit platform
#endif


static ngx_conf_num_bounds_t  ngx_http_fanout_owners_bounds = {
    ngx_conf_check_num_bounds, 1, 16
};


/* for times and sizes */

static ngx_conf_post_t  ngx_http_fanout_positive = {
    ngx_http_fanout_above_zero
};


#define NGX_HTTP_FANOUT_JOIN_MAX   60000    /* ms */
#define NGX_HTTP_FANOUT_FRAME_MAX  (1U << 30)

static ngx_conf_post_t  ngx_http_fanout_minute = {
    ngx_http_fanout_at_most
};


static ngx_conf_post_t  ngx_http_fanout_frame_bounds = {
    ngx_http_fanout_frame
};


static ngx_command_t  ngx_http_fanout_commands[] = {

    { ngx_string("fanout_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_fanout_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_kafka"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_fanout_kafka,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_owners"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fanout_main_conf_t, owners),
      &ngx_http_fanout_owners_bounds },

    { ngx_string("fanout_linger"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fanout_main_conf_t, linger),
      NULL },

    { ngx_string("fanout_drain"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fanout_main_conf_t, drain),
      NULL },

    { ngx_string("fanout_stall"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fanout_main_conf_t, stall),
      &ngx_http_fanout_positive },

    { ngx_string("fanout_join"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_fanout_main_conf_t, join),
      &ngx_http_fanout_minute },

    { ngx_string("fanout_websocket"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_fanout_websocket,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_fanout_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_filter"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_fanout_filter,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_fanout_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_origins"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_fanout_origins,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_pending"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_fanout_pending,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_ping"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_fanout_ping,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fanout_handshake_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fanout_loc_conf_t, handshake_timeout),
      &ngx_http_fanout_positive },

    { ngx_string("fanout_detach"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fanout_loc_conf_t, detach),
      NULL },

    { ngx_string("fanout_frame_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_fanout_loc_conf_t, frame_max),
      &ngx_http_fanout_frame_bounds },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_fanout_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_fanout_postconfiguration,     /* postconfiguration */

    ngx_http_fanout_create_main_conf,      /* create main configuration */
    ngx_http_fanout_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_fanout_create_loc_conf,       /* create location configuration */
    ngx_http_fanout_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_fanout_module = {
    NGX_MODULE_V1,
    &ngx_http_fanout_module_ctx,           /* module context */
    ngx_http_fanout_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_fanout_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_fanout_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_fanout_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_main_conf_t *fmcf = conf;

    ssize_t                  size, ring;
    ngx_str_t               *value, s;
    ngx_http_fanout_zone_t  *z;

    if (fmcf->zone) {
        return "is duplicate: there is one zone for all";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    ring = 0;

    if (cf->args->nelts == 4) {

        s = value[3];

        if (s.len > 5 && ngx_strncmp(s.data, "ring=", 5) == 0) {
            s.data += 5;
            s.len -= 5;
            ring = ngx_parse_size(&s);

        } else {
            ring = NGX_ERROR;
        }

        if (ring == NGX_ERROR || ring < 64 * 1024) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"ring=size\" of "
                               "at least 64k is meant", &value[3]);
            return NGX_CONF_ERROR;
        }
    }

    z = ngx_pcalloc(cf->pool, sizeof(ngx_http_fanout_zone_t));
    if (z == NULL) {
        return NGX_CONF_ERROR;
    }

    z->name = value[1];
    z->size = ngx_align((size_t) size, ngx_pagesize);
    z->shape.ring_size = (size_t) ring;

    fmcf->zone = z;

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_kafka(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_main_conf_t *fmcf = conf;

    ngx_str_t                      *value, *name;
    ngx_uint_t                      i;
    ngx_http_fanout_kafka_conf_t  **kafka, *kcf;

    value = cf->args->elts;
    kafka = fmcf->kafka.elts;

    for (i = 0; i < fmcf->kafka.nelts; i++) {
        name = ngx_http_fanout_kafka_name(kafka[i]);

        if (name->len == value[1].len
            && ngx_strncmp(name->data, value[1].data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"fanout_kafka %V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if (fmcf->kafka.nelts == FO_CLUSTERS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "more than %d \"fanout_kafka\"", FO_CLUSTERS);
        return NGX_CONF_ERROR;
    }

    kcf = ngx_http_fanout_kafka_parse(cf, &value[1]);
    if (kcf == NULL) {
        return NGX_CONF_ERROR;
    }

    kafka = ngx_array_push(&fmcf->kafka);
    if (kafka == NULL) {
        return NGX_CONF_ERROR;
    }

    *kafka = kcf;

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i, j, n;
    const fo_dialect_t        *d;
    ngx_http_core_loc_conf_t  *clcf;

    if (flcf->ndialects) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "kafka=", 6) == 0) {

            if (flcf->kafka.len || value[i].len == 6) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid parameter \"%V\": one "
                                   "\"kafka=name\" is meant", &value[i]);
                return NGX_CONF_ERROR;
            }

            flcf->kafka.data = value[i].data + 6;
            flcf->kafka.len = value[i].len - 6;
            continue;
        }

        for (j = 0; fo_dialects[j]; j++) {
            d = fo_dialects[j];

            if (d->name.len == value[i].len
                && ngx_memcmp(d->name.data, value[i].data, d->name.len) == 0)
            {
                break;
            }
        }

        if (fo_dialects[j] == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown dialect \"%V\", there are \"bare\" "
                               "and \"echo\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        for (j = 0; j < n; j++) {
            if (flcf->dialects[j] == d) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate dialect \"%V\"", &value[i]);
                return NGX_CONF_ERROR;
            }
        }

        flcf->dialects[n++] = d;
    }

    if (n == 0) {
        flcf->dialects[n++] = &fo_bare;
    }

    flcf->ndialects = n;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_fanout_websocket_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_fanout_main_conf_t  *fmcf;

    fmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_fanout_module);
    fmcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_fanout_status_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_filter(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    u_char                            *buf;
    fo_str_t                           text;
    ngx_str_t                         *value;
    const char                        *reason;
    fo_filter_t                        f;
    ngx_http_compile_complex_value_t   ccv;

    if (flcf->filter != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    flcf->filter = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (flcf->filter == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = flcf->filter;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (flcf->filter->lengths) {
        return NGX_CONF_OK;
    }

    /* without variables it can be checked here */

    text.data = value[1].data;
    text.len = value[1].len;

    buf = ngx_pnalloc(cf->temp_pool, text.len + 1);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    if (fo_filter_parse(&f, &text, buf, &reason) != FO_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a filter: %s", &value[1], reason);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_fanout_template_t  *t;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "subscribe") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"subscribe\" is meant",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (flcf->subscribe == NGX_CONF_UNSET_PTR) {
        flcf->subscribe = ngx_array_create(cf->pool, 4,
                                          sizeof(ngx_http_fanout_template_t));
        if (flcf->subscribe == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {

        t = ngx_array_push(flcf->subscribe);
        if (t == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_fanout_template_compile(cf, &value[i], t) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    fo_str_t    *pattern;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (flcf->origins == NGX_CONF_UNSET_PTR) {
        flcf->origins = ngx_array_create(cf->pool, 4, sizeof(fo_str_t));
        if (flcf->origins == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        pattern = ngx_array_push(flcf->origins);
        if (pattern == NULL) {
            return NGX_CONF_ERROR;
        }

        pattern->data = value[i].data;
        pattern->len = value[i].len;

        if (!fo_handshake_pattern_valid(pattern)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is not an origin: \"*\" or "
                               "\"scheme://host[:port]\" is meant",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_pending(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (flcf->pending != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid size \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    flcf->pending = (size_t) size;
    flcf->policy = FO_PENDING_GAP;

    if (cf->args->nelts == 2 || ngx_strcmp(value[2].data, "gap") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "disconnect") == 0) {
        flcf->policy = FO_PENDING_DISCONNECT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "conflate") == 0) {
        return "\"conflate\" is not built yet, use \"gap\" or "
               "\"disconnect\"";
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\", \"gap\" or "
                       "\"disconnect\" is meant", &value[2]);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_fanout_ping(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_fanout_loc_conf_t *flcf = conf;

    ngx_str_t   *value;
    ngx_msec_t   interval, timeout;

    if (flcf->ping_interval != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    interval = ngx_parse_time(&value[1], 0);
    timeout = ngx_parse_time(&value[2], 0);

    if (interval == (ngx_msec_t) NGX_ERROR || interval == 0
        || timeout == (ngx_msec_t) NGX_ERROR || timeout == 0)
    {
        return "needs an interval and a timeout above zero";
    }

    flcf->ping_interval = interval;
    flcf->ping_timeout = timeout;

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_above_zero(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t *np = data;    /* ngx_msec_t and size_t alike */

    if (*np == 0) {
        return "must be above zero";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_at_most(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *mp = data;

    if (*mp > NGX_HTTP_FANOUT_JOIN_MAX) {
        return "must not be above 1m";
    }

    return NGX_CONF_OK;
}


/* what a session keeps of a message is counted in 32 bits */

static char *
ngx_http_fanout_frame(ngx_conf_t *cf, void *post, void *data)
{
    size_t *sp = data;

    if (*sp > NGX_HTTP_FANOUT_FRAME_MAX) {
        return "must not be above 1024m";
    }

    return ngx_http_fanout_above_zero(cf, post, data);
}


static void *
ngx_http_fanout_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_fanout_main_conf_t  *fmcf;

    fmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fanout_main_conf_t));
    if (fmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&fmcf->kafka, cf->pool, 2,
                       sizeof(ngx_http_fanout_kafka_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    fmcf->owners = NGX_CONF_UNSET_UINT;
    fmcf->linger = NGX_CONF_UNSET_MSEC;
    fmcf->drain = NGX_CONF_UNSET_MSEC;
    fmcf->stall = NGX_CONF_UNSET_MSEC;
    fmcf->join = NGX_CONF_UNSET_MSEC;

    return fmcf;
}


static char *
ngx_http_fanout_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_fanout_main_conf_t *fmcf = conf;

    ngx_conf_init_uint_value(fmcf->owners, 4);
    ngx_conf_init_msec_value(fmcf->linger, 10000);
    ngx_conf_init_msec_value(fmcf->drain, 0);
    ngx_conf_init_msec_value(fmcf->stall, 1000);
    ngx_conf_init_msec_value(fmcf->join, 0);

    return NGX_CONF_OK;
}


static void *
ngx_http_fanout_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_fanout_loc_conf_t  *flcf;

    flcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fanout_loc_conf_t));
    if (flcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     flcf->dialects, ndialects, kafka, cluster, policy
     */

    flcf->subscribe = NGX_CONF_UNSET_PTR;
    flcf->filter = NGX_CONF_UNSET_PTR;
    flcf->origins = NGX_CONF_UNSET_PTR;
    flcf->pending = NGX_CONF_UNSET_SIZE;
    flcf->frame_max = NGX_CONF_UNSET_SIZE;
    flcf->handshake_timeout = NGX_CONF_UNSET_MSEC;
    flcf->detach = NGX_CONF_UNSET;
    flcf->ping_interval = NGX_CONF_UNSET_MSEC;
    flcf->ping_timeout = NGX_CONF_UNSET_MSEC;

    return flcf;
}


static char *
ngx_http_fanout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_fanout_loc_conf_t *prev = parent;
    ngx_http_fanout_loc_conf_t *conf = child;

    ngx_str_t                      *name;
    ngx_uint_t                      i;
    ngx_http_fanout_main_conf_t    *fmcf;
    ngx_http_fanout_kafka_conf_t  **kafka;

    if (conf->pending == NGX_CONF_UNSET_SIZE) {
        conf->policy = prev->policy;
    }

    ngx_conf_merge_ptr_value(conf->subscribe, prev->subscribe, NULL);
    ngx_conf_merge_ptr_value(conf->filter, prev->filter, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_size_value(conf->pending, prev->pending, 1024 * 1024);
    ngx_conf_merge_size_value(conf->frame_max, prev->frame_max, 64 * 1024);
    ngx_conf_merge_msec_value(conf->handshake_timeout,
                              prev->handshake_timeout, 10000);
    ngx_conf_merge_value(conf->detach, prev->detach, 0);
    ngx_conf_merge_msec_value(conf->ping_interval, prev->ping_interval,
                              25000);
    ngx_conf_merge_msec_value(conf->ping_timeout, prev->ping_timeout, 10000);

    if (conf->ndialects == 0) {
        return NGX_CONF_OK;
    }

    fmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_fanout_module);
    fmcf->used = 1;

    kafka = fmcf->kafka.elts;

    for (i = 0; i < fmcf->kafka.nelts; i++) {
        name = ngx_http_fanout_kafka_name(kafka[i]);

        if (conf->kafka.len == 0
            || (conf->kafka.len == name->len
                && ngx_memcmp(conf->kafka.data, name->data, name->len) == 0))
        {
            conf->cluster = i;
            return NGX_CONF_OK;
        }
    }

    if (conf->kafka.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown \"kafka=%V\" in \"fanout_websocket\": "
                           "there is no \"fanout_kafka %V { ... }\"",
                           &conf->kafka, &conf->kafka);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < conf->ndialects; i++) {
        if (conf->dialects[i]->kafka) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"fanout_websocket\" needs a "
                               "\"fanout_kafka name { bootstrap.servers "
                               "...; }\"");
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fanout_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_fanout_main_conf_t  *fmcf;

    fmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_fanout_module);

    if (fmcf->zone == NULL) {

        if (fmcf->used) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"fanout_zone name size;\" in \"http\", "
                               "\"fanout_zone main 64m;\" is a good start");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    fmcf->zone->shape.owners = (unsigned) fmcf->owners;

    return ngx_http_fanout_zone_add(cf, fmcf->zone,
                                    &ngx_http_fanout_module);
}


static ngx_int_t
ngx_http_fanout_init_process(ngx_cycle_t *cycle)
{
    ngx_http_fanout_main_conf_t  *fmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    fmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_fanout_module);

    if (fmcf == NULL || fmcf->zone == NULL) {
        return NGX_OK;
    }

    return ngx_http_fanout_worker_init(cycle, fmcf);
}


static void
ngx_http_fanout_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_fanout_worker_exit(cycle);
}
