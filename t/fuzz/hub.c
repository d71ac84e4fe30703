
/*
 * Hubs of several workers, with a schedule made of the input's bytes: the
 * first is the seed, so the number of workers, all others say what happens
 * next.  The model of hub_world.h checks each frame.
 */


#include "hub_schedule.h"


int  LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1) {
        run(data[0], data + 1, size - 1);
    }

    return 0;
}
