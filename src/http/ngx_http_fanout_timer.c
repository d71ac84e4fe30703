
/*
 * The timers of clients: a wheel of slots, a tenth of a second each.
 *
 * A client waits all the time for one thing or another, mostly for it to be
 * silent for fanout_ping's interval.  In nginx's tree of timers each of them
 * would wake the worker up by itself, for one send, and its pong would once
 * more.  Here all that are due in the same slot are served together, and
 * their pongs are read together; to set and to move a timer takes no look at
 * others; and the tree, which is nginx's for everything else, stays small.
 *
 *     hand: the last slot that was emptied
 *      |
 *      v
 *     +---+---+---+---+---+     +---+
 *     |   | * |   | * | * | ... | * |    those that are due in that 0.1 s
 *     +---+---+---+---+---+     +---+
 *           ^                     ^
 *           |                     and those that are later: looked at there
 *           the worker's one timer
 *
 * A session grows by nothing.  It is linked by its connection's queue, which
 * nginx uses for connections that it may reuse; those of clients are none.
 * The time is kept in the read event's timer, which is not in nginx's tree.
 *
 * Many that came at the same time stay together.  So only some are served in
 * a turn, and the worker does what else there is before it goes on.
 */


#include "http/ngx_http_fanout_http.h"


#define NGX_HTTP_FANOUT_SLOTS  512     /* 51.2 s */
#define NGX_HTTP_FANOUT_SLOT   100     /* ms */
#define NGX_HTTP_FANOUT_FIRED  256     /* in a turn */


typedef struct {
    ngx_queue_t       slots[NGX_HTTP_FANOUT_SLOTS];
    ngx_queue_t       due;         /* of slots that the hand has passed */
    ngx_msec_t        hand;        /* in slots */
    ngx_event_t       timer;       /* set: at a slot, or before */
    ngx_connection_t  dummy;       /* what the timer logs of */
} ngx_http_fanout_timer_t;


static ngx_queue_t *ngx_http_fanout_timer_slot(ngx_msec_t slot);
static void ngx_http_fanout_timer_place(ngx_connection_t *c);
static void ngx_http_fanout_timer_wake(ngx_msec_t slot);
static void ngx_http_fanout_timer_turn(void);
static void ngx_http_fanout_timer_next(void);
static void ngx_http_fanout_timer_handler(ngx_event_t *ev);


static ngx_http_fanout_timer_t  ngx_http_fanout_timer;


void
ngx_http_fanout_timer_init(ngx_log_t *log)
{
    ngx_uint_t                i;
    ngx_http_fanout_timer_t  *t;

    t = &ngx_http_fanout_timer;

    for (i = 0; i < NGX_HTTP_FANOUT_SLOTS; i++) {
        ngx_queue_init(&t->slots[i]);
    }

    ngx_queue_init(&t->due);

    t->dummy.fd = (ngx_socket_t) -1;
    t->dummy.log = log;

    t->timer.handler = ngx_http_fanout_timer_handler;
    t->timer.data = &t->dummy;
    t->timer.log = log;
    t->timer.cancelable = 1;
}


void
ngx_http_fanout_timer_set(ngx_http_fanout_client_t *client, ngx_msec_t delay)
{
    ngx_connection_t  *c;

    if (client->queue.prev == NULL) {
        return;
    }

    c = client->connection;

    ngx_http_fanout_timer_del(client);

    c->read->timer.key = ngx_current_msec + delay;

    ngx_http_fanout_timer_place(c);
}


void
ngx_http_fanout_timer_del(ngx_http_fanout_client_t *client)
{
    ngx_queue_t  *q;

    q = &client->connection->queue;

    if (q->prev) {
        ngx_queue_remove(q);
        q->prev = NULL;
    }
}


static ngx_queue_t *
ngx_http_fanout_timer_slot(ngx_msec_t slot)
{
    return &ngx_http_fanout_timer.slots[slot % NGX_HTTP_FANOUT_SLOTS];
}


/* never too early, unless it is beyond the wheel: then it is looked at and
   placed again */

static void
ngx_http_fanout_timer_place(ngx_connection_t *c)
{
    ngx_msec_t                slot;
    ngx_http_fanout_timer_t  *t;

    t = &ngx_http_fanout_timer;

    if (!t->timer.timer_set && ngx_queue_empty(&t->due)) {

        /* it is empty, and has stood still */

        t->hand = ngx_current_msec / NGX_HTTP_FANOUT_SLOT;
    }

    slot = (c->read->timer.key + NGX_HTTP_FANOUT_SLOT - 1)
           / NGX_HTTP_FANOUT_SLOT;

    slot = ngx_max(slot, t->hand + 1);
    slot = ngx_min(slot, t->hand + NGX_HTTP_FANOUT_SLOTS);

    ngx_queue_insert_tail(ngx_http_fanout_timer_slot(slot), &c->queue);

    ngx_http_fanout_timer_wake(slot);
}


/* at that slot, or sooner */

static void
ngx_http_fanout_timer_wake(ngx_msec_t slot)
{
    ngx_msec_t       at;
    ngx_event_t     *timer;
    ngx_msec_int_t   delay;

    timer = &ngx_http_fanout_timer.timer;
    at = slot * NGX_HTTP_FANOUT_SLOT;

    if (timer->timer_set) {

        if (timer->timer.key <= at) {
            return;
        }

        /* nginx leaves a timer as it is that is moved by less than 300 ms */

        ngx_del_timer(timer);
    }

    delay = (ngx_msec_int_t) (at - ngx_current_msec);

    ngx_add_timer(timer, (ngx_msec_t) ngx_max(delay, 0));
}


/* what has become due since the hand was moved */

static void
ngx_http_fanout_timer_turn(void)
{
    ngx_msec_t                now;
    ngx_queue_t              *slot;
    ngx_http_fanout_timer_t  *t;

    t = &ngx_http_fanout_timer;
    now = ngx_current_msec / NGX_HTTP_FANOUT_SLOT;

    while (t->hand < now) {
        t->hand++;
        slot = ngx_http_fanout_timer_slot(t->hand);

        if (!ngx_queue_empty(slot)) {
            ngx_queue_add(&t->due, slot);
            ngx_queue_init(slot);
        }
    }
}


/* it is set as long as there is anybody in a slot */

static void
ngx_http_fanout_timer_next(void)
{
    ngx_uint_t  i;
    ngx_msec_t  slot;

    slot = ngx_http_fanout_timer.hand + 1;

    for (i = 0; i < NGX_HTTP_FANOUT_SLOTS; i++, slot++) {

        if (!ngx_queue_empty(ngx_http_fanout_timer_slot(slot))) {
            ngx_http_fanout_timer_wake(slot);
            return;
        }
    }
}


static void
ngx_http_fanout_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_fanout_timer_t  *t;

    t = &ngx_http_fanout_timer;

    ngx_http_fanout_timer_turn();
    ngx_http_fanout_timer_next();

    for (n = 0; n < NGX_HTTP_FANOUT_FIRED; n++) {

        if (ngx_queue_empty(&t->due)) {
            break;
        }

        q = ngx_queue_head(&t->due);
        c = ngx_queue_data(q, ngx_connection_t, queue);

        ngx_queue_remove(q);
        q->prev = NULL;

        if (c->read->timer.key > ngx_current_msec) {
            ngx_http_fanout_timer_place(c);
            continue;
        }

        c->read->timedout = 1;
        c->read->handler(c->read);
    }

    if (!ngx_queue_empty(&t->due)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}
