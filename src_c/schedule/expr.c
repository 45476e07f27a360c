/* Nodes of expressions: making them, counting references. What they mean as functions of time is in expr_eval.inc. */
#include "schedule/nodes.h"

#include <stdlib.h>

#include "isa/dispatch.h"

lrk_expr *lrk_new_node(lrk_kind kind, lrk_expr *const *parts, int64_t n_parts)
{
    for (int64_t i = 0; i < n_parts; i++)
        if (parts[i] == NULL)
            return NULL;
    lrk_expr *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    static _Atomic uint64_t last_id;
    atomic_init(&e->references, 1);
    e->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    e->kind = kind;
    e->size = 1;
    e->monotone = 1;
    e->fastest = 1.0;
    if (n_parts > 0 && !(e->parts = malloc((size_t)n_parts * sizeof *e->parts))) {
        free(e);
        return NULL;
    }
    e->n_parts = n_parts;
    for (int64_t i = 0; i < n_parts; i++) {
        e->parts[i] = lrk_expr_retain(parts[i]);
        e->monotone &= parts[i]->monotone;
        e->partial |= parts[i]->partial;
        e->clocked |= parts[i]->clocked;
        if (e->fastest < parts[i]->fastest)
            e->fastest = parts[i]->fastest;
        e->size = e->size > INT64_MAX - parts[i]->size ? INT64_MAX : e->size + parts[i]->size;
    }
    return e;
}

lrk_expr *lrk_expr_retain(lrk_expr *e)
{
    if (e)
        atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void lrk_expr_release(lrk_expr *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    for (int64_t i = 0; i < e->n_parts; i++)
        lrk_expr_release(e->parts[i]);
    free(e->parts);
    free(e->boundaries);
    free(e->after);
    free(e->values);
    free(e->cycles);
    free(e->cached);
    free(e);
}

double lrk_expr_fastest(const lrk_expr *e)
{
    return e->fastest;
}

int64_t lrk_expr_size(const lrk_expr *e)
{
    return e->size;
}

const lrk_compiler_kernels *lrk_compiler(void)
{
    return lrk_active()->compiler;
}

/* Whether values are a straight line (1) or constant (2) within each segment, whatever the numbers: what only rounds to a line
 * somewhere is none. Nor is a line that is clipped, which turns within its segment. */
static int straightness(const lrk_expr *e)
{
    int least = 2;
    for (int64_t i = 0; i < e->n_parts; i++)
        least = e->parts[i]->straight < least ? e->parts[i]->straight : least;
    switch (e->kind) {
    case LRK_KIND_CONSTANT:
    case LRK_KIND_TABLE:
    case LRK_KIND_NOISE:
    case LRK_KIND_STAIRCASE:
    case LRK_KIND_FRACTAL:
        return 2;
    case LRK_KIND_LINE:
        return 1;
    case LRK_KIND_RAMP:
        return e->n == 0 ? 2 : e->a == 1.0 && (e->shape == LRK_SHAPE_RISE || (e->shape == LRK_SHAPE_FALL && e->b == 1.0));
    case LRK_KIND_POWER_LAW:
        return e->a == 1.0;
    case LRK_KIND_EXPONENTIAL:
        return 0;
    case LRK_KIND_PRODUCT:
        return e->parts[0]->straight == 2 || e->parts[1]->straight == 2 ? least : 0;
    case LRK_KIND_QUOTIENT:
        return e->parts[1]->straight == 2 ? least : 0;
    case LRK_KIND_POWER:
    case LRK_KIND_CLIP:
        return least == 2 ? 2 : 0;
    case LRK_KIND_SUM:
    case LRK_KIND_SHIFT:
    case LRK_KIND_STRETCH:
    case LRK_KIND_COMPOSITION:
    case LRK_KIND_JOIN:
    case LRK_KIND_REPEAT:
    case LRK_KIND_RESTARTS:
        return least;
    }
    return 0;
}

/* What every constructor returns. */
lrk_expr *lrk_finished(lrk_expr *e)
{
    if (e) {
        e->straight = straightness(e);
        lrk_compiler()->find_repetition(e);
    }
    return e;
}

xdd lrk_exactly(double value)
{
    return lrk_compiler()->normalise(dd_of(value), 0);
}
