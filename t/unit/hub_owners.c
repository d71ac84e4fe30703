
/*
 * Hubs whose workers leave, die and stand still: single stories of what
 * t/unit/hub_workers.c draws at random.
 */


#include "hub_client.h"


#define ORDERS  (&w.topics[0])


/* the hub that reads this topic's first partition */

static w_hub_t *
owner_of(const w_topic_t *t)
{
    unsigned    i;
    w_owned_t  *o;

    o = w_reader(t, 0);
    assert_non_null(o);

    for (i = 0; o < w.hubs[i].owned || o >= w.hubs[i].owned + W_OWNED; i++) {
        /* void */
    }

    return &w.hubs[i];
}


/* three workers with a session each, the first one owns what is read */

static void
begin(w_session_t **s)
{
    unsigned  i;

    w_begin(1, 3, 1);
    w.calm = 1;
    w.at_once = 1;

    for (i = 0; i < 3; i++) {
        s[i] = w_open(&w.hubs[i]);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_ALL, 0, 0);
        w_settle(0);
    }

    assert_true(owner_of(ORDERS) == &w.hubs[0]);
}


/* a reader lapsed in the ring of a new owner before it had read its takeover,
   and was never served again, untold */

static void
test_lapsed_before_takeover(void **state)
{
    unsigned      i;
    w_hub_t      *h, *r;
    w_sub_t      *m;
    w_session_t  *s[3];

    begin(s);

    h = owner_of(ORDERS);
    assert_true(h == &w.hubs[0]);

    for (i = 0; i < 10; i++) {
        w_produce(ORDERS, 1, 10);
    }

    w_settle(0);

    w_leave(h);
    w_finish(h);

    for (i = 1; w_reader(ORDERS, 0) == NULL; i = 3 - i) {
        w_turn(&w.hubs[i]);
        w_finish(&w.hubs[i]);

        if (w_reader(ORDERS, 0) == NULL) {
            w_tick(&w.hubs[i]);
        }
    }

    h = owner_of(ORDERS);
    assert_true(h != &w.hubs[0]);

    r = &w.hubs[3 - h->n];
    m = s[r->n]->subs[0];

    /* the new owner and the one that leaves go on alone */

    for (i = 0; i < 20; i++) {
        w_produce(ORDERS, 1, 10000);
    }

    for (i = 0; i < 2000; i++) {
        w_read(h, w_reader(ORDERS, 0), 9);
        w_finish(h);
        w_turn(&w.hubs[0]);
        w_finish(&w.hubs[0]);
        w.now += 2000;
        w_tick(h);
    }

    assert_int_equal(w_reader(ORDERS, 0)->pos, ORDERS->log[0].n);
    assert_int_equal(m->got, 10);

    w_settle(100);
    assert_int_equal(m->notices, 1);

    w_produce(ORDERS, 1, 10);
    w_settle(0);
    w_complete();
    assert_int_equal(m->got, 11);

    w_over();
}


/* two stand still: the others wait once, not twice */

static void
test_two_stopped(void **state)
{
    unsigned      i;
    uint64_t      start;
    w_hub_t      *h;
    w_session_t  *s[3];

    begin(s);

    h = owner_of(ORDERS);

    for (i = 0; i < 40; i++) {
        w_produce(ORDERS, 1, 10000);
    }

    start = w.now;

    while (w_reader(ORDERS, 0)->pos != ORDERS->log[0].n) {
        w_read(h, w_reader(ORDERS, 0), 9);
        w_finish(h);
        w.now += 2000;
        w_tick(h);
        assert_true(w.now - start < 1500000);
    }

    w_settle(100);
    w_complete();
    w_over();
}


/* others act before each lock that the first worker takes as it exits */

static void
others_go_on(void)
{
    unsigned         i, n;
    w_owned_t       *o;

    static unsigned  depth;

    if (depth) {
        return;
    }

    depth = 1;
    w.now += 2000000;

    for (n = 0; n < 20; n++) {
        for (i = 1; i < 3; i++) {
            w_tick(&w.hubs[i]);
            w_turn(&w.hubs[i]);
            w_finish(&w.hubs[i]);
        }
    }

    for (i = 0; i < 5; i++) {
        w_produce(ORDERS, 1, 100);
    }

    o = w_reader(ORDERS, 0);

    for (i = 1; i < 3; i++) {
        if (o >= w.hubs[i].owned && o < w.hubs[i].owned + W_OWNED) {
            (void) w_read(&w.hubs[i], o, 9);
            w_finish(&w.hubs[i]);
        }
    }

    depth = 0;
}


/* the exiting worker published its ring after another one had got it */

static void
test_exit(void **state)
{
    unsigned      i;
    w_session_t  *s[3];

    begin(s);

    for (i = 0; i < 10; i++) {
        w_produce(ORDERS, 1, 10);
    }

    w_settle(0);

    for (i = 0; i < 10; i++) {
        w_produce(ORDERS, 1, 10);
    }

    (void) w_read(&w.hubs[0], w_reader(ORDERS, 0), 5);

    w.meanwhile = others_go_on;
    w_exit(&w.hubs[0]);
    w.meanwhile = NULL;

    w_settle(3000);
    w_complete();

    for (i = 1; i < 3; i++) {
        assert_int_equal(s[i]->subs[0]->notices, 0);
    }

    w_over();
}


/* the takeover of an owner that is gone came late, and was believed */

static void
test_late_takeover(void **state)
{
    unsigned      i;
    w_hub_t      *h, *r;
    fo_src_t     *src;
    fo_origin_t   from;
    w_session_t  *s[3];

    begin(s);

    w_leave(&w.hubs[0]);
    w_settle(3000);

    h = owner_of(ORDERS);
    assert_true(h != &w.hubs[0]);
    r = &w.hubs[3 - h->n];

    w_produce(ORDERS, 1, 10);
    w_settle(0);
    assert_int_equal(s[r->n]->subs[0]->got, 1);

    for (i = 0; r->hub->sources[i] == NULL; i++) {
        /* void */
    }

    src = r->hub->sources[i];
    assert_true(src->tenure > 1);

    memset(&from, 0, sizeof(fo_origin_t));
    from.row = src->row;
    from.generation = src->generation;
    from.tenure = src->tenure - 1;
    from.ring = !src->ring;

    fo_src_takeover(r->hub, &from);

    for (i = 0; i < 10; i++) {
        w_produce(ORDERS, 1, 10);
    }

    w_settle(0);
    assert_int_equal(s[r->n]->subs[0]->got, 11);

    w_complete();
    w_over();
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_lapsed_before_takeover),
        cmocka_unit_test(test_two_stopped),
        cmocka_unit_test(test_exit),
        cmocka_unit_test(test_late_takeover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
