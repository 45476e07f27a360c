# What other Cython modules may cimport, from `lrkern`: docs/c.md tells how. Functions arrive as capsules, so nothing is linked;
# lrk_plan_at is inline. The headers are in lrkern.get_include().

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t


cdef extern from "lrkern.h" nogil:
    enum:
        LRK_ABI_VERSION
    ctypedef enum lrk_status:
        LRK_OK
        LRK_ERROR_MEMORY
        LRK_ERROR_OVERFLOW
        LRK_ERROR_OVERLAP
        LRK_ERROR_ARGUMENT
    ctypedef enum lrk_dtype:
        LRK_FLOAT64
        LRK_FLOAT32
    ctypedef struct lrk_expr:
        pass
    ctypedef struct lrk_piece:
        int64_t begin
        int64_t center
        double scale
        double c[12]
        double magic
        double unscale
    ctypedef struct lrk_plan:
        int64_t end
        int64_t tail_start
        int64_t period
        int64_t n_pieces
        lrk_piece *pieces
        int64_t overflow_at

cdef extern from "lrkern_plan.h" nogil:
    bint lrk_plan_covers(const lrk_plan *plan, int64_t t)
    double lrk_plan_at(const lrk_plan *plan, int64_t t)

cdef extern from "lrkern_steps.h" nogil:
    ctypedef int lrk_rule
    ctypedef enum lrk_storage:
        LRK_F32
        LRK_F64
        LRK_BF16
        LRK_F16
    ctypedef enum lrk_rounding:
        LRK_NEAREST
        LRK_STOCHASTIC
        LRK_SPLIT
    ctypedef enum lrk_clip_per:
        LRK_CLIP_LIST
        LRK_CLIP_GROUP
        LRK_CLIP_TENSOR
    enum:  # roles, which index `data` and `type`
        LRK_PARAM
        LRK_GRAD
        LRK_STATE
        LRK_EMA
        LRK_COPY
        LRK_REMAINDER
    ctypedef struct lrk_step_sparse:
        int64_t count
        const int64_t *index
        const int64_t *begin
        const int64_t *order
    ctypedef struct lrk_step_tensor:
        void *data[8]
        int64_t size
        uint8_t type[8]
        int32_t group
        const double *row_lrs
        double scalar_states[2]
        const lrk_step_sparse *sparse
        int64_t width
    ctypedef struct lrk_step_group:
        lrk_rule rule
        double inputs[12]
        double ema[3]
        int32_t clips_with
    ctypedef struct lrk_step_lengths:
        double grad, param, update
    ctypedef struct lrk_step_list:
        lrk_step_tensor *tensors
        int64_t *updates
        int64_t count
        lrk_step_group *groups
        int64_t n_groups
        double *recent
        lrk_step_lengths *lengths
        int64_t recent_count
    ctypedef struct lrk_step_options:
        double grad_scale, clip_norm, clip_value, skip_norm, skip_sigma
        int64_t skip_window
        lrk_clip_per clip_per
        bint skip_nonfinite, error_if_nonfinite, zero_grad, norms
        lrk_rounding rounding, state_rounding
        int64_t ema_every
        uint64_t seed, step
    ctypedef struct lrk_step_result:
        const char *isa
        bint skipped, refused
        double grad_norm

    struct lrk_rule_tensor:
        int64_t n
        double norm, measured, size
        double states[1]  # as many as the C header says
    ctypedef void lrk_own_scalars(const double *inputs, const lrk_rule_tensor *tensor, double *out) noexcept
    ctypedef void lrk_own_update(
        int64_t size, int64_t ahead, void *param, const void *grad, void *const *states, const void *coefs
    ) noexcept
    ctypedef void lrk_own_measure(
        int64_t size, int64_t ahead, const void *param, const void *grad, void *const *states, const void *coefs, void *out
    ) noexcept
    ctypedef enum lrk_measured:
        LRK_MEASURES_NOTHING
        LRK_MEASURES_NORM
        LRK_MEASURES_SUM
    ctypedef struct lrk_own_rule:
        const char *name
        const char *inputs
        int states, scalar_states, coefs
        lrk_measured measured
        lrk_own_scalars *scalars
        lrk_own_scalars *new_scalar_states
        lrk_own_update *update[2]
        lrk_own_measure *measure[2]


@cython.final
cdef class CompiledPlan:
    """A compiled schedule; never changed once made, so threads may share it. Its plan lives as long as it does."""

    cdef lrk_plan plan


# A plan of the steps before `horizon`, at least. ValueError, OverflowError where there is none.
cdef CompiledPlan plan_of(schedule, int64_t horizon)

# The expression of a schedule, which keeps it alive.
cdef lrk_expr *expression_of(schedule) except NULL

# The functions of lrkern.h and lrkern_steps.h.
cdef int lrk_abi_version() noexcept nogil
cdef const char *lrk_status_text(lrk_status status) noexcept nogil
cdef lrk_status lrk_fill(
    const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, void *out, lrk_dtype dtype, int64_t *overflow_at
) noexcept nogil
cdef double lrk_plan_value(const lrk_plan *plan, int64_t t) noexcept nogil
cdef lrk_status lrk_lookup(
    const lrk_expr *e, const lrk_plan *plan, const int64_t *steps, int64_t n, double *out, int64_t *overflow_at
) noexcept nogil
include "binding/generated_declarations.pxi"  # steps of one array
cdef lrk_rule lrk_rule_find(const char *name) noexcept nogil
cdef lrk_rule lrk_rule_register(const lrk_own_rule *rule) noexcept nogil
cdef int lrk_rule_input(lrk_rule rule, const char *name) noexcept nogil
cdef lrk_step_options lrk_step_defaults() noexcept nogil
cdef lrk_status lrk_step_list_init(lrk_step_list *list, int64_t count, int64_t n_groups) noexcept nogil
cdef void lrk_step_list_free(lrk_step_list *list) noexcept nogil
cdef int64_t lrk_step_list_finalize(lrk_step_list *list, int64_t *other) noexcept nogil
cdef int64_t lrk_step_list_find_overlap(const lrk_step_list *list, const void *address, int64_t bytes) noexcept nogil
cdef void lrk_step_list_balance(lrk_step_list *list) noexcept nogil
cdef void lrk_step_copy(lrk_step_list *list) noexcept nogil
cdef lrk_step_result lrk_step_run(lrk_step_list *list, const lrk_step_options *options) noexcept nogil
cdef int64_t lrk_step_nonfinite(const lrk_step_list *list, int64_t tensor, double *value) noexcept nogil
