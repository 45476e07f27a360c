#define _GNU_SOURCE
#include "runtime/policy.h"

#include <stdatomic.h>

#include "runtime/clock.h"
#include "runtime/pools.h"
#include "runtime/threads.h"

/* What a job has to take on one thread, in nanoseconds, to be faster on two: measured, for threads that are awake, and for
   those that have to be woken, which takes 5 to 50 us. JUST_BEFORE: for so long, threads that are woken stay awake. */
enum { WORTH_SHARING = 20000, WORTH_WAKING = 60000, JUST_BEFORE = 100000 };

/* Picoseconds on one thread per unit of work, as measured for data in caches; what takes longer is worth sharing all the more. */
static const int64_t cost[LRK_N_WORKS] = {
    [LRK_WORK_STEP] = 10, [LRK_WORK_NORM] = 100, [LRK_WORK_FILL] = 400, [LRK_WORK_LOOKUP] = 10000, [LRK_WORK_SCAN] = 1500,
};

/* Whether a job takes at least this long on one thread. */
static bool takes(lrk_work work, int64_t amount, int64_t nanoseconds)
{
    return amount >= nanoseconds * 1000 / cost[work];
}

bool lrk_worth_waking(lrk_work work, int64_t amount)
{
    return takes(work, amount, WORTH_WAKING);
}

/* Whether there was such a question just before: threads that are woken now stay awake for the jobs that will follow. */
static bool follows_another(void)
{
    static _Atomic int64_t last;
    const int64_t now = lrk_clock();
    return now - atomic_exchange_explicit(&last, now, memory_order_relaxed) < JUST_BEFORE;
}

int lrk_threads_for(lrk_work work, int64_t amount)
{
    if (!takes(work, amount, WORTH_SHARING))
        return 1;
    const int threads = lrk_job_threads();
    if (threads == 1)
        return 1;
    const bool awake = lrk_openmp_ready() || lrk_workers_awake();
    return awake || lrk_worth_waking(work, amount) || follows_another() ? threads : 1;
}
