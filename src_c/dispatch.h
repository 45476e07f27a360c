/* Which ISA's kernels run. */
#ifndef LRK_DISPATCH_H
#define LRK_DISPATCH_H

#include "kernels.h"

/* Number of ISAs that were built and that this CPU and OS can run. */
int lrk_isa_count(void);

/* Name of ISA 0 <= index < lrk_isa_count(), narrowest first; NULL outside. */
const char *lrk_isa_name(int index);

/* The kernels in use: the widest ISA until lrk_use_isa says otherwise. A job reads this once, at its start. */
const lrk_kernels *lrk_active(void);

/* Makes `name` the active ISA of the process. Returns 0, or -1 (nothing changed) if it cannot run here. */
int lrk_use_isa(const char *name);

#endif
