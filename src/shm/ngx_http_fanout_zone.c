
/*
 * The zone in nginx.
 *
 * The eventfds belong to the zone, not to a cycle: the master makes them
 * with a fresh zone and every worker inherits all of them.  A private count
 * says how many cycles of this process use them; the last one closes them.
 */


#include "shm/ngx_http_fanout_zone.h"

#include <sys/eventfd.h>


#define NGX_HTTP_FANOUT_LOCK_WAIT  10       /* ms until the holder is doubted */
#define NGX_HTTP_FANOUT_SPIN       2048


/* what comes before the pure zone in shared memory */

typedef struct {
    int                          eventfd[FO_SLOTS];
} ngx_http_fanout_shm_t;


typedef struct {
    ngx_uint_t                   cycles;
    int                          eventfd[FO_SLOTS];
} ngx_http_fanout_fds_t;


/* shm_zone->data; lives in the cycle's pool */

typedef struct {
    ngx_http_fanout_zone_t      *zone;
    ngx_http_fanout_fds_t       *fds;
} ngx_http_fanout_zone_ctx_t;


static ngx_int_t ngx_http_fanout_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_fanout_zone_check(ngx_http_fanout_zone_t *z,
    ngx_log_t *log);
static ngx_int_t ngx_http_fanout_zone_fresh(ngx_shm_zone_t *shm_zone,
    ngx_http_fanout_zone_ctx_t *ctx);
static ngx_http_fanout_fds_t *ngx_http_fanout_fds_open(ngx_log_t *log);
static void ngx_http_fanout_fds_cleanup(void *data);
static size_t ngx_http_fanout_zone_room(size_t size);


#define ngx_http_fanout_zone_memory(shm)                                      \
    ((u_char *) (shm) + ngx_align(sizeof(ngx_http_fanout_shm_t), 64))


/* what the slab pool leaves of a zone of this size: whole pages, of which
   some are needed for its own bookkeeping */

static size_t
ngx_http_fanout_zone_room(size_t size)
{
    size_t  pages;

    pages = (size - ngx_min(size, 2 * ngx_pagesize))
            / (ngx_pagesize + sizeof(ngx_slab_page_t));

    return pages * ngx_pagesize;
}


ngx_int_t
ngx_http_fanout_zone_add(ngx_conf_t *cf, ngx_http_fanout_zone_t *z,
    void *tag)
{
    u_char                      *p;
    size_t                       least, room, head;
    ngx_str_t                    name;
    const char                  *reason;
    ngx_pool_cleanup_t          *cln;
    ngx_http_fanout_zone_ctx_t  *ctx;

    head = ngx_align(sizeof(ngx_http_fanout_shm_t), 64);
    room = ngx_http_fanout_zone_room(z->size);

    z->shape.size = room - ngx_min(room, head);

    if (fo_zone_shape(&z->shape, &reason, &least) != FO_OK) {
        least += head + least / 64 + 4 * ngx_pagesize;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s: \"fanout_zone %V\" needs at least %uzk",
                           reason, &z->name, least / 1024 + 1);
        return NGX_ERROR;
    }

    /* a zone of another shape is another zone, beside the old one */

    name.data = ngx_pnalloc(cf->pool, z->name.len + 64);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(name.data, "%V:fanout%ui:%uz:%uz:%ui", &z->name,
                    (ngx_uint_t) FO_ZONE_LAYOUT, z->size,
                    z->shape.ring_size, (ngx_uint_t) z->shape.owners);
    name.len = p - name.data;

    z->shm_zone = ngx_shared_memory_add(cf, &name, z->size, tag);
    if (z->shm_zone == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_pcalloc(cf->pool, sizeof(ngx_http_fanout_zone_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_fanout_fds_cleanup;
    cln->data = ctx;

    ctx->zone = z;

    z->cycle = cf->cycle;
    z->shm_zone->init = ngx_http_fanout_zone_init;
    z->shm_zone->data = ctx;

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_fanout_zone_ctx_t  *octx = data;

    ngx_http_fanout_shm_t       *shm;
    ngx_http_fanout_zone_t      *z;
    ngx_http_fanout_zone_ctx_t  *ctx;

    ctx = shm_zone->data;
    z = ctx->zone;
    z->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ngx_http_fanout_zone_check(z, shm_zone->shm.log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_test_config) {
        return NGX_OK;
    }

    if (octx) {

        /* the zone goes on; nothing is written, the reload may fail yet */

        ctx->fds = octx->fds;
        ctx->fds->cycles++;

    } else if (ngx_http_fanout_zone_fresh(shm_zone, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    shm = z->shpool->data;

    z->eventfd = shm->eventfd;
    fo_zone_view(&z->zone, ngx_http_fanout_zone_memory(shm));

    return NGX_OK;
}


/* what can be known only when all of the configuration was read */

static ngx_int_t
ngx_http_fanout_zone_check(ngx_http_fanout_zone_t *z, ngx_log_t *log)
{
    ngx_core_conf_t   *ccf;
    ngx_event_conf_t  *ecf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(z->cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->worker_processes > NGX_HTTP_FANOUT_WORKERS_MAX) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "fanout works with at most %d worker_processes",
                      NGX_HTTP_FANOUT_WORKERS_MAX);
        return NGX_ERROR;
    }

    ecf = ngx_event_get_conf(z->cycle->conf_ctx, ngx_event_core_module);

    if (ngx_strcmp(ecf->name, "epoll") != 0) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "fanout works with \"use epoll\" only, not with "
                      "\"%s\"", ecf->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_fanout_zone_fresh(ngx_shm_zone_t *shm_zone,
    ngx_http_fanout_zone_ctx_t *ctx)
{
    size_t                   len;
    uint64_t                 seed;
    ngx_uint_t               i;
    ngx_http_fanout_shm_t   *shm;
    ngx_http_fanout_zone_t  *z;

    z = ctx->zone;

    len = sizeof(" in fanout zone \"\"") + shm_zone->shm.name.len;

    z->shpool->log_ctx = ngx_slab_alloc(z->shpool, len);
    if (z->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(z->shpool->log_ctx, " in fanout zone \"%V\"%Z",
                &shm_zone->shm.name);

    /* one block for ever: the slab pool is not used after this */

    shm = ngx_slab_alloc(z->shpool,
                         ngx_align(sizeof(ngx_http_fanout_shm_t), 64)
                         + z->shape.size);
    if (shm == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "no memory for fanout zone \"%V\"", &z->name);
        return NGX_ERROR;
    }

    ctx->fds = ngx_http_fanout_fds_open(shm_zone->shm.log);
    if (ctx->fds == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < FO_SLOTS; i++) {
        shm->eventfd[i] = ctx->fds->eventfd[i];
    }

    seed = 0;

    for (i = 0; i < 8; i++) {
        seed = (seed << 8) | (ngx_random() & 0xff);
    }

    fo_zone_init(&z->zone, ngx_http_fanout_zone_memory(shm), &z->shape,
                 seed);

    z->shpool->data = shm;

    return NGX_OK;
}


static ngx_http_fanout_fds_t *
ngx_http_fanout_fds_open(ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_http_fanout_fds_t  *fds;

    fds = ngx_alloc(sizeof(ngx_http_fanout_fds_t), log);
    if (fds == NULL) {
        return NULL;
    }

    fds->cycles = 1;

    for (i = 0; i < FO_SLOTS; i++) {
        fds->eventfd[i] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (fds->eventfd[i] == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "eventfd() failed, the fanout zone needs %d",
                          FO_SLOTS);

            while (i) {
                (void) close(fds->eventfd[--i]);
            }

            ngx_free(fds);

            return NULL;
        }
    }

    return fds;
}


static void
ngx_http_fanout_fds_cleanup(void *data)
{
    ngx_http_fanout_zone_ctx_t  *ctx = data;

    ngx_uint_t  i;

    if (ctx->fds == NULL || --ctx->fds->cycles) {
        return;
    }

    for (i = 0; i < FO_SLOTS; i++) {
        (void) close(ctx->fds->eventfd[i]);
    }

    ngx_free(ctx->fds);
    ctx->fds = NULL;
}


void
ngx_http_fanout_zone_lock(ngx_http_fanout_zone_t *z)
{
    ngx_pid_t       pid;
    uint64_t        start, now;
    ngx_uint_t      i, n;
    ngx_shmtx_t    *mtx;
    struct timespec ts;

    mtx = &z->shpool->mutex;
    start = 0;

    for ( ;; ) {

        for (n = 1; n < NGX_HTTP_FANOUT_SPIN; n <<= 1) {

            if (ngx_shmtx_trylock(mtx)) {
                fo_zone_enter_locked(&z->zone);
                return;
            }

            for (i = 0; i < n; i++) {
                ngx_cpu_pause();
            }
        }

        ngx_sched_yield();

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        now = (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

        if (start == 0) {
            start = now;
        }

        if (now - start < NGX_HTTP_FANOUT_LOCK_WAIT) {
            continue;
        }

        /*
         * The holder stands still, and nothing can be done without the lock;
         * or it is dead: nginx frees the mutexes of its current cycle's zones
         * when a worker dies, those of a zone that a reload replaced never
         */

        pid = (ngx_pid_t) *mtx->lock;

        if (pid && kill(pid, 0) == -1 && ngx_errno == ESRCH
            && ngx_atomic_cmp_set(mtx->lock, (ngx_atomic_uint_t) pid,
                                  (ngx_atomic_uint_t) ngx_pid))
        {
            fo_zone_enter_locked(&z->zone);
            return;
        }

        ngx_msleep(1);
    }
}


void
ngx_http_fanout_zone_unlock(ngx_http_fanout_zone_t *z)
{
    fo_zone_leave_locked(&z->zone);
    ngx_shmtx_unlock(&z->shpool->mutex);
}


void
ngx_http_fanout_zone_wake(ngx_http_fanout_zone_t *z, unsigned slot)
{
    ssize_t     n;
    uint64_t    one;
    fo_slot_t  *s;

    s = &z->zone.slots[slot];

    if (atomic_load_explicit(&s->armed, memory_order_relaxed) == 0
        || atomic_exchange(&s->armed, 0) == 0)
    {
        return;
    }

    one = 1;

    do {
        n = write(z->eventfd[slot], &one, sizeof(one));
    } while (n == -1 && ngx_errno == NGX_EINTR);
}
