
/*
 * Runs one micro-benchmark: see micro.h.
 *
 *     micro NAME N [OPS [RUNS]]
 *     micro --list
 *
 * Prints "NAME N OPS NS BYTES": nanoseconds of the fastest run for each
 * operation, memory for each filter (0: not counted).  Under callgrind only
 * the runs are counted.
 */


#include "micro.h"

#include <valgrind/callgrind.h>


static void *micro_malloc(void *ctx, size_t size);
static void micro_free(void *ctx, void *p);


static const micro_case_t  *groups[] = {
    micro_hub, micro_index, micro_bytes, micro_ring, NULL
};


const fo_alloc_t  micro_alloc = { micro_malloc, micro_free, NULL };
uint64_t          micro_live;


static void *
micro_malloc(void *ctx, size_t size)
{
    uint64_t  *p;

    p = malloc(size + 16);
    if (p == NULL) {
        return NULL;
    }

    *p = size;
    micro_live += size;

    return p + 2;
}


static void
micro_free(void *ctx, void *p)
{
    uint64_t  *block;

    block = (uint64_t *) p - 2;
    micro_live -= *block;

    free(block);
}


size_t
micro_key(char *buf, uint64_t n, int wanted)
{
    unsigned  i;

    /* printf() would take longer than what is measured */

    memcpy(buf, wanted ? "key-" : "not-", 4);

    for (i = 4; i < 12; i++, n >>= 4) {
        buf[i] = "0123456789abcdef"[n & 15];
    }

    return 12;
}


uint64_t
micro_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;

    return *state >> 20;
}


static const micro_case_t *
micro_find(const char *name)
{
    int                  i;
    const micro_case_t  *c;

    for (i = 0; groups[i]; i++) {
        for (c = groups[i]; c->name; c++) {
            if (name == NULL) {
                puts(c->name);

            } else if (strcmp(c->name, name) == 0) {
                return c;
            }
        }
    }

    return NULL;
}


int
main(int argc, char **argv)
{
    double               best, ns;
    int64_t              runs, i, start;
    micro_t              m;
    uint64_t             did, all;
    const micro_case_t  *c;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        (void) micro_find(NULL);
        return 0;
    }

    if (argc < 3 || argc > 5) {
        die("usage: micro NAME N [OPS [RUNS]]");
    }

    c = micro_find(argv[1]);
    if (c == NULL) {
        die("no micro-benchmark \"%s\"", argv[1]);
    }

    memset(&m, 0, sizeof(micro_t));
    m.n = number("N", argv[2]);
    m.ops = argc > 3 ? number("OPS", argv[3]) : 1000000;
    runs = argc > 4 ? number("RUNS", argv[4]) : 5;
    best = 0;
    all = 0;

    if (m.n < 1 || m.ops < 1) {
        die("numbers above 0, please");
    }

    c->setup(&m);

    for (i = 0; i < runs; i++) {
        if (i && c->restore) {
            c->restore(&m);
        }

        CALLGRIND_START_INSTRUMENTATION;
        start = now_ns();
        did = c->run(&m);
        ns = (double) (now_ns() - start) / did;
        CALLGRIND_STOP_INSTRUMENTATION;

        all += did;

        if (best == 0 || ns < best) {
            best = ns;
        }
    }

    printf("%s %" PRIu64 " %" PRIu64 " %.2f %" PRIu64 "\n", c->name, m.n, all,
           best, m.bytes / m.n);

    return m.sink == 1;
}
