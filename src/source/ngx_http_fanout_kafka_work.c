
/*
 * What the helper thread does: one topic's partitions, many partitions'
 * ends.
 *
 * Ends of partitions are asked for together.  librdkafka fails the whole
 * request if one of the brokers fails, so then each partition is asked for
 * alone, for a short time; those that fail again are marked and don't join
 * others in later attempts.
 *
 * Called off the main thread: nothing of nginx but macros.
 */


#include "source/ngx_http_fanout_kafka_control_int.h"


#define NGX_HTTP_FANOUT_KAFKA_SLICE     250     /* ms, of waiting */
#define NGX_HTTP_FANOUT_KAFKA_TOGETHER  1000    /* ms, for all partitions */
#define NGX_HTTP_FANOUT_KAFKA_ALONE     200     /* ms, for one */
#define NGX_HTTP_FANOUT_KAFKA_TURN      8       /* describes in a row */


static ngx_int_t ngx_http_fanout_kafka_work_open(
    ngx_http_fanout_kafka_control_t *ctl);
static void ngx_http_fanout_kafka_work_fail(
    ngx_http_fanout_kafka_control_t *ctl, rd_kafka_resp_err_t err,
    const char *error);
static rd_kafka_resp_err_t ngx_http_fanout_kafka_describe(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_job_t *job);
static rd_kafka_resp_err_t ngx_http_fanout_kafka_metadata(
    ngx_http_fanout_kafka_control_t *ctl, rd_kafka_topic_t *rkt,
    ngx_http_fanout_kafka_job_t *job, uint64_t passed);
static void ngx_http_fanout_kafka_offsets(
    ngx_http_fanout_kafka_control_t *ctl);
static void ngx_http_fanout_kafka_offsets_refresh(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_job_t *job);
static ngx_uint_t ngx_http_fanout_kafka_offsets_ask(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_job_t *jobs,
    ngx_http_fanout_kafka_job_t *one, int64_t from, int timeout);


void
ngx_http_fanout_kafka_work(ngx_http_fanout_kafka_control_t *ctl)
{
    ngx_uint_t                    n;
    rd_kafka_resp_err_t           err;
    ngx_http_fanout_kafka_job_t  *job;

    ngx_http_fanout_kafka_control_collect(ctl);

    if (ctl->describes.first == NULL && ctl->offsets.first == NULL) {
        return;
    }

    if (ngx_http_fanout_kafka_work_open(ctl) != NGX_OK) {
        return;
    }

    /* offsets first: those who wait for them have waited before */

    if (ctl->offsets.first) {
        ngx_http_fanout_kafka_offsets(ctl);
    }

    for (n = 0; n < NGX_HTTP_FANOUT_KAFKA_TURN; n++) {

        job = ngx_http_fanout_kafka_list_shift(&ctl->describes);
        if (job == NULL) {
            break;
        }

        err = ngx_http_fanout_kafka_describe(ctl, job);

        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            ngx_http_fanout_kafka_control_done(ctl, job);
            ngx_http_fanout_kafka_work_fail(ctl, err, "");
            break;
        }

        ngx_http_fanout_kafka_control_done(ctl, job);
    }
}


static ngx_int_t
ngx_http_fanout_kafka_work_open(ngx_http_fanout_kafka_control_t *ctl)
{
    char                          error[NGX_HTTP_FANOUT_KAFKA_ERROR_TEXT];
    ngx_http_fanout_kafka_job_t  *job;

    if (ctl->handle) {
        return NGX_OK;
    }

    job = ngx_http_fanout_kafka_job(NGX_HTTP_FANOUT_KAFKA_OPENED, NULL);

    if (job) {
        ctl->handle = ngx_http_fanout_kafka_handle_create(ctl->conf,
                                             NGX_HTTP_FANOUT_KAFKA_CONTROL,
                                             ctl->fd, error);
        if (ctl->handle) {
            job->handle = ctl->handle;
            ngx_http_fanout_kafka_control_done(ctl, job);
            return NGX_OK;
        }

        ngx_http_fanout_kafka_job_free(job);

    } else {
        (void) snprintf(error, sizeof(error), "no memory");
    }

    ngx_http_fanout_kafka_work_fail(ctl, RD_KAFKA_RESP_ERR__FAIL, error);

    return NGX_ERROR;
}


/* answers all that waits, also what came meanwhile */

static void
ngx_http_fanout_kafka_work_fail(ngx_http_fanout_kafka_control_t *ctl,
    rd_kafka_resp_err_t err, const char *error)
{
    ngx_http_fanout_kafka_job_t  *job;

    ngx_http_fanout_kafka_control_collect(ctl);

    for ( ;; ) {
        job = ngx_http_fanout_kafka_list_shift(&ctl->describes);

        if (job == NULL) {
            job = ngx_http_fanout_kafka_list_shift(&ctl->offsets);
        }

        if (job == NULL) {
            return;
        }

        job->err = err;
        (void) snprintf(job->error, sizeof(job->error), "%s", error);

        ngx_http_fanout_kafka_control_done(ctl, job);
    }
}


/* job->err is about the topic, what is returned about the cluster */

static rd_kafka_resp_err_t
ngx_http_fanout_kafka_describe(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *job)
{
    uint64_t              started, now;
    rd_kafka_topic_t     *rkt;
    rd_kafka_resp_err_t   err;

    rkt = rd_kafka_topic_new(ctl->handle->rk, job->topic, NULL);

    if (rkt == NULL) {
        job->err = RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }

    started = ngx_http_fanout_kafka_clock();

    for ( ;; ) {
        now = ngx_http_fanout_kafka_clock();

        err = ngx_http_fanout_kafka_metadata(ctl, rkt, job, now - started);

        if (err == RD_KAFKA_RESP_ERR_NO_ERROR
            && (job->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
                || job->partitions))
        {
            ngx_http_fanout_kafka_control_accepted(ctl);
            break;
        }

        if (ngx_http_fanout_kafka_control_hopeless(ctl, started)) {
            job->err = err ? err : job->err;
            break;
        }

        if (ngx_http_fanout_kafka_clock() - now < 20) {

            /* it did not wait: a connection just broke, or a topic is just
               made */

            (void) usleep(20000);
        }
    }

    rd_kafka_topic_destroy(rkt);

    return err;
}


static rd_kafka_resp_err_t
ngx_http_fanout_kafka_metadata(ngx_http_fanout_kafka_control_t *ctl,
    rd_kafka_topic_t *rkt, ngx_http_fanout_kafka_job_t *job, uint64_t passed)
{
    int                                       i, id, timeout;
    rd_kafka_resp_err_t                       err;
    const struct rd_kafka_metadata           *md;
    const struct rd_kafka_metadata_topic     *topic;

    timeout = NGX_HTTP_FANOUT_KAFKA_TIMEOUT - (int) passed;

    if (job->err != RD_KAFKA_RESP_ERR__TIMED_OUT) {

        /* no broker is connected yet: in slices, to hear whether it refuses
           the credentials.  Else one is there, and slow */

        timeout = ngx_min(timeout, NGX_HTTP_FANOUT_KAFKA_SLICE);
    }

    md = NULL;

    err = rd_kafka_metadata(ctl->handle->rk, 0, rkt, &md, timeout);

    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        job->err = err;
        return err;
    }

    if (md->topic_cnt == 1) {
        topic = &md->topics[0];
        job->err = topic->err;
        job->partitions = topic->partition_cnt > 0 ? topic->partition_cnt : 0;

        memset(job->leaderless, 0, sizeof(job->leaderless));

        for (i = 0; i < topic->partition_cnt; i++) {
            id = topic->partitions[i].id;

            if (topic->partitions[i].leader == -1 && id >= 0
                && id < NGX_HTTP_FANOUT_KAFKA_LEADERS)
            {
                job->leaderless[id / 64] |= (uint64_t) 1 << id % 64;
            }
        }

    } else {
        job->err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        job->partitions = 0;
    }

    rd_kafka_metadata_destroy(md);

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


static void
ngx_http_fanout_kafka_offsets(ngx_http_fanout_kafka_control_t *ctl)
{
    uint64_t                       started;
    ngx_uint_t                     i, alive;
    const char                    *refreshed;
    ngx_http_fanout_kafka_job_t   *job, *jobs;

    static const int64_t           froms[] = { FO_OFFSET_END,
                                               FO_OFFSET_BEGIN };

    jobs = ctl->offsets.first;
    ctl->offsets.first = NULL;

    alive = 0;

    for (i = 0; i < 2; i++) {
        alive += ngx_http_fanout_kafka_offsets_ask(ctl, jobs, NULL, froms[i],
                                             NGX_HTTP_FANOUT_KAFKA_TOGETHER);
    }

    started = ngx_http_fanout_kafka_clock();
    refreshed = NULL;

    for (job = jobs; job; job = job->next) {

        if (job->done) {
            continue;
        }

        job->alone = 1;

        if (ngx_http_fanout_kafka_clock() - started
            < NGX_HTTP_FANOUT_KAFKA_TOGETHER)
        {
            if (refreshed == NULL || strcmp(refreshed, job->topic) != 0) {
                ngx_http_fanout_kafka_offsets_refresh(ctl, job);
                refreshed = job->topic;
            }

            alive += ngx_http_fanout_kafka_offsets_ask(ctl, jobs, job,
                                     job->from, NGX_HTTP_FANOUT_KAFKA_ALONE);
        }
    }

    while (jobs) {
        job = jobs;
        jobs = job->next;

        if (!job->done) {
            job->err = job->err ? job->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
        }

        ngx_http_fanout_kafka_control_done(ctl, job);
    }

    if (alive) {
        ngx_http_fanout_kafka_control_accepted(ctl);
    }
}


/*
 * librdkafka before 2.10 asks a leader that is none any more again and
 * again, until it happens to ask for metadata.
 */

static void
ngx_http_fanout_kafka_offsets_refresh(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *job)
{
    rd_kafka_topic_t                *rkt;
    const struct rd_kafka_metadata  *md;

    rkt = rd_kafka_topic_new(ctl->handle->rk, job->topic, NULL);
    if (rkt == NULL) {
        return;
    }

    if (rd_kafka_metadata(ctl->handle->rk, 0, rkt, &md,
                          NGX_HTTP_FANOUT_KAFKA_SLICE)
        == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        rd_kafka_metadata_destroy(md);
    }

    rd_kafka_topic_destroy(rkt);
}


/*
 * Asks for those of "jobs" with this "from" that are to be asked together,
 * or for "one" alone.  Returns how many were answered, be it by an error.
 */

static ngx_uint_t
ngx_http_fanout_kafka_offsets_ask(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *jobs, ngx_http_fanout_kafka_job_t *one,
    int64_t from, int timeout)
{
    ngx_uint_t                        n;
    rd_kafka_resp_err_t               err;
    ngx_http_fanout_kafka_job_t      *job;
    rd_kafka_topic_partition_t       *p;
    rd_kafka_topic_partition_list_t  *list;

#define ngx_http_fanout_kafka_asked(job)                                      \
    (one ? (job) == one : (job)->from == from && !(job)->alone)

    list = NULL;

    for (job = jobs; job; job = job->next) {
        if (!ngx_http_fanout_kafka_asked(job)) {
            continue;
        }

        if (list == NULL) {
            list = rd_kafka_topic_partition_list_new(1);
        }

        /* a broker refuses a request that names a partition twice */

        p = rd_kafka_topic_partition_list_find(list, job->topic,
                                               job->partition);

        if (p == NULL) {
            p = rd_kafka_topic_partition_list_add(list, job->topic,
                                                  job->partition);

            /* as time -1 is the end, -2 the beginning, in ListOffsets of
               Kafka's protocol */

            p->offset = from;
        }
    }

    if (list == NULL) {
        return 0;
    }

    err = rd_kafka_offsets_for_times(ctl->handle->rk, list, timeout);

    n = 0;

    for (job = jobs; job; job = job->next) {
        if (!ngx_http_fanout_kafka_asked(job)) {
            continue;
        }

        n++;
        p = rd_kafka_topic_partition_list_find(list, job->topic,
                                               job->partition);

        job->err = p->err;

        if (p->err == RD_KAFKA_RESP_ERR_NO_ERROR && p->offset >= 0 && !err) {
            job->offset = p->offset;
            job->done = 1;

        } else if (p->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            job->err = err;
        }
    }

    rd_kafka_topic_partition_list_destroy(list);

    return err ? 0 : n;
}
