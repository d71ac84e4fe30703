
/*
 * A worker's life: its slot, its hub, its sources, and the events that
 * drive them.  This is the one place that wires callbacks.
 *
 *     turn      an eventfd of this slot was written: look at marks, rings
 *     finish    posted by the hub: the end of this turn's work
 *     tick      a timer: what time brings
 */


#include "ngx_http_fanout_module.h"
#include "shm/ngx_http_fanout_eventfd.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif


#define NGX_HTTP_FANOUT_BUFFER  (64 * 1024)
#define NGX_HTTP_FANOUT_LEFT    1000     /* sessions that are worth it */
#define NGX_HTTP_FANOUT_LOOK    1000     /* ms, between two looks */


typedef struct {
    ngx_http_fanout_main_conf_t   *conf;
    ngx_http_fanout_zone_t        *zone;
    ngx_http_fanout_kafka_t      **kafka;
    ngx_connection_t              *wakeup;
    ngx_connection_t               dummy;        /* what timers log of */
    ngx_event_t                    turn;
    ngx_event_t                    finish;
    ngx_event_t                    tick;
    fo_alloc_t                     alloc;
    ngx_msec_t                     look;         /* at memory, next */
    uint64_t                       moved;        /* sessions that came or that
                                                    ended, at the last look */
    uint64_t                       trimmed;      /* those that had ended when
                                                    it was given back */
    unsigned                       quitting:1;
} ngx_http_fanout_process_t;


static void *ngx_http_fanout_worker_alloc(void *ctx, size_t size);
static void ngx_http_fanout_worker_free(void *ctx, void *p);
static uint64_t ngx_http_fanout_worker_clock(void *ctx);
static void ngx_http_fanout_worker_lock(void *ctx);
static void ngx_http_fanout_worker_unlock(void *ctx);
static void ngx_http_fanout_worker_wake(void *ctx, unsigned slot);
static int ngx_http_fanout_worker_alive(void *ctx, int32_t pid);
static void ngx_http_fanout_worker_post(void *ctx);
static void ngx_http_fanout_worker_log(void *ctx, int alert,
    const char *text, const fo_str_t *name);
static void ngx_http_fanout_worker_gap(void *ctx, const fo_str_t *topic,
    uint32_t partition, int64_t from, int64_t to);
static void ngx_http_fanout_worker_report(void *ctx, unsigned up,
    const char *error);
static void ngx_http_fanout_worker_statistics(ngx_uint_t cluster,
    ngx_str_t *json);
static ngx_int_t ngx_http_fanout_worker_claim(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_fanout_worker_sources(ngx_cycle_t *cycle);
static void ngx_http_fanout_worker_quit(void);
static void ngx_http_fanout_worker_leave(void);
static void ngx_http_fanout_worker_event(ngx_event_t *ev,
    ngx_event_handler_pt handler, ngx_log_t *log);
static void ngx_http_fanout_worker_wakeup_handler(ngx_event_t *ev);
static void ngx_http_fanout_worker_turn_handler(ngx_event_t *ev);
static void ngx_http_fanout_worker_finish_handler(ngx_event_t *ev);
static void ngx_http_fanout_worker_tick_handler(ngx_event_t *ev);
static void ngx_http_fanout_worker_trim(void);
static void ngx_http_fanout_worker_schedule(void);


ngx_http_fanout_worker_t  ngx_http_fanout_worker;

static ngx_http_fanout_process_t  ngx_http_fanout_process;


ngx_int_t
ngx_http_fanout_worker_init(ngx_cycle_t *cycle,
    ngx_http_fanout_main_conf_t *conf)
{
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    p->conf = conf;
    p->zone = conf->zone;

    p->alloc.alloc = ngx_http_fanout_worker_alloc;
    p->alloc.free = ngx_http_fanout_worker_free;

    w->zone = &conf->zone->zone;
    w->zone_name = conf->zone->name;

    w->buffer_size = NGX_HTTP_FANOUT_BUFFER;
    w->buffer = ngx_palloc(cycle->pool, w->buffer_size);
    if (w->buffer == NULL) {
        return NGX_OK;
    }

    ngx_http_fanout_clients_init(cycle->log);
    ngx_http_fanout_timer_init(cycle->log);

    p->dummy.fd = (ngx_socket_t) -1;
    p->dummy.log = cycle->log;

    ngx_http_fanout_worker_event(&p->turn,
                                 ngx_http_fanout_worker_turn_handler,
                                 cycle->log);
    ngx_http_fanout_worker_event(&p->finish,
                                 ngx_http_fanout_worker_finish_handler,
                                 cycle->log);
    ngx_http_fanout_worker_event(&p->tick,
                                 ngx_http_fanout_worker_tick_handler,
                                 cycle->log);

    if (ngx_http_fanout_worker_claim(cycle) != NGX_OK) {
        return NGX_OK;
    }

    p->wakeup = ngx_http_fanout_eventfd_add(cycle,
                                    p->zone->eventfd[w->slot],
                                    ngx_http_fanout_worker_wakeup_handler,
                                    NULL);

    if (p->wakeup == NULL || ngx_http_fanout_worker_sources(cycle) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "fanout: this worker can't start and answers 503");

        if (p->wakeup) {
            ngx_http_fanout_eventfd_remove(p->wakeup);
        }

        ngx_http_fanout_worker_leave();
        w->hub = NULL;

        return NGX_OK;
    }

    /* so the handler is called, with c->close set, when the worker quits */

    p->wakeup->idle = 1;

    ngx_add_timer(&p->tick, 1);

    /* what was marked between claim and now */

    ngx_post_event(&p->turn, &ngx_posted_next_events);

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_worker_claim(ngx_cycle_t *cycle)
{
    int                             slot;
    uint64_t                        ids[FO_CLUSTERS];
    ngx_uint_t                      i;
    fo_hub_env_t                    env;
    ngx_http_fanout_worker_t       *w;
    ngx_http_fanout_process_t      *p;
    ngx_http_fanout_kafka_conf_t  **kafka;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    w->nclusters = p->conf->kafka.nelts;
    kafka = p->conf->kafka.elts;

    w->clusters = ngx_pcalloc(cycle->pool,
                              (w->nclusters + 1)
                              * sizeof(ngx_http_fanout_cluster_t));
    if (w->clusters == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < w->nclusters; i++) {
        ids[i] = ngx_http_fanout_kafka_id(kafka[i]);
        w->clusters[i].id = ids[i];
        w->clusters[i].name = *ngx_http_fanout_kafka_name(kafka[i]);
    }

    ngx_http_fanout_zone_lock(p->zone);

    slot = fo_slot_claim_locked(w->zone, (int32_t) ngx_pid, ids,
                                (unsigned) w->nclusters);

    ngx_http_fanout_zone_unlock(p->zone);

    if (slot == FO_ERROR) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "fanout: no free slot in zone \"%V\", "
                      "this worker answers 503", &w->zone_name);
        return NGX_ERROR;
    }

    w->slot = (unsigned) slot;

    env.ctx = p;
    env.clock = ngx_http_fanout_worker_clock;
    env.lock = ngx_http_fanout_worker_lock;
    env.unlock = ngx_http_fanout_worker_unlock;
    env.wake = ngx_http_fanout_worker_wake;
    env.alive = ngx_http_fanout_worker_alive;
    env.post = ngx_http_fanout_worker_post;
    env.log = ngx_http_fanout_worker_log;
    env.gap = ngx_http_fanout_worker_gap;

    w->hub = fo_hub_create(&p->alloc, &env, w->zone, w->slot);

    if (w->hub == NULL) {
        ngx_http_fanout_worker_leave();
        return NGX_ERROR;
    }

    fo_hub_stall(w->hub, (unsigned) p->conf->stall);
    fo_hub_join(w->hub, (unsigned) p->conf->join);

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_worker_sources(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_fanout_worker_t       *w;
    ngx_http_fanout_process_t      *p;
    ngx_http_fanout_kafka_conf_t  **kafka;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;
    kafka = p->conf->kafka.elts;

    p->kafka = ngx_pcalloc(cycle->pool, (w->nclusters + 1)
                                        * sizeof(ngx_http_fanout_kafka_t *));
    if (p->kafka == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < w->nclusters; i++) {
        p->kafka[i] = ngx_http_fanout_kafka_create(cycle, kafka[i], w->hub,
                                           ngx_http_fanout_worker_report,
                                           &w->clusters[i]);
        if (p->kafka[i] == NULL) {
            return NGX_ERROR;
        }

        if (fo_hub_source(w->hub, w->clusters[i].id,
                          &ngx_http_fanout_kafka_ops, p->kafka[i],
                          (unsigned) p->conf->linger)
            == FO_ERROR)
        {
            return NGX_ERROR;
        }
    }

    w->statistics = ngx_http_fanout_worker_statistics;

    return NGX_OK;
}


static void
ngx_http_fanout_worker_event(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log)
{
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = &ngx_http_fanout_process.dummy;
    ev->log = log;
    ev->cancelable = 1;
}


/*
 * The process exits.  Sessions that are left end here; the slot is left for
 * the others to sweep, and they are told.
 */

void
ngx_http_fanout_worker_exit(ngx_cycle_t *cycle)
{
    ngx_uint_t                  k;
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    if (w->hub == NULL) {
        return;
    }

    ngx_http_fanout_clients_cut();

    ngx_http_fanout_eventfd_remove(p->wakeup);

    fo_hub_exit(w->hub);
    w->hub = NULL;

    for (k = 0; k < w->nclusters; k++) {
        ngx_http_fanout_kafka_exit(p->kafka[k]);
    }
}


/* gives the slot up: the others sweep it */

static void
ngx_http_fanout_worker_leave(void)
{
    unsigned                    i;
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    ngx_http_fanout_zone_lock(p->zone);
    atomic_store(&w->zone->slots[w->slot].state, FO_SLOT_DEAD);
    ngx_http_fanout_zone_unlock(p->zone);

    for (i = 0; i < FO_SLOTS; i++) {
        if (i != w->slot) {
            ngx_http_fanout_zone_wake(p->zone, i);
        }
    }
}


/* What the hub calls. */

static void *
ngx_http_fanout_worker_alloc(void *ctx, size_t size)
{
    return ngx_alloc(size, ngx_cycle->log);
}


static void
ngx_http_fanout_worker_free(void *ctx, void *p)
{
    ngx_free(p);
}


static uint64_t
ngx_http_fanout_worker_clock(void *ctx)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
ngx_http_fanout_worker_lock(void *ctx)
{
    ngx_http_fanout_process_t  *p = ctx;

    ngx_http_fanout_zone_lock(p->zone);
}


static void
ngx_http_fanout_worker_unlock(void *ctx)
{
    ngx_http_fanout_process_t  *p = ctx;

    ngx_http_fanout_zone_unlock(p->zone);
}


static void
ngx_http_fanout_worker_wake(void *ctx, unsigned slot)
{
    ngx_http_fanout_process_t  *p = ctx;

    ngx_http_fanout_zone_wake(p->zone, slot);
}


static int
ngx_http_fanout_worker_alive(void *ctx, int32_t pid)
{
    return pid == 0 || kill((pid_t) pid, 0) == 0 || ngx_errno != ESRCH;
}


static void
ngx_http_fanout_worker_post(void *ctx)
{
    ngx_http_fanout_process_t  *p = ctx;

    ngx_post_event(&p->finish, &ngx_posted_events);
}


static void
ngx_http_fanout_worker_log(void *ctx, int alert, const char *text,
    const fo_str_t *name)
{
    ngx_str_t   s;
    ngx_uint_t  level;

    level = alert ? NGX_LOG_ALERT : NGX_LOG_WARN;

    if (name) {
        s.len = name->len;
        s.data = name->data;

        ngx_log_error(level, ngx_cycle->log, 0, "fanout: %s \"%V\"", text,
                      &s);
        return;
    }

    ngx_log_error(level, ngx_cycle->log, 0, "fanout: %s", text);
}


static void
ngx_http_fanout_worker_gap(void *ctx, const fo_str_t *topic,
    uint32_t partition, int64_t from, int64_t to)
{
    ngx_str_t  name;

    name.len = topic->len;
    name.data = topic->data;

    if (to <= from) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "fanout: gap in topic \"%V\" partition %uD: "
                      "it was made anew, read from offset %L on",
                      &name, partition, to);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "fanout: gap in topic \"%V\" partition %uD: "
                  "offsets %L to %L missed by subscribers of this worker",
                  &name, partition, from, to);
}


/* the state of a cluster, for the status of any worker */

static void
ngx_http_fanout_worker_report(void *ctx, unsigned up, const char *error)
{
    ngx_http_fanout_cluster_t *cluster = ctx;

    size_t                      len;
    ngx_uint_t                  i;
    fo_slot_cluster_t          *sc;
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    i = cluster - w->clusters;
    sc = &w->zone->slots[w->slot].clusters[i];
    len = error ? ngx_min(ngx_strlen(error), FO_ERROR_TEXT - 1) : 0;

    ngx_http_fanout_zone_lock(p->zone);

    sc->up = up;
    sc->failures = up ? 0 : sc->failures + 1;

    if (error) {
        ngx_memcpy(sc->error, error, len);
        sc->error[len] = '\0';
    }

    ngx_http_fanout_zone_unlock(p->zone);
}


static void
ngx_http_fanout_worker_statistics(ngx_uint_t cluster, ngx_str_t *json)
{
    ngx_http_fanout_kafka_statistics(ngx_http_fanout_process.kafka[cluster],
                                     json);
}


/* Events. */

static void
ngx_http_fanout_worker_wakeup_handler(ngx_event_t *ev)
{
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    if (w->hub && p->wakeup->close && !p->quitting) {
        p->quitting = 1;
        ngx_http_fanout_worker_quit();
    }

    ngx_http_fanout_worker_turn_handler(&p->turn);
}


/* a reload or a quit, which a worker can't tell apart; once */

static void
ngx_http_fanout_worker_quit(void)
{
    ngx_uint_t                  k;
    ngx_http_fanout_worker_t   *w;
    ngx_http_fanout_process_t  *p;

    w = &ngx_http_fanout_worker;
    p = &ngx_http_fanout_process;

    /* sources go to workers that stay */

    fo_hub_leave(w->hub);

    for (k = 0; k < w->nclusters; k++) {
        ngx_http_fanout_kafka_quit(p->kafka[k]);
    }

    ngx_http_fanout_clients_leave(p->conf->drain);
}


/*
 * Reads what came; then arms the slot and looks again, so that a writer
 * either sees the slot armed or has its words seen here.
 */

static void
ngx_http_fanout_worker_turn_handler(ngx_event_t *ev)
{
    fo_slot_t                 *me;
    ngx_http_fanout_worker_t  *w;

    w = &ngx_http_fanout_worker;

    if (w->hub == NULL) {
        return;
    }

    me = &w->zone->slots[w->slot];

    if (!fo_hub_turn(w->hub)) {

        atomic_store(&me->armed, 1);
        atomic_thread_fence(memory_order_seq_cst);

        if (!fo_hub_waiting(w->hub)) {
            ngx_http_fanout_worker_schedule();
            return;
        }

        atomic_store(&me->armed, 0);
    }

    ngx_post_event(&ngx_http_fanout_process.turn, &ngx_posted_next_events);

    ngx_http_fanout_worker_schedule();
}


static void
ngx_http_fanout_worker_finish_handler(ngx_event_t *ev)
{
    ngx_http_fanout_worker_t  *w;

    w = &ngx_http_fanout_worker;

    if (w->hub == NULL) {
        return;
    }

    if (fo_hub_finish(w->hub)) {
        ngx_post_event(&ngx_http_fanout_process.finish,
                       &ngx_posted_next_events);
    }

    ngx_http_fanout_worker_schedule();
}


static void
ngx_http_fanout_worker_tick_handler(ngx_event_t *ev)
{
    if (ngx_http_fanout_worker.hub == NULL) {
        return;
    }

    fo_hub_tick(ngx_http_fanout_worker.hub);

    ngx_http_fanout_worker_trim();
    ngx_http_fanout_worker_schedule();
}


/*
 * free() gives back what is free on top of the heap.  When thousands of
 * clients leave, that is nothing as long as something on top stays; so when
 * as many have left as are there, and hardly anybody is just coming or
 * leaving, the rest is given back as well.  The worker stands still for it,
 * some 8 ms for what 10,000 clients had.
 */

static void
ngx_http_fanout_worker_trim(void)
{
    uint64_t                    n, total, ended, moved;
    fo_stats_t                 *stats;
    ngx_http_fanout_process_t  *p;

    p = &ngx_http_fanout_process;

    if ((ngx_msec_int_t) (ngx_current_msec - p->look) < 0) {
        return;
    }

    p->look = ngx_current_msec + NGX_HTTP_FANOUT_LOOK;

    stats = fo_hub_stats(ngx_http_fanout_worker.hub);
    n = fo_stat_get(stats, FO_STAT_SESSIONS);
    total = fo_stat_get(stats, FO_STAT_SESSIONS_TOTAL);
    ended = total - n;

    moved = (total + ended) - p->moved;
    p->moved = total + ended;

    if (ended - p->trimmed < ngx_max(n, NGX_HTTP_FANOUT_LEFT)
        || moved > (ended - p->trimmed) / 64)
    {
        return;
    }

    p->trimmed = ended;

#if defined(__GLIBC__)
    (void) malloc_trim(0);
#endif
}


/* the tick is due at the hub's time, or sooner */

static void
ngx_http_fanout_worker_schedule(void)
{
    ngx_msec_t                  due;
    ngx_event_t                *tick;
    ngx_http_fanout_worker_t   *w;

    w = &ngx_http_fanout_worker;
    tick = &ngx_http_fanout_process.tick;
    due = fo_hub_due(w->hub);

    if (tick->timer_set) {

        if ((ngx_msec_int_t) (tick->timer.key - ngx_current_msec - due) <= 0)
        {
            return;
        }

        /* nginx leaves a timer as it is that is moved by less than 300 ms */

        ngx_del_timer(tick);
    }

    ngx_add_timer(tick, due);
}
