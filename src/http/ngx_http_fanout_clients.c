
/*
 * The clients of this worker, and what becomes of them when it leaves.
 *
 * A leaving worker of nginx exits as soon as none of its timers is left but
 * such as may be cancelled, and cuts what is open then, without a word and
 * without a line in the access log.  So while there are clients in a leaving
 * worker, one timer that can't be cancelled is set, and it is this one here;
 * those of the clients themselves (ngx_http_fanout_timer.c) don't hold it.
 *
 * With fanout_drain this timer also is the pace: it tells as many clients to
 * go as are due, and then comes again when the next one is.
 *
 *     quit                                             quit + fanout_drain
 *      |----|----|----|----|----|----|----|----|----|----|
 *           1    2    3    4    5    6    7    8    9    10   of 10 clients
 */


#include "http/ngx_http_fanout_http.h"


#define NGX_HTTP_FANOUT_HOLD  60000   /* ms, nothing is due */
#define NGX_HTTP_FANOUT_STEP  10      /* ms, between two steps of a drain */


typedef struct {
    ngx_queue_t                 staying;
    ngx_queue_t                 told;        /* to go, but still here */
    ngx_uint_t                  nstaying;
    ngx_msec_t                  drain;       /* 0: they may stay */
    ngx_msec_t                  end;         /* of the drain */
    ngx_uint_t                  due;         /* so many, when the timer is */
    ngx_event_t                 timer;
    ngx_connection_t            dummy;       /* what the timer logs of */
    unsigned                    leaving:1;
} ngx_http_fanout_clients_t;


static void ngx_http_fanout_clients_schedule(void);
static void ngx_http_fanout_clients_handler(ngx_event_t *ev);
static void ngx_http_fanout_clients_cut_all(ngx_queue_t *queue);


static ngx_http_fanout_clients_t  ngx_http_fanout_clients;


void
ngx_http_fanout_clients_init(ngx_log_t *log)
{
    ngx_http_fanout_clients_t  *cs;

    cs = &ngx_http_fanout_clients;

    ngx_queue_init(&cs->staying);
    ngx_queue_init(&cs->told);

    cs->dummy.fd = (ngx_socket_t) -1;
    cs->dummy.log = log;

    cs->timer.handler = ngx_http_fanout_clients_handler;
    cs->timer.data = &cs->dummy;
    cs->timer.log = log;
}


/* it may come to a leaving worker, too, with a request that had begun */

void
ngx_http_fanout_client_add(ngx_http_fanout_client_t *client)
{
    ngx_http_fanout_clients_t  *cs;

    cs = &ngx_http_fanout_clients;

    /* it is not reusable: its queue and its read event's timer are those of
       ngx_http_fanout_timer.c */

    client->connection->queue.prev = NULL;

    if (client->connection->read->timer_set) {
        ngx_del_timer(client->connection->read);
    }

    ngx_queue_insert_tail(&cs->staying, &client->queue);
    cs->nstaying++;

    if (cs->leaving) {
        ngx_http_fanout_clients_schedule();
    }
}


void
ngx_http_fanout_client_remove(ngx_http_fanout_client_t *client)
{
    ngx_http_fanout_clients_t  *cs;

    if (client->queue.prev == NULL) {
        return;
    }

    cs = &ngx_http_fanout_clients;

    ngx_http_fanout_timer_del(client);

    ngx_queue_remove(&client->queue);
    client->queue.prev = NULL;

    if (client->leave) {
        cs->nstaying--;
    }

    if (cs->leaving) {
        ngx_http_fanout_clients_schedule();
    }
}


void
ngx_http_fanout_clients_leave(ngx_msec_t drain)
{
    ngx_http_fanout_clients_t  *cs;

    cs = &ngx_http_fanout_clients;

    cs->leaving = 1;
    cs->drain = drain;
    cs->end = ngx_current_msec + drain;

    if (drain && cs->nstaying) {
        ngx_log_error(NGX_LOG_NOTICE, cs->timer.log, 0,
                      "fanout: closing %ui sessions in %M ms",
                      cs->nstaying, drain);
    }

    ngx_http_fanout_clients_schedule();
}


/*
 * Sets the timer for what is due next.  It is moved only to an earlier time:
 * clients that come and go one after the other would put it off for ever.
 */

static void
ngx_http_fanout_clients_schedule(void)
{
    ngx_msec_t                  delay;
    ngx_msec_int_t              left;
    ngx_event_t                *timer;
    ngx_http_fanout_clients_t  *cs;

    cs = &ngx_http_fanout_clients;
    timer = &cs->timer;

    if (ngx_queue_empty(&cs->staying) && ngx_queue_empty(&cs->told)) {

        if (timer->timer_set) {
            ngx_del_timer(timer);
        }

        return;
    }

    if (cs->drain == 0 || cs->nstaying == 0) {
        delay = NGX_HTTP_FANOUT_HOLD;
        cs->due = 0;

    } else {
        left = (ngx_msec_int_t) (cs->end - ngx_current_msec);
        left = ngx_max(left, 1);

        delay = ngx_max((ngx_msec_t) left / cs->nstaying,
                        NGX_HTTP_FANOUT_STEP);
        delay = ngx_min(delay, (ngx_msec_t) left);

        cs->due = (cs->nstaying * delay + left - 1) / left;
    }

    if (timer->timer_set) {

        if ((ngx_msec_int_t) (timer->timer.key - ngx_current_msec - delay)
            <= 0)
        {
            return;
        }

        /* nginx leaves a timer as it is that is moved by less than 300 ms */

        ngx_del_timer(timer);
    }

    ngx_add_timer(timer, delay);
}


static void
ngx_http_fanout_clients_handler(ngx_event_t *ev)
{
    ngx_uint_t                     n;
    ngx_queue_t                   *q;
    ngx_http_fanout_client_t      *client;
    ngx_http_fanout_clients_t     *cs;
    ngx_http_fanout_client_pt      leave;

    cs = &ngx_http_fanout_clients;

    for (n = cs->due; n && cs->nstaying; n--) {

        q = ngx_queue_head(&cs->staying);
        client = ngx_queue_data(q, ngx_http_fanout_client_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&cs->told, q);

        leave = client->leave;
        client->leave = NULL;
        cs->nstaying--;

        leave(client);
    }

    ngx_http_fanout_clients_schedule();
}


void
ngx_http_fanout_clients_cut(void)
{
    ngx_http_fanout_clients_cut_all(&ngx_http_fanout_clients.staying);
    ngx_http_fanout_clients_cut_all(&ngx_http_fanout_clients.told);
}


/* just as worker_shutdown_timeout does */

static void
ngx_http_fanout_clients_cut_all(ngx_queue_t *queue)
{
    ngx_connection_t          *c;
    ngx_http_fanout_client_t  *client;

    while (!ngx_queue_empty(queue)) {

        client = ngx_queue_data(ngx_queue_head(queue),
                                ngx_http_fanout_client_t, queue);
        c = client->connection;

        ngx_http_fanout_client_remove(client);

        c->close = 1;
        c->error = 1;

        c->read->handler(c->read);
    }
}
