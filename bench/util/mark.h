
/*
 * What is in a record that is measured: "SEQ DUE STREAM xxx...", where SEQ
 * grows by one in each stream (a partition, or a key for who follows one),
 * and DUE is the time (CLOCK_MONOTONIC, ns) when it was to be sent by the
 * schedule, whether that was kept or not.  "warm ..." is not counted.
 */


#ifndef BENCH_MARK_H
#define BENCH_MARK_H


#include "lib/util.h"


#define MARK_STREAMS  16
#define MARK_MAX      80          /* bytes that a text may take */


typedef struct {
    int64_t   seq;
    int64_t   due;
    int64_t   stream;
} mark_t;


/* fills buf with exactly "size" bytes, or as many as the text needs */

static inline size_t
mark_write(char *buf, size_t size, const mark_t *m)
{
    size_t  n;

    n = sprintf(buf, "%" PRId64 " %" PRId64 " %" PRId64 " ", m->seq, m->due,
                m->stream);

    if (n < size) {
        memset(buf + n, 'x', size - n);
        n = size;
    }

    return n;
}


/* -1: no record of ours */

static inline int
mark_read(mark_t *m, const unsigned char *p, size_t len)
{
    size_t    i;
    int64_t   n[3];
    unsigned  j;

    for (i = 0, j = 0; j < 3; j++) {
        for (n[j] = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
            n[j] = n[j] * 10 + p[i] - '0';
        }

        if (i == len || p[i++] != ' ') {
            return -1;
        }
    }

    m->seq = n[0];
    m->due = n[1];
    m->stream = n[2];

    return m->stream < MARK_STREAMS ? 0 : -1;
}


static inline int
mark_warm(const unsigned char *p, size_t len)
{
    return len >= 5 && memcmp(p, "warm ", 5) == 0;
}


#endif /* BENCH_MARK_H */
