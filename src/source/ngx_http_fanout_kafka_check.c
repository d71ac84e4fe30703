
/*
 * What librdkafka would take without a word, or tell only when it is used:
 * properties that are ours, versions, SASL mechanisms, unreadable files,
 * missing pairs.
 */


#include "source/ngx_http_fanout_kafka_conf.h"


typedef struct {
    int           from;
    int           to;        /* excluded */
    const char   *reason;
} ngx_http_fanout_kafka_version_t;


static const char *ngx_http_fanout_kafka_check_ours(ngx_str_t *name);
static const char *ngx_http_fanout_kafka_check_file(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p);
static ngx_int_t ngx_http_fanout_kafka_check_sasl(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);
static ngx_int_t ngx_http_fanout_kafka_check_tls(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);
static ngx_int_t ngx_http_fanout_kafka_needs(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf, const char *name, const char *why);


/* see docs/decisions/2026-11-21-librdkafka-versions.md */

static ngx_http_fanout_kafka_version_t  ngx_http_fanout_kafka_versions[] = {
    { 0, 0x02000200, "at least 2.0.2 is needed" },
    { 0x02050000, 0x02050300, "upgrade to 2.5.3 or newer" },
    { 0x020a0000, 0x020a0100, "upgrade to 2.10.1 or newer" },
    { 0, 0, NULL }
};


/* no group is joined, each partition starts where we say */

static const char  *ngx_http_fanout_kafka_ours[] = {
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "default_topic_conf",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "interceptors",
    "internal.termination.signal",
    "log.queue",
    "offset.store.method",
    "offset.store.path",
    "offset.store.sync.interval.ms",
    "opaque",
    "partition.assignment.strategy",
    "plugin.library.paths",
    "transactional.id",
    NULL
};


static const char  *ngx_http_fanout_kafka_files[] = {
    "https.ca.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
    NULL
};


static const char  *ngx_http_fanout_kafka_mechanisms[][2] = {

    /* mechanism, feature of librdkafka's build */

    { "GSSAPI", "sasl_gssapi" },
    { "PLAIN", "sasl_plain" },
    { "SCRAM-SHA-256", "sasl_scram" },
    { "SCRAM-SHA-512", "sasl_scram" },
    { "OAUTHBEARER", "sasl_oauthbearer" },
    { NULL, NULL }
};


const char *
ngx_http_fanout_kafka_check_version(int version)
{
    ngx_http_fanout_kafka_version_t  *v;

    for (v = ngx_http_fanout_kafka_versions; v->reason; v++) {
        if (version >= v->from && version < v->to) {
            return v->reason;
        }
    }

    return NULL;
}


const char *
ngx_http_fanout_kafka_check_property(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p)
{
    ngx_uint_t   i;
    const char  *reason;

    reason = ngx_http_fanout_kafka_check_ours(&p->name);
    if (reason) {
        return reason;
    }

    if (ngx_strcmp(p->name.data, "client.rack") == 0 && p->value.len
        && rd_kafka_version() < 0x02060100)
    {
        return "needs librdkafka 2.6.1 or newer: those before can crash when "
               "they read from a follower";
    }

    if (ngx_strcmp(p->name.data, "sasl.mechanisms") == 0) {

        for (i = 0; ngx_http_fanout_kafka_mechanisms[i][0]; i++) {
            if (ngx_strcmp(p->value.data,
                           ngx_http_fanout_kafka_mechanisms[i][0])
                == 0)
            {
                return NULL;
            }
        }

        return "must be \"PLAIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-512\", "
               "\"OAUTHBEARER\" or \"GSSAPI\"";
    }

    return ngx_http_fanout_kafka_check_file(cf, p);
}


static const char *
ngx_http_fanout_kafka_check_ours(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_fanout_kafka_ours[i]; i++) {
        if (ngx_strcmp(name->data, ngx_http_fanout_kafka_ours[i]) == 0) {
            return "is set by the module and can't be changed";
        }
    }

    if (name->len > 3
        && ngx_strcmp(name->data + name->len - 3, "_cb") == 0)
    {
        return "is a callback and can't be set";
    }

    if (ngx_strcmp(name->data, "partitioner") == 0) {
        return "is declared for topics: \"topic NAME partitioner=...\"";
    }

    return NULL;
}


/* makes the path absolute: a worker's current directory is any */

static const char *
ngx_http_fanout_kafka_check_file(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p)
{
    ngx_fd_t    fd;
    ngx_uint_t  i;

    for (i = 0; ngx_http_fanout_kafka_files[i]; i++) {
        if (ngx_strcmp(p->name.data, ngx_http_fanout_kafka_files[i]) == 0) {
            break;
        }
    }

    if (ngx_http_fanout_kafka_files[i] == NULL || p->value.len == 0
        || ngx_strcmp(p->value.data, "probe") == 0)
    {
        return NULL;
    }

    if (ngx_conf_full_name(cf->cycle, &p->value, 1) != NGX_OK) {
        return "has a value that is too long";
    }

    /* open(2) takes folders too, as ssl.ca.location does */

    fd = ngx_open_file(p->value.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {

        /* a path that came from elsewhere may be a secret put in the wrong
           place */

        if (p->secret) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_open_file_n " failed");
        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_open_file_n " \"%V\" failed",
                               &p->value);
        }

        return "names a file that can't be read";
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &p->value);
    }

    return NULL;
}


ngx_int_t
ngx_http_fanout_kafka_check(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf)
{
    ngx_http_fanout_kafka_property_t  *p;

    p = ngx_http_fanout_kafka_property(conf, "bootstrap.servers");

    if (p == NULL || p->value.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"bootstrap.servers\" in fanout_kafka \"%V\"",
                           &conf->name);
        return NGX_ERROR;
    }

    if (ngx_http_fanout_kafka_check_sasl(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_fanout_kafka_check_tls(cf, conf);
}


static ngx_int_t
ngx_http_fanout_kafka_check_sasl(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf)
{
    char                               features[512];
    size_t                             size;
    ngx_uint_t                         i;
    const char                        *mechanism, *feature;
    ngx_http_fanout_kafka_property_t  *p;

    p = ngx_http_fanout_kafka_property(conf, "security.protocol");

    if (p == NULL || ngx_strncasecmp(p->value.data, (u_char *) "sasl", 4)) {

        p = ngx_http_fanout_kafka_property(conf, "sasl.mechanisms");
        if (p == NULL) {
            p = ngx_http_fanout_kafka_property(conf, "sasl.username");
        }

        if (p) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "property \"%V\" needs \"security.protocol\" "
                               "with \"sasl_ssl\" or \"sasl_plaintext\" in "
                               "fanout_kafka \"%V\"", &p->name, &conf->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    p = ngx_http_fanout_kafka_property(conf, "sasl.mechanisms");
    mechanism = p ? (char *) p->value.data : "GSSAPI";
    feature = "sasl";

    for (i = 0; ngx_http_fanout_kafka_mechanisms[i][0]; i++) {
        if (ngx_strcmp(mechanism, ngx_http_fanout_kafka_mechanisms[i][0])
            == 0)
        {
            feature = ngx_http_fanout_kafka_mechanisms[i][1];
        }
    }

    size = sizeof(features);

    if (rd_kafka_conf_get(conf->scratch, "builtin.features", features, &size)
        == RD_KAFKA_CONF_OK
        && ngx_strstr(features, feature) == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "librdkafka %s was built without SASL mechanism "
                           "\"%s\"", rd_kafka_version_str(), mechanism);
        return NGX_ERROR;
    }

    if (ngx_strcmp(mechanism, "PLAIN") && ngx_strncmp(mechanism, "SCRAM", 5))
    {
        return NGX_OK;
    }

    if (ngx_http_fanout_kafka_needs(cf, conf, "sasl.username", mechanism)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_fanout_kafka_needs(cf, conf, "sasl.password", mechanism);
}


static ngx_int_t
ngx_http_fanout_kafka_check_tls(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf)
{
    ngx_uint_t  cert, key;

    cert = ngx_http_fanout_kafka_property(conf, "ssl.certificate.location")
           || ngx_http_fanout_kafka_property(conf, "ssl.certificate.pem");

    key = ngx_http_fanout_kafka_property(conf, "ssl.key.location")
          || ngx_http_fanout_kafka_property(conf, "ssl.key.pem");

    if (cert != key) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a TLS %s without its %s in fanout_kafka \"%V\"",
                           cert ? "certificate" : "key",
                           cert ? "key" : "certificate", &conf->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_kafka_needs(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf, const char *name, const char *why)
{
    if (ngx_http_fanout_kafka_property(conf, name)) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"sasl.mechanism %s\" needs \"%s\" in "
                       "fanout_kafka \"%V\"", why, name, &conf->name);

    return NGX_ERROR;
}
