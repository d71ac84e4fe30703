
#include "lib/stats.h"


/* 32 buckets to each power of two */

void
latency_add(latency_t *l, int64_t ns)
{
    int  top;

    if (ns < 0) {
        ns = 0;
    }

    if (ns > l->max) {
        l->max = ns;
    }

    if (ns < 32) {
        l->n[ns]++;
        return;
    }

    top = 63 - __builtin_clzll(ns);

    l->n[(top - 4) * 32 + ((ns >> (top - 5)) & 31)]++;
}


/* in microseconds, the middle of the bucket */

double
latency_at(latency_t *l, double share)
{
    int       i, top;
    uint64_t  n, all;

    all = 0;

    for (i = 0; i < LATENCIES; i++) {
        all += l->n[i];
    }

    n = 0;

    for (i = 0; i < LATENCIES; i++) {
        n += l->n[i];

        if (n > 0 && n >= share * all) {
            break;
        }
    }

    if (i < 32 || i == LATENCIES) {
        return i == LATENCIES ? 0 : i / 1e3;
    }

    top = i / 32 + 4;

    return ((32 + i % 32 + 0.5) * (1LL << (top - 5))) / 1e3;
}


void
notice_add(notice_t *table, const void *text, size_t len)
{
    size_t  i;

    if (len >= sizeof(table->text)) {
        len = sizeof(table->text) - 1;
    }

    for (i = 0; i < NOTICES - 1 && table[i].count; i++) {
        if (strlen(table[i].text) == len
            && memcmp(table[i].text, text, len) == 0)
        {
            break;
        }
    }

    memcpy(table[i].text, text, len);
    table[i].text[len] = '\0';
    table[i].count++;
}


/* as a member of a JSON object, with the comma */

void
notice_print(const char *name, notice_t *table)
{
    int          i;
    const char  *p;

    printf("\"%s\":{", name);

    for (i = 0; i < NOTICES && table[i].count; i++) {
        printf("%s\"", i ? "," : "");

        for (p = table[i].text; *p; p++) {
            if (*p == '"' || *p == '\\') {
                putchar('\\');
            }

            if ((unsigned char) *p >= ' ') {
                putchar(*p);
            }
        }

        printf("\":%" PRIu64, table[i].count);
    }

    printf("},");
}
