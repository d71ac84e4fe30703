/*
 * What a subscription is told of the source of handover.pml, which includes
 * this, and what it may expect of that.  Each f is a filter of worker me.
 * Nothing here is in the code, and no rule depends on it.
 */

byte  expect[WORKERS * FILTERS];     /* the next offset, or one before it */

#define onward(f, o) (wanted(f, o) -> (o) : (o) + 1)

/* it is served from this cursor on */

inline check_base(f, o) { expect[E(me, f)] = o }

/* a record: nothing twice or before the cursor, and nothing lost in silence */

inline check_record(f, o)
{
    assert(o == onward(f, expect[E(me, f)]));
    expect[E(me, f)] = o + 1
}

/* a gap: all before it was seen, or told to be missed */

inline check_gap(f, since, till)
{
    assert(onward(f, expect[E(me, f)]) >= since);
    expect[E(me, f)] = till
}

inline check_none(f) { expect[E(me, f)] = 0 }

/* when nothing more can happen everybody was answered and has everything,
   and only who owns has a ring */

inline check_quiet()
{
    for (i : 0 .. WORKERS - 1) {
        assert(dead[i] || ring_of[i] == NONE || owner == i);
        assert(dead[i] || !has[i] || base_seq[i]);

        for (j : 0 .. LAST) {
            assert(dead[i] || entry[E(i, j)] != PENDING);
            assert(dead[i] || entry[E(i, j)] == NEW
                   || onward(j, expect[E(i, j)]) >= RECORDS)
        }
    }
}
