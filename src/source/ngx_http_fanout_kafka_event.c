
/*
 * What the handles tell besides records, the state of the connection, and
 * the log: a fault is logged when it begins and when it changes.
 */


#include "source/ngx_http_fanout_kafka_int.h"


#define NGX_HTTP_FANOUT_KAFKA_EVENTS  64       /* in a turn, of a handle */
#define NGX_HTTP_FANOUT_KAFKA_REPEAT  30000    /* ms, for the same */


static void ngx_http_fanout_kafka_event_error(ngx_http_fanout_kafka_t *k,
    rd_kafka_event_t *ev);
static void ngx_http_fanout_kafka_event_connection(
    ngx_http_fanout_kafka_t *k, const char *text);
static void ngx_http_fanout_kafka_event_text(char *dst, const char *text);
static void ngx_http_fanout_kafka_event_log(ngx_http_fanout_kafka_t *k,
    rd_kafka_event_t *ev);
static void ngx_http_fanout_kafka_event_statistics(
    ngx_http_fanout_kafka_t *k, rd_kafka_event_t *ev);


void
ngx_http_fanout_kafka_events(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_handle_t *h)
{
    ngx_uint_t         n;
    rd_kafka_event_t  *ev;

    for (n = 0; n < NGX_HTTP_FANOUT_KAFKA_EVENTS; n++) {

        ev = rd_kafka_queue_poll(h->events, 0);
        if (ev == NULL) {
            return;
        }

        switch (rd_kafka_event_type(ev)) {

        case RD_KAFKA_EVENT_ERROR:
            ngx_http_fanout_kafka_event_error(k, ev);
            break;

        case RD_KAFKA_EVENT_LOG:
            ngx_http_fanout_kafka_event_log(k, ev);
            break;

        case RD_KAFKA_EVENT_STATS:
            ngx_http_fanout_kafka_event_statistics(k, ev);
            break;
        }

        rd_kafka_event_destroy(ev);
    }

    ngx_http_fanout_kafka_post(k);
}


static void
ngx_http_fanout_kafka_event_error(ngx_http_fanout_kafka_t *k,
    rd_kafka_event_t *ev)
{
    const char           *text;
    rd_kafka_resp_err_t   err;

    err = rd_kafka_event_error(ev);
    text = rd_kafka_event_error_string(ev);

    switch (err) {

    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:

        if (k->control) {
            ngx_http_fanout_kafka_control_refused(k->control);
        }

        ngx_http_fanout_kafka_event_text(k->detail, text);
        ngx_http_fanout_kafka_down(k, RD_KAFKA_RESP_ERR__AUTHENTICATION,
                                   k->detail);
        break;

    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:

        /* it can be false: we ask, now or as soon as we may; it is told
           only once */

        k->doubt = 1;
        ngx_http_fanout_kafka_probe(k);
        break;

    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__SSL:

        ngx_http_fanout_kafka_event_connection(k, text);
        break;

    default:

        ngx_log_error(NGX_LOG_WARN, k->cycle->log, 0, "kafka \"%V\": %s: %s",
                      ngx_http_fanout_kafka_name(k->conf),
                      rd_kafka_err2name(err), text);
    }
}


/*
 * One connection of perhaps many.  It is the reason if an attempt fails;
 * each handle and each try tells the same again.
 */

static void
ngx_http_fanout_kafka_event_connection(ngx_http_fanout_kafka_t *k,
    const char *text)
{
    char        buf[NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT];
    uint64_t    now;
    ngx_uint_t  level;

    ngx_http_fanout_kafka_event_text(buf, text);

    now = ngx_http_fanout_kafka_clock();

    if (ngx_strcmp(buf, k->detail) == 0
        && now - k->detailed < NGX_HTTP_FANOUT_KAFKA_REPEAT)
    {
        return;
    }

    ngx_memcpy(k->detail, buf, sizeof(buf));
    k->detailed = now;

    level = k->up ? NGX_LOG_WARN : NGX_LOG_INFO;

    ngx_log_error(level, k->cycle->log, 0, "kafka \"%V\": %s",
                  ngx_http_fanout_kafka_name(k->conf), buf);
}


/* without the end that differs each time: "(after 5ms in state CONNECT)" */

static void
ngx_http_fanout_kafka_event_text(char *dst, const char *text)
{
    u_char  *p;

    (void) ngx_cpystrn((u_char *) dst, (u_char *) text,
                       NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT);

    p = (u_char *) ngx_strstr(dst, " (after ");
    if (p) {
        *p = '\0';
    }
}


static void
ngx_http_fanout_kafka_event_log(ngx_http_fanout_kafka_t *k,
    rd_kafka_event_t *ev)
{
    int          level;
    uint64_t     now;
    const char  *facility, *text;

    static ngx_uint_t  levels[] = {    /* by syslog's */
        NGX_LOG_ERR,                   /* a worker goes on, so not worse */
        NGX_LOG_ERR,
        NGX_LOG_ERR,
        NGX_LOG_ERR,
        NGX_LOG_WARN,
        NGX_LOG_NOTICE,
        NGX_LOG_INFO,
        NGX_LOG_DEBUG
    };

    if (rd_kafka_event_log(ev, &facility, &text, &level) != 0) {
        return;
    }

    if (ngx_strcmp(facility, "FAIL") == 0
        || ngx_strcmp(facility, "ERROR") == 0
        || ngx_strcmp(facility, "CONFWARN") == 0)
    {
        /* error events tell the same; each handle warns again, of what is
           for producers, and of what we set */

        level = 7;
    }

    if (ngx_strcmp(facility, "PARTCNT") == 0) {

        /* the number of a topic's partitions is another one */

        k->changed = 1;
    }

    if (level < 7) {
        now = ngx_http_fanout_kafka_clock();

        if (ngx_strncmp(k->facility, facility, sizeof(k->facility) - 1) == 0
            && now - k->facility_logged < NGX_HTTP_FANOUT_KAFKA_REPEAT)
        {
            return;
        }

        (void) ngx_cpystrn((u_char *) k->facility, (u_char *) facility,
                           sizeof(k->facility));
        k->facility_logged = now;
    }

    ngx_log_error(levels[level & 7], k->cycle->log, 0,
                  "kafka \"%V\": %s: %s",
                  ngx_http_fanout_kafka_name(k->conf), facility, text);
}


static void
ngx_http_fanout_kafka_event_statistics(ngx_http_fanout_kafka_t *k,
    rd_kafka_event_t *ev)
{
    size_t       len;
    u_char      *data;
    const char  *text;

    text = rd_kafka_event_stats(ev);
    if (text == NULL) {
        return;
    }

    len = ngx_strlen(text);

    data = ngx_alloc(len, k->cycle->log);
    if (data == NULL) {
        return;
    }

    ngx_memcpy(data, text, len);

    if (k->statistics) {
        ngx_free(k->statistics);
    }

    k->statistics = data;
    k->statistics_len = len;
}


void
ngx_http_fanout_kafka_up(ngx_http_fanout_kafka_t *k)
{
    if (k->up) {
        return;
    }

    if (k->fault) {
        ngx_log_error(NGX_LOG_NOTICE, k->cycle->log, 0,
                      "kafka \"%V\" is reachable again",
                      ngx_http_fanout_kafka_name(k->conf));
    }

    k->up = 1;
    k->fault = RD_KAFKA_RESP_ERR_NO_ERROR;
    k->error[0] = '\0';
    k->detail[0] = '\0';

    k->report(k->report_ctx, 1, NULL);
}


void
ngx_http_fanout_kafka_down(ngx_http_fanout_kafka_t *k,
    rd_kafka_resp_err_t err, const char *text)
{
    char        buf[NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT];
    ngx_uint_t  changed;

    /* what an attempt saw last says more than that it failed; refused
       credentials stay the reason of what fails after them */

    if (k->fault == RD_KAFKA_RESP_ERR__AUTHENTICATION
        && (err == RD_KAFKA_RESP_ERR__TRANSPORT
            || err == RD_KAFKA_RESP_ERR__TIMED_OUT))
    {
        return;
    }

    if (text == NULL || text[0] == '\0') {
        text = k->detail[0] ? k->detail : rd_kafka_err2str(err);
    }

    ngx_cpystrn((u_char *) buf, (u_char *) text, sizeof(buf));

    changed = k->up || k->fault != err;

    k->up = 0;
    k->fault = err;

    if (changed) {
        ngx_log_error(NGX_LOG_ERR, k->cycle->log, 0,
                      "kafka \"%V\" is unreachable: %s",
                      ngx_http_fanout_kafka_name(k->conf), buf);
    }

    if (changed || ngx_strcmp(buf, k->error) != 0) {
        ngx_memcpy(k->error, buf, sizeof(buf));
        k->report(k->report_ctx, 0, k->error);
    }
}


/*
 * The cluster is there, as far as we know: the status tells the last
 * partition that is in trouble until none is.
 */

void
ngx_http_fanout_kafka_trouble(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, rd_kafka_resp_err_t err,
    const char *text)
{
    u_char  *last;

    if (part->err == err) {
        return;
    }

    if (part->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        k->ntroubled++;
        part->topic->ntroubled++;
    }

    part->err = err;

    ngx_log_error(NGX_LOG_ERR, k->cycle->log, 0,
                  "kafka \"%V\": partition %uD of topic \"%s\": %s",
                  ngx_http_fanout_kafka_name(k->conf), part->partition,
                  part->topic->name.data, text);

    if (k->up) {
        last = ngx_snprintf((u_char *) k->error, sizeof(k->error) - 1,
                            "partition %uD of topic \"%s\": %s",
                            part->partition, part->topic->name.data, text);
        *last = '\0';

        k->report(k->report_ctx, 1, k->error);
    }
}


void
ngx_http_fanout_kafka_fine(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    if (part->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, k->cycle->log, 0,
                  "kafka \"%V\": partition %uD of topic \"%s\" is read "
                  "again", ngx_http_fanout_kafka_name(k->conf),
                  part->partition, part->topic->name.data);

    ngx_http_fanout_kafka_clear(k, part);
}


void
ngx_http_fanout_kafka_clear(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    if (part->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }

    part->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    part->topic->ntroubled--;

    if (--k->ntroubled == 0 && k->up) {
        k->error[0] = '\0';
        k->report(k->report_ctx, 1, k->error);
    }
}
