
/*
 * The hub: one in each worker.  It connects sessions (what a transport
 * brings) with sources (what brings records), and workers with each other
 * through the zone.  It knows neither websockets nor Kafka nor nginx: they
 * implement the interfaces of fo_session.h and fo_source.h.
 *
 * Who calls: the worker's main thread only.  What the hub calls back may
 * not call the hub again, but where it is said.
 */


#ifndef FO_HUB_H
#define FO_HUB_H


#include "core/fo_rows.h"


typedef struct fo_hub_s  fo_hub_t;


/* what surrounds a hub; all pointers are set */

typedef struct {
    void        *ctx;
    uint64_t   (*clock)(void *ctx);     /* monotonic, us, same for all workers
                                           of a machine */
    void       (*lock)(void *ctx);      /* the zone's lock */
    void       (*unlock)(void *ctx);
    void       (*wake)(void *ctx, unsigned slot);
                                        /* wakes a worker that is asleep */
    int        (*alive)(void *ctx, int32_t pid);
                                        /* 0: no such process */
    void       (*post)(void *ctx);      /* fo_hub_finish() must be called at
                                           the end of this turn */
    void       (*log)(void *ctx, int alert, const char *text,
                      const fo_str_t *name);
                                        /* alert: a bug of ours */
    void       (*gap)(void *ctx, const fo_str_t *topic, uint32_t partition,
                      int64_t from, int64_t to);
                                        /* subscribers here have missed what
                                           is from "from" up to "to" */
} fo_hub_env_t;


/* a hub that serves slot "slot" of zone "z"; both outlive it */
fo_hub_t *fo_hub_create(const fo_alloc_t *a, const fo_hub_env_t *env,
    fo_zone_t *z, unsigned slot);
void fo_hub_destroy(fo_hub_t *hub);

/* how long a worker may block a full ring: fanout_stall */
void fo_hub_stall(fo_hub_t *hub, unsigned ms);

/* how long a session waits for more records before a send: fanout_join */
void fo_hub_join(fo_hub_t *hub, unsigned ms);

fo_stats_t *fo_hub_stats(fo_hub_t *hub);


/*
 * Turns.  fo_hub_turn(): looks at marks and rings; 1 if it stopped at its
 * budget and wants to be called again in the next turn.  fo_hub_finish():
 * publishes, wakes and flushes; 1 likewise.  fo_hub_tick(): what time
 * brings; fo_hub_due(): in how many ms (never 0) it must be called at the
 * latest, to be asked after each of the three.  fo_hub_waiting(): is there
 * something that fo_hub_turn() would do?
 */
int fo_hub_turn(fo_hub_t *hub);
int fo_hub_finish(fo_hub_t *hub);
void fo_hub_tick(fo_hub_t *hub);
unsigned fo_hub_due(fo_hub_t *hub);
int fo_hub_waiting(fo_hub_t *hub);

/*
 * The worker is to end.  Its sources go to those that stay, as far as there
 * are any (fo_hub_tick() tries again); sessions are served on.  It is EXITING
 * from then on.  fo_hub_exit(): the process ends now; it is DEAD then, and
 * nothing but fo_hub_destroy() may be called.
 */
void fo_hub_leave(fo_hub_t *hub);
void fo_hub_exit(fo_hub_t *hub);


#endif /* FO_HUB_H */
