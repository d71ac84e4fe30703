
/*
 * A hub with one worker, n subscribers with a key each, a source that is
 * handed records and a transport that takes all bytes at once.
 */


#include "micro.h"

#include "hub/fo_hub_int.h"


#define CLUSTER  77
#define TURN     256           /* records, or subscribes, of a turn */
#define HAND     16            /* messages in hand, as the source takes them */


static void hub_nothing(void *ctx);
static uint64_t hub_clock(void *ctx);
static void hub_wake(void *ctx, unsigned slot);
static int hub_alive(void *ctx, int32_t pid);
static void hub_log(void *ctx, int alert, const char *text,
    const fo_str_t *name);
static void hub_gap(void *ctx, const fo_str_t *topic, uint32_t partition,
    int64_t from, int64_t to);
static void hub_describe(void *ctx, unsigned row, const fo_str_t *topic);
static int hub_start(void *ctx, fo_owned_t *o, const fo_str_t *topic,
    uint32_t partition, int64_t from);
static void hub_stop(void *ctx, fo_owned_t *o);
static int32_t hub_partition(void *ctx, const fo_str_t *topic,
    const fo_str_t *key, uint32_t partitions);
static ssize_t hub_send(fo_session_t *s, const struct iovec *iov, unsigned n,
    unsigned *busy);
static void hub_soon(const fo_session_t *s);
static void hub_event(fo_session_t *s, fo_sub_t *sub, const fo_event_t *ev);
static void hub_ended(fo_session_t *s, unsigned broken);


static fo_hub_t            *hub;
static fo_zone_t            zone;
static fo_owned_t          *owned;
static unsigned             row;
static uint64_t             ready;
static int64_t              offset;
static uint64_t             sent;
static uint64_t             now = 1000000;

static fo_session_t        *sessions;
static fo_sub_t           **subs;
static fo_session_t         keeper;

static u_char               value[100];


static const fo_source_ops_t  source = {
    hub_describe, hub_start, hub_stop, hub_nothing, hub_partition
};


static const fo_transport_ops_t  transport = {
    hub_send, hub_soon, hub_event, hub_ended
};


static fo_hub_env_t  env = {
    NULL, hub_clock, hub_nothing, hub_nothing, hub_wake, hub_alive,
    hub_nothing, hub_log, hub_gap
};


static void
hub_nothing(void *ctx)
{
}


static uint64_t
hub_clock(void *ctx)
{
    return now;
}


static void
hub_wake(void *ctx, unsigned slot)
{
}


static int
hub_alive(void *ctx, int32_t pid)
{
    return 1;
}


static void
hub_log(void *ctx, int alert, const char *text, const fo_str_t *name)
{
    die("%s", text);
}


static void
hub_gap(void *ctx, const fo_str_t *topic, uint32_t partition, int64_t from,
    int64_t to)
{
    die("a gap");
}


static void
hub_describe(void *ctx, unsigned r, const fo_str_t *topic)
{
    row = r;
}


static int
hub_start(void *ctx, fo_owned_t *o, const fo_str_t *topic, uint32_t partition,
    int64_t from)
{
    owned = o;

    return FO_OK;
}


static void
hub_stop(void *ctx, fo_owned_t *o)
{
    owned = NULL;
}


static int32_t
hub_partition(void *ctx, const fo_str_t *topic, const fo_str_t *key,
    uint32_t partitions)
{
    return -1;
}


static ssize_t
hub_send(fo_session_t *s, const struct iovec *iov, unsigned n, unsigned *busy)
{
    ssize_t   len;
    unsigned  i;

    for (i = 0, len = 0; i < n; i++) {
        len += iov[i].iov_len;
    }

    *busy = 0;
    sent++;

    return len;
}


static void
hub_soon(const fo_session_t *s)
{
    (void) s;
}


static void
hub_event(fo_session_t *s, fo_sub_t *sub, const fo_event_t *ev)
{
    if (ev->type != FO_EVENT_READY) {
        die("a subscriber is told %d, %s", ev->type, fo_error(ev->error)->name);
    }

    ready++;
}


static void
hub_ended(fo_session_t *s, unsigned broken)
{
}


static void
hub_turns(void)
{
    while (fo_hub_turn(hub) | fo_hub_finish(hub)) {
        /* void */
    }
}


static fo_sub_t *
hub_subscribe(fo_session_t *s, uint64_t n)
{
    char         key[32];
    fo_sub_t    *sub;
    fo_error_e   error;
    fo_filter_t  f;

    f.kind = FO_FILTER_KEY;
    f.topic.data = (u_char *) "topic";
    f.topic.len = 5;
    f.key.data = (u_char *) key;
    f.key.len = micro_key(key, n, 1);

    sub = fo_subscribe(s, 0, &f, &fo_bare, &error);
    if (sub == NULL) {
        die("subscribe: %s", fo_error(error)->name);
    }

    return sub;
}


static void
hub_make(uint64_t n)
{
    int               slot;
    void             *mem;
    size_t            least;
    uint64_t          id;
    const char       *reason;
    fo_zone_shape_t   shape = { 0, 1 << 20, 1 };

    /* buckets for twice as many */

    shape.size = (16 << 20) + n * 2 * sizeof(fo_interest_bucket_t) / 8 * 2;

    if (fo_zone_shape(&shape, &reason, &least) != FO_OK) {
        die("zone: %s", reason);
    }

    mem = aligned_alloc(64, (shape.size + 63) & ~(size_t) 63);
    if (mem == NULL) {
        die("out of memory");
    }

    memset(mem, 0, shape.size);
    fo_zone_init(&zone, mem, &shape, 12345);

    id = CLUSTER;
    slot = fo_slot_claim_locked(&zone, 1, &id, 1);

    hub = fo_hub_create(&micro_alloc, &env, &zone, slot);

    if (hub == NULL || fo_hub_source(hub, id, &source, NULL, 1000) != 0) {
        die("no hub");
    }
}


/* an empty hub, its source running for one who wants something else */

static void
hub_setup_empty(micro_t *m)
{
    fo_str_t  topic = fo_str("topic");

    hub_make(m->n);

    sessions = calloc(m->n, sizeof(fo_session_t));
    subs = calloc(m->n, sizeof(fo_sub_t *));

    if (sessions == NULL || subs == NULL) {
        die("out of memory");
    }

    fo_session_open(hub, &keeper, &transport);
    (void) hub_subscribe(&keeper, UINT32_MAX);

    hub_turns();
    fo_hub_described(hub, NULL, row, &topic, FO_ERR_NONE, 1);
    hub_turns();

    if (owned == NULL) {
        die("the source was not started");
    }

    fo_hub_started(owned, 0);
    hub_turns();

    if (ready != 1) {
        die("nobody is served");
    }
}


static uint64_t
hub_run_subscribe(micro_t *m)
{
    uint64_t  i, before;

    before = micro_live;

    for (i = 0; i < m->n; i++) {
        fo_session_open(hub, &sessions[i], &transport);
        subs[i] = hub_subscribe(&sessions[i], i);

        if (i % TURN == TURN - 1) {
            hub_turns();
        }
    }

    hub_turns();

    if (ready != m->n + 1) {
        die("%" PRIu64 " of %" PRIu64 " are served", ready - 1, m->n);
    }

    /* with what the private and the shared index take for it */

    m->bytes = micro_live - before
               + m->n * 2 * sizeof(fo_interest_bucket_t) / 8;

    return m->n;
}


static uint64_t
hub_run_unsubscribe(micro_t *m)
{
    uint64_t  i;

    for (i = 0; i < m->n; i++) {
        fo_session_close(&sessions[i]);

        if (i % TURN == TURN - 1) {
            hub_turns();
        }
    }

    hub_turns();
    ready -= m->n;

    return m->n;
}


static void
hub_restore_subscribe(micro_t *m)
{
    (void) hub_run_unsubscribe(m);
}


static void
hub_setup_full(micro_t *m)
{
    hub_setup_empty(m);
    (void) hub_run_subscribe(m);
    m->bytes = 0;
}


static void
hub_restore_unsubscribe(micro_t *m)
{
    (void) hub_run_subscribe(m);
    m->bytes = 0;
}


/* records with random keys, in hand a few at a time as the source has them */

static uint64_t
hub_run_records(micro_t *m, int wanted)
{
    char         key[HAND][32];
    uint64_t     i, n, state;
    unsigned     j;
    fo_record_t  rec[HAND];

    memset(rec, 0, sizeof(rec));

    state = 1;

    for (i = 0; i < m->ops; i += n) {
        n = fo_min(m->ops - i, HAND);

        for (j = 0; j < n; j++) {
            rec[j].key = (u_char *) key[j];
            rec[j].key_len = (uint32_t)
                             micro_key(key[j], micro_random(&state) % m->n,
                                       wanted);
            rec[j].value = value;
            rec[j].value_len = sizeof(value);
            rec[j].time = -1;
            rec[j].offset = offset++;

            fo_hub_ahead(owned, &rec[j]);
        }

        for (j = 0; j < n; j++) {
            if (fo_hub_record(owned, &rec[j]) != FO_OK) {
                die("the ring is full");
            }
        }

        if (i % TURN >= TURN - HAND) {
            hub_turns();
        }
    }

    hub_turns();

    return m->ops;
}


static uint64_t
hub_run_miss(micro_t *m)
{
    return hub_run_records(m, 0);
}


static uint64_t
hub_run_match(micro_t *m)
{
    uint64_t  before, n;

    before = sent;
    n = hub_run_records(m, 1);

    if (sent == before) {
        die("nothing was sent");
    }

    return n;
}


const micro_case_t  micro_hub[] = {
    { "subscribe", hub_setup_empty, hub_run_subscribe,
      hub_restore_subscribe },
    { "unsubscribe", hub_setup_full, hub_run_unsubscribe,
      hub_restore_unsubscribe },
    { "record-unwanted", hub_setup_full, hub_run_miss, NULL },
    { "record-wanted", hub_setup_full, hub_run_match, NULL },
    { NULL, NULL, NULL, NULL }
};
