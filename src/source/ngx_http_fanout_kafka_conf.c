
/*
 * Parses the block of a cluster:
 *
 *     fanout_kafka main {
 *         bootstrap.servers   kafka1:9092,kafka2:9092;
 *         sasl.password       file:kafka.password;
 *         topic orders-*      partitioner=murmur2;
 *     }
 *
 * Each line but "topic" is a property of librdkafka.  It is set at once on
 * a scratch configuration, so that a wrong one is told with its line.  A
 * value "file:PATH" or "env:NAME" is read here, in the master.
 */


#include <librdkafka/rdkafka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "source/ngx_http_fanout_kafka_conf.h"


typedef struct {
    ngx_str_t      name;
    const char    *alias_of;
} ngx_http_fanout_kafka_alias_t;


static char *ngx_http_fanout_kafka_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_http_fanout_kafka_topic_line(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);
static char *ngx_http_fanout_kafka_topic_parameter(ngx_conf_t *cf,
    ngx_http_fanout_kafka_rule_t *rule, ngx_str_t *value);
static char *ngx_http_fanout_kafka_property_line(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);
static ngx_int_t ngx_http_fanout_kafka_property_name(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p, ngx_str_t *name);
static ngx_int_t ngx_http_fanout_kafka_defaults(
    ngx_http_fanout_kafka_conf_t *conf);
static ngx_int_t ngx_http_fanout_kafka_hash(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf);
static int ngx_libc_cdecl ngx_http_fanout_kafka_compare(const void *one,
    const void *two);


/* one property has one name here; the other is librdkafka's alias */

static ngx_http_fanout_kafka_alias_t  ngx_http_fanout_kafka_aliases[] = {
    { ngx_string("metadata.broker.list"), "bootstrap.servers" },
    { ngx_string("sasl.mechanism"), "sasl.mechanisms" },
    { ngx_string("max.in.flight"), "max.in.flight.requests.per.connection" },
    { ngx_string("fetch.message.max.bytes"), "max.partition.fetch.bytes" },
    { ngx_string("queue.buffering.max.ms"), "linger.ms" },
    { ngx_string("message.send.max.retries"), "retries" },
    { ngx_string("compression.type"), "compression.codec" },
    { ngx_string("acks"), "request.required.acks" },
    { ngx_string("delivery.timeout.ms"), "message.timeout.ms" },
    { ngx_null_string, NULL }
};


/* set where the user doesn't; what this librdkafka doesn't know is left */

static const char  *ngx_http_fanout_kafka_standards[][2] = {
    { "client.id", "nginx-fanout" },

    /* a partition just started waits at most this for its first record,
       where a broker holds a fetch for partitions started before */
    { "fetch.wait.max.ms", "100" },

    /* of the queue of one worker; the rest waits in Kafka */
    { "queued.max.messages.kbytes", "16384" },

    { "fetch.queue.backoff.ms", "10" },
    { "socket.nagle.disable", "true" },
    { "socket.keepalive.enable", "true" },
    { "enable.metrics.push", "false" },

    /* a subscriber waits for an answer for 3 seconds: a broker that comes
       back, and the next one where one hangs, are tried within that */
    { "reconnect.backoff.max.ms", "2000" },
    { "socket.connection.setup.timeout.ms", "5000" },
    { NULL, NULL }
};


ngx_str_t *
ngx_http_fanout_kafka_name(ngx_http_fanout_kafka_conf_t *conf)
{
    return &conf->name;
}


uint64_t
ngx_http_fanout_kafka_id(ngx_http_fanout_kafka_conf_t *conf)
{
    return conf->id;
}


ngx_http_fanout_kafka_property_t *
ngx_http_fanout_kafka_property(ngx_http_fanout_kafka_conf_t *conf,
    const char *name)
{
    ngx_uint_t                         i;
    ngx_http_fanout_kafka_property_t  *p;

    p = conf->properties.elts;

    for (i = 0; i < conf->properties.nelts; i++) {
        if (ngx_strcmp(p[i].name.data, name) == 0) {
            return &p[i];
        }
    }

    return NULL;
}


ngx_http_fanout_kafka_conf_t *
ngx_http_fanout_kafka_parse(ngx_conf_t *cf, ngx_str_t *name)
{
    char                          *rv;
    const char                    *reason;
    ngx_int_t                      rc;
    ngx_conf_t                     save;
    ngx_http_fanout_kafka_conf_t  *conf;

    reason = ngx_http_fanout_kafka_check_version(rd_kafka_version());
    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "librdkafka %s can't be used: %s",
                           rd_kafka_version_str(), reason);
        return NULL;
    }

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_fanout_kafka_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_http_fanout_kafka_copy(cf->pool, &conf->name, name->data,
                                   name->len)
        != NGX_OK
        || ngx_array_init(&conf->properties, cf->pool, 16,
                          sizeof(ngx_http_fanout_kafka_property_t))
           != NGX_OK
        || ngx_array_init(&conf->rules, cf->pool, 4,
                          sizeof(ngx_http_fanout_kafka_rule_t))
           != NGX_OK)
    {
        return NULL;
    }

    conf->scratch = rd_kafka_conf_new();
    if (conf->scratch == NULL) {
        return NULL;
    }

    save = *cf;
    cf->handler = ngx_http_fanout_kafka_line;
    cf->handler_conf = (void *) conf;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    rc = NGX_ERROR;

    if (rv == NGX_CONF_OK
        && ngx_http_fanout_kafka_check(cf, conf) == NGX_OK
        && ngx_http_fanout_kafka_defaults(conf) == NGX_OK)
    {
        rc = ngx_http_fanout_kafka_hash(cf, conf);
    }

    rd_kafka_conf_destroy(conf->scratch);
    conf->scratch = NULL;

    return rc == NGX_OK ? conf : NULL;
}


static char *
ngx_http_fanout_kafka_line(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[0].len == 5 && ngx_strncmp(value[0].data, "topic", 5) == 0) {
        return ngx_http_fanout_kafka_topic_line(cf, conf);
    }

    return ngx_http_fanout_kafka_property_line(cf, conf);
}


static char *
ngx_http_fanout_kafka_topic_line(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf)
{
    char                          *rv;
    u_char                         ch;
    ngx_str_t                     *value, topic;
    ngx_uint_t                     i, prefix;
    ngx_http_fanout_kafka_rule_t  *rule;

    value = cf->args->elts;

    if (cf->args->nelts < 3) {
        return "invalid number of arguments in \"topic\"";
    }

    topic = value[1];
    prefix = 0;

    if (topic.len && topic.data[topic.len - 1] == '*') {
        prefix = 1;
        topic.len--;
    }

    for (i = 0; i < topic.len; i++) {
        ch = topic.data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9')
              || ch == '.' || ch == '_' || ch == '-'))
        {
            break;
        }
    }

    if (i < topic.len || topic.len > FO_TOPIC_MAX
        || (topic.len == 0 && !prefix))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid topic name \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    rule = conf->rules.elts;

    for (i = 0; i < conf->rules.nelts; i++) {
        if (rule[i].prefix == prefix && rule[i].name.len == topic.len
            && ngx_memcmp(rule[i].name.data, topic.data, topic.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate topic \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(&conf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_fanout_kafka_rule_t));

    rule->name = topic;
    rule->prefix = prefix;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_fanout_kafka_topic_parameter(cf, rule, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_fanout_kafka_topic_parameter(ngx_conf_t *cf,
    ngx_http_fanout_kafka_rule_t *rule, ngx_str_t *value)
{
    ngx_uint_t  i;

    static ngx_str_t  partitioners[] = {    /* in the order of the enum */
        ngx_string("any"),
        ngx_string("murmur2"),
        ngx_string("crc32"),
        ngx_string("fnv1a"),
        ngx_null_string
    };

    static ngx_str_t  later[] = {
        ngx_string("value="),
        ngx_string("state="),
        ngx_string("replay="),
        ngx_null_string
    };

    if (value->len >= 12
        && ngx_strncmp(value->data, "partitioner=", 12) == 0)
    {
        for (i = 0; partitioners[i].len; i++) {
            if (value->len - 12 == partitioners[i].len
                && ngx_strncmp(value->data + 12, partitioners[i].data,
                               partitioners[i].len)
                   == 0)
            {
                rule->partitioner = i;
                return NGX_CONF_OK;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be \"any\", "
                           "\"murmur2\", \"crc32\" or \"fnv1a\"", value);
        return NGX_CONF_ERROR;
    }

    for (i = 0; later[i].len; i++) {
        if (value->len >= later[i].len
            && ngx_strncmp(value->data, later[i].data, later[i].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is not yet supported", value);
            return NGX_CONF_ERROR;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\"", value);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_fanout_kafka_property_line(ngx_conf_t *cf,
    ngx_http_fanout_kafka_conf_t *conf)
{
    char                               error[512];
    ngx_str_t                         *value;
    const char                        *reason;
    rd_kafka_conf_res_t                res;
    ngx_http_fanout_kafka_property_t  *p, property;

    value = cf->args->elts;

    ngx_memzero(&property, sizeof(ngx_http_fanout_kafka_property_t));

    if (ngx_http_fanout_kafka_property_name(cf, &property, &value[0])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts < 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "property \"%V\" has no value", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_fanout_kafka_property(conf, (char *) property.name.data)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate property \"%V\"", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_fanout_kafka_value(cf, &property) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    reason = ngx_http_fanout_kafka_check_property(cf, &property);
    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "property \"%V\" %s",
                           &value[0], reason);
        return NGX_CONF_ERROR;
    }

    error[0] = '\0';

    res = rd_kafka_conf_set(conf->scratch, (char *) property.name.data,
                            (char *) property.value.data, error,
                            sizeof(error));

    if (res == RD_KAFKA_CONF_UNKNOWN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown property \"%V\" in librdkafka %s",
                           &value[0], rd_kafka_version_str());
        return NGX_CONF_ERROR;
    }

    if (res != RD_KAFKA_CONF_OK) {

        /* librdkafka's text may repeat the value, and end in a newline */

        error[strcspn(error, "\n")] = '\0';

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value of property \"%V\"%s%s", &value[0],
                           property.secret ? "" : ": ",
                           property.secret ? "" : error);
        return NGX_CONF_ERROR;
    }

    p = ngx_array_push(&conf->properties);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    *p = property;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_fanout_kafka_property_name(ngx_conf_t *cf,
    ngx_http_fanout_kafka_property_t *p, ngx_str_t *name)
{
    ngx_http_fanout_kafka_alias_t  *alias;

    p->name = *name;

    for (alias = ngx_http_fanout_kafka_aliases; alias->name.len; alias++) {
        if (name->len == alias->name.len
            && ngx_memcmp(name->data, alias->name.data, name->len) == 0)
        {
            p->name.data = (u_char *) alias->alias_of;
            p->name.len = ngx_strlen(alias->alias_of);
        }
    }

    return ngx_http_fanout_kafka_copy(cf->pool, &p->name, p->name.data,
                                      p->name.len);
}


static ngx_int_t
ngx_http_fanout_kafka_defaults(ngx_http_fanout_kafka_conf_t *conf)
{
    ngx_uint_t                         i;
    const char                        *name, *value;
    ngx_http_fanout_kafka_property_t  *p;

    for (i = 0; ngx_http_fanout_kafka_standards[i][0]; i++) {
        name = ngx_http_fanout_kafka_standards[i][0];
        value = ngx_http_fanout_kafka_standards[i][1];

        if (ngx_http_fanout_kafka_property(conf, name)
            || rd_kafka_conf_set(conf->scratch, name, value, NULL, 0)
               != RD_KAFKA_CONF_OK)
        {
            continue;
        }

        p = ngx_array_push(&conf->properties);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(p, sizeof(ngx_http_fanout_kafka_property_t));

        p->standard = 1;
        p->name.data = (u_char *) name;
        p->name.len = ngx_strlen(name);
        p->value.data = (u_char *) value;
        p->value.len = ngx_strlen(value);
    }

    return NGX_OK;
}


/* topic rules take part: who reads for others checks the keys for them */

static ngx_int_t
ngx_http_fanout_kafka_hash(ngx_conf_t *cf, ngx_http_fanout_kafka_conf_t *conf)
{
    uint64_t                            id;
    ngx_uint_t                          i, n;
    ngx_http_fanout_kafka_rule_t       *rule;
    ngx_http_fanout_kafka_property_t  **sorted, *p;

    n = conf->properties.nelts;
    p = conf->properties.elts;

    sorted = ngx_palloc(cf->pool, n * sizeof(*sorted));
    if (sorted == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        sorted[i] = &p[i];
    }

    ngx_qsort(sorted, n, sizeof(*sorted), ngx_http_fanout_kafka_compare);

    id = XXH3_64bits_withSeed(conf->name.data, conf->name.len, n);

    for (i = 0; i < n; i++) {
        id = XXH3_64bits_withSeed(sorted[i]->name.data, sorted[i]->name.len,
                                  id);
        id = XXH3_64bits_withSeed(sorted[i]->value.data,
                                  sorted[i]->value.len, id);
    }

    rule = conf->rules.elts;

    for (i = 0; i < conf->rules.nelts; i++) {
        id = XXH3_64bits_withSeed(rule[i].name.data, rule[i].name.len,
                                  id + rule[i].prefix
                                  + 2 * rule[i].partitioner);
    }

    conf->id = id ? id : 1;

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_fanout_kafka_compare(const void *one, const void *two)
{
    ngx_http_fanout_kafka_property_t  *const *a = one, *const *b = two;

    return ngx_strcmp((*a)->name.data, (*b)->name.data);
}
