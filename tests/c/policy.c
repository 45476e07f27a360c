/* When jobs are shared: by the time that jobs like them have taken. Own threads only; LRKERN_POOL=own. */
#include <stdint.h>

#include "lrkern.h"
#include "runtime/policy.h"
#include "runtime/threads.h"

#include "check.h"

/* The number of threads of so many jobs, the last one's, where a job takes so long on one thread. The amounts of a size class
   differ by less than a factor of two. */
static int after(int jobs, uint32_t kind, int64_t amount, int64_t nanoseconds)
{
    int threads = 0;
    for (int i = 0; i < jobs; i++) {
        const lrk_sharing how = lrk_sharing_for(LRK_WORK_STEP, kind, amount + i % 2 * amount / 4);
        threads = how.threads;
        if (how.measured != NULL)
            lrk_sharing_took(&how, nanoseconds + i % 2 * nanoseconds / 4);
    }
    return threads;
}

static void spin(void *ctx, int64_t index)
{
    volatile double x = 1;
    (void)index;
    for (int64_t i = 0; i < *(int64_t *)ctx; i++)
        x = x * 0.5 + 1;
}

enum { SOME = 1 << 20, FEW = 1 << 10, MANY = 64 << 20 };

/* 10 ps a byte are expected: 10 us for SOME, less than is worth sharing. */
static void judgements(void)
{
    CHECK(after(1, 1, SOME, 0) == 1);
    /* Slower than expected: shared, and not forgotten when few are measured. */
    CHECK(after(100, 2, SOME, 100000) == 2);
    CHECK(after(100, 2, SOME, 100000) == 2);
    /* Faster than expected: 8 MB are expected to take 84 us. */
    CHECK(after(1, 3, 8 * SOME, 15000) == 2);
    CHECK(after(100, 3, 8 * SOME, 15000) == 1);
    /* And slower again. */
    CHECK(after(1000, 3, 8 * SOME, 100000) == 2);
    /* One exceptional job in many changes nothing. */
    CHECK(after(100, 4, SOME, 5000) == 1);
    CHECK(after(1, 4, SOME, 8000000) == 1);
    CHECK(after(40, 4, SOME, 5000) == 1);
    /* Other kinds and sizes are judged by themselves. */
    CHECK(after(1, 5, SOME, 0) == 1);
    CHECK(after(1, 2, SOME / 4, 0) == 1);
    /* Never shared, always shared: not measured. */
    CHECK(lrk_sharing_for(LRK_WORK_STEP, 6, FEW).measured == NULL && after(100, 6, FEW, 100000) == 1);
    CHECK(lrk_sharing_for(LRK_WORK_STEP, 6, MANY).measured == NULL && after(100, 6, MANY, 1) == 2);
    CHECK(after(1, 6, 0, 0) == 1);
}

/* Every measured job is noted, whether it runs on one thread or on two. */
static void measurements(void)
{
    int64_t turns = 100000; /* 0.1 ms or more, in each of 8 tasks */
    lrk_sharing how = {0};
    for (int i = 0; i < 20; i++) {
        how = lrk_sharing_for(LRK_WORK_STEP, 7, SOME);
        lrk_parallel(&how, 8, spin, &turns);
    }
    CHECK(how.threads == 2);
    turns = 0;
    for (int i = 0; i < 1000; i++) {
        how = lrk_sharing_for(LRK_WORK_STEP, 7, SOME);
        lrk_parallel(&how, 8, spin, &turns);
    }
    CHECK(how.threads == 1);
}

int main(void)
{
    lrk_set_threads(2);
    measurements();
    judgements();
    return 0;
}
