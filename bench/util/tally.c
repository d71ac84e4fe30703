
#include "tally.h"

#include <sys/resource.h>


static int64_t
tally_cpu(void)
{
    struct rusage  ru;

    getrusage(RUSAGE_SELF, &ru);

    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * NS
           + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000;
}


void
tally_start(tally_t *t)
{
    t->cpu = tally_cpu();
}


void
tally_add(tally_t *t, tally_one_t *one, const mark_t *m)
{
    int64_t  *next;

    t->last_at = now_ns();
    t->deliveries++;

    latency_add(&t->latency, t->last_at - m->due);

    next = &one->next[m->stream];

    if (m->seq < *next) {
        t->doubled++;
        return;
    }

    t->lost += m->seq - *next;
    *next = m->seq + 1;
}


/* the buckets that are not empty as [index, count], so that several
 * receivers can be added up */

void
tally_print(tally_t *t)
{
    int  i, n;

    printf("\"deliveries\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"doubled\":%" PRIu64 ",\"foreign\":%" PRIu64
           ",\"last_at\":%" PRId64 ",\"cpu\":%" PRId64
           ",\"max\":%" PRId64 ",\"latency\":[",
           t->deliveries, t->lost, t->doubled, t->foreign, t->last_at,
           tally_cpu() - t->cpu, t->latency.max);

    for (i = 0, n = 0; i < LATENCIES; i++) {
        if (t->latency.n[i]) {
            printf("%s[%d,%" PRIu64 "]", n++ ? "," : "", i,
                   t->latency.n[i]);
        }
    }

    printf("],");
}
