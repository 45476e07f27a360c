/* The settings of jobs: the number of threads and the pool, as they were set, or from the environment. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpus.h"
#include "runtime/threads.h"

static _Atomic int n_threads; /* 0: not determined yet */

/* The first number of a list such as "4,2", a valid OMP_NUM_THREADS; 0 if it is out of range. */
static int parse_count(const char *text, bool list)
{
    char *end;
    if (text == NULL)
        return 0;
    const long value = strtol(text, &end, 10);
    while (*end == ' ')
        end++;
    const bool complete = end != text && (*end == '\0' || (list && *end == ','));
    return complete && value >= 1 && value <= LRK_MAX_THREADS ? (int)value : 0;
}

/* The value of a variable; NULL if it is not set, or empty. */
static const char *value_of(const char *name)
{
    const char *const text = getenv(name);
    return text == NULL || *text == '\0' ? NULL : text;
}

static const char *const pools[] = {[LRK_POOL_AUTO] = "auto", [LRK_POOL_OWN] = "own", [LRK_POOL_OPENMP] = "openmp"};

/* The pool that LRKERN_POOL asks for; -1: there is no such pool. */
static int find_pool(void)
{
    const char *const text = value_of("LRKERN_POOL");
    for (int i = 0; i < (int)(sizeof pools / sizeof *pools); i++)
        if (text == NULL || strcmp(text, pools[i]) == 0)
            return i;
    return -1;
}

const lrk_bad_variable *lrk_find_bad_variable(void)
{
    static const lrk_bad_variable threads = {"LRKERN_NUM_THREADS", "an integer in 1..1024"},
                                  pool = {"LRKERN_POOL", "auto, own or openmp"};
    _Static_assert(LRK_MAX_THREADS == 1024, "the text above");
    if (value_of("LRKERN_NUM_THREADS") != NULL && !parse_count(value_of("LRKERN_NUM_THREADS"), false))
        return &threads;
    return find_pool() < 0 ? &pool : NULL;
}

lrk_pool lrk_pool_wanted(void)
{
    static _Atomic int known = -1;
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    if (found < 0) {
        found = find_pool();
        found = found < 0 ? LRK_POOL_AUTO : found;
        atomic_store_explicit(&known, found, memory_order_relaxed);
    }
    return (lrk_pool)found;
}

int lrk_get_threads(void)
{
    int count = atomic_load_explicit(&n_threads, memory_order_relaxed);
    if (count == 0) {
        int chosen = parse_count(getenv("LRKERN_NUM_THREADS"), false);
        if (chosen == 0)
            chosen = parse_count(getenv("OMP_NUM_THREADS"), true);
        if (chosen == 0)
            chosen = lrk_cpus();
        if (chosen > LRK_MAX_THREADS)
            chosen = LRK_MAX_THREADS;
        count = atomic_compare_exchange_strong(&n_threads, &count, chosen) ? chosen : count;
    }
    return count;
}

int lrk_set_threads(int n)
{
    if (n < 1 || n > LRK_MAX_THREADS)
        return -1;
    atomic_store(&n_threads, n);
    return 0;
}
