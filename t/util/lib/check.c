
#include "lib/check.h"


static void check_found(checks_t *all, check_t *c, found_t *f, found_e kind);
static void check_number(checks_t *all, check_t *c, mark_t *m, found_t *f);


const char *
check_kind(found_e kind)
{
    static const char  *names[] = {
        "lost", "missed", "doubled", "disorder", "foreign", "aborted", "torn"
    };

    return names[kind];
}


void
check_init(checks_t *all, check_t *c, const char *filter)
{
    size_t       i, keys;
    int64_t      last;
    const char  *slash;

    slash = strchr(filter, '/');

    snprintf(c->want, sizeof(c->want), "%s", slash ? slash + 1 : "*");

    c->want_len = strlen(c->want);
    c->prefix = (c->want_len > 0 && c->want[c->want_len - 1] == '*');
    c->want_len -= c->prefix;
    c->whole = (all->whole && c->prefix && c->want_len == 0);

    c->have_key = 0;
    c->key = -1;
    c->received = 0;
    c->gaps = 0;
    c->counted = 0;
    c->uncounted = 0;
    c->missed = 0;
    c->seen = 0;
    c->seen_first = 0;

    keys = c->prefix ? all->keys : 1;

    if (c->seq == NULL) {
        c->seq = malloc(keys * sizeof(mark_t));
        if (c->seq == NULL) {
            die("out of memory");
        }
    }

    last = all->first == UNKNOWN ? UNKNOWN : all->first - 1;

    for (i = 0; i < keys; i++) {
        c->seq[i] = (mark_t) { UNKNOWN, last, 0 };
    }

    for (i = 0; i < PARTITIONS; i++) {
        c->pseq[i] = (mark_t) { UNKNOWN, UNKNOWN, 0 };
    }
}


void
check_key(checks_t *all, check_t *c, const unsigned char *p, size_t len)
{
    size_t   i;
    int64_t  n;

    c->have_key = 1;
    c->key = -1;

    c->foreign = (c->prefix ? len < c->want_len : len != c->want_len)
                 || memcmp(p, c->want, c->want_len) != 0;

    if (len == 0) {
        return;
    }

    if (len <= 4 || len >= 20 || memcmp(p, "key-", 4) != 0) {
        c->foreign = 1;
        return;
    }

    for (i = 4, n = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
        n = n * 10 + p[i] - '0';
    }

    if (i != len || (c->prefix && n >= (int64_t) all->keys)) {
        c->foreign = 1;
        return;
    }

    c->key = n;
}


static void
check_found(checks_t *all, check_t *c, found_t *f, found_e kind)
{
    uint64_t  n;

    uint64_t  *counts[] = {
        &all->lost, &all->missed, &all->doubled, &all->disorder,
        &all->foreign, &all->aborted, &all->torn
    };

    n = kind <= FOUND_MISSED ? f->to - f->from : 1;

    *counts[kind] += n;

    if (kind == FOUND_MISSED) {
        c->missed += n;
    }

    f->kind = kind;

    if (all->found) {
        all->found(c, f);
    }
}


static void
check_number(checks_t *all, check_t *c, mark_t *m, found_t *f)
{
    int64_t  n;

    n = f->whole ? f->pseq : f->seq;

    if (m->first == UNKNOWN) {
        m->first = n;
        c->seen++;
    }

    if (m->last != UNKNOWN && n <= m->last) {
        check_found(all, c, f, n == m->last ? FOUND_DOUBLED : FOUND_DISORDER);
        return;
    }

    if (m->last != UNKNOWN && n != m->last + 1) {
        f->from = m->last + 1;
        f->to = n;

        if (m->gaps != c->gaps) {
            check_found(all, c, f, FOUND_MISSED);

        } else if (!all->holes) {
            check_found(all, c, f, FOUND_LOST);
        }
    }

    m->last = n;
    m->gaps = c->gaps;
}


/* SEQ NS PARTITION PSEQ, a blank behind each; false if they are not there */

static int
check_fields(found_t *f, const unsigned char *p, size_t len)
{
    size_t    i;
    int64_t   n[4];
    unsigned  j;

    for (i = 0, j = 0; j < 4; j++) {
        for (n[j] = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
            n[j] = n[j] * 10 + p[i] - '0';
        }

        if (i == len || p[i++] != ' ') {
            return 0;
        }
    }

    f->seq = n[0];
    f->made = n[1];
    f->partition = n[2];
    f->pseq = n[3];

    return f->partition < PARTITIONS;
}


void
check_value(checks_t *all, check_t *c, const unsigned char *p, size_t len)
{
    mark_t   *m;
    int64_t   now;
    found_t   f;

    now = now_ns();

    c->have_key = 0;
    c->received++;

    all->deliveries++;
    all->last_at = now;

    if (all->first_at == 0) {
        all->first_at = now;
    }

    memset(&f, 0, sizeof(found_t));
    f.key = c->key;

    if (len >= 7 && memcmp(p, "aborted", 7) == 0) {
        check_found(all, c, &f, FOUND_ABORTED);
        return;
    }

    if (!check_fields(&f, p, len) || c->foreign) {
        check_found(all, c, &f, FOUND_FOREIGN);
        return;
    }

    latency_add(&all->latency, now - f.made);

    m = &c->pseq[f.partition];

    if (c->key == -1 || c->whole) {
        f.whole = 1;
        check_number(all, c, m, &f);
        return;
    }

    /* a double shows in the key's own number */

    if (m->last != UNKNOWN && f.pseq < m->last
        && f.seq > c->seq[c->prefix ? c->key : 0].last)
    {
        check_found(all, c, &f, FOUND_DISORDER);
    }

    m->last = f.pseq;

    check_number(all, c, &c->seq[c->prefix ? c->key : 0], &f);
}


/* "gap\n" or "gap COUNT\n": what comes after it may be further on */

void
check_gap(checks_t *all, check_t *c, const unsigned char *p, size_t len)
{
    size_t   i;
    int64_t  n;
    found_t  f;

    if (c->have_key) {
        memset(&f, 0, sizeof(found_t));
        f.key = c->key;
        check_found(all, c, &f, FOUND_TORN);
    }

    for (i = 4, n = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
        n = n * 10 + p[i] - '0';
    }

    if (c->gaps == 0) {
        c->seen_first = c->seen;
    }

    all->gaps++;
    all->gap_records += n;

    c->gaps++;
    c->counted += n;
    c->uncounted += (n == 0);
}
