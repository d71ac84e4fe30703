
/*
 * The helper thread and its queues.  What it does with a job is in
 * ngx_http_fanout_kafka_job.c.
 *
 * Called off the main thread: nothing of nginx but macros, memory by
 * malloc().
 */


#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "source/ngx_http_fanout_kafka_control_int.h"


static void *ngx_http_fanout_kafka_control_thread(void *data);
static void ngx_http_fanout_kafka_control_free(
    ngx_http_fanout_kafka_control_t *ctl);
static void ngx_http_fanout_kafka_list_free(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_list_t *list);
static void ngx_http_fanout_kafka_control_close(
    ngx_http_fanout_kafka_control_t *ctl, ngx_http_fanout_kafka_handle_t *h);
static void *ngx_http_fanout_kafka_closer_thread(void *data);
static void ngx_http_fanout_kafka_closers_join(
    ngx_http_fanout_kafka_control_t *ctl, unsigned all);


uint64_t
ngx_http_fanout_kafka_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


ngx_http_fanout_kafka_job_t *
ngx_http_fanout_kafka_job(ngx_http_fanout_kafka_job_e type, void *ctx)
{
    ngx_http_fanout_kafka_job_t  *job;

    job = calloc(1, sizeof(ngx_http_fanout_kafka_job_t));

    if (job) {
        job->type = type;
        job->ctx = ctx;
    }

    return job;
}


void
ngx_http_fanout_kafka_job_free(ngx_http_fanout_kafka_job_t *job)
{
    free(job);
}


void
ngx_http_fanout_kafka_list_append(ngx_http_fanout_kafka_list_t *list,
    ngx_http_fanout_kafka_job_t *job)
{
    job->next = NULL;

    if (list->first == NULL) {
        list->first = job;

    } else {
        list->last->next = job;
    }

    list->last = job;
}


ngx_http_fanout_kafka_job_t *
ngx_http_fanout_kafka_list_shift(ngx_http_fanout_kafka_list_t *list)
{
    ngx_http_fanout_kafka_job_t  *job;

    job = list->first;

    if (job) {
        list->first = job->next;
        job->next = NULL;
    }

    return job;
}


static void
ngx_http_fanout_kafka_list_free(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_list_t *list)
{
    ngx_http_fanout_kafka_job_t  *job;

    while ((job = ngx_http_fanout_kafka_list_shift(list)) != NULL) {

        /* a handle that was made and not taken, or is to be closed */

        if (job->handle && job->type != NGX_HTTP_FANOUT_KAFKA_OPENED) {
            ngx_http_fanout_kafka_control_close(ctl, job->handle);
        }

        ngx_http_fanout_kafka_job_free(job);
    }
}


ngx_http_fanout_kafka_control_t *
ngx_http_fanout_kafka_control_create(
    const ngx_http_fanout_kafka_conf_t *conf, int fd)
{
    int                               rc;
    sigset_t                          set, old;
    pthread_condattr_t                attr;
    ngx_http_fanout_kafka_control_t  *ctl;

    ctl = calloc(1, sizeof(ngx_http_fanout_kafka_control_t));
    if (ctl == NULL) {
        return NULL;
    }

    ctl->conf = conf;
    ctl->fd = fd;

    (void) pthread_mutex_init(&ctl->mutex, NULL);
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&ctl->cond, &attr);
    (void) pthread_condattr_destroy(&attr);

    /* the thread inherits the mask: signals are for the main thread */

    (void) sigfillset(&set);
    (void) pthread_sigmask(SIG_SETMASK, &set, &old);

    rc = pthread_create(&ctl->thread, NULL,
                        ngx_http_fanout_kafka_control_thread, ctl);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc != 0) {
        ngx_http_fanout_kafka_control_free(ctl);
        errno = rc;
        return NULL;
    }

    return ctl;
}


static void
ngx_http_fanout_kafka_control_free(ngx_http_fanout_kafka_control_t *ctl)
{
    (void) pthread_cond_destroy(&ctl->cond);
    (void) pthread_mutex_destroy(&ctl->mutex);

    free(ctl);
}


void
ngx_http_fanout_kafka_control_submit(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *job)
{
    (void) pthread_mutex_lock(&ctl->mutex);

    ngx_http_fanout_kafka_list_append(&ctl->submitted, job);
    (void) pthread_cond_broadcast(&ctl->cond);

    (void) pthread_mutex_unlock(&ctl->mutex);
}


ngx_http_fanout_kafka_job_t *
ngx_http_fanout_kafka_control_take(ngx_http_fanout_kafka_control_t *ctl)
{
    ngx_http_fanout_kafka_job_t  *job;

    (void) pthread_mutex_lock(&ctl->mutex);

    job = ctl->done.first;
    ctl->done.first = NULL;

    (void) pthread_mutex_unlock(&ctl->mutex);

    return job;
}


void
ngx_http_fanout_kafka_control_refused(ngx_http_fanout_kafka_control_t *ctl)
{
    (void) pthread_mutex_lock(&ctl->mutex);

    ctl->refused = 1;

    (void) pthread_mutex_unlock(&ctl->mutex);
}


ngx_int_t
ngx_http_fanout_kafka_control_destroy(ngx_http_fanout_kafka_control_t *ctl,
    uint64_t end)
{
    unsigned         ended;
    struct timespec  ts;

    ts.tv_sec = end / 1000;
    ts.tv_nsec = (end % 1000) * 1000000;

    (void) pthread_mutex_lock(&ctl->mutex);

    ctl->quit = 1;
    (void) pthread_cond_broadcast(&ctl->cond);

    while (!ctl->ended) {
        if (pthread_cond_timedwait(&ctl->cond, &ctl->mutex, &ts) != 0) {
            break;
        }
    }

    ended = ctl->ended;

    (void) pthread_mutex_unlock(&ctl->mutex);

    if (!ended) {
        return NGX_AGAIN;
    }

    (void) pthread_join(ctl->thread, NULL);

    ngx_http_fanout_kafka_control_free(ctl);

    return NGX_OK;
}


/* helper: all below */


static void *
ngx_http_fanout_kafka_control_thread(void *data)
{
    ngx_http_fanout_kafka_control_t *ctl = data;

    (void) pthread_mutex_lock(&ctl->mutex);

    for ( ;; ) {
        while (ctl->submitted.first == NULL && ctl->describes.first == NULL
               && ctl->offsets.first == NULL && !ctl->quit)
        {
            (void) pthread_cond_wait(&ctl->cond, &ctl->mutex);
        }

        if (ctl->quit) {
            break;
        }

        (void) pthread_mutex_unlock(&ctl->mutex);

        ngx_http_fanout_kafka_work(ctl);

        (void) pthread_mutex_lock(&ctl->mutex);
    }

    (void) pthread_mutex_unlock(&ctl->mutex);

    ngx_http_fanout_kafka_list_free(ctl, &ctl->submitted);
    ngx_http_fanout_kafka_list_free(ctl, &ctl->describes);
    ngx_http_fanout_kafka_list_free(ctl, &ctl->offsets);
    ngx_http_fanout_kafka_list_free(ctl, &ctl->done);

    if (ctl->handle) {
        ngx_http_fanout_kafka_control_close(ctl, ctl->handle);
    }

    ngx_http_fanout_kafka_closers_join(ctl, 1);

    (void) pthread_mutex_lock(&ctl->mutex);

    ctl->ended = 1;
    (void) pthread_cond_broadcast(&ctl->cond);

    (void) pthread_mutex_unlock(&ctl->mutex);

    return NULL;
}


/*
 * To destroy a handle may take long, or for ever (librdkafka's issue 5434,
 * and others for older versions): each on a thread of its own, for which
 * nothing else waits.
 */

static void
ngx_http_fanout_kafka_control_close(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_handle_t *h)
{
    ngx_http_fanout_kafka_closer_t  *closer;

    if (h == ctl->handle) {
        ctl->handle = NULL;
    }

    ngx_http_fanout_kafka_closers_join(ctl, 0);

    closer = malloc(sizeof(ngx_http_fanout_kafka_closer_t));

    if (closer) {
        closer->handle = h;
        atomic_init(&closer->done, 0);

        if (pthread_create(&closer->thread, NULL,
                           ngx_http_fanout_kafka_closer_thread, closer)
            == 0)
        {
            closer->next = ctl->closers;
            ctl->closers = closer;
            return;
        }

        free(closer);
    }

    ngx_http_fanout_kafka_handle_destroy(h);
}


static void *
ngx_http_fanout_kafka_closer_thread(void *data)
{
    ngx_http_fanout_kafka_closer_t *closer = data;

    ngx_http_fanout_kafka_handle_destroy(closer->handle);

    atomic_store(&closer->done, 1);

    return NULL;
}


/* those that are done, or all: then it may wait for ever */

static void
ngx_http_fanout_kafka_closers_join(ngx_http_fanout_kafka_control_t *ctl,
    unsigned all)
{
    ngx_http_fanout_kafka_closer_t  *closer, **p;

    p = &ctl->closers;

    while ((closer = *p) != NULL) {

        if (!all && !atomic_load(&closer->done)) {
            p = &closer->next;
            continue;
        }

        *p = closer->next;

        (void) pthread_join(closer->thread, NULL);
        free(closer);
    }
}


/* sorts what was submitted; OPEN and CLOSE are done at once */

void
ngx_http_fanout_kafka_control_collect(ngx_http_fanout_kafka_control_t *ctl)
{
    ngx_http_fanout_kafka_job_t   *job;
    ngx_http_fanout_kafka_list_t   list;

    (void) pthread_mutex_lock(&ctl->mutex);

    list = ctl->submitted;
    ctl->submitted.first = NULL;

    (void) pthread_mutex_unlock(&ctl->mutex);

    while ((job = ngx_http_fanout_kafka_list_shift(&list)) != NULL) {

        switch (job->type) {

        case NGX_HTTP_FANOUT_KAFKA_DESCRIBE:
            ngx_http_fanout_kafka_list_append(&ctl->describes, job);
            break;

        case NGX_HTTP_FANOUT_KAFKA_OFFSET:
            ngx_http_fanout_kafka_list_append(&ctl->offsets, job);
            break;

        case NGX_HTTP_FANOUT_KAFKA_OPEN:
            job->handle = ngx_http_fanout_kafka_handle_create(ctl->conf,
                                                NGX_HTTP_FANOUT_KAFKA_LIVE,
                                                ctl->fd, job->error);
            if (job->handle == NULL) {
                job->err = RD_KAFKA_RESP_ERR__FAIL;
            }

            ngx_http_fanout_kafka_control_done(ctl, job);
            break;

        default: /* NGX_HTTP_FANOUT_KAFKA_CLOSE */
            ngx_http_fanout_kafka_control_close(ctl, job->handle);
            ngx_http_fanout_kafka_job_free(job);
        }
    }
}


void
ngx_http_fanout_kafka_control_done(ngx_http_fanout_kafka_control_t *ctl,
    ngx_http_fanout_kafka_job_t *job)
{
    uint64_t  one;

    (void) pthread_mutex_lock(&ctl->mutex);

    ngx_http_fanout_kafka_list_append(&ctl->done, job);

    (void) pthread_mutex_unlock(&ctl->mutex);

    one = 1;

    if (write(ctl->fd, &one, sizeof(uint64_t)) == -1) {
        /* it can't be full */
    }
}


unsigned
ngx_http_fanout_kafka_control_hopeless(ngx_http_fanout_kafka_control_t *ctl,
    uint64_t started)
{
    unsigned  hopeless;
    uint64_t  passed;

    passed = ngx_http_fanout_kafka_clock() - started;

    (void) pthread_mutex_lock(&ctl->mutex);

    hopeless = ctl->quit || passed >= NGX_HTTP_FANOUT_KAFKA_TIMEOUT
               || (ctl->refused
                   && passed >= NGX_HTTP_FANOUT_KAFKA_REFUSED_TIMEOUT);

    (void) pthread_mutex_unlock(&ctl->mutex);

    return hopeless;
}


void
ngx_http_fanout_kafka_control_accepted(ngx_http_fanout_kafka_control_t *ctl)
{
    (void) pthread_mutex_lock(&ctl->mutex);

    ctl->refused = 0;

    (void) pthread_mutex_unlock(&ctl->mutex);
}
