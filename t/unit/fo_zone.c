
/*
 * The zone: its shape, slots and who is chosen as an owner, topic rows and
 * source rows, what a sweep leaves, and what mending makes anew.
 */


#include "fo_test.h"
#include "core/fo_rows.h"


#define CLUSTER  7
#define OTHER    8


static fo_zone_t   z;
static u_char     *mem;
static fo_mask_t   wake;


static void
make(unsigned owners)
{
    size_t           least;
    const char      *reason;
    fo_zone_shape_t  shape = { 16 << 20, 0, owners };

    assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_OK);

    mem = aligned_alloc(64, shape.size);
    memset(mem, 0, shape.size);
    fo_zone_init(&z, mem, &shape, 4711);
    fo_mask_clear(&wake);
}


static unsigned
claim(uint64_t cluster)
{
    int             slot;
    static int32_t  pid = 100;

    slot = fo_slot_claim_locked(&z, pid++, &cluster, 1);
    assert_true(slot >= 0);

    return (unsigned) slot;
}


static unsigned
hold(const char *name, unsigned slot)
{
    fo_str_t  s;

    s.len = strlen(name);
    s.data = (u_char *) name;

    return fo_topic_hold_locked(&z, CLUSTER, &s, slot, &wake);
}


/* somebody died inside the lock, and the next one enters */

static void
died_inside(void)
{
    fo_zone_enter_locked(&z);
    fo_zone_enter_locked(&z);
    fo_zone_leave_locked(&z);
}


static void
sweep(unsigned slot)
{
    unsigned  n;

    for (n = 0; fo_slot_sweep_locked(&z, slot, &wake) == FO_AGAIN; n++) {
        assert_true(n < 100000);
        assert_int_equal(z.slots[slot].state, FO_SLOT_SWEEPING);
    }

    assert_int_equal(z.slots[slot].state, FO_SLOT_FREE);
}


/* what a row's owner is marked to look at; takes the mark */

static int
marked(_Atomic uint64_t *words, unsigned row)
{
    uint64_t  bit;

    bit = (uint64_t) 1 << (row % 64);

    return (atomic_fetch_and(&words[row / 64], ~bit) & bit) != 0;
}


static unsigned
owner(_Atomic uint64_t *o)
{
    return fo_owner_slot(atomic_load(o));
}


static void
test_shape(void **state)
{
    size_t           size, least;
    u_char          *p;
    unsigned         n;
    uint64_t         end;
    fo_zone_t        view;
    const char      *reason;
    fo_zone_shape_t  shape;

    for (n = 1; n <= 16; n++) {

        shape = (fo_zone_shape_t) { 1 << 20, 0, n };
        assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_ERROR);

        /* the size that was named is large enough, and no smaller one is */

        size = least;
        shape = (fo_zone_shape_t) { size, 0, n };
        assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_OK);
        assert_int_equal(shape.ring_size, 64 << 10);

        shape = (fo_zone_shape_t) { size - 64, 0, n };
        assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_ERROR);
        assert_int_equal(least, size);

        for (size = least; size < 40 << 20; size += 777777) {
            shape = (fo_zone_shape_t) { size, 0, n };
            assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_OK);
            assert_true(shape.ring_size % (64 << 10) == 0);
        }

        shape = (fo_zone_shape_t) { 8 << 20, 8 << 20, n };
        assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_ERROR);
        shape.size = least;
        assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_OK);
        assert_int_equal(shape.ring_size, 8 << 20);
    }

    /* 64m is a good start: a ring of 4 MB more or less */

    shape = (fo_zone_shape_t) { 64 << 20, 0, 4 };
    assert_int_equal(fo_zone_shape(&shape, &reason, &least), FO_OK);
    assert_int_equal(shape.ring_size, 4 << 20);

    make(4);
    fo_zone_view(&view, mem);
    assert_memory_equal(&view, &z, sizeof(fo_zone_t));

    p = (u_char *) z.interest.buckets;
    assert_int_equal((uintptr_t) p % 64, 0);
    end = z.interest.nbuckets * sizeof(fo_interest_bucket_t);
    assert_true(p + end <= mem + (16 << 20));
    assert_int_equal(fo_interest_used(&z.interest), 0);
    free(mem);
}


static void
test_slots(void **state)
{
    unsigned  i, slot;
    uint64_t  cluster, seq;

    make(2);
    cluster = CLUSTER;

    for (i = 0; i < FO_SLOTS; i++) {
        assert_int_equal(claim(CLUSTER), i);
    }

    assert_int_equal(fo_slot_claim_locked(&z, 5, &cluster, 1), FO_ERROR);

    atomic_store(&z.slots[3].seq, 77);
    seq = fo_owner(3, z.slots[3].generation);
    assert_true(fo_owner_alive(&z, seq));

    atomic_store(&z.slots[3].state, FO_SLOT_DEAD);
    assert_false(fo_owner_alive(&z, seq));
    sweep(3);

    slot = claim(CLUSTER);
    assert_int_equal(slot, 3);
    assert_false(fo_owner_alive(&z, seq));
    assert_int_equal(z.slots[3].seq, 77);
    assert_false(fo_owner_alive(&z, FO_NOBODY));

    free(mem);
}


static void
test_choose(void **state)
{
    unsigned  a, b, c, d;

    make(2);
    a = claim(CLUSTER);
    b = claim(CLUSTER);
    c = claim(CLUSTER);
    d = claim(OTHER);

    /* the fewest rows, the asker first, others' clusters never */

    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, c, 0), c);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, d, 0), a);
    assert_int_equal(fo_slot_choose_locked(&z, 99, a, 0), FO_NONE);

    atomic_store(&z.slots[a].owned, 3);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, a, 0), b);

    /* no more owners than owners; one more rather than none */

    atomic_store(&z.slots[b].owned, 5);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, c, 0), a);
    assert_int_equal(fo_slot_choose_locked(&z, OTHER, d, 0), d);

    /* exiting ones only if nobody else can */

    atomic_store(&z.slots[a].state, FO_SLOT_EXITING);
    atomic_store(&z.slots[b].state, FO_SLOT_EXITING);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, a, 0), c);
    atomic_store(&z.slots[c].state, FO_SLOT_EXITING);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, a, 0), c);
    atomic_store(&z.slots[c].state, FO_SLOT_DEAD);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, c, 0), a);

    /* who is dead is not chosen, though it asks */

    atomic_store(&z.slots[a].state, FO_SLOT_DEAD);
    atomic_store(&z.slots[b].state, FO_SLOT_SWEEPING);
    assert_int_equal(fo_slot_choose_locked(&z, CLUSTER, b, 0), FO_NONE);

    free(mem);
}


static void
test_topics(void **state)
{
    char      name[FO_TOPIC_MAX + 1];
    unsigned  i, a, b, row, rows[FO_TOPICS];

    make(2);
    a = claim(CLUSTER);
    b = claim(CLUSTER);

    for (i = 0; i < FO_TOPICS; i++) {
        snprintf(name, sizeof(name), "topic-%u", i);
        rows[i] = hold(name, a);
        assert_int_not_equal(rows[i], FO_NONE);
        assert_int_equal(hold(name, b), rows[i]);
        assert_true(marked(z.slots[owner(&z.topics[rows[i]].owner)].topics,
                           rows[i]));
    }

    assert_int_equal(hold("one more", a), FO_NONE);
    assert_int_equal(z.slots[a].owned + z.slots[b].owned, FO_TOPICS);

    /* the answer goes to all users, and only what is new */

    row = rows[5];
    fo_topic_answer_locked(&z, row, 0, 3, 1000, &wake);
    assert_true(marked(z.slots[a].topics, row));
    assert_true(marked(z.slots[b].topics, row));
    fo_topic_answer_locked(&z, row, 0, 3, 2000, &wake);
    assert_false(marked(z.slots[a].topics, row));
    assert_int_equal(z.topics[row].checked, 2000);
    fo_topic_any_locked(&z, row, &wake);
    assert_true(marked(z.slots[b].topics, row));

    /* chains hold when rows go in any order, and when made anew */

    for (i = 0; i < FO_TOPICS; i += 3) {
        assert_false(fo_topic_free_locked(&z, rows[i]));
        fo_topic_leave_locked(&z, rows[i], a, &wake);
        assert_false(fo_topic_free_locked(&z, rows[i]));
        fo_topic_leave_locked(&z, rows[i], b, &wake);
        assert_true(fo_topic_free_locked(&z, rows[i]));
    }

    for (i = 0; i < 2; i++) {
        for (row = 0; row < FO_TOPICS; row++) {
            if (row % 3) {
                snprintf(name, sizeof(name), "topic-%u", row);
                assert_int_equal(hold(name, a), rows[row]);
            }
        }

        died_inside();
    }

    assert_int_equal(z.slots[a].owned + z.slots[b].owned,
                     FO_TOPICS - (FO_TOPICS + 2) / 3);

    free(mem);
}


/* unknown topics, asked for once, kept all rows for seconds */

static void
test_failed_topic_gives_way(void **state)
{
    char      name[FO_TOPIC_MAX + 1];
    unsigned  i, a, rows[FO_TOPICS];

    make(2);
    a = claim(CLUSTER);

    for (i = 0; i < FO_TOPICS; i++) {
        snprintf(name, sizeof(name), "topic-%u", i);
        rows[i] = hold(name, a);
    }

    fo_topic_answer_locked(&z, rows[6], 0, 3, 1000, &wake);
    fo_topic_leave_locked(&z, rows[6], a, &wake);
    fo_topic_answer_locked(&z, rows[7], 2, 0, 1000, &wake);

    /* one is known, somebody waits for the other */

    assert_int_equal(hold("one more", a), FO_NONE);

    fo_topic_leave_locked(&z, rows[7], a, &wake);

    assert_int_equal(hold("one more", a), rows[7]);
    assert_int_equal(z.topics[rows[7]].state, FO_TOPIC_ASKED);
    assert_int_equal(hold("one more", a), rows[7]);
    assert_int_equal(hold("topic-7", a), FO_NONE);
    assert_int_equal(hold("topic-8", a), rows[8]);
    assert_int_equal(z.slots[a].owned, FO_TOPICS);

    free(mem);
}


static int
matches(unsigned row, const char *key, unsigned slot)
{
    fo_str_t   s;
    fo_mask_t  m;

    s.data = (u_char *) key;
    s.len = key ? strlen(key) : 0;

    fo_topic_match(&z, &z.topics[row], key ? &s : NULL, 0, &m);

    return fo_mask_test(&m, slot);
}


static uint64_t
prefix(unsigned row, const char *key, size_t len)
{
    return fo_hash_prefix(z.topics[row].hash, (const u_char *) key, len);
}


static void
test_interest(void **state)
{
    unsigned   i, a, b, row;
    uint64_t   key, full;

    make(2);
    a = claim(CLUSTER);
    b = claim(CLUSTER);
    row = hold("orders", a);
    key = fo_hash_key(z.topics[row].hash, (const u_char *) "abc", 3);

    assert_false(matches(row, "abc", a));

    assert_int_equal(fo_topic_want_locked(&z, row, a, FO_FILTER_KEY, key, 3),
                     FO_OK);
    assert_int_equal(fo_topic_want_locked(&z, row, b, FO_FILTER_PREFIX,
                                          prefix(row, "ab", 2), 2), FO_OK);
    assert_int_equal(fo_topic_want_locked(&z, row, b, FO_FILTER_PREFIX,
                                          prefix(row, "xy", 2), 2), FO_OK);

    assert_true(matches(row, "abc", a) && matches(row, "abc", b));
    assert_true(matches(row, "ab", b) && !matches(row, "a", b));
    assert_false(matches(row, "ab", a));
    assert_false(matches(row, NULL, a));
    assert_true(z.topics[row].prefixes == 4);

    /* the length stays as long as a prefix of it is wanted */

    fo_topic_unwant_locked(&z, row, b, FO_FILTER_PREFIX,
                           prefix(row, "ab", 2), 2, 0);
    assert_true(z.topics[row].prefixes == 4);
    assert_true(!matches(row, "ab", b) && matches(row, "xyz", b));
    fo_topic_unwant_locked(&z, row, b, FO_FILTER_PREFIX,
                           prefix(row, "xy", 2), 2, 1);
    assert_true(z.topics[row].prefixes == 0);

    (void) fo_topic_want_locked(&z, row, b, FO_FILTER_ALL, 0, 0);
    assert_true(matches(row, NULL, b) && matches(row, "", b));
    fo_topic_unwant_locked(&z, row, b, FO_FILTER_ALL, 0, 0, 0);
    assert_false(matches(row, NULL, b));

    /* no room: nothing was changed, not even the map of lengths */

    full = prefix(row, "full", 4);

    for (i = 0; fo_interest_add_locked(&z.interest, full + i * 4, a)
                == FO_OK; i++)
    {
        z.interest.nbuckets = 2;
    }

    while (fo_interest_add_locked(&z.interest, full ^ (++i << 8), a)
           == FO_OK)
    {
        /* void */
    }

    assert_int_equal(fo_topic_want_locked(&z, row, b, FO_FILTER_PREFIX,
                                          full ^ (++i << 8), 4), FO_ERROR);
    assert_true(z.topics[row].prefixes == 0);
    assert_true(fo_amask_empty(&z.topics[row].prefix[4]));

    free(mem);
}


static void
test_sources(void **state)
{
    unsigned          i, a, b, topic, row, generation;
    fo_source_row_t  *r;

    make(2);
    a = claim(CLUSTER);
    b = claim(CLUSTER);
    topic = hold("orders", a);

    for (i = 0; i < FO_SOURCES; i++) {
        row = fo_source_demand_locked(&z, topic, i, FO_OFFSET_END, a, &wake);
        assert_int_not_equal(row, FO_NONE);

        r = &z.sources[row];
        assert_true(r->used && r->topic == topic && r->partition == i);
        assert_true(r->next_offset == FO_OFFSET_END && r->generation == 1);
        assert_true(fo_amask_test(&r->demand, a) && fo_amask_test(&r->ask, a));
        assert_true(marked(z.slots[owner(&r->owner)].sources, row));
        assert_int_equal(fo_source_demand_locked(&z, topic, i,
                                                 FO_OFFSET_BEGIN, b, &wake),
                         row);
        assert_true(r->next_offset == FO_OFFSET_END);
    }

    assert_int_equal(fo_source_demand_locked(&z, topic, i, FO_OFFSET_END, a,
                                             &wake), FO_NONE);
    assert_int_equal(z.topics[topic].sources, FO_SOURCES);
    assert_false(fo_topic_free_locked(&z, topic));

    /* demand is checked when the owner gives the row up */

    row = 17;
    r = &z.sources[row];
    fo_source_leave_locked(&z, row, a, &wake);
    assert_false(fo_source_free_locked(&z, row));
    (void) marked(z.slots[owner(&r->owner)].sources, row);
    fo_source_leave_locked(&z, row, b, &wake);
    assert_true(marked(z.slots[owner(&r->owner)].sources, row));
    assert_true(fo_amask_empty(&r->ask));
    assert_true(fo_source_free_locked(&z, row));
    assert_int_equal(z.topics[topic].sources, FO_SOURCES - 1);

    generation = r->generation;
    assert_int_equal(fo_source_demand_locked(&z, topic, 9000,
                                             FO_OFFSET_BEGIN, a, &wake), row);
    assert_true(r->generation == generation + 1);
    assert_true(r->next_offset == FO_OFFSET_BEGIN);

    died_inside();
    assert_int_equal(z.topics[topic].sources, FO_SOURCES);
    assert_int_equal(z.slots[a].owned + z.slots[b].owned, FO_SOURCES + 1);
    assert_int_equal(fo_source_demand_locked(&z, topic, 9000, 0, b, &wake),
                     row);
    free(mem);
}


static void
test_sweep(void **state)
{
    unsigned          a, b, topic, alone, row, gone;
    uint64_t          key;
    fo_source_row_t  *r;

    make(2);
    a = claim(CLUSTER);
    b = claim(CLUSTER);

    topic = hold("orders", a);
    assert_int_equal(hold("orders", b), topic);
    alone = hold("news", a);

    key = fo_hash_key(z.topics[topic].hash, (const u_char *) "k", 1);
    (void) fo_topic_want_locked(&z, topic, a, FO_FILTER_KEY, key, 1);
    (void) fo_topic_want_locked(&z, topic, a, FO_FILTER_PREFIX,
                                prefix(topic, "p", 1), 1);
    (void) fo_topic_want_locked(&z, topic, a, FO_FILTER_ALL, 0, 0);

    row = fo_source_demand_locked(&z, topic, 0, FO_OFFSET_END, a, &wake);
    gone = fo_source_demand_locked(&z, topic, 1, FO_OFFSET_END, a, &wake);
    r = &z.sources[row];

    atomic_store(&r->owner, fo_owner(a, z.slots[a].generation));
    atomic_store(&z.sources[gone].owner, atomic_load(&r->owner));
    atomic_store(&z.topics[topic].owner, atomic_load(&r->owner));
    atomic_store(&z.topics[alone].owner, atomic_load(&r->owner));
    assert_int_equal(fo_source_demand_locked(&z, topic, 0, FO_OFFSET_END, b,
                                             &wake), row);
    atomic_store(&r->next_offset, 55);
    assert_int_equal(fo_slot_take_ring_locked(&z, a), FO_OK);

    /* the owner took the asks and died before it answered */

    fo_amask_unset(&r->ask, a);
    fo_amask_unset(&r->ask, b);

    /* the first to sweep is killed in the middle of the rows */

    atomic_store(&z.slots[a].state, FO_SLOT_SWEEPING);
    z.slots[a].sweep = 0;
    died_inside();
    memset(z.slots[b].sources, 0, sizeof(z.slots[b].sources));

    sweep(a);

    assert_int_equal(owner(&r->owner), b);
    assert_true(marked(z.slots[b].sources, row));
    assert_true(r->next_offset == 55);
    assert_true(fo_amask_test(&r->ask, b) && !fo_amask_test(&r->demand, a));
    assert_false(z.sources[gone].used);
    assert_false(z.topics[alone].used);
    assert_int_equal(owner(&z.topics[topic].owner), b);
    assert_int_equal(z.slots[b].owned, 2);
    assert_int_equal(z.topics[topic].sources, 1);
    assert_true(z.topics[topic].prefixes == 0);
    assert_false(matches(topic, "k", a));
    assert_int_equal(fo_interest_used(&z.interest), 0);
    assert_int_equal(fo_zone_ring(&z, 0)->writer, FO_RING_NO_WRITER);

    free(mem);
}


static void
test_rings(void **state)
{
    unsigned  i, slot[5];

    make(2);

    for (i = 0; i < 5; i++) {
        slot[i] = claim(CLUSTER);
        assert_int_equal(fo_slot_take_ring_locked(&z, slot[i]),
                         i < 4 ? FO_OK : FO_ERROR);
    }

    assert_int_equal(fo_slot_take_ring_locked(&z, slot[1]), FO_OK);
    fo_slot_release_ring_locked(&z, slot[2]);
    fo_slot_release_ring_locked(&z, slot[2]);
    assert_int_equal(fo_slot_take_ring_locked(&z, slot[4]), FO_OK);
    assert_int_equal(z.slots[slot[4]].ring, 2);

    free(mem);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_failed_topic_gives_way),
        cmocka_unit_test(test_interest),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_rings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
