
/*
 * A schedule for several workers: what happens next is drawn from a seed, or
 * from bytes; at the end all comes to rest, and must be complete and empty.
 */


#ifndef HUB_SCHEDULE_H
#define HUB_SCHEDULE_H


#include "hub_client.h"


#define STEPS  600


/* what may go wrong under a seed */

enum {
    SLOW = 1,            /* sockets */
    BIG = 2,             /* records that fill rings, some too big for them */
    LOST = 4,            /* logs are cut, topics made anew */
    GROW = 8,
    PRUNE = 16,          /* a partitioner, and records that belie it */
    MEMORY = 32,
    STALL = 64,          /* a worker stands still for longer than stall */
    DEATH = 128,
    BREAK = 256,         /* connections */
    LEAVE = 512          /* a worker quits, and later exits */
};


static unsigned  faults;
static unsigned  asleep;         /* the worker that stands still + 1 */


static void step(void);


static w_hub_t *
some_hub(void)
{
    w_hub_t  *h;

    h = &w.hubs[w_random(w.nhubs)];

    return (h->hub && !h->inside && h->n + 1 != asleep) ? h : NULL;
}


static w_session_t *
some_session(void)
{
    w_session_t  *s;

    s = w.sessions[w_random(W_SESSIONS)];

    return (s && !s->hub->inside && s->hub->n + 1 != asleep) ? s : NULL;
}


/* other workers act just before one has the lock */

static void
meanwhile(void)
{
    static unsigned  depth;

    if (depth == 0 && w_random(8) == 0) {
        depth++;
        step();
        depth--;
    }
}


static void
on_event(w_session_t *s, w_sub_t *m, const fo_event_t *ev)
{
    unsigned  tag;

    switch (w_random(40)) {

    case 0:
        tag = (unsigned) w_random(W_TAGS);

        if (s->subs[tag] && (s->subs[tag] != m || ev->type < 2)) {
            w_unsubscribe(s->subs[tag]);
        }

        break;

    case 1:
        w_end(s);
        break;

    default:
        break;
    }
}


static void
subscribe(void)
{
    unsigned      tag, key;
    w_topic_t    *t;
    w_session_t  *s;

    s = some_session();
    if (s == NULL || s->ending) {
        return;
    }

    tag = (unsigned) w_random(W_TAGS);
    t = &w.topics[w_random(w.ntopics)];
    key = (unsigned) w_random(W_KEYS);

    if (s->subs[tag]) {
        if (w_random(2)) {
            w_unsubscribe(s->subs[tag]);
        }

        return;
    }

    s->hub->inside++;

    switch (w_random(4)) {

    case 0:
        (void) w_subscribe(s, tag, t, FO_FILTER_ALL, 0, 0);
        break;

    case 1:
        key = 1 + key % (W_KEYS - 1);
        (void) w_subscribe(s, tag, t, FO_FILTER_PREFIX, key,
                           1 + w_random(w_key(key).len));
        break;

    default:
        (void) w_subscribe(s, tag, t, FO_FILTER_KEY, key, 0);
    }

    s->hub->inside--;
}


static void
session(void)
{
    unsigned      i;
    w_hub_t      *h;
    w_session_t  *s;

    i = (unsigned) w_random(W_SESSIONS);
    s = w.sessions[i];

    if (s == NULL) {
        h = some_hub();

        if (h) {
            s = w_open(h);
            s->s.pending = w_random(4) ? 20000 : 300;
            s->s.policy = w_random(8) ? FO_PENDING_GAP
                                      : FO_PENDING_DISCONNECT;

            if (!(faults & SLOW)) {
                s->s.pending = 1 << 20;
                s->credit = UINT64_MAX / 2;
            }
        }

        return;
    }

    if (s->hub->inside || s->hub->n + 1 == asleep) {
        return;
    }

    s->hub->inside++;
    h = s->hub;

    if (s->ended || w_random(30) == 0) {
        w_close(s);

    } else if (w_random(40) == 0) {
        w_end(s);

    } else {
        w_writable(s, w_random(2) ? w_random(3000) : w_random(40));
    }

    h->inside--;
}


static void
source(void)
{
    unsigned    i;
    w_hub_t    *h;
    w_owned_t  *o;

    h = some_hub();
    if (h == NULL) {
        return;
    }

    h->inside++;

    i = (unsigned) w_random(FO_TOPICS);

    while (h->describe[i] == 0 && i) {
        i--;
    }

    if (h->describe[i]) {
        w_described(h, i);
    }

    i = (unsigned) w_random(W_OWNED);

    while (h->owned[i].owned == NULL && i) {
        i--;
    }

    o = &h->owned[i];

    if (o->owned && o->state == W_STARTING) {
        if (w_random(2)) {
            w_started(o);
        }

    } else if (o->owned && o->state == W_RUNNING) {
        (void) w_read(h, o, (unsigned) w_random(8));
    }

    h->inside--;
}


static void
produce(void)
{
    unsigned    n, size;
    w_topic_t  *t;

    t = &w.topics[w_random(w.ntopics)];

    for (n = (unsigned) w_random(6); n; n--) {
        size = (unsigned) w_random(60);

        if ((faults & BIG) && w_random(6) == 0) {
            size = (unsigned) w_random(18000);
        }

        if ((faults & PRUNE) && w_random(100) == 0) {
            w_produce_to(t, (unsigned) w_random(t->parts),
                         (unsigned) w_random(W_KEYS), size);
        } else {
            w_produce(t, (unsigned) w_random(W_KEYS + 1), size);
        }
    }
}


static void
fault(void)
{
    w_log_t    *log;
    w_topic_t  *t;

    t = &w.topics[w_random(w.ntopics)];

    switch (1 << w_random(7)) {

    case LOST:
        if (faults & LOST) {
            log = &t->log[w_random(t->parts)];
            log->low = log->n;

            /* who takes over can't tell a topic made anew */

            if (w_random(2) && !(faults & (DEATH | LEAVE))) {
                log->gen++;
                log->next = (int64_t) w_random(4);
            }
        }

        break;

    case GROW:
        if ((faults & GROW) && t->parts < W_PARTS) {
            t->parts++;
        }

        break;

    case STALL:
        if (faults & STALL) {
            asleep = asleep ? 0 : 1 + (unsigned) w_random(w.nhubs);
        }

        break;

    default:
        break;
    }
}


/* workers come and go */

static void
worker(void)
{
    w_hub_t  *h;

    h = &w.hubs[w_random(w.nhubs)];

    if (h->inside || w.locked || h->n + 1 == asleep) {
        return;
    }

    if (h->hub == NULL) {
        w_born(h);

    } else if ((faults & DEATH) && w_random(2)) {
        w_killed(h);

    } else if ((faults & LEAVE) && fo_hub_leaving(h->hub)) {
        w_exit(h);

    } else if (faults & LEAVE) {
        w_leave(h);
    }
}


static void
step(void)
{
    w_hub_t  *h;

    switch (w_random(16)) {

    case 0:
    case 1:
        subscribe();
        break;

    case 2:
    case 3:
        session();
        break;

    case 4:
    case 5:
    case 6:
        source();
        break;

    case 7:
        produce();
        break;

    case 8:
        w.now += w_random(10) ? w_random(20000) : w_random(2000000);

        if ((faults & GROW) && w_random(30) == 0) {
            w.now += 31000000;
        }

        break;

    case 9:
        h = some_hub();

        if (h) {
            w_tick(h);
        }

        break;

    case 10:
    case 11:
    case 12:
        h = some_hub();

        if (h && (h->woken || w_random(16) == 0)) {
            w_turn(h);
        }

        break;

    case 13:
        if (w_random(10) == 0) {
            fault();
        }

        if (w_random(5) == 0) {
            worker();
        }

        break;

    default:
        h = some_hub();

        if (h && h->posted) {
            w_finish(h);
        }
    }
}


static inline void
run(uint64_t seed, const uint8_t *input, size_t len)
{
    unsigned  i;

    w_begin(seed, 1 + (unsigned) (seed % W_HUBS), 1 + seed / 4 % 2);

    w.input = input;
    w.left = len;

    faults = (unsigned) w_random(1024);

    /* some seeds hide nothing behind gaps that nobody can count */

    if (w_random(3) == 0) {
        faults &= SLOW | BIG | BREAK | DEATH | LEAVE;
    }

    asleep = 0;
    w_on_event = on_event;
    w.meanwhile = meanwhile;
    w.fail = (faults & MEMORY) ? 40 : 0;
    w.broken = (faults & BREAK) ? 100 : 0;
    w.at_once = (unsigned) w_random(2);

    for (i = 0; i < W_TOPICS; i++) {
        w.topics[i].parts = 1 + (unsigned) w_random(w_random(2) ? 3 : 12);
        w.topics[i].first = w.topics[i].parts;
        w.topics[i].pruned = (faults & PRUNE) && w_random(2);
    }

    w.topics[2].exists = (w_random(2) == 0);

    w.join = (seed % 5 == 0) ? 1 + (unsigned) seed % 40 : 0;

    for (i = 0; i < w.nhubs; i++) {
        fo_hub_join(w.hubs[i].hub, w.join);
    }

    for (i = 0; i < STEPS && (len == 0 || w.left); i++) {
        step();
    }

    w.left = 0;

    w.calm = 1;
    w.fail = 0;
    w.broken = 0;
    w.meanwhile = NULL;
    w_on_event = NULL;
    asleep = 0;

    for (i = 0; i < w.nhubs; i++) {
        if (w.hubs[i].hub == NULL) {
            w_born(&w.hubs[i]);
        }
    }

    for (i = 0; i < W_SESSIONS; i++) {
        if (w.sessions[i]) {
            w.sessions[i]->s.pending = 1 << 30;

            if (w.sessions[i]->ended) {
                w_close(w.sessions[i]);
            }
        }
    }

    w_settle((faults & GROW) ? 45000 : 8000);

    for (i = 0; i < W_SESSIONS; i++) {
        if (w.sessions[i] && w.sessions[i]->ended) {
            w_close(w.sessions[i]);
        }
    }

    w_complete();

    w_again();

    for (i = 0; i < 40; i++) {
        w_produce(&w.topics[w_random(W_TOPICS)],
                  (unsigned) w_random(W_KEYS + 1), 50);
    }

    w_settle(100);
    w_complete();

    w_over();
}


#endif /* HUB_SCHEDULE_H */
