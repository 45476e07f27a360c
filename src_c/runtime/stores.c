#include "runtime/stores.h"

#include <sys/resource.h>

#include "runtime/threads.h"

/* Bytes of output above which the output exceeds all caches, and above which a trial is meaningful. */
enum { LARGE = 8 << 20, TELLING = 256 << 20 };

/* A trial is conclusive if one kind is faster by at least this factor. */
static const double CLEARLY = 1.1;

/* An output with a page fault per this many bytes is fresh memory, whose first touch takes longer than the stores. Twice the
   largest page size that systems use by default, as a part may have been touched before. */
enum { FRESH = 4 << 20 };

static _Atomic int streams[LRK_MAX_THREADS + 1]; /* 0: unknown; else 1 + lrk_stores */

lrk_stores lrk_stores_for(int threads, int64_t bytes)
{
    if (bytes < LARGE)
        return LRK_STORES_PLAIN;
    const int known = atomic_load_explicit(&streams[threads], memory_order_relaxed);
    if (known != 0)
        return (lrk_stores)(known - 1);
    return bytes < TELLING ? LRK_STORES_STREAM : LRK_STORES_UNKNOWN;
}

int64_t lrk_page_faults(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_minflt : 0;
}

void lrk_stores_decide(int threads, const lrk_stores_trial *trial)
{
    const double plain = (double)trial->nanoseconds[LRK_STORES_PLAIN] / (double)trial->bytes[LRK_STORES_PLAIN];
    const double stream = (double)trial->nanoseconds[LRK_STORES_STREAM] / (double)trial->bytes[LRK_STORES_STREAM];
    const int64_t bytes = trial->bytes[LRK_STORES_PLAIN] + trial->bytes[LRK_STORES_STREAM];
    if (trial->page_faults > bytes / FRESH || (plain < CLEARLY * stream && stream < CLEARLY * plain))
        return;
    const lrk_stores faster = plain < stream ? LRK_STORES_PLAIN : LRK_STORES_STREAM;
    atomic_store_explicit(&streams[threads], 1 + (int)faster, memory_order_relaxed);
}
