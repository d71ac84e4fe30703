
/*
 * Whether one subscriber receives what it asked for, each record once and
 * in order, of the records that produce makes.
 *
 * Numbers are checked for each key.  With "whole", a subscriber of a whole
 * topic is checked by the numbers of each partition instead: then it is
 * known of every missing record between which two of its partition it
 * should have come.
 *
 * What is missing behind a gap notice is "missed", and "lost" without one
 * since the number before.  A number that was seen must not come again,
 * notice or not.
 */


#ifndef FO_CHECK_H
#define FO_CHECK_H


#include "lib/stats.h"


#define PARTITIONS  256
#define UNKNOWN     INT64_MIN     /* any number may come next */


/* kinds of a finding */

typedef enum {
    FOUND_LOST = 0,
    FOUND_MISSED,
    FOUND_DOUBLED,
    FOUND_DISORDER,
    FOUND_FOREIGN,                /* not of this filter, or not readable */
    FOUND_ABORTED,
    FOUND_TORN                    /* a text between a key and its value */
} found_e;


typedef struct {
    found_e      kind;
    int          whole;           /* numbers are a partition's */
    int64_t      from;            /* what is missing; "to" is excluded */
    int64_t      to;

    /* the record at which it was found; of what can't be read, zeros */

    int64_t      key;             /* -1: null or empty */
    int64_t      seq;
    int64_t      made;            /* ns */
    int64_t      partition;
    int64_t      pseq;
} found_t;


typedef struct check_s  check_t;


/* of all subscribers of a process */

typedef struct {
    int64_t      first;           /* number of every key, or UNKNOWN */
    size_t       keys;            /* key-0 .. key-(keys-1) may come */
    int          holes;           /* 1: numbers may be missing */
    int          whole;           /* 1: whole topics by partition */

    /* is told each finding; NULL: nobody asks */

    void       (*found)(check_t *c, const found_t *f);

    uint64_t     deliveries;
    uint64_t     lost;
    uint64_t     missed;
    uint64_t     doubled;
    uint64_t     disorder;
    uint64_t     foreign;
    uint64_t     aborted;
    uint64_t     torn;
    uint64_t     gaps;
    uint64_t     gap_records;

    int64_t      first_at;        /* ns; 0: nothing came yet */
    int64_t      last_at;
    latency_t    latency;
} checks_t;


/* where a key or partition stands */

typedef struct {
    int64_t      first;           /* number that came; UNKNOWN: none yet */
    int64_t      last;            /* or before the one that must come */
    uint64_t     gaps;            /* notices before the last one came */
} mark_t;


struct check_s {
    char         want[256];       /* the key, or its prefix */
    size_t       want_len;
    unsigned     prefix:1;
    unsigned     whole:1;         /* checked by partition */

    unsigned     have_key:1;      /* its value comes next */
    unsigned     foreign:1;       /* that key is not ours */
    int64_t      key;             /* its number, -1: null or empty */

    uint64_t     received;
    uint64_t     gaps;            /* notices so far */
    uint64_t     counted;         /* records that they counted */
    uint64_t     uncounted;       /* of the notices, without a count */
    uint64_t     missed;
    uint64_t     seen;            /* keys or partitions that came so far */
    uint64_t     seen_first;      /* before the first notice */

    mark_t      *seq;             /* of each key, or of the one */
    mark_t       pseq[PARTITIONS];
};


void check_init(checks_t *all, check_t *c, const char *filter);
void check_key(checks_t *all, check_t *c, const unsigned char *p, size_t len);
void check_value(checks_t *all, check_t *c, const unsigned char *p, size_t len);
void check_gap(checks_t *all, check_t *c, const unsigned char *p, size_t len);

/* the kind's name */

const char *check_kind(found_e kind);


#endif /* FO_CHECK_H */
