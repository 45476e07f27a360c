/* Plans: an expression walked along its steps, piece by piece. */
#include <stdlib.h>
#include <string.h>

#include "isa/dispatch.h"
#include "runtime/fpenv.h"
#include "schedule/expr.h"
#include "schedule/walk.h"

lrk_status lrk_expr_value(const lrk_expr *e, double t, double *value)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    *value = compiler->round(compiler->value_at(e, dd_of(t)));
    return !__builtin_isfinite(*value) ? LRK_ERROR_OVERFLOW : LRK_OK;
}

lrk_status lrk_expr_beginning(const lrk_expr *e, int64_t t, double *value)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    *value = compiler->round(compiler->beginning_at(e, dd_of_int(t)));
    return __builtin_isfinite(*value) ? LRK_OK : LRK_ERROR_OVERFLOW;
}

int lrk_clock_follow(const lrk_expr *clock, int64_t *at)
{
    LRK_FP_DEFAULT_HERE;
    return lrk_active()->compiler->follow_clock(clock, at);
}

int64_t lrk_clock_arrival(const lrk_expr *clock, int64_t time)
{
    LRK_FP_DEFAULT_HERE;
    return lrk_active()->compiler->clock_arrival(clock, time);
}

void lrk_expr_segment(const lrk_expr *e, int64_t t, int64_t *begin, int64_t *end)
{
    LRK_FP_DEFAULT_HERE;
    lrk_walker w;
    lrk_active()->compiler->start(&w, e, t);
    *begin = w.t;
    *end = w.segment_end;
}

/* The piece that covers t; w->t is at t or before. Where that fails, so does the value at t, or at w->t - 1 after it. */
static lrk_status piece_at(lrk_walker *w, const lrk_expr *e, int64_t t, lrk_piece *piece)
{
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    for (;;) {
        if (w->by_step && w->t < t && e->straight != 2)
            w->t = t < w->segment_end ? t : w->segment_end;
        const lrk_status status = compiler->next(w, piece);
        if (w->t > t)
            return status;
        /* Beyond float64 already: most often so is t, and the steps between need not be walked. */
        if (status != LRK_OK && !__builtin_isfinite(compiler->round(compiler->value_at(e, dd_of_int(t)))))
            return status;
    }
}

/* How values repeat: tail_start and period of a plan, without its pieces. */
static lrk_plan repetition(const lrk_expr *e)
{
    lrk_plan rule = {.overflow_at = -1};
    if (e->repeats && e->tail_start <= LRK_MAX_STEP - e->period) {
        rule.tail_start = e->tail_start;
        rule.period = e->period == 0 ? 1 : e->period;
    }
    return rule;
}

void lrk_walk_from(lrk_walk *k, const lrk_expr *e, int64_t t)
{
    k->e = e;
    k->rule = repetition(e);
    const int64_t first = lrk_plan_reduce(&k->rule, t);
    lrk_active()->compiler->start(&k->w, e, first);
    k->moved = t - first;
    k->cycle_end = k->rule.period == 0 ? INT64_MAX : k->moved + k->rule.tail_start + k->rule.period;
}

lrk_status lrk_walk_piece(lrk_walk *k, int64_t t, lrk_piece *piece, int64_t *end)
{
    if (t >= k->cycle_end)
        lrk_walk_from(k, k->e, t);
    const lrk_status status = piece_at(&k->w, k->e, t - k->moved, piece);
    *end = k->w.t + k->moved;
    if (status != LRK_OK)
        return status;
    if (k->rule.period == 1 && t > k->rule.tail_start) {
        *piece = lrk_constant_piece(lrk_active()->plan->point(piece, k->rule.tail_start), t);
        *end = k->cycle_end = LRK_MAX_STEP + 1;
        return LRK_OK;
    }
    piece->begin += k->moved;
    piece->center += k->moved;
    return LRK_OK;
}

/* Pieces from the one that covers `start` on, until the next would begin at `whole` or beyond; at `horizon` already where that
 * would take more than `ahead` of them. */
static lrk_status compile_pieces(const lrk_expr *e, int64_t start, int64_t horizon, int64_t whole, int64_t max_pieces,
                                 int64_t ahead, lrk_plan *plan)
{
    lrk_walk k;
    lrk_walk_from(&k, e, start);
    int64_t capacity = 0, t = start;
    while (t < whole && plan->n_pieces < max_pieces && (t < horizon || plan->n_pieces < ahead)) {
        if (plan->n_pieces == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            lrk_piece *grown = realloc(plan->pieces, (size_t)capacity * sizeof *grown);
            if (!grown) {
                lrk_plan_free(plan);
                return LRK_ERROR_MEMORY;
            }
            plan->pieces = grown;
        }
        int64_t end;
        if (lrk_walk_piece(&k, t, plan->pieces + plan->n_pieces, &end) != LRK_OK) {
            plan->overflow_at = end > t ? end - 1 : t;
            break;
        }
        /* The first of a cycle may reach back to the last step of the cycle before, which has a piece of its own. */
        if (plan->n_pieces > 0)
            plan->pieces[plan->n_pieces].begin = t;
        plan->n_pieces++;
        t = end < k.cycle_end ? end : k.cycle_end;
    }
    plan->end = plan->overflow_at >= 0 ? plan->overflow_at : t;
    return LRK_OK;
}

lrk_status lrk_plan_compile(const lrk_expr *e, int64_t horizon, int64_t max_pieces, int64_t ahead, lrk_plan *plan)
{
    LRK_FP_DEFAULT_HERE;
    *plan = (lrk_plan){.overflow_at = -1};
    const lrk_plan rule = repetition(e);
    const int64_t whole = rule.period == 0 ? horizon : rule.tail_start + rule.period;
    const lrk_status status = compile_pieces(e, 0, horizon, whole, max_pieces, ahead, plan);
    if (status == LRK_OK && plan->overflow_at < 0 && plan->end >= whole) {
        plan->tail_start = rule.tail_start;
        plan->period = rule.period;
    }
    return status;
}

lrk_status lrk_plan_compile_part(const lrk_expr *e, int64_t start, int64_t horizon, int64_t max_pieces, lrk_plan *plan)
{
    LRK_FP_DEFAULT_HERE;
    *plan = (lrk_plan){.overflow_at = -1};
    return compile_pieces(e, start, horizon, horizon, max_pieces, 0, plan);
}

double lrk_plan_value(const lrk_plan *plan, int64_t t)
{
    LRK_FP_DEFAULT_HERE;
    const int64_t reduced = lrk_plan_reduce(plan, t);
    if (reduced < 0 || reduced >= plan->end)
        return __builtin_nan("");
    return lrk_active()->plan->point(plan->pieces + lrk_plan_find(plan, reduced), reduced);
}

int lrk_needs_plan(const lrk_expr *e)
{
    return e->kind != LRK_KIND_TABLE && e->kind != LRK_KIND_NOISE;
}

void lrk_plan_free(lrk_plan *plan)
{
    free(plan->pieces);
    *plan = (lrk_plan){.overflow_at = -1};
}
