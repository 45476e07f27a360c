/* A monotonic clock in nanoseconds. The including file must define _GNU_SOURCE: plain C11 does not declare it. */
#ifndef LRK_CLOCK_H
#define LRK_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t lrk_clock(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
