
/*
 * The hub of one worker, by hand: subscribe and its answers, joining,
 * leaving at any time, slow clients, what is too big, lack of memory.
 * hub_workers.c has the schedules that nobody thinks of.
 */


#include "hub_client.h"


#define ORDERS  (&w.topics[0])
#define NEWS    (&w.topics[1])


static void
begin(void)
{
    w_begin(1, 1, 1);
    w.calm = 1;
    w.at_once = 1;
    w_on_event = NULL;
}


static void
test_subscribe(void **state)
{
    unsigned      i;
    w_sub_t      *m[4];
    w_session_t  *s;

    for (i = 0; i < 2; i++) {
        begin();
        w.at_once = i;
        ORDERS->parts = ORDERS->first = 3;

        w_produce(ORDERS, 1, 10);

        s = w_open(&w.hubs[0]);
        m[0] = w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
        m[1] = w_subscribe(s, 1, ORDERS, FO_FILTER_KEY, 1, 0);
        m[2] = w_subscribe(s, 2, ORDERS, FO_FILTER_PREFIX, 1, 1);
        m[3] = w_subscribe(s, 3, ORDERS, FO_FILTER_KEY, 0, 0);

        w_settle(0);
        assert_true(m[0]->ready && m[1]->ready && m[2]->ready && m[3]->ready);

        w_produce(ORDERS, 1, 10);            /* "a" */
        w_produce(ORDERS, 3, 10);            /* "abc" */
        w_produce(ORDERS, 0, 10);            /* "" */
        w_produce(ORDERS, W_KEYS, 10);       /* null */

        w_settle(0);

        assert_int_equal(m[0]->got, 4);
        assert_int_equal(m[1]->got, 1);
        assert_int_equal(m[2]->got, 2);
        assert_int_equal(m[3]->got, 1);

        w_complete();
        w_over();
    }
}


/* prefixes longer than 63 bytes share an entry of the index */

static void
test_long_prefixes(void **state)
{
    w_sub_t      *m[2];
    w_session_t  *s;

    begin();

    s = w_open(&w.hubs[0]);
    m[0] = w_subscribe(s, 0, ORDERS, FO_FILTER_PREFIX, 7, w_key(7).len);
    m[1] = w_subscribe(s, 1, ORDERS, FO_FILTER_PREFIX, 8, w_key(8).len);
    w_settle(0);

    w_produce(ORDERS, 7, 10);
    w_settle(0);
    assert_int_equal(m[0]->got, 1);
    assert_int_equal(m[1]->got, 0);

    w_unsubscribe(m[0]);
    w_produce(ORDERS, 8, 10);
    w_settle(0);
    assert_int_equal(m[1]->got, 1);

    w_complete();
    w_over();
}


/* two prefixes of one key whose hashes share bucket and tag of the index */

static void
test_prefixes_together(void **state)
{
    uint64_t      topic, one, two;
    w_sub_t      *m[2];
    fo_zone_t    *z;
    w_session_t  *s;

    begin();
    z = &w.hubs[0].zone;

    do {
        z->head->seed++;
        topic = fo_topic_hash(z, W_CLUSTER, &ORDERS->name);
        one = fo_hash_prefix(topic, w_key(2).data, 1);
        two = fo_hash_prefix(topic, w_key(2).data, 2);

    } while (one >> 48 != two >> 48
             || ((one ^ two) >> 2) % FO_INDEX_FIRST);

    s = w_open(&w.hubs[0]);
    m[0] = w_subscribe(s, 0, ORDERS, FO_FILTER_PREFIX, 2, 1);
    m[1] = w_subscribe(s, 1, ORDERS, FO_FILTER_PREFIX, 2, 2);
    w_settle(0);

    w_produce(ORDERS, 2, 10);
    w_settle(0);

    assert_int_equal(m[0]->got, 1);
    assert_int_equal(m[1]->got, 1);

    w_complete();
    w_over();
}


static void
test_unknown_topic(void **state)
{
    w_session_t  *s;

    begin();
    ORDERS->exists = 0;

    s = w_open(&w.hubs[0]);
    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    assert_int_equal(s->errors, 1);
    assert_int_equal(s->error, FO_ERR_UNKNOWN_TOPIC);

    /* believed for a while, then asked again */

    ORDERS->exists = 1;

    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    assert_int_equal(s->errors, 2);
    assert_null(s->subs[0]);

    w.now += (FO_TOPIC_NEGATIVE + 1) * 1000;

    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    assert_int_equal(s->errors, 2);
    assert_true(s->subs[0]->ready);

    w_complete();
    w_over();
}


/* never by silence: an error within 4 s, and a later one gets through */

static void
test_timeout(void **state)
{
    unsigned      i, ms;
    w_hub_t      *h;
    w_session_t  *s;

    begin();
    w.at_once = 0;

    h = &w.hubs[0];
    s = w_open(h);
    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);

    for (ms = 0; s->errors == 0 && ms < 4000; ms += 100) {
        w_finish(h);
        w.now += fo_min(fo_hub_due(h->hub), 100) * 1000;
        w_tick(h);
    }

    assert_int_equal(s->error, FO_ERR_UNREACHABLE);
    assert_in_range(ms, 3400, 4000);

    /* the description comes, the partition does not start */

    for (i = 0; i < FO_TOPICS; i++) {
        while (h->describe[i]) {
            w_described(h, i);
        }
    }

    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);

    for (ms = 0; s->errors == 1 && ms < 4000; ms += 100) {
        w_finish(h);
        w.now += fo_min(fo_hub_due(h->hub), 100) * 1000;
        w_tick(h);
    }

    assert_int_equal(s->error, FO_ERR_UNREACHABLE);

    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    w_complete();
    w_over();
}


static void
test_limit(void **state)
{
    w_session_t  *s;

    begin();

    s = w_open(&w.hubs[0]);
    s->s.subs_max = 1;

    assert_non_null(w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0));
    assert_null(w_subscribe(s, 1, ORDERS, FO_FILTER_ALL, 0, 0));
    assert_int_equal(s->error, FO_ERR_LIMIT);

    w_over();
}


/* a second one joins a feed that waits, is live, has fresh frames */

static void
test_join(void **state)
{
    w_hub_t      *h;
    w_session_t  *s[3];

    begin();
    w.at_once = 0;
    h = &w.hubs[0];

    s[0] = w_open(h);
    s[1] = w_open(h);
    s[2] = w_open(h);

    (void) w_subscribe(s[0], 0, ORDERS, FO_FILTER_ALL, 0, 0);
    (void) w_subscribe(s[1], 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    assert_true(s[0]->subs[0]->ready && s[1]->subs[0]->ready);

    /* dirty: the frame is for the first two only */

    w_produce(ORDERS, 1, 10);
    assert_int_equal(w_read(h, &h->owned[0], 1), 1);
    (void) w_subscribe(s[2], 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_finish(h);

    assert_int_equal(s[0]->subs[0]->got, 1);
    assert_int_equal(s[1]->subs[0]->got, 1);
    assert_int_equal(s[2]->subs[0]->got, 0);
    assert_true(s[2]->subs[0]->ready);

    w_produce(ORDERS, 1, 10);
    w_settle(0);
    assert_int_equal(s[2]->subs[0]->got, 1);

    w_complete();
    w_over();
}


static fo_sub_t *
place_of(w_session_t *s, unsigned tag)
{
    return s->subs[tag]->sub;
}


/* the first dialect and subscriber of a filter leave and come, others stay */

static void
test_places(void **state)
{
    unsigned      i, turn;
    w_hub_t      *h;
    fo_sub_t     *first;
    w_session_t  *s[3];

    begin();
    h = &w.hubs[0];

    for (i = 0; i < 3; i++) {
        s[i] = w_open(h);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_KEY, 1, 0);
    }

    (void) w_subscribe(s[0], 1, ORDERS, FO_FILTER_KEY, 1, 0);
    first = place_of(s[0], 0);

    for (turn = 0; turn < 6; turn++) {
        w_produce(ORDERS, 1, 100);
        w_settle(100);

        switch (turn) {

        case 0:
            w_unsubscribe(s[0]->subs[0]);
            break;

        case 1:
            (void) w_subscribe(s[0], 2, ORDERS, FO_FILTER_KEY, 1, 0);
            assert_ptr_not_equal(place_of(s[0], 2), first);

            (void) w_subscribe(s[0], 0, ORDERS, FO_FILTER_KEY, 1, 0);
            assert_ptr_equal(place_of(s[0], 0), first);
            break;

        case 2:
            for (i = 0; i < 3; i++) {
                w_unsubscribe(s[i]->subs[0]);
            }

            break;

        case 3:
            (void) w_subscribe(s[2], 3, ORDERS, FO_FILTER_KEY, 1, 0);
            assert_ptr_equal(place_of(s[2], 3), first);
            break;

        case 4:
            w_unsubscribe(s[0]->subs[2]);
            w_unsubscribe(s[0]->subs[1]);
            break;
        }
    }

    assert_int_equal(s[2]->subs[3]->got, 2);

    w_complete();
    w_over();
}


/* fanout_join: a session waits for more, but not for ever, and not for much */

static void
test_waits(void **state)
{
    unsigned      i, writes;
    w_hub_t      *h;
    w_sub_t      *m[2];
    w_session_t  *s;

    begin();
    h = &w.hubs[0];
    fo_hub_join(h->hub, 10);

    s = w_open(h);
    m[0] = w_subscribe(s, 0, ORDERS, FO_FILTER_KEY, 1, 0);
    m[1] = w_subscribe(s, 1, NEWS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    assert_true(m[0]->ready && m[1]->ready);

    writes = (unsigned) h->zone.slots[h->slot].stats.value[FO_STAT_WRITES];

    for (i = 0; i < 9; i++) {
        w_produce(ORDERS, 1, 10);
        w_produce(NEWS, 1, 10);
        (void) w_go();
        (void) w_go();
        assert_int_equal(m[0]->got, 0);
        assert_int_equal(fo_hub_due(h->hub), 11 - i);

        w.now += 1000;
        w_tick(h);
    }

    w.now += 999;
    w_tick(h);
    assert_int_equal(h->posted, 0);
    w.now++;
    w_tick(h);
    (void) w_go();

    assert_int_equal(m[0]->got, 9);
    assert_int_equal(m[1]->got, 9);
    assert_int_equal(h->zone.slots[h->slot].stats.value[FO_STAT_WRITES],
                     writes + 1);

    /* much at once */

    w_produce(NEWS, 1, 10);
    (void) w_go();

    for (i = 0; i < 40; i++) {
        w_produce(ORDERS, 1, 1000);
    }

    (void) w_go();
    (void) w_go();
    assert_true(m[0]->got >= 9 + 32);
    assert_int_equal(m[1]->got, 10);
    w_settle(20);

    /* what is said goes at once, and what waits with it */

    w_produce(NEWS, 1, 10);
    (void) w_go();
    (void) w_go();
    assert_int_equal(m[1]->got, 10);
    assert_int_equal(w_say(s, 30), FO_OK);
    (void) w_go();
    assert_int_equal(m[1]->got, 11);

    /* gone while it waits, and here again */

    w_produce(NEWS, 1, 10);
    (void) w_go();
    w_unsubscribe(m[1]);
    m[1] = w_subscribe(s, 1, NEWS, FO_FILTER_ALL, 0, 0);
    w_settle(20);
    w_produce(NEWS, 1, 10);
    w_settle(20);
    assert_int_equal(m[1]->got, 1);

    w_complete();
    w_over();
}


/* unsubscribes when the n-th thing has happened, in each state */

static void
test_leave(void **state)
{
    unsigned      i, n;
    w_hub_t      *h;
    w_session_t  *s;

    for (n = 0; n < 12; n++) {
        begin();
        w.at_once = 0;
        h = &w.hubs[0];
        s = w_open(h);
        s->credit = (n > 9) ? 0 : 20;

        (void) w_subscribe(s, 0, ORDERS, FO_FILTER_KEY, 1, 0);

        for (i = 0; i < n; i++) {
            switch (i) {
            case 1:
                w_described(h, 0);
                break;
            case 3:
                w_started(&h->owned[0]);
                break;
            case 5:
                w_produce(ORDERS, 1, 700);
                w_read(h, &h->owned[0], 9);
                break;
            default:
                w_finish(h);
            }
        }

        w_unsubscribe(s->subs[0]);
        (void) w_subscribe(s, 0, ORDERS, FO_FILTER_KEY, 1, 0);
        w_writable(s, UINT64_MAX / 4);

        w_settle(100);
        w_produce(ORDERS, 1, 10);
        w_settle(100);
        w_complete();
        assert_int_equal(s->subs[0]->got, 1);
        w_over();
    }
}


/* the socket takes n bytes, then everything: no frame is cut */

static void
test_partial(void **state)
{
    unsigned      i, n;
    uint64_t      total;
    w_session_t  *s;

    total = 3 * (W_HEAD + 1 + 40) + 40;

    for (n = 0; n < total; n++) {
        begin();
        s = w_open(&w.hubs[0]);
        (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
        (void) w_subscribe(s, 1, ORDERS, FO_FILTER_KEY, 1, 0);
        w_settle(0);

        s->credit = n;

        for (i = 0; i < 3; i++) {
            w_produce(ORDERS, 1, 40);
        }

        w_read(&w.hubs[0], &w.hubs[0].owned[0], 9);
        w_finish(&w.hubs[0]);
        assert_int_equal(s->credit, 0);

        /* said, and left: neither cuts what has begun */

        assert_int_equal(w_say(s, 30), FO_OK);

        if (n % 3 == 0) {
            w_unsubscribe(s->subs[0]);

        } else if (n % 3 == 1) {
            w_end(s);
        }

        s->credit = UINT64_MAX / 4;
        w_writable(s, 1);
        w_settle(0);

        assert_int_equal(s->in_len, 0);
        assert_int_equal(s->ended, n % 3 == 1);

        if (n % 3 != 1) {
            w_complete();
        }

        w_over();
    }
}


/* the policies; a gap tells exactly what is missing */

static void
test_slow(void **state)
{
    unsigned      i, n;
    w_session_t  *s, *fast;

    for (n = 0; n < 120; n++) {
        begin();
        s = w_open(&w.hubs[0]);
        fast = w_open(&w.hubs[0]);
        (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
        (void) w_subscribe(fast, 0, ORDERS, FO_FILTER_ALL, 0, 0);
        w_settle(0);

        s->s.pending = 500;
        s->credit = n;

        for (i = 0; i < 20; i++) {
            w_produce(ORDERS, 1, 40);
            w_read(&w.hubs[0], &w.hubs[0].owned[0], 9);
            w_finish(&w.hubs[0]);
        }

        assert_true(s->subs[0]->got <= 2);
        assert_int_equal(fast->subs[0]->got, 20);

        w_writable(s, UINT64_MAX / 4);
        w_settle(0);
        assert_true(s->gaps == 1 && s->subs[0]->counted > 0);
        w_complete();
        w_over();
    }

    begin();
    s = w_open(&w.hubs[0]);
    s->s.pending = 500;
    s->s.policy = FO_PENDING_DISCONNECT;
    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    s->credit = 0;

    for (i = 0; i < 20; i++) {
        w_produce(ORDERS, 1, 40);
    }

    w_read(&w.hubs[0], &w.hubs[0].owned[0], 99);
    w_finish(&w.hubs[0]);
    w_finish(&w.hubs[0]);
    assert_int_equal(s->error, FO_ERR_TOO_SLOW);
    w_over();
}


/* what may be done in an event */

static unsigned  what;


static void
act(w_session_t *s, w_sub_t *m, const fo_event_t *ev)
{
    unsigned  i;

    switch (what) {

    case 0:
        if (m) {
            w_unsubscribe(m);
        }

        break;

    case 1:
        for (i = 0; i < W_TAGS; i++) {
            if (s->subs[i]) {
                w_unsubscribe(s->subs[i]);
            }
        }

        break;

    default:
        w_end(s);
    }
}


static void
test_events(void **state)
{
    unsigned      i, j;
    w_session_t  *s, *other;

    for (what = 0; what < 3; what++) {
        for (j = 0; j < 2; j++) {
            begin();
            NEWS->exists = j;

            s = w_open(&w.hubs[0]);
            other = w_open(&w.hubs[0]);
            (void) w_subscribe(other, 0, NEWS, FO_FILTER_ALL, 0, 0);
            w_settle(0);

            w_on_event = act;

            for (i = 0; i < W_TAGS; i++) {
                (void) w_subscribe(s, i, i % 2 ? ORDERS : NEWS,
                                   FO_FILTER_KEY, i, 0);
            }

            w_settle(0);
            w_on_event = NULL;

            for (i = 0; i < W_TAGS; i++) {
                assert_true(what == 2 || s->subs[i] == NULL);
            }

            if (what == 2) {
                assert_int_equal(s->ended, 1);
                w_close(s);
            }

            w_complete();
            w_over();
        }
    }
}


/* the connection breaks at the n-th send */

static void
test_broken(void **state)
{
    w_session_t  *s;

    begin();
    s = w_open(&w.hubs[0]);
    (void) w_subscribe(s, 0, ORDERS, FO_FILTER_ALL, 0, 0);
    w_settle(0);
    w_produce(ORDERS, 1, 40);
    w.broken = 1;
    w_settle(0);
    assert_int_equal(s->ended, 1);

    /* neither what is said nor what is written later comes back */

    fo_session_writable(&s->s);
    assert_int_equal(w_say(s, 20), FO_OK);
    w_settle(2000);
    w_over();
}


/* a record that no ring takes: whole here, a gap of one elsewhere */

static void
test_too_big(void **state)
{
    unsigned      i;
    w_session_t  *s[2];

    w_begin(1, 2, 1);
    w.calm = 1;
    w.at_once = 1;

    for (i = 0; i < 2; i++) {
        s[i] = w_open(&w.hubs[i]);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_ALL, 0, 0);
        w_settle(0);
    }

    w_produce(ORDERS, 1, 20000);
    w_settle(0);

    assert_int_equal(s[0]->subs[0]->got + s[1]->subs[0]->got, 1);
    assert_int_equal(s[0]->gaps + s[1]->gaps, 1);

    w_produce(ORDERS, 1, 10);
    w_settle(0);
    assert_int_equal(s[0]->subs[0]->got + s[1]->subs[0]->got, 3);

    w_complete();
    w_over();
}


/* a gap was told after the records behind it, if one turn brought both */

static void
test_gap_before_what_follows(void **state)
{
    unsigned      i, owner;
    w_owned_t    *o;
    w_session_t  *s[2];

    w_begin(1, 2, 1);
    w.calm = 1;
    w.at_once = 1;

    for (i = 0; i < 2; i++) {
        s[i] = w_open(&w.hubs[i]);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_ALL, 0, 0);
        w_settle(0);
    }

    o = w_reader(ORDERS, 0);
    assert_non_null(o);

    owner = (o >= w.hubs[1].owned && o < w.hubs[1].owned + W_OWNED);
    w_produce(ORDERS, 1, 20000);
    w_produce(ORDERS, 1, 10);
    w_read(&w.hubs[owner], o, 2);
    w_finish(&w.hubs[owner]);
    w_turn(&w.hubs[!owner]);
    w_settle(0);

    assert_int_equal(s[!owner]->gaps, 1);
    assert_int_equal(s[!owner]->subs[0]->got, 1);
    assert_int_equal(s[!owner]->subs[0]->got_at_notice, 0);

    w_complete();
    w_over();
}


/* waits for one base, needs another that is there already */

static void
test_unpruned_while_pending(void **state)
{
    w_hub_t      *h;
    w_sub_t      *m;
    w_session_t  *s;

    begin();
    w.at_once = 0;
    ORDERS->parts = ORDERS->first = 2;
    ORDERS->pruned = 1;

    h = &w.hubs[0];
    s = w_open(h);
    m = w_subscribe(s, 0, ORDERS, FO_FILTER_KEY, 1, 0);
    (void) w_subscribe(s, 1, ORDERS, FO_FILTER_ALL, 0, 0);
    w_finish(h);
    w_described(h, 0);
    w_finish(h);

    assert_int_equal(h->owned[0].partition, 0);
    assert_int_equal(h->owned[1].partition, 1);

    w_started(&h->owned[1]);
    w_finish(h);

    /* a key is not where it should be */

    w_produce_to(ORDERS, 1, 1, 10);
    w_read(h, &h->owned[1], 9);
    w_finish(h);
    assert_false(m->ready);

    w_started(&h->owned[0]);
    w_finish(h);
    assert_true(m->ready);

    w_over();
}


/* offsets begin anew while a worker stands still for too long */

static void
test_lapsed_over_reset(void **state)
{
    unsigned      i;
    w_sub_t      *m;
    w_hub_t      *h;
    w_session_t  *s[2];

    w_begin(1, 2, 1);
    w.calm = 1;
    w.at_once = 1;

    for (i = 0; i < 2; i++) {
        s[i] = w_open(&w.hubs[i]);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_ALL, 0, 0);
        w_settle(0);
    }

    h = &w.hubs[w.hubs[0].owned[0].owned ? 0 : 1];
    m = s[h == &w.hubs[0]]->subs[0];

    for (i = 0; i < 100; i++) {
        w_produce(ORDERS, 1, 10);
    }

    w_settle(0);
    assert_int_equal(m->got, 100);

    ORDERS->log[0].gen++;
    ORDERS->log[0].low = ORDERS->log[0].n;
    ORDERS->log[0].next = 0;

    for (i = 0; i < 20; i++) {
        w_produce(ORDERS, 1, 10000);
    }

    /* the owner goes on alone */

    for (i = 0; i < 2000; i++) {
        w_read(h, &h->owned[0], 9);

        if (h->owned[0].state == W_STARTING) {
            w_started(&h->owned[0]);
        }

        w_finish(h);
        w.now += 2000;
        w_tick(h);
    }

    assert_int_equal(h->owned[0].pos, ORDERS->log[0].n);

    w_settle(100);
    assert_int_equal(m->notices, 1);
    assert_int_equal(fo_stat_get(fo_hub_stats(m->session->hub->hub),
                                 FO_STAT_LAPSES), 1);

    w_again();
    w_produce(ORDERS, 1, 10);
    w_settle(0);
    w_complete();
    assert_int_equal(m->got, 1);

    w_over();
}


/* a whole life, with allocation n failing */

static void
life(void)
{
    unsigned      i;
    w_session_t  *s[3];

    w.hubs[0].inside = 0;
    ORDERS->parts = ORDERS->first = 3;
    NEWS->exists = 0;

    for (i = 0; i < 3; i++) {
        s[i] = w_open(&w.hubs[i % 2]);
        (void) w_subscribe(s[i], 0, ORDERS, FO_FILTER_ALL, 0, 0);
        (void) w_subscribe(s[i], 1, ORDERS, FO_FILTER_PREFIX, 3, 2);
        (void) w_subscribe(s[i], 2, ORDERS, FO_FILTER_KEY, i, 0);
        (void) w_subscribe(s[i], 3, NEWS, FO_FILTER_KEY, i, 0);
    }

    w_settle(100);

    for (i = 0; i < 30; i++) {
        w_produce(ORDERS, i % (W_KEYS + 1), i * 100);
    }

    w_settle(100);
    ORDERS->parts = 4;
    w_settle(40000);

    for (i = 0; i < 30; i++) {
        w_produce(ORDERS, i % (W_KEYS + 1), 10);
    }

    w_settle(5000);
    w_complete();
}


static void
test_no_memory(void **state)
{
    long  n;

    for (n = 1; ; n++) {
        w_begin((uint64_t) n, 2, 1);
        w.calm = 1;
        w.at_once = 1;
        w.allocs = 0;
        w.fail_at = n;

        life();

        if (!w.failed) {
            w_over();
            break;
        }

        w_over();
    }

    assert_true(n > 50);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_long_prefixes),
        cmocka_unit_test(test_prefixes_together),
        cmocka_unit_test(test_unknown_topic),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_gap_before_what_follows),
        cmocka_unit_test(test_unpruned_while_pending),
        cmocka_unit_test(test_lapsed_over_reset),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
