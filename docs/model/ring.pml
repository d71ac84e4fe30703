/*
 * A ring of few places, its writer and one reader that may be too slow:
 * fo_ring.c with lapse.  Each atomic block is one load, store or
 * compare-and-swap of a shared word.  The stories 1, 3, 4, 5 and 7 at the top
 * of fo_ring.c have a switch each.
 */

#ifndef RECORDS
#define RECORDS  3
#endif
#ifndef OTHERS
#define OTHERS   1     /* entries that are not for this reader */
#endif
#ifndef LAPSES
#define LAPSES   1
#endif
#ifndef PLACES
#define PLACES   2
#endif

#define MOST     (RECORDS + OTHERS + LAPSES + 2)

#define OTHER    0
#define REC      1     /* + offset */
#define BASE     64    /* + offset of the next */


/* the zone; a place has two halves, because a copy takes its time */

byte  first[PLACES], second[PLACES];
byte  tail, start, end;
byte  cursor;
bool  lapsed;                 /* FO_RING_LAPSED, in the word of the cursor */
bool  ask;

/* the checker: what was written where; what the reader must see next */

byte  written[MOST];
byte  expect;
bool  live;                   /* false: waits for a base */


inline swap_cursor(seen, seen_mark, to, ok)
{
    atomic {
        ok = (cursor == seen && lapsed == seen_mark);
        if
        :: ok -> cursor = to; lapsed = false
        :: else
        fi
    }
}


/* fo_ring_slowest(), with one reader; fo_ring_forget() */

inline slowest()
{
    atomic {
        c = cursor;
        if
        :: lapsed ->
            limit = w_tail;
#ifndef NO_FORGET
            w_end = end;
            touched = false
#endif
        :: !lapsed && c >= w_end -> limit = w_tail
        :: !lapsed && c < w_end -> limit = (c > w_start -> c : w_start)
        fi
    }
}


proctype writer()
{
    byte  w_tail, w_start, w_end, limit, c, what, record, others = OTHERS;
    byte  lapses = LAPSES;
    bool  mark, touched, control;

    do

    /* something to append */

    :: atomic {
        what == 0 && !control && record < RECORDS ->
        what = REC + record
       }
    :: atomic {
        what == 0 && !control && others > 0 ->
        others--;
        control = true
       }
    :: atomic {
        what == 0 && !control && ask ->
        ask = false;
        what = BASE + record
       }

    /* fo_ring_append(): fo_ring_room() */

    :: (what || control) && w_tail + 1 - limit > PLACES ->
        slowest();

        if
        :: w_tail + 1 - limit > PLACES -> goto publish
        :: w_tail + 1 - limit > PLACES -> goto stalled
        :: else
        fi

    /* there is room: fo_ring_address(), then the bytes */

    :: (what || control) && w_tail + 1 - limit <= PLACES ->
        if
        :: what && !touched ->
            atomic {
                c = cursor;
                mark = lapsed;
                if
                :: mark
                :: !mark && c >= w_end -> w_start = w_tail; touched = true
                :: !mark && c < w_end -> touched = true
                fi
            }
        :: else
        fi;

        first[w_tail % PLACES] = what;
        atomic {
            second[w_tail % PLACES] = what;
            written[w_tail] = what;
            w_tail++;
            if
            :: touched && what -> w_end = w_tail
            :: else
            fi;
            record = (what >= REC && what < BASE -> record + 1 : record);
            what = 0;
            control = false;
            mark = false;
            c = 0
        }

    /* the end of a turn: fo_ring_publish() */

    :: tail != w_tail ->
publish:
        tail = w_tail;
        if
        :: touched ->
#ifdef END_FIRST
            end = w_end;
            start = w_start;
#else
            start = w_start;
            end = w_end;
#endif
            touched = false
        :: else
        fi;

stalled:
        /* fo_hub_stalled(), fo_ring_lapse() */

        if
        :: lapses > 0 && (what || control) && w_tail + 1 - limit > PLACES ->
            slowest();
            if
            :: w_tail + 1 - limit > PLACES ->
                atomic {
                    if
                    :: cursor == c && !lapsed ->
                        lapsed = true;
                        lapses--;
#ifndef NO_FORGET
                        w_end = end;
                        touched = false
#endif
                    :: else
                    fi;
                    c = 0
                }
            :: else -> c = 0
            fi
        :: true
        fi
    od
}


proctype reader()
{
    byte  pos, mine, e, s, a, b;      /* mine: the cursor that it stored */
    bool  ok, bad, mark;

    /* others may have been told of it already */

    goto reopen;

    do

    /* fo_ring_read() */

    :: atomic { pos < end -> e = end }
       s = start;
       atomic { s = (pos > s -> pos : s); a = first[s % PLACES] }
       b = second[s % PLACES];
       atomic {
#ifdef NO_CHECK
        bad = false;
#else
        bad = lapsed;
#endif
        if
        :: !bad ->

            /* what is trusted is what was written there, as a whole */
            assert(a == b && a == written[s] && s < e);
            pos = s + 1;

            if
            :: a >= BASE ->
                assert(a - BASE >= expect);
                expect = a - BASE;
                live = true
            :: a >= REC && a < BASE && live ->
                assert(a - REC == expect);
                expect++
            :: else
            fi
        :: else
        fi;
        e = 0; s = 0; a = 0; b = 0
       }
       if
       :: bad -> goto reopen
       :: else
       fi

    /* fo_ring_release() */

    :: pos != mine ->
#ifdef RELEASE_BY_STORE
       atomic { cursor = pos; lapsed = false; ok = true };
#else
       swap_cursor(mine, false, pos, ok);
#endif
       if
       :: ok -> atomic { mine = pos; ok = false }
       :: else -> goto reopen
       fi

    /* fo_ring_pending() */

    :: lapsed ->
reopen:
       /* fo_ring_read_open(): the cursor before the tail */

       atomic { bad = false; live = false; s = cursor; mark = lapsed }
       e = tail;
#ifdef OPEN_BY_STORE
       atomic { cursor = e; lapsed = false; ok = true };
#else
       swap_cursor(s, mark, e, ok);
#endif
       if
       :: ok ->
           atomic {
            pos = e; mine = e;
            e = 0; s = 0; ok = false; mark = false
           }
       :: else -> goto reopen
       fi;

       /* fo_src_lapsed(): the gap, and a base is asked for */

       ask = true
    od
}


proctype checker()
{
    atomic {
        timeout ->
        assert(live);
        assert(expect == RECORDS)
    }
}


init
{
    atomic {
        run writer();
        run reader();
        run checker()
    }
}
