/* The choice of the ISA whose kernels run. */
#ifndef LRK_DISPATCH_H
#define LRK_DISPATCH_H

#include "isa/kernels.h"

/* The kernels in use: the widest ISA until lrk_use_isa says otherwise. A job reads this once, at its start. */
const lrk_kernels *lrk_active(void);

#endif
