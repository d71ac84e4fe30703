/*
 * One source, served to several workers: exact subscribe, ring order,
 * hand-over, sweep and lapse, with workers that are killed at any step.  The
 * stories are in fo_topic.c, "How a source is heard while its owners come
 * and go"; the README beside this file says what is shown.
 *
 * Each atomic block is one step: either one shared store of the real code,
 * or private work that nobody else can see.  Between two steps any other
 * worker may run, and the worker itself may die, also with the lock held.
 *
 * Defined by bin/model: WORKERS (2 or 3), RECORDS; FILTERS of a worker (2:
 * odd offsets, and all); START (0: nothing is; 1: worker 0 owns, all have
 * asked; 2: all are served; 3: then worker 0 has published record 1, for the
 * last one, and died before it stored that, and 1 is named; 4: as 2, but 0
 * died, then 1, whose takeover the last one will see with the next entry of
 * its ring; both slots are claimed anew, and 0 is named); IDLE, bits of
 * workers that want nothing at the start; how often what may happen: SUBS,
 * UNSUBS, KILLS, LEAVES (of owners), BIRTHS (slots claimed anew), LAPSES,
 * OTHERS (entries of another source); ROLES (1: worker 0 is killed, the last
 * one subscribes, lapses, has the other source, and neither sweeps nor owns
 * this one); WITHOUT, a rule.  What must hold is in handover_check.pml.
 */

#define NONE     255
#define OWN      254   /* FO_RING_OWN */
#define END      254   /* FO_OFFSET_END */
#define ROOM     8     /* entries of a ring; too few is an error */
#define LAST     (FILTERS - 1)

#define bit(w)       (1 << (w))
#define E(w, f)      ((w) * FILTERS + (f))
#define wanted(f, o) (FILTERS == 1 || (f) == 1 || ((o) & 1))
#define cast(w, who) (!ROLES || (w) == who)
#define lead(w)      (!ROLES || (w) != WORKERS - 1)

#define when(c, what)  if :: c -> what :: else fi

#if WORKERS == 2
#define each(step)   :: step(0) :: step(1)
#define all(step)    step(0); step(1)
#define any(is)      (is(0) || is(1))
#define any2(is, x)  (is(x, 0) || is(x, 1))
#else
#define each(step)   :: step(0) :: step(1) :: step(2)
#define all(step)    step(0); step(1); step(2)
#define any(is)      (is(0) || is(1) || is(2))
#define any2(is, x)  (is(x, 0) || is(x, 1) || is(x, 2))
#endif

/* the zone; who writes it: the holder of the lock, if nothing else is said */

mtype = { FREE, LIVE, EXITING, SWEEPING };           /* slots */
mtype = { NEW, PENDING, SERVED };                    /* fo_entry_t */
mtype = { RECORD, BASE, TAKEOVER, OTHER };           /* in a ring */
mtype = { nothing, base_seq_rule, floor, seen, other_ring, base_tenure,
          lapse_tenure, kept_next, takeover_order, owner_reach, pending_only,
          sweep_first, max_cursor, start_stored, takeover_tenure,
          unopened };                                /* WITHOUT */

typedef entry_t {
    mtype  kind;
    byte   to;                /* fo_ring_entry_t.to */
    byte   gen, tenure;
    byte   offset;            /* RECORD: its own; BASE: of the next */
    byte   a[WORKERS];        /* TAKEOVER: tails; BASE: the seq, in a[0] */
};

typedef ring_t {
    byte     writer = NONE;   /* a slot */
    byte     tail;            /* the writer, as start and end */
    byte     start[WORKERS];  /* for each reader: fo_ring_range_t */
    byte     end[WORKERS];
    byte     cursor[WORKERS]; /* the reader */
    bool     lapsed[WORKERS]; /* FO_RING_LAPSED: the writer or a sweep sets */
    entry_t  e[ROOM];         /* the writer */
};

byte    lock = NONE;                 /* the holder's slot */

mtype   state[WORKERS] = LIVE;
bool    dead[WORKERS];               /* kill(pid, 0) gives ESRCH */
byte    seq[WORKERS];
byte    ring_of[WORKERS] = NONE;
bool    swept[WORKERS];              /* the rows are, the index isn't yet */
ring_t  ring[WORKERS];

bool    used;                        /* the source row */
byte    gen, owner = NONE, tenure, demand;
byte    ask;                         /* the owner takes it without the lock */
byte    next = END;                  /* next_offset: the owner */

byte    want[FILTERS];               /* the interest index */
byte    log_end;                     /* Kafka's */

/* private to workers, here for the checks at the end */

mtype   entry[WORKERS * FILTERS] = NEW;
bool    has[WORKERS];                /* fo_src_t is there */
byte    base_seq[WORKERS];           /* fo_src_t.base_seq */

byte    subs = SUBS, unsubs = UNSUBS, leaves = LEAVES, births = BIRTHS;
byte    lapses = LAPSES, others = OTHERS;

hidden byte   i, j, p, g, e_seq, e_next, e_tenure;   /* within a step */

#include "handover_check.pml"

#define lock_free    (lock == NONE || dead[lock])
#define owner_alive  (owner != NONE && (state[owner] == LIVE                  \
                                        || state[owner] == EXITING))
#define mine         ring[ring_of[me]]
#define pos(r)       (ring[r].cursor[me] > ring[r].start[me]                  \
                      -> ring[r].cursor[me] : ring[r].start[me])
#define at(r)        ring[r].e[pos(r)]
#define pending(r)   (!ring[r].lapsed[me]                                     \
                      && ring[r].cursor[me] < ring[r].end[me])

/* the rules */

/* fo_src_base(), fo_src_heard() */
#define new_enough(s, f)  (WITHOUT == base_seq_rule || (s) >= entry_seq[f])
#define asked_since(s)                                                        \
    (WITHOUT == base_seq_rule || WITHOUT == floor || (s) >= src_floor)
#define by_other(r)       (WITHOUT != other_ring && src_ring != (r))
#define by_older(t)       (WITHOUT != base_tenure && (t) < src_tenure)
#define turned_back(t)    (WITHOUT != takeover_tenure && (t) < src_tenure)
#define unseen(o)         (WITHOUT == seen || (o) >= src_next)

/* fo_src_lapsed() */
#define concerned(r)                                                          \
    (base_seq[me] == 0 || src_ring == (r)                                     \
     || (WITHOUT != lapse_tenure && src_tenure != tenure))

/* fo_reader_reach(): is there anything for me in ring r, below t? */
#define behind(r, t)                                                          \
    (ring[r].cursor[me] < (t)                                                 \
     && (WITHOUT == pending_only || ring[r].lapsed[me]                        \
         || (pending(r) && ring[r].start[me] < (t))))

/* fo_reader_takeover(): ring r waits until the others are read up to there */
#define before(r, o)      (r != o && behind(o, at(r).a[o]))
#define held_up(r)                                                            \
    (at(r).kind == TAKEOVER && (at(r).to & bit(me))                           \
     && WITHOUT != takeover_order && any2(before, r))

/* fo_owned_reach(): the new owner reads all, its own ring included */
#define unread(r)         behind(r, ring[r].tail)
#define may_claim         (tenure == 1 || WITHOUT == owner_reach              \
                           || !any(unread))

/* fo_slot_claim_locked() */
#define claimable                                                             \
    (state[me] == FREE || (WITHOUT == sweep_first && swept[me]))

inline take_lock() { atomic { lock_free -> lock = me } }

inline unlock() { lock = NONE }

/* fo_slot_choose_locked(): any, since the counts of rows are not modelled */

#define choose_step(w)  state[w] == LIVE && lead(w) -> n = w

inline choose() { if each(choose_step) :: else -> n = me fi }

/* fo_slot_take_ring_locked(): any free one, but fresh ones are all alike */

#define touched(r)    (ring[r].tail || ring[r].writer != NONE)
#define ring_step(r)                                                          \
    ring[r].writer == NONE && (r == 0 || touched((r + 2) % 3 % WORKERS))      \
    -> ring[r].writer = g; ring_of[g] = r

inline take_ring(w)
{
    g = w;
    if
    :: ring_of[g] == NONE -> if each(ring_step) fi
    :: else
    fi
}

/* fo_slot_release_ring_locked() */

inline release_ring(w)
{
    when(ring_of[w] != NONE, ring[ring_of[w]].writer = NONE);
    ring_of[w] = NONE
}

/* fo_source_own_locked() */

inline own()
{
    choose();
    atomic { ask = ask | demand; take_ring(n) }
    tenure++;
    atomic { owner = n; n = 0 }
}

/* fo_source_free_locked() */

inline free_row() { used = false; owner = NONE; tenure = 0; next = END }

/* fo_source_pass_locked() */

inline pass()
{
    if
    :: demand == 0 -> atomic { free_row() }
    :: else -> owner = NONE; own()
    fi
}

/* fo_ring_append(), fo_ring_address() */

inline append(what, mask, o)
{
    assert(put < ROOM);
    g = ring_of[me];
    ring[g].e[put].kind = what;
    ring[g].e[put].gen = (what == OTHER -> 0 : gen);
    ring[g].e[put].tenure = (what == BASE || what == TAKEOVER -> tenure : 0);
    ring[g].e[put].offset = o;
    for (i : 0 .. WORKERS - 1) {
        when(((mask) & bit(i)) && !ring[g].lapsed[i],
            ring[g].e[put].to = ring[g].e[put].to | bit(i);
            when(ring[g].cursor[i] >= put_end[i], put_start[i] = put);
            put_end[i] = put + 1);
        when(what == TAKEOVER && i != g, ring[g].e[put].a[i] = ring[i].tail)
    }
    put++
}

/* fo_ring_write_open() */

inline open_ring()
{
    when(!open,
        open = true;
        put = mine.tail;
        for (i : 0 .. WORKERS - 1) {
            put_end[i] = mine.end[i];
            put_start[i] = mine.start[i]
        })
}

/* fo_hub_publish(); start before end, and how it is read, is in ring.pml */

#define publish_to(w)                                                         \
    if                                                                        \
    :: atomic { mine.end[w] != put_end[w] ->                                  \
                mine.end[w] = put_end[w]; mine.start[w] = put_start[w] }      \
    :: else                                                                   \
    fi

inline publish()
{
    mine.tail = put;
    all(publish_to);
    when(owned == 2, next = owned_next)
}

/* fo_src_gap(), fo_entry_gap() */

inline lose(till)
{
    for (i : 0 .. LAST) {
        when(entry[E(me, i)] == SERVED, check_gap(i, src_next, till))
    }
}

/* fo_src_base(), fo_src_rebased(), fo_entry_live() */

inline take_base(r, s, o, t)
{
    if
    :: !asked_since(s) || (base_seq[me] && by_other(r)) || by_older(t)
    :: else ->
        when(src_lapsed && o > src_next, lose(o));
        src_lapsed = false;
        src_ring = r;
        src_tenure = t;
        src_next = (o > src_next -> o : src_next);
        for (i : 0 .. LAST) {
            when(s > base_seq[me] && entry[E(me, i)] == PENDING &&
               new_enough(s, i),
                entry[E(me, i)] = SERVED;
                if
                :: WITHOUT == max_cursor -> check_base(i, o)
                :: else -> check_base(i, src_next)
                fi)
        }
        base_seq[me] = (s > base_seq[me] -> s : base_seq[me])
    fi
}

/* fo_src_takeover() */

inline take_over(r, t)
{
    when(has[me] && !turned_back(t),
        when(base_seq[me] || WITHOUT != base_tenure, src_tenure = t);
        when(base_seq[me], src_ring = r))
}

/* fo_dispatch_to(), fo_entry_put() */

inline dispatch(r, o)
{
    if
    :: base_seq[me] && !by_other(r) && unseen(o) ->
        src_next = o + 1;
        for (i : 0 .. LAST) {
            if
            :: entry[E(me, i)] == SERVED && wanted(i, o) &&
               new_enough(base_seq[me], i) -> check_record(i, o)
            :: else
            fi
        }
    :: else
    fi
}

/* fo_reader_entry(), one entry of ring r; here nobody overwrites it */

#define it            ring[r].e[p]
#define read_step(r)  atomic { pending(r) && !held_up(r) -> read(r) }

inline read(r)
{
    p = pos(r);
    e_seq = it.a[0];
    e_next = it.offset;
    e_tenure = it.tenure;

    if
    :: !(it.to & bit(me)) || !has[me] || it.gen != src_gen
    :: else ->
        if
        :: it.kind == TAKEOVER -> take_over(r, e_tenure)
        :: it.kind == BASE -> take_base(r, e_seq, e_next, e_tenure)
        :: it.kind == RECORD -> dispatch(r, e_next)
        fi
    fi;

    /* nobody looks at it any more: fewer states */

    it.to = it.to & ~bit(me);
    when(it.to == 0,
        it.kind = 0; it.gen = 0; it.tenure = 0; it.offset = 0;
        for (i : 0 .. WORKERS - 1) { it.a[i] = 0 });

    /* fo_ring_next(): what is for others is passed over */

    p++;
    do
    :: p < ring[r].end[me] && !(it.to & bit(me)) -> p++
    :: else -> break
    od;
    ring[r].cursor[me] = p
}

/* fo_hub_stalled(), fo_ring_lapse(): here at any time */

#define lapse_step(w)                                                         \
    atomic {                                                                  \
        lapses && open && w != me && !dead[w] && put_end[w]                   \
        && !mine.lapsed[w] && cast(w, WORKERS - 1) ->                         \
        lapses--; mine.lapsed[w] = true; put_end[w] = mine.end[w]             \
    }

/* fo_reader_lapsed(), fo_src_lapsed(), fo_src_forget() */

#define wake_step(r)                                                          \
    atomic {                                                                  \
        ring[r].lapsed[me] ->                                                 \
        ring[r].cursor[me] = ring[r].tail; ring[r].lapsed[me] = false         \
    }                                                                         \
    ask_anew(r)

inline ask_anew(r)
{
    atomic { lock_free -> seq[me]++ }
    atomic {
        when(has[me] && concerned(r),
            src_lapsed = (src_lapsed || base_seq[me]);
            base_seq[me] = 0;
            src_floor = seq[me];
            when(WITHOUT == kept_next, src_next = 0))
    }
    when(has[me] && base_seq[me] == 0,
        atomic { lock_free -> lock = me; ask = ask | bit(me) }
        when(!owner_alive, own());
        unlock())
}

/* fo_slot_sweep_locked(), under each lock one piece: rows, index */

#define sweep_step(w)                                                         \
    atomic {                                                                  \
        lead(me) && w != me && lock_free                                      \
        && (swept[w] || (dead[w] && state[w] != FREE))                        \
        -> lock = me                                                          \
    }                                                                         \
    if                                                                        \
    :: !swept[w] -> sweep_rows(w)                                             \
    :: else -> atomic { sweep_index(w) }                                      \
    fi

inline sweep_rows(w)
{
    atomic { state[w] = SWEEPING; release_ring(w) }
    atomic { demand = demand & ~bit(w); ask = ask & ~bit(w) }
    when(used && (owner == w || owner == NONE), pass());
    atomic { swept[w] = true; unlock() }
}

inline sweep_index(w)
{
    for (i : 0 .. WORKERS - 1) { ring[i].lapsed[w] = true }
    for (i : 0 .. LAST) { want[i] = want[i] & ~bit(w) }
    swept[w] = false; state[w] = FREE;
    unlock()
}

inline drop_owned() { owned = 0; owned_next = 0; taking = false }

inline drop_entry(f)
{
    entry[E(me, f)] = NEW; entry_seq[f] = 0; check_none(f)
}

inline drop_src()
{
    has[me] = false; base_seq[me] = 0; src_lapsed = false;
    src_gen = 0; src_ring = 0; src_tenure = 0; src_next = 0; src_floor = 0
}

inline close_ring()
{
    open = false; put = 0;
    for (i : 0 .. WORKERS - 1) { put_end[i] = 0; put_start[i] = 0 }
}

#define heir(w)       (w != me && state[w] == LIVE)

proctype worker(byte me)
{
    byte  src_gen, src_ring, src_tenure, src_next, src_floor;   /* fo_src_t */
    bool  src_lapsed;
    byte  entry_seq[FILTERS];                 /* fo_entry_t.seq */
    byte  owned, owned_next;                  /* 1 claimed, 2 running */
    bool  taking;                             /* fo_owned_t */
    bool  open;                               /* fo_hub_t.writer */
    byte  put, put_start[WORKERS], put_end[WORKERS];
    byte  to, n, f;

    atomic {
        when(START && !(IDLE & bit(me)),
            src_gen = 1; src_floor = 1; entry_seq[0] = 1;
            src_tenure = (START > 1);
            src_ring = (START == 2 && me == 0 -> OWN : 0));
        when(START && START < 3 && me == 0, owned = 2; open = true)
    }

life:
    {
        do

        /* fo_entry_want(), fo_entry_demand() */

        :: atomic {
            subs && lock_free && cast(me, WORKERS - 1) &&
            (entry[E(me, 0)] == NEW || entry[E(me, LAST)] == NEW) ->
            subs--;
            f = (entry[E(me, 0)] == NEW -> 0 : LAST);
            want[f] = want[f] | bit(me)
           }
           atomic {
            lock_free -> lock = me; seq[me]++; entry_seq[f] = seq[me]
           }
           when(!used, atomic { free_row() } atomic { gen++; used = true });
           atomic { demand = demand | bit(me); ask = ask | bit(me) }
           when(!owner_alive, own());
           atomic {
            entry[E(me, f)] = PENDING;
            when(!has[me],
                 has[me] = true; src_gen = gen; src_floor = seq[me]);
            f = 0;
            unlock()
           }

        /* fo_entry_drop(), fo_entry_release(), fo_source_leave_locked() */

        :: atomic {
            unsubs && lock_free && cast(me, WORKERS - 1) &&
            (entry[E(me, 0)] != NEW || entry[E(me, LAST)] != NEW) ->
            unsubs--;
            if
            :: entry[E(me, 0)] != NEW -> f = 0
            :: entry[E(me, LAST)] != NEW -> f = LAST
            fi;
            want[f] = want[f] & ~bit(me);
            drop_entry(f);
            f = 0
           }
           when(entry[E(me, 0)] == NEW && entry[E(me, LAST)] == NEW,
            atomic {
                lock_free ->
                demand = demand & ~bit(me); ask = ask & ~bit(me);
                drop_src();
                when(demand == 0 && !owner_alive, free_row())
            })

        /* fo_reader_turn() */

        each(read_step)

#if LAPSES
        each(lapse_step)
        each(wake_step)
#endif

        /* fo_owned_claim() */

        :: atomic {
            used && owner == me && owned == 0 && may_claim ->
            owned = 1;
            taking = (tenure > 1);
            open_ring();
            when(taking, take_over(OWN, tenure))
           }

        /* fo_owned_take() */

        :: atomic {
            taking ->
            to = demand & ~bit(me);
            when(to, append(TAKEOVER, to, 0));
            to = 0;
            taking = false
           }

        /* fo_hub_started(): the row's offset before any base */

        :: atomic {
            owned == 1 ->
            owned = 2;
            do
            :: next == END && log_end < RECORDS -> log_end++
            :: break
            od;
            owned_next = (next == END -> log_end : next);
            when(WITHOUT != start_stored, next = owned_next)
           }

        /* fo_owned_answer() */

        :: atomic { owned == 2 && !taking && ask -> to = ask; ask = 0 }
           do
           :: atomic {
            n = (to & 1 -> 0 : (to & 2 -> 1 : 2));
            to = to & ~bit(n);
            if
            :: n != me ->
                append(BASE, bit(n), owned_next);
                when(mine.e[put - 1].to, mine.e[put - 1].a[0] = seq[n])
            :: n == me && has[me] ->
                take_base(OWN, seq[me], owned_next, tenure)
            :: else
            fi;
            n = 0;
            when(to == 0, break)
           }
           od

        /* fo_hub_record(): match, ring, feeds */

        :: atomic {
            owned == 2 && !taking && owned_next < RECORDS ->
            to = want[LAST];
            when(wanted(0, owned_next), to = to | want[0]);
            when(to & ~bit(me), append(RECORD, (to & ~bit(me)), owned_next));
            when((to & bit(me)) && has[me], dispatch(OWN, owned_next));
            to = 0;
            owned_next++;
            log_end = (owned_next > log_end -> owned_next : log_end)
           }

#if OTHERS
        /* the same for a source that is not modelled */

        :: atomic {
            others && lock_free && cast(me, WORKERS - 1) ->
            others--;
            take_ring(me);
            open_ring();
            append(OTHER, (bit(WORKERS) - 1 - bit(me)), 0)
           }
#endif

        /* fo_hub_finish() */

        :: open && (put != mine.tail || (owned == 2 && next != owned_next)) ->
           publish()

        /* fo_owner_tick(): nobody wants it; the ring is given back */

        :: atomic {
            owned && demand == 0 && lock_free -> free_row(); drop_owned()
           }
        :: atomic {
            ring_of[me] != NONE && owner != me && owned == 0 && lock_free &&
            (open -> put == mine.tail : WITHOUT != unopened) ->
            release_ring(me);
            close_ring()
           }

        /* fo_owner_look_again() */

        :: atomic { used && owner == NONE && lock_free -> lock = me }
           pass();
           unlock()

#if LEAVES
        /* fo_hub_leave(), fo_owner_leave() */

        :: atomic {
            owned && lock_free && any(heir) &&
            (leaves || state[me] == EXITING) ->
            leaves = (state[me] == EXITING -> leaves : leaves - 1);
            state[me] = EXITING
           }
           publish();
           take_lock();
           pass();
           atomic { drop_owned(); unlock() }
#endif

        /* fo_hub_sweep() */

        each(sweep_step)

        od
    } unless { dead[me] };

    atomic {
        drop_src(); drop_owned(); close_ring();
        for (i : 0 .. LAST) { drop_entry(i) }
        to = 0; n = 0; f = 0
    }

    /* fo_slot_claim_locked(): another process gets the slot */

    atomic {
        births && claimable && lock_free ->
        births--;
        for (i : 0 .. WORKERS - 1) {
            ring[i].cursor[me] = ring[i].tail;
            ring[i].lapsed[me] = false
        }
        state[me] = LIVE;
        dead[me] = false
    }
    goto life
}

/* what comes from outside */

#define kill_step(w)  !dead[w] && cast(w, 0) -> dead[w] = true

proctype world()
{
    byte  kills = KILLS;

    do
    :: atomic { kills -> kills--; if each(kill_step) :: true fi }
    :: atomic { timeout -> check_quiet(); break }
    od
}

init
{
    atomic {
        if
        :: START ->
            used = true; gen = 1; owner = 0; tenure = 1; next = 0;
            ring_of[0] = 0; ring[0].writer = 0;
            demand = bit(WORKERS) - 1 - IDLE;
            want[0] = demand;
            ask = (START == 2 -> 0 : demand);
            for (i : 0 .. WORKERS - 1) {
                seq[i] = 1;
                if
                :: demand & bit(i) ->
                    has[i] = true;
                    base_seq[i] = (START > 1);
                    entry[E(i, 0)] = (START > 1 -> SERVED : PENDING)
                :: else
                fi
            }
        :: else
        fi;
#if START == 3
        dead[0] = true; state[0] = FREE;
        owner = 1; tenure = 2; log_end = 2;
        ring_of[0] = NONE; ring[0].writer = NONE;
        ring_of[1] = 1; ring[1].writer = 1;
        ring[0].e[0].kind = RECORD; ring[0].e[0].to = bit(WORKERS - 1);
        ring[0].e[0].gen = 1; ring[0].e[0].offset = 1;
        ring[0].tail = 1; ring[0].end[WORKERS - 1] = 1;
#elif START == 4
        tenure = 3;
        ring[1].e[0].kind = OTHER; ring[1].e[0].to = bit(WORKERS - 1);
        ring[1].e[1].kind = TAKEOVER; ring[1].e[1].to = bit(WORKERS - 1);
        ring[1].e[1].gen = 1; ring[1].e[1].tenure = 2;
        ring[1].tail = 2; ring[1].end[WORKERS - 1] = 1;
#endif
        for (i : 0 .. WORKERS - 1) { run worker(i) }
        run world()
    }
}
