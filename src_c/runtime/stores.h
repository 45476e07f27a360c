/* Whether large outputs are stored past the caches. Streaming saves reading what is about to be overwritten, and leaves the
 * caches alone; but a core keeps few streaming stores in flight, so that with few threads ordinary ones, which the hardware
 * prefetches, can be faster. Which it is, the machine and the number of threads decide: the first large table is filled with
 * both, in turns, and timed, and so are the next ones until one of the two is clearly faster. The bits do not depend on it. */
#ifndef LRK_STORES_H
#define LRK_STORES_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum { LRK_STORES_PLAIN, LRK_STORES_STREAM, LRK_STORES_UNKNOWN } lrk_stores;

/* What to use with so many threads for an output of so many bytes; UNKNOWN: try both, and tell how long each took. */
lrk_stores lrk_stores_for(int threads, int64_t bytes);

/* What was seen of both kinds, by lrk_stores; page faults while they were tried. */
typedef struct {
    _Atomic int64_t bytes[2], nanoseconds[2];
    int64_t page_faults;
} lrk_stores_trial;

/* Page faults of this process so far. */
int64_t lrk_page_faults(void);

/* Choose for so many threads, if the trial tells. */
void lrk_stores_decide(int threads, const lrk_stores_trial *trial);

#endif
