#define _GNU_SOURCE
#include "runtime/policy.h"

#include <stdatomic.h>

#include "runtime/clock.h"
#include "runtime/pools.h"
#include "runtime/threads.h"

/* What a job has to take on one thread, in nanoseconds, to be faster on two: measured, for threads that are awake, and for
   those that have to be woken, which takes 5 to 50 us. JUST_BEFORE: for so long, threads that are woken stay awake. */
enum { WORTH_SHARING = 20000, WORTH_WAKING = 60000, JUST_BEFORE = 100000 };

/* Picoseconds on one thread per unit of work that are expected before a job of its kind has been measured: those of simple jobs
   on data in caches. */
static const double first_cost[LRK_N_WORKS] = {
    [LRK_WORK_STEP] = 10, [LRK_WORK_NORM] = 100, [LRK_WORK_FILL] = 400, [LRK_WORK_LOOKUP] = 10000, [LRK_WORK_SCAN] = 1500,
};

/* How far measured costs can be from the first ones. Jobs that are not worth sharing, or always worth waking threads for, with
   any cost in this range are not measured. */
static const double LEAST = 0.125, MOST = 64;

/* Jobs of a kind and a size are measured: at first each one, later every 16th, as the time of CPUs takes a microsecond to read. */
enum { FIRST = 32, EVERY = 16 };

/* What jobs of one work, kind and size (within a factor of two) cost. Some share an estimate by chance, and then its cost moves
   between theirs. */
struct lrk_estimate {
    _Atomic float cost; /* 0: not measured yet */
    _Atomic uint32_t jobs;
};

enum { ESTIMATES_BITS = 9 };
static lrk_estimate estimates[1 << ESTIMATES_BITS];

static lrk_estimate *estimate_of(lrk_work work, uint32_t kind, int64_t amount)
{
    const uint64_t size = 63 - (uint64_t)__builtin_clzll((unsigned long long)amount);
    const uint64_t key = ((uint64_t)kind * 64 + size) * LRK_N_WORKS + (uint64_t)work;
    return &estimates[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - ESTIMATES_BITS)];
}

/* Whether a job takes at least this long on one thread. */
static bool takes(double cost, int64_t amount, int64_t nanoseconds)
{
    return (double)amount * cost >= (double)nanoseconds * 1000;
}

bool lrk_worth_waking(lrk_work work, int64_t amount)
{
    return takes(first_cost[work], amount, WORTH_WAKING);
}

/* Whether there was such a question just before: threads that are woken now stay awake for the jobs that will follow. */
static bool follows_another(void)
{
    static _Atomic int64_t last;
    const int64_t now = lrk_clock();
    return now - atomic_exchange_explicit(&last, now, memory_order_relaxed) < JUST_BEFORE;
}

/* The number of threads for a job that takes so long. */
static int threads_for(double cost, int64_t amount)
{
    if (!takes(cost, amount, WORTH_SHARING))
        return 1;
    const int threads = lrk_job_threads();
    if (threads == 1)
        return 1;
    const bool awake = lrk_openmp_ready() || lrk_workers_awake();
    return awake || takes(cost, amount, WORTH_WAKING) || follows_another() ? threads : 1;
}

lrk_sharing lrk_sharing_for(lrk_work work, uint32_t kind, int64_t amount)
{
    const double first = first_cost[work];
    lrk_sharing how = {.threads = 1, .work = work, .amount = amount};
    if (!takes(MOST * first, amount, WORTH_SHARING))
        return how;
    double cost = first;
    if (!takes(LEAST * first, amount, WORTH_WAKING)) {
        lrk_estimate *const mine = estimate_of(work, kind, amount);
        const float known = atomic_load_explicit(&mine->cost, memory_order_relaxed);
        cost = known == 0 ? first : (double)known;
        const uint32_t jobs = atomic_fetch_add_explicit(&mine->jobs, 1, memory_order_relaxed);
        how.measured = jobs < FIRST || jobs % EVERY == 0 ? mine : NULL;
    }
    how.threads = threads_for(cost, amount);
    return how;
}

static double within(double low, double x, double high)
{
    return x < low ? low : x > high ? high : x;
}

void lrk_sharing_took(const lrk_sharing *how, int64_t alone)
{
    const double first = first_cost[how->work];
    const float known = atomic_load_explicit(&how->measured->cost, memory_order_relaxed);
    const double before = known == 0 ? first : (double)known;
    /* An exceptional job, such as one whose data was not in a cache, moves the estimate by a bounded factor. */
    const double now = within(before / 4, (double)alone * 1000 / (double)how->amount, before * 4);
    const double next = within(LEAST * first, before + (now - before) / 4, MOST * first);
    atomic_store_explicit(&how->measured->cost, (float)next, memory_order_relaxed);
}
