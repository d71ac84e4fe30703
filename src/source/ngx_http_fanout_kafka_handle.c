
/*
 * A handle of librdkafka.
 *
 * No ngx_* call that allocates or logs is made here: this runs on the
 * helper thread.
 */


#include "source/ngx_http_fanout_kafka_handle.h"


static rd_kafka_conf_t *ngx_http_fanout_kafka_handle_conf(
    const ngx_http_fanout_kafka_conf_t *conf,
    ngx_http_fanout_kafka_kind_e kind, char *error);
static int ngx_http_fanout_kafka_handle_open(
    ngx_http_fanout_kafka_handle_t *h,
    const ngx_http_fanout_kafka_conf_t *conf, rd_kafka_conf_t *rkc, int fd,
    char *error);


/*
 * Ours, over whatever the user set; a topic's properties are set on the
 * default topic configuration, as librdkafka passes them on.
 */

static const char  *ngx_http_fanout_kafka_handle_ours[][2] = {

    /* no group, no commit: where to start is always told */
    { "enable.auto.commit", "false" },
    { "enable.auto.offset.store", "false" },
    { "auto.commit.enable", "false" },

    /* an offset that is gone is an event, never a silent jump */
    { "auto.offset.reset", "error" },

    /* it also says how far reading came where no records are */
    { "enable.partition.eof", "true" },

    { "allow.auto.create.topics", "false" },
    { "log.queue", "true" },
    { NULL, NULL }
};


ngx_http_fanout_kafka_handle_t *
ngx_http_fanout_kafka_handle_create(const ngx_http_fanout_kafka_conf_t *conf,
    ngx_http_fanout_kafka_kind_e kind, int fd, char *error)
{
    rd_kafka_conf_t                 *rkc;
    ngx_http_fanout_kafka_handle_t  *h;

    h = calloc(1, sizeof(ngx_http_fanout_kafka_handle_t));
    if (h == NULL) {
        (void) snprintf(error, NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT,
                        "no memory");
        return NULL;
    }

    h->kind = kind;

    rkc = ngx_http_fanout_kafka_handle_conf(conf, kind, error);

    if (rkc == NULL
        || ngx_http_fanout_kafka_handle_open(h, conf, rkc, fd, error)
           != NGX_OK)
    {
        free(h);
        return NULL;
    }

    return h;
}


static rd_kafka_conf_t *
ngx_http_fanout_kafka_handle_conf(const ngx_http_fanout_kafka_conf_t *conf,
    ngx_http_fanout_kafka_kind_e kind, char *error)
{
    size_t                             i;
    const char                        *name, *value;
    rd_kafka_conf_t                   *rkc;
    rd_kafka_conf_res_t                res;
    ngx_http_fanout_kafka_property_t  *p;

    rkc = rd_kafka_conf_new();

    p = conf->properties.elts;

    for (i = 0; i < conf->properties.nelts; i++) {
        name = (char *) p[i].name.data;
        value = (char *) p[i].value.data;

        if (kind == NGX_HTTP_FANOUT_KAFKA_CONTROL
            && strcmp(name, "statistics.interval.ms") == 0)
        {
            continue;
        }

        res = rd_kafka_conf_set(rkc, name, value, NULL, 0);

        if (res != RD_KAFKA_CONF_OK) {
            goto failed;
        }
    }

    for (i = 0; ngx_http_fanout_kafka_handle_ours[i][0]; i++) {
        name = ngx_http_fanout_kafka_handle_ours[i][0];
        value = ngx_http_fanout_kafka_handle_ours[i][1];

        if (rd_kafka_conf_set(rkc, name, value, NULL, 0) != RD_KAFKA_CONF_OK)
        {
            goto failed;
        }
    }

    /* the end of a partition is its high watermark, behind records of
       transactions that are still open */

    name = "isolation.level";

    if (kind == NGX_HTTP_FANOUT_KAFKA_CONTROL
        && rd_kafka_conf_set(rkc, name, "read_uncommitted", NULL, 0)
           != RD_KAFKA_CONF_OK)
    {
        goto failed;
    }

    /* without a callback, what can't go to the queue goes nowhere, instead
       of to stderr */

    rd_kafka_conf_set_log_cb(rkc, NULL);

    /* tokens are refreshed on a thread of librdkafka, see below */

    rd_kafka_conf_enable_sasl_queue(rkc, 1);

    rd_kafka_conf_set_events(rkc, RD_KAFKA_EVENT_ERROR|RD_KAFKA_EVENT_LOG
                                  |RD_KAFKA_EVENT_STATS);

    return rkc;

failed:

    (void) snprintf(error, NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT,
                    "invalid value of property \"%s\"", name);

    rd_kafka_conf_destroy(rkc);

    return NULL;
}


static int
ngx_http_fanout_kafka_handle_open(ngx_http_fanout_kafka_handle_t *h,
    const ngx_http_fanout_kafka_conf_t *conf, rd_kafka_conf_t *rkc, int fd,
    char *error)
{
    size_t                             i;
    rd_kafka_error_t                  *err;
    ngx_http_fanout_kafka_property_t  *p;

    static const uint64_t  one = 1;

    /* all signals are blocked here, and so in the threads made here */

    h->rk = rd_kafka_new(RD_KAFKA_CONSUMER, rkc, error,
                         NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT);

    if (h->rk == NULL) {
        rd_kafka_conf_destroy(rkc);
        return NGX_ERROR;
    }

    (void) rd_kafka_set_log_queue(h->rk, NULL);

    h->events = rd_kafka_queue_get_main(h->rk);
    rd_kafka_queue_io_event_enable(h->events, fd, &one, sizeof(one));

    if (h->kind == NGX_HTTP_FANOUT_KAFKA_LIVE) {
        h->records = rd_kafka_queue_new(h->rk);
        rd_kafka_queue_io_event_enable(h->records, fd, &one, sizeof(one));
    }

    p = conf->properties.elts;

    for (i = 0; i < conf->properties.nelts; i++) {
        if (strcmp((char *) p[i].name.data, "sasl.mechanisms") == 0
            && strcmp((char *) p[i].value.data, "OAUTHBEARER") == 0)
        {
            err = rd_kafka_sasl_background_callbacks_enable(h->rk);
            if (err) {
                rd_kafka_error_destroy(err);
            }
        }
    }

    /* the queues write to it only when something comes after this */

    if (write(fd, &one, sizeof(one)) == -1) {
        /* it can't be full */
    }

    return NGX_OK;
}


void
ngx_http_fanout_kafka_handle_destroy(ngx_http_fanout_kafka_handle_t *h)
{
    if (h->records) {
        rd_kafka_queue_io_event_enable(h->records, -1, NULL, 0);
        rd_kafka_queue_destroy(h->records);
    }

    rd_kafka_queue_io_event_enable(h->events, -1, NULL, 0);
    rd_kafka_queue_destroy(h->events);

    rd_kafka_destroy_flags(h->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);

    free(h);
}
