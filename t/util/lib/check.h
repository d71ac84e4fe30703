
/*
 * Whether one subscriber receives what it asked for, each record once and
 * in order, of the records that produce makes.
 */


#ifndef FO_CHECK_H
#define FO_CHECK_H


#include "lib/stats.h"


#define PARTITIONS  256
#define UNKNOWN     INT64_MIN     /* any number may come next */


/* of all subscribers of a process */

typedef struct {
    int64_t      first;           /* number of every key, or UNKNOWN */
    size_t       keys;            /* key-0 .. key-(keys-1) may come */
    int          holes;           /* 1: numbers may be missing */

    uint64_t     deliveries;
    uint64_t     lost;
    uint64_t     doubled;
    uint64_t     disorder;
    uint64_t     foreign;
    uint64_t     aborted;
    uint64_t     gaps;
    uint64_t     gap_records;

    int64_t      first_at;        /* ns; 0: nothing came yet */
    int64_t      last_at;
    latency_t    latency;
} checks_t;


typedef struct {
    char         want[256];       /* the key, or its prefix */
    size_t       want_len;
    unsigned     prefix:1;

    unsigned     have_key:1;      /* its value comes next */
    unsigned     foreign:1;       /* that key is not ours */
    int64_t      key;             /* its number, -1: null or empty */

    uint64_t     received;
    int64_t     *seq;             /* last number of each key */
    int64_t      pseq[PARTITIONS];
} check_t;


void check_init(checks_t *all, check_t *c, const char *filter);
void check_key(checks_t *all, check_t *c, const unsigned char *p, size_t len);
void check_value(checks_t *all, check_t *c, const unsigned char *p, size_t len);
void check_gap(checks_t *all, check_t *c, const unsigned char *p, size_t len);


#endif /* FO_CHECK_H */
