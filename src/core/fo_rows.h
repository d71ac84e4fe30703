
/*
 * Topic rows and source rows in the zone: who wants what, who brings it.
 *
 * A topic row says how many partitions a topic has, or why it can't be
 * had; a source row stands for one partition that somebody wants.  Each has
 * one owner: the worker that asks Kafka, and consumes.  Its worker names an
 * owner when it makes the row; the owner learns of it by its slot's bits.
 *
 * Subscribe is exact, by this order of stores in the subscriber (under the
 * lock) and of loads in the owner (without):
 *
 *     subscriber                      owner
 *     interest bit        (release)   ask bit: exchange  (acq_rel)
 *     slot.seq = seq + 1  (release)   slot.seq: load     (acquire)
 *     ask bit             (release)   base{seq, next_offset} to the ring
 *
 * 1. An owner that saw the ask bit sees a seq at least that new: the base
 *    is accepted.  Were ask set before seq, an owner between the two would
 *    answer with the older seq, and nobody would ask again.
 * 2. An owner that saw the seq sees the interest bit: every record from
 *    next_offset on is matched with it.
 */


#ifndef FO_ROWS_H
#define FO_ROWS_H


#include "core/fo_topics.h"
#include "core/fo_sources.h"


/*
 * Sweeps a slot whose process is gone (or that gives itself up: state
 * DEAD).  Sources and topics that it owned get another owner, or none if
 * nobody wants them.  Works on a bounded piece; FO_AGAIN: release the lock,
 * come again.  FO_OK: the slot is free.  "wake" gets the slots with
 * something to look at.
 */
int fo_slot_sweep_locked(fo_zone_t *z, unsigned slot, fo_mask_t *wake);

/*
 * The first and the last thing under the lock.  If somebody has died inside,
 * chains and counts are made anew.
 */
void fo_zone_enter_locked(fo_zone_t *z);
void fo_zone_leave_locked(fo_zone_t *z);


#endif /* FO_ROWS_H */
