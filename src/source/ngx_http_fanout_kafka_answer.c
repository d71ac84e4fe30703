
/*
 * What the helper thread answers.
 */


#include "source/ngx_http_fanout_kafka_int.h"


static void ngx_http_fanout_kafka_opened(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job);
static void ngx_http_fanout_kafka_described(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job);
static void ngx_http_fanout_kafka_examine(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, ngx_http_fanout_kafka_job_t *job,
    unsigned error);
static void ngx_http_fanout_kafka_offset(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job);


void
ngx_http_fanout_kafka_answers(ngx_http_fanout_kafka_t *k)
{
    ngx_http_fanout_kafka_job_t  *job, *next;

    if (k->control == NULL) {
        return;
    }

    for (job = ngx_http_fanout_kafka_control_take(k->control);
         job;
         job = next)
    {
        next = job->next;

        switch (job->type) {

        case NGX_HTTP_FANOUT_KAFKA_OPENED:
            k->handles[NGX_HTTP_FANOUT_KAFKA_CONTROL] = job->handle;
            break;

        case NGX_HTTP_FANOUT_KAFKA_OPEN:
            k->njobs--;
            ngx_http_fanout_kafka_opened(k, job);
            break;

        case NGX_HTTP_FANOUT_KAFKA_DESCRIBE:
            k->njobs--;
            ngx_http_fanout_kafka_described(k, job);
            break;

        default: /* NGX_HTTP_FANOUT_KAFKA_OFFSET */
            k->njobs--;
            ngx_http_fanout_kafka_offset(k, job);
        }

        ngx_http_fanout_kafka_job_free(job);
    }
}


static void
ngx_http_fanout_kafka_opened(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job)
{
    k->opening = 0;

    if (job->handle == NULL) {
        k->open_at = ngx_http_fanout_kafka_clock()
                     + NGX_HTTP_FANOUT_KAFKA_RETRY;

        ngx_http_fanout_kafka_down(k, job->err, job->error);
        return;
    }

    k->handles[NGX_HTTP_FANOUT_KAFKA_LIVE] = job->handle;
}


static void
ngx_http_fanout_kafka_described(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job)
{
    fo_str_t                        name;
    unsigned                        error;
    ngx_http_fanout_kafka_topic_t  *t;

    switch (job->err) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        error = job->partitions ? FO_ERR_NONE : FO_ERR_UNREACHABLE;
        break;

    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        error = FO_ERR_UNKNOWN_TOPIC;
        break;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        error = FO_ERR_FORBIDDEN;
        break;

    default:
        ngx_http_fanout_kafka_down(k, job->err, job->error);
        error = FO_ERR_UNREACHABLE;
    }

    if (error != FO_ERR_UNREACHABLE) {
        ngx_http_fanout_kafka_up(k);
    }

    if (job->row != FO_NONE) {
        name.data = (u_char *) job->topic;
        name.len = ngx_strlen(job->topic);

        fo_hub_described(k->hub, k, job->row, &name, error,
                         error == FO_ERR_NONE ? job->partitions : 0);
        return;
    }

    t = job->ctx;

    t->asking = 0;

    ngx_http_fanout_kafka_counted(k, t, error == FO_ERR_NONE
                                        ? job->partitions : 0);

    ngx_http_fanout_kafka_examine(k, t, job, error);
}


/*
 * What is read and what Kafka has: librdkafka does not say of a partition
 * that it is gone, or has no leader; it tries again until it is there.
 */

static void
ngx_http_fanout_kafka_examine(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_topic_t *t, ngx_http_fanout_kafka_job_t *job,
    unsigned error)
{
    ngx_uint_t                     i;
    ngx_http_fanout_kafka_part_t  *part;

    if (error != FO_ERR_NONE && error != FO_ERR_UNKNOWN_TOPIC) {
        return;
    }

    for (i = 0; i < t->nparts; i++) {
        part = t->parts[i];

        if (part == NULL || part->state != NGX_HTTP_FANOUT_KAFKA_RUNNING) {
            continue;
        }

        if (error == FO_ERR_UNKNOWN_TOPIC || i >= job->partitions) {

            /* it may come back with other records, also such as have the
               offsets of those that were read */

            ngx_http_fanout_kafka_trouble(k, part,
                                     RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                     "it does not exist any more");
            part->missed = 1;

        } else if (i < NGX_HTTP_FANOUT_KAFKA_LEADERS
                   && (job->leaderless[i / 64] & (uint64_t) 1 << i % 64))
        {
            ngx_http_fanout_kafka_trouble(k, part,
                                     RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                                     "it has no leader");

        } else if (part->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                   || part->err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        {
            ngx_http_fanout_kafka_fine(k, part);
        }
    }
}


static void
ngx_http_fanout_kafka_offset(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_job_t *job)
{
    const char                    *text;
    ngx_http_fanout_kafka_part_t  *part;

    part = job->ctx;

    if (part == NULL) {
        return;
    }

    part->job = NULL;

    if (job->done) {
        part->next = job->offset;
        part->alone = 0;

        ngx_http_fanout_kafka_up(k);
        ngx_http_fanout_kafka_again(k, part, 0);

        return;
    }

    part->alone = job->alone;

    if (job->err == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        text = "no offset: it has no leader, or that one does not answer";

    } else {
        text = job->error[0] ? job->error : rd_kafka_err2str(job->err);
    }

    ngx_http_fanout_kafka_trouble(k, part, job->err, text);
    ngx_http_fanout_kafka_again(k, part, NGX_HTTP_FANOUT_KAFKA_RETRY);
}
