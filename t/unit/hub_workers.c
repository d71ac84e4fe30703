
/*
 * Hubs of several workers on one zone: a scheduler that draws what happens
 * next from a seed, and the model of hub_world.h, which checks each frame.
 *
 *     HUB_SEEDS=100000 build/unit/hub_workers     runs as many seeds
 *     HUB_SEED=4711 build/unit/hub_workers        runs this one
 */


#include "hub_schedule.h"


#define SEEDS  400


static void
test_seeds(void **state)
{
    uint64_t     seed, n;
    const char  *p;

    p = getenv("HUB_SEED");

    if (p) {
        run(strtoull(p, NULL, 0), NULL, 0);
        return;
    }

    p = getenv("HUB_SEEDS");
    n = p ? strtoull(p, NULL, 0) : SEEDS;

    for (seed = 0; seed < n; seed++) {
        run(seed, NULL, 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_seeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
