
#include "lib/check.h"


static void
check_reset(checks_t *all, check_t *c, int64_t last)
{
    size_t  i, keys;

    keys = c->prefix ? all->keys : 1;

    for (i = 0; i < keys; i++) {
        c->seq[i] = last;
    }

    for (i = 0; i < PARTITIONS; i++) {
        c->pseq[i] = UNKNOWN;
    }
}


void
check_init(checks_t *all, check_t *c, const char *filter)
{
    const char  *slash;

    slash = strchr(filter, '/');

    snprintf(c->want, sizeof(c->want), "%s", slash ? slash + 1 : "*");

    c->want_len = strlen(c->want);
    c->prefix = (c->want_len > 0 && c->want[c->want_len - 1] == '*');
    c->want_len -= c->prefix;

    c->have_key = 0;
    c->received = 0;

    free(c->seq);

    c->seq = malloc((c->prefix ? all->keys : 1) * sizeof(int64_t));
    if (c->seq == NULL) {
        die("out of memory");
    }

    check_reset(all, c, all->first == UNKNOWN ? UNKNOWN : all->first - 1);
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

    c->key = c->prefix ? n : 0;
}


static void
check_number(checks_t *all, int64_t *last, int64_t n)
{
    if (*last == UNKNOWN || n == *last + 1) {
        *last = n;

    } else if (n == *last) {
        all->doubled++;

    } else if (n < *last) {
        all->disorder++;

    } else {
        all->lost += all->holes ? 0 : n - *last - 1;
        *last = n;
    }
}


void
check_value(checks_t *all, check_t *c, const unsigned char *p, size_t len)
{
    size_t    i;
    int64_t   now, n[4];
    unsigned  f;

    now = now_ns();

    c->have_key = 0;
    c->received++;

    all->deliveries++;
    all->last_at = now;

    if (all->first_at == 0) {
        all->first_at = now;
    }

    if (len >= 7 && memcmp(p, "aborted", 7) == 0) {
        all->aborted++;
        return;
    }

    /* SEQ NS PARTITION PSEQ, a blank behind each */

    for (i = 0, f = 0; f < 4; f++) {
        for (n[f] = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
            n[f] = n[f] * 10 + p[i] - '0';
        }

        if (i == len || p[i++] != ' ') {
            break;
        }
    }

    if (f < 4 || n[2] >= PARTITIONS || c->foreign) {
        all->foreign++;
        return;
    }

    latency_add(&all->latency, now - n[1]);

    if (c->key == -1) {
        check_number(all, &c->pseq[n[2]], n[3]);
        return;
    }

    if (n[3] < c->pseq[n[2]]) {
        all->disorder++;
    }

    c->pseq[n[2]] = n[3];

    check_number(all, &c->seq[c->key], n[0]);
}


/* "gap\n" or "gap COUNT\n": after it every number may follow */

void
check_gap(checks_t *all, check_t *c, const unsigned char *p, size_t len)
{
    size_t   i;
    int64_t  n;

    for (i = 4, n = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
        n = n * 10 + p[i] - '0';
    }

    all->gaps++;
    all->gap_records += n;

    check_reset(all, c, UNKNOWN);
}
