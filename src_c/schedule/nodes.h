/* How nodes are made, for expr.c, leaves.c and combinations.c. */
#ifndef LRK_NODES_H
#define LRK_NODES_H

#include "schedule/expr.h"

/* A node of these parts, which it retains; NULL without memory, or if one of them is NULL. */
lrk_expr *lrk_new_node(lrk_kind kind, lrk_expr *const *parts, int64_t n_parts);
/* The node, complete: what every constructor returns. */
lrk_expr *lrk_finished(lrk_expr *e);
/* A number, without rounding. */
xdd lrk_exactly(double value);
/* The functions of the plan compiler for the instruction set in use. */
const lrk_compiler_kernels *lrk_compiler(void);
/* The same ramp between other ends. */
lrk_expr *lrk_ramp_like(const lrk_expr *ramp, xdd start, xdd end);

#endif
