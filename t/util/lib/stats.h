
/*
 * What a load client counts: latencies, and texts that it was sent.
 */


#ifndef FO_STATS_H
#define FO_STATS_H


#include "lib/util.h"


#define LATENCIES  2048
#define NOTICES    16


typedef struct {
    uint64_t    n[LATENCIES];
    int64_t     max;              /* ns */
} latency_t;


/* an array of NOTICES; the last one takes what is too many */

typedef struct {
    char        text[128];
    uint64_t    count;
} notice_t;


void latency_add(latency_t *l, int64_t ns);
double latency_at(latency_t *l, double share);
void notice_add(notice_t *table, const void *text, size_t len);
void notice_print(const char *name, notice_t *table);


#endif /* FO_STATS_H */
