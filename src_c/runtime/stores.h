/* Whether large outputs use streaming stores, which bypass the caches. Streaming avoids reading memory that is about to be
 * overwritten, and keeps the caches' contents; but a core has few streaming stores in flight, so that with few threads ordinary
 * stores, which the hardware prefetches, can be faster. That depends on the machine and the number of threads: large tables are
 * filled with both kinds in turn and timed until one is clearly faster. The results do not depend on it. */
#ifndef LRK_STORES_H
#define LRK_STORES_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum { LRK_STORES_PLAIN, LRK_STORES_STREAM, LRK_STORES_UNKNOWN } lrk_stores;

/* The kind to use for this many threads and bytes; UNKNOWN: try both and report their times. */
lrk_stores lrk_stores_for(int threads, int64_t bytes);

/* The measurements of both kinds, indexed by lrk_stores; page faults during the trial. */
typedef struct {
    _Atomic int64_t bytes[2], nanoseconds[2];
    int64_t page_faults;
} lrk_stores_trial;

/* Page faults of this process so far. */
int64_t lrk_page_faults(void);

/* Record the winner for this thread count if the trial was conclusive. */
void lrk_stores_decide(int threads, const lrk_stores_trial *trial);

#endif
