# Schedules: nodes of expressions, cached plans, tables. The C side is src_c/lrkern.h.

cimport cython
from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.math cimport floor, isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc

import sys

import numpy as np


cdef extern from "lrkern.h" nogil:
    const int64_t LRK_MAX_STEP
    ctypedef enum lrk_shape:
        LRK_SHAPE_FALL
        LRK_SHAPE_RISE
        LRK_SHAPE_COSINE
        LRK_SHAPE_REX
        LRK_SHAPE_LOGISTIC
        LRK_SHAPE_GEOMETRIC
        LRK_SHAPE_MIRROR_COSINE
        LRK_SHAPE_HARMONIC
        LRK_SHAPE_HARMONIC_COSINE
        LRK_SHAPE_EXPONENTIAL
        LRK_SHAPE_LOGARITHMIC
    ctypedef enum lrk_noise_kind:
        LRK_NOISE_UNIFORM
        LRK_NOISE_NORMAL
    lrk_expr *lrk_constant(double numerator, double denominator)
    lrk_expr *lrk_ramp(lrk_shape shape, double a, double b, int64_t steps, lrk_expr *start, int64_t start_at,
                       lrk_expr *end, int64_t end_at)
    lrk_expr *lrk_power_law(double scale, double offset, double slope, double unit, double power)
    lrk_expr *lrk_exponential(double scale, double rate, double every)
    lrk_expr *lrk_line(double start, double slope, double every)
    lrk_expr *lrk_table(const double *values, int64_t n)
    lrk_expr *lrk_noise(lrk_noise_kind kind, double scale, double limit, uint64_t seed)
    lrk_expr *lrk_sum(lrk_expr *a, lrk_expr *b)
    lrk_expr *lrk_product(lrk_expr *a, lrk_expr *b)
    lrk_expr *lrk_quotient(lrk_expr *a, lrk_expr *b)
    lrk_expr *lrk_power(lrk_expr *a, double power)
    lrk_expr *lrk_clip(lrk_expr *a, double low, double high)
    lrk_expr *lrk_shift(lrk_expr *a, int64_t by)
    lrk_expr *lrk_stretch(lrk_expr *a, double factor, int64_t divisor)
    lrk_expr *lrk_composition(lrk_expr *a, lrk_expr *clock)
    lrk_expr *lrk_staircase(lrk_expr *a, int64_t every, int late)
    lrk_expr *lrk_fractal(lrk_expr *a, int bits)
    lrk_expr *lrk_join(lrk_expr *const *parts, const double *boundaries, const unsigned char *after, int64_t n)
    lrk_expr *lrk_repeat(lrk_expr *a, int64_t period, int64_t times, double gain, double power, int late)
    lrk_expr *lrk_restarts(lrk_expr *ramp, double growth, double gain, double rest, lrk_expr *rise)
    int lrk_is_ramp(const lrk_expr *e)
    void lrk_expr_release(lrk_expr *e)
    int64_t lrk_expr_size(const lrk_expr *e)
    double lrk_expr_fastest(const lrk_expr *e)
    lrk_status lrk_expr_beginning(const lrk_expr *e, int64_t t, double *value)
    int lrk_clock_follow(const lrk_expr *clock, int64_t *at)
    int64_t lrk_clock_arrival(const lrk_expr *clock, int64_t time)
    lrk_status lrk_expr_value(const lrk_expr *e, double t, double *value)
    void lrk_expr_segment(const lrk_expr *e, int64_t t, int64_t *begin, int64_t *end)
    lrk_status lrk_plan_compile(const lrk_expr *e, int64_t horizon, int64_t max_pieces, int64_t ahead, lrk_plan *plan)
    lrk_status lrk_plan_compile_part(const lrk_expr *e, int64_t start, int64_t horizon, int64_t max_pieces, lrk_plan *plan)
    int lrk_needs_plan(const lrk_expr *e)
    void lrk_plan_free(lrk_plan *plan)
    lrk_status lrk_fill_rows(lrk_expr **rows, int64_t n_rows, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                             int64_t *overflow_row, int64_t *overflow_at)

MAX_STEP = LRK_MAX_STEP
MAX_DEPTH = 100  # levels of nested brackets in the text of an expression
MAX_SIZE = 1_000_000  # nodes, shared ones counted at every use: the work of one evaluation
MAX_FASTEST = 2.0**100  # steps of local time per step
FOREVER = 2**63 - 1  # `times` of an endless repeat

# Compiled pieces that a schedule keeps (136 bytes each). Later steps are compiled at each request.
cdef int64_t MAX_PIECES = 1 << 16
cdef int64_t FIRST_HORIZON = 1 << 12
# Pieces compiled ahead, so that most schedules are compiled only once.
cdef int64_t PIECES_AHEAD = 64

cdef dict SHAPES = {
    "fall": LRK_SHAPE_FALL,
    "rise": LRK_SHAPE_RISE,
    "cosine": LRK_SHAPE_COSINE,
    "rex": LRK_SHAPE_REX,
    "logistic": LRK_SHAPE_LOGISTIC,
    "geometric": LRK_SHAPE_GEOMETRIC,
    "mirror_cosine": LRK_SHAPE_MIRROR_COSINE,
    "harmonic": LRK_SHAPE_HARMONIC,
    "harmonic_cosine": LRK_SHAPE_HARMONIC_COSINE,
    "exponential": LRK_SHAPE_EXPONENTIAL,
    "logarithmic": LRK_SHAPE_LOGARITHMIC,
}

cdef dict NOISES = {"uniform": LRK_NOISE_UNIFORM, "normal": LRK_NOISE_NORMAL}


@cython.final
cdef class Node:
    """A node of an expression: immutable, created by the functions below from checked arguments."""

    cdef lrk_expr *expr

    def __init__(self):
        raise TypeError("_core: nodes are created by the functions of this module")

    def __dealloc__(self):
        lrk_expr_release(self.expr)


cdef Node wrap(lrk_expr *expr):
    if expr == NULL:
        raise MemoryError("lrkern: out of memory while building a schedule")
    cdef Node node = Node.__new__(Node)
    node.expr = expr
    if lrk_expr_size(expr) > MAX_SIZE:
        raise ValueError(f"schedule: expressions may have {MAX_SIZE} nodes at most, counting shared ones at every use")
    if lrk_expr_fastest(expr) > MAX_FASTEST:
        raise ValueError("schedule: stretches must not multiply to less than 2**-100")
    return node


def constant(double numerator, double denominator=1.0):
    """numerator/denominator, exactly."""
    return wrap(lrk_constant(numerator, denominator))


def ramp(str shape, double a, double b, int64_t steps, Node start not None, int64_t start_at, Node end not None, int64_t end_at):
    """From start(start_at) to end(end_at) over `steps` steps, then held; shapes: see lrk_shape."""
    return wrap(lrk_ramp(<lrk_shape><int>SHAPES[shape], a, b, steps, start.expr, start_at, end.expr, end_at))


def ramp_between(str shape, double a, double b, int64_t steps, double start, double end):
    """The same between two numbers."""
    cdef lrk_expr *first = lrk_constant(start, 1.0)
    cdef lrk_expr *last = lrk_constant(end, 1.0)
    cdef lrk_expr *result = NULL
    if first != NULL and last != NULL:
        result = lrk_ramp(<lrk_shape><int>SHAPES[shape], a, b, steps, first, 0, last, 0)
    lrk_expr_release(first)
    lrk_expr_release(last)
    return wrap(result)


def power_law(double scale, double offset, double slope, double unit, double power):
    """scale ((offset + slope t)/unit)^power."""
    return wrap(lrk_power_law(scale, offset, slope, unit, power))


def exponential(double scale, double rate, double every):
    """scale rate^(t/every)."""
    return wrap(lrk_exponential(scale, rate, every))


def line(double start, double slope, double every):
    """start + slope t/every."""
    return wrap(lrk_line(start, slope, every))


def table(values):
    """values[floor(t)], and the last one after the end."""
    cdef const double[::1] view = np.ascontiguousarray(values, np.float64)
    return wrap(lrk_table(&view[0], view.shape[0]))


def noise(str kind, double scale, double limit, uint64_t seed):
    """scale z, with a random number z for the seed and floor(t); for normal z, only |z| < limit."""
    return wrap(lrk_noise(<lrk_noise_kind><int>NOISES[kind], scale, limit, seed))


def add(Node a not None, Node b not None):
    """a(t) + b(t)."""
    return wrap(lrk_sum(a.expr, b.expr))


def multiply(Node a not None, Node b not None):
    """a(t) b(t)."""
    return wrap(lrk_product(a.expr, b.expr))


def divide(Node a not None, Node b not None):
    """a(t)/b(t)."""
    return wrap(lrk_quotient(a.expr, b.expr))


def power(Node a not None, double power):
    """a(t)^power."""
    return wrap(lrk_power(a.expr, power))


def composition(Node a not None, Node clock not None):
    """a(clock(t))."""
    return wrap(lrk_composition(a.expr, clock.expr))


def follow_clock(Node clock not None):
    """(1 if the clock is piecewise linear and never decreases, 0 if unknown, else -1; the step where it decreases)."""
    cdef int64_t at = 0
    cdef int sound
    with nogil:
        sound = lrk_clock_follow(clock.expr, &at)
    return sound, at


def clock_arrival(Node clock not None, int64_t time):
    """The first step at which the clock reaches `time`, or -1."""
    cdef int64_t step
    with nogil:
        step = lrk_clock_arrival(clock.expr, time)
    return step


def clip(Node a not None, double low, double high):
    """a(t), clipped to low .. high."""
    return wrap(lrk_clip(a.expr, low, high))


def shift(Node a not None, int64_t by):
    """a(max(t - by, 0))."""
    return wrap(lrk_shift(a.expr, by))


def stretch(Node a not None, double factor, int64_t divisor=1):
    """a(t divisor/factor)."""
    return wrap(lrk_stretch(a.expr, factor, divisor))


def staircase(Node a not None, int64_t every, bint late=False):
    """a(every floor(t/every)); `late`: a multiple of `every` belongs to the stair before it."""
    return wrap(lrk_staircase(a.expr, every, late))


def fractal(Node a not None, int bits):
    """a(p(floor(t))), repeated: p is the fractal permutation of 0 ... 2^bits - 1."""
    return wrap(lrk_fractal(a.expr, bits))


def join(list nodes, list boundaries, list after=None):
    """nodes[i](t - boundaries[i - 1]) from boundaries[i - 1] to boundaries[i], which is included if after[i]."""
    cdef int64_t n = len(nodes)
    cdef lrk_expr **parts = <lrk_expr **>malloc(n * sizeof(lrk_expr *))
    cdef double *bounds = <double *>malloc(n * sizeof(double))
    cdef unsigned char *sides = <unsigned char *>malloc(n)
    cdef lrk_expr *result = NULL
    cdef int64_t i
    try:
        if parts != NULL and bounds != NULL and sides != NULL:
            for i in range(n):
                parts[i] = (<Node?>nodes[i]).expr
                if i < n - 1:
                    bounds[i] = boundaries[i]
                    sides[i] = after is not None and after[i]
            result = lrk_join(parts, bounds, sides, n)
    finally:
        free(parts)
        free(bounds)
        free(sides)
    return wrap(result)


def repeat(Node a not None, int64_t period, int64_t times, double gain, double power=1.0, bint late=False):
    """gain^(power i) a(t - i period), i = min(floor(t/period), times - 1); `late`: a multiple is in the cycle before."""
    return wrap(lrk_repeat(a.expr, period, times, gain, power, late))


def is_ramp(Node a not None):
    """Whether the node is a single ramp."""
    return bool(lrk_is_ramp(a.expr))


def restarts(Node ramp not None, double growth, double gain, double rest, Node rise=None):
    """Cycle i is the ramp from gain^i its start, stretched by growth^i, after an optional warm-up; `rest` after the last."""
    return wrap(lrk_restarts(ramp.expr, growth, gain, rest, NULL if rise is None else rise.expr))


@cython.final
cdef class CompiledPlan:
    """A plan cached by a schedule; immutable, so threads may share it."""

    def __dealloc__(self):
        lrk_plan_free(&self.plan)


cdef CompiledPlan compile_plan(const lrk_expr *expr, int64_t horizon, int64_t max_pieces, int64_t ahead):
    cdef CompiledPlan compiled = CompiledPlan.__new__(CompiledPlan)
    cdef lrk_status status
    with nogil:
        status = lrk_plan_compile(expr, horizon, max_pieces, ahead, &compiled.plan)
    if status == LRK_ERROR_MEMORY:
        raise MemoryError("lrkern: out of memory while compiling a schedule")
    return compiled


cdef CompiledPlan compile_part(const lrk_expr *expr, int64_t start, int64_t horizon):
    cdef CompiledPlan compiled = CompiledPlan.__new__(CompiledPlan)
    cdef lrk_status status
    with nogil:
        status = lrk_plan_compile_part(expr, start, horizon, MAX_PIECES, &compiled.plan)
    if status == LRK_ERROR_MEMORY:
        raise MemoryError("lrkern: out of memory while compiling a schedule")
    return compiled


cdef CompiledPlan plan_of(schedule, int64_t horizon):
    """For other Cython modules: a plan that covers at least the steps before `horizon`."""
    cdef CompiledPlan compiled
    if not 1 <= horizon <= LRK_MAX_STEP:
        raise ValueError(f"plan_of: horizon must be an integer from 1 to 2**53; got {horizon}")
    compiled = compile_plan(expression_of(schedule), horizon, MAX_PIECES, MAX_PIECES)
    if compiled.plan.overflow_at >= 0 and compiled.plan.end < horizon:
        raise _overflow(expression_of(schedule), compiled.plan.overflow_at)
    if not lrk_plan_covers(&compiled.plan, horizon - 1):
        most = f"{compiled.plan.end}, where the plan reaches the limit of {compiled.plan.n_pieces} pieces"
        raise ValueError(f"plan_of: horizon must be <= {most}; got {horizon}")
    return compiled


cdef lrk_expr *expression_of(schedule) except NULL:
    """For other Cython modules: the expression of a schedule, which keeps it alive."""
    if not isinstance(schedule, Expression):
        raise TypeError(f"schedule must be a Schedule; got {type(schedule).__name__}")
    return (<Expression>schedule).node.expr


cdef bint grows(const lrk_plan *plan, int64_t max_pieces) noexcept:
    """Whether a longer horizon could cover more steps."""
    return plan.period == 0 and plan.overflow_at < 0 and plan.n_pieces < max_pieces


cdef _overflow(const lrk_expr *expr, double step):
    """The error for a step without a finite value."""
    cdef double value = 0.0
    lrk_expr_value(expr, step, &value)
    return _no_value("schedule: the value", int(step) if step == floor(step) else step, value)


def _no_value(str what, step, double value):
    if value != value:
        return ZeroDivisionError(f"{what} at step {step} is not defined: a division by zero or a power of a negative number")
    return OverflowError(f"{what} at step {step} is beyond the range of float64")


cdef int depth_of(tuple args):
    """An upper bound of the nesting of brackets in the text of an expression with these arguments.

    Printing, parsing, comparing, pickling and compiling expressions recurse, and this bounds all of them. `name([values])` has
    two levels, a join adds two around each part, everything else at most one around its operand.
    """
    cdef int depth = 2
    for arg in args:
        if isinstance(arg, Expression):
            depth = max(depth, (<Expression>arg).depth + 1)
        elif isinstance(arg, tuple):
            for part in arg:
                if not isinstance(part, Expression):
                    break
                depth = max(depth, (<Expression>part).depth + 2)
    return depth


cdef class Expression:
    """The contents of a Schedule: its node, its call (`name`, `args`), its length, and its plan so far."""

    cdef readonly Node node
    cdef readonly str name
    cdef readonly tuple args
    cdef readonly object steps
    cdef CompiledPlan compiled
    cdef readonly int depth  # of brackets in its text

    def __cinit__(self, str name not None, tuple args not None, Node node not None, steps, int depth=0):
        self.name = name
        self.args = args
        self.node = node
        self.steps = steps
        self.compiled = None
        self.depth = max(depth_of(args), depth)
        if self.depth > MAX_DEPTH:
            raise ValueError(f"schedule: expressions may be nested {MAX_DEPTH} deep at most; got {self.depth}")

    cdef CompiledPlan planned(self, int64_t horizon):
        """The plan, extended to cover at least `horizon` steps if possible."""
        cdef CompiledPlan compiled = self.compiled
        cdef int64_t most = MAX_PIECES if lrk_needs_plan(self.node.expr) else 0
        if compiled is None or (compiled.plan.end < horizon and grows(&compiled.plan, most)):
            horizon = max(horizon, FIRST_HORIZON if compiled is None else min(2 * compiled.plan.end, MAX_STEP + 1))
            compiled = compile_plan(self.node.expr, horizon, most, PIECES_AHEAD)
            self.compiled = compiled
        return compiled

    cdef double at(self, int64_t t) except? -1.0:
        cdef CompiledPlan compiled = self.compiled
        cdef int64_t where = 0
        cdef double value
        if compiled is not None:
            value = lrk_plan_value(&compiled.plan, t)
            if value == value:  # NaN: the plan does not cover the step
                return value
        compiled = self.planned(t + 1)
        if lrk_lookup(self.node.expr, &compiled.plan, &t, 1, &value, &where) != LRK_OK:
            raise _overflow(self.node.expr, t)
        return value

    cdef double between(self, double t) except? -1.0:
        """The value at a real step."""
        cdef double value
        if t == floor(t):
            return self.at(<int64_t>t)
        if lrk_expr_value(self.node.expr, t, &value) != LRK_OK:
            raise _overflow(self.node.expr, t)
        return value

    def __call__(self, step):
        cdef int overflow = 0
        cdef int64_t t
        cdef double x
        if type(step) is int:
            t = PyLong_AsLongLongAndOverflow(step, &overflow)
            if overflow == 0 and 0 <= t <= LRK_MAX_STEP:
                return self.at(t)
        elif type(step) is float:
            x = step
            if 0.0 <= x <= LRK_MAX_STEP:
                return self.between(x)
        return self._call_any(step)

    def _call_steps(self, steps, out):
        """out[i] = value at steps[i], int64, both 1-D and contiguous; False, and nothing written, if one is out of range."""
        cdef const int64_t[::1] t = steps
        cdef double[::1] values = out
        cdef int64_t n = t.shape[0], where = 0, i, horizon = 0, least = 0
        cdef lrk_status status
        cdef CompiledPlan compiled
        if n == 0:
            return True
        with nogil:
            for i in range(n):
                horizon = max(horizon, t[i])
                least = min(least, t[i])
        if least < 0 or horizon > LRK_MAX_STEP:
            return False
        compiled = self.planned(horizon + 1)
        with nogil:
            status = lrk_lookup(self.node.expr, &compiled.plan, &t[0], n, &values[0], &where)
        if status != LRK_OK:
            raise _overflow(self.node.expr, where)
        return True

    def _call_reals(self, steps, out):
        """The same for float64 steps."""
        cdef const double[::1] t = steps
        cdef double[::1] values = out
        cdef int64_t n = t.shape[0], i, step = 0, horizon = 0, where = 0
        cdef double x = 0.0
        cdef bint in_range = True
        cdef lrk_status status = LRK_OK
        cdef CompiledPlan compiled
        with nogil:
            for i in range(n):
                in_range = in_range and 0.0 <= t[i] <= LRK_MAX_STEP
                if in_range and t[i] == floor(t[i]):
                    horizon = max(horizon, <int64_t>t[i])
        if not in_range:
            return False
        compiled = self.planned(horizon + 1)
        with nogil:
            for i in range(n):
                x = t[i]
                if not 0.0 <= x <= LRK_MAX_STEP:  # changed by another thread meanwhile
                    in_range = False
                    break
                step = <int64_t>x
                if x == step:  # as in `between`
                    status = lrk_lookup(self.node.expr, &compiled.plan, &step, 1, &values[i], &where)
                else:
                    status = lrk_expr_value(self.node.expr, x, &values[i])
                if status != LRK_OK:
                    break
        if status != LRK_OK:
            raise _overflow(self.node.expr, x)
        return in_range

    def _fill(self, cnp.ndarray out, int64_t start):
        """Fill a checked 1-D array with values from step `start` on."""
        held = hold("table", "out", out)  # until the end
        cdef int64_t n = out.shape[0], where = 0
        cdef lrk_dtype dtype = LRK_FLOAT64 if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT64 else LRK_FLOAT32
        cdef void *data = cnp.PyArray_DATA(out)
        cdef CompiledPlan compiled = self.planned(start + n)
        cdef lrk_status status
        if compiled.plan.overflow_at >= 0 and start + n > compiled.plan.overflow_at and start <= compiled.plan.overflow_at:
            raise _overflow(self.node.expr, compiled.plan.overflow_at)
        with nogil:
            status = lrk_fill(self.node.expr, &compiled.plan, start, n, data, dtype, &where)
        if status != LRK_OK:
            raise _overflow(self.node.expr, where)

    def _beginning(self, int64_t t=0):
        """The value at step t; if a phase of 0 steps lies at t, the start value of that phase."""
        cdef double value
        if lrk_expr_beginning(self.node.expr, t, &value) != LRK_OK:
            raise _overflow(self.node.expr, t)
        return value

    def _joints(self, int64_t start, int64_t stop, int64_t at_most):
        """The first `at_most` steps within [start, stop) at which a new formula begins.

        These are joins, restarts, jumps, ends of ramps; in between the schedule is smooth, except for the corners of clips.
        """
        cdef list joints = []
        cdef int64_t begin = 0, end = 0
        lrk_expr_segment(self.node.expr, start, &begin, &end)
        while end < stop and len(joints) < at_most:
            joints.append(end)
            lrk_expr_segment(self.node.expr, end, &begin, &end)
        return joints

    def _plan_arrays(self, int64_t horizon, int64_t start=-1):
        """(breaks, center, coef, tail_start, period) of a plan for `horizon` steps, see lrkern.Plan.

        start >= 0: of a plan that begins with the piece of step `start` and has no period.
        """
        cdef CompiledPlan compiled
        if start < 0:
            compiled = compile_plan(self.node.expr, horizon, MAX_PIECES, MAX_PIECES)
        else:
            compiled = compile_part(self.node.expr, start, horizon)
        cdef const lrk_plan *plan = &compiled.plan
        if plan.overflow_at >= 0 and plan.end < horizon:
            raise _overflow(self.node.expr, plan.overflow_at)
        cdef int64_t n = plan.n_pieces, i
        cdef int k
        cdef cnp.npy_intp after = n + 1
        cdef cnp.npy_intp *shape = [n, 15]
        cdef cnp.ndarray breaks = cnp.PyArray_SimpleNew(1, &after, cnp.NPY_INT64)
        cdef cnp.ndarray center = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_INT64)
        cdef cnp.ndarray coef = cnp.PyArray_SimpleNew(2, shape, cnp.NPY_DOUBLE)
        cdef int64_t *begins = <int64_t *>cnp.PyArray_DATA(breaks)
        cdef int64_t *centers = <int64_t *>cnp.PyArray_DATA(center)
        cdef double *row = <double *>cnp.PyArray_DATA(coef)
        for i in range(n):
            begins[i] = plan.pieces[i].begin
            centers[i] = plan.pieces[i].center
            for k in range(12):
                row[k] = plan.pieces[i].c[k]
            row[12] = plan.pieces[i].scale
            row[13] = plan.pieces[i].magic
            row[14] = plan.pieces[i].unscale
            row += 15
        begins[n] = plan.end
        return breaks, center, coef, plan.tail_start, plan.period


def fill_rows(list schedules, cnp.ndarray out, int64_t start):
    """out[i] = values of schedules[i] from step `start` on; out is a checked 2-D array."""
    held = hold("tables", "out", out)  # until the end
    cdef int64_t n_rows = out.shape[0], n = out.shape[1], i, row = 0, where = 0
    cdef lrk_dtype dtype = LRK_FLOAT64 if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT64 else LRK_FLOAT32
    cdef void *data = cnp.PyArray_DATA(out)
    cdef lrk_status status
    cdef double value
    if n_rows == 0 or n == 0:
        return
    cdef lrk_expr **rows = <lrk_expr **>malloc(n_rows * sizeof(lrk_expr *))
    if rows == NULL:
        raise MemoryError("lrkern: out of memory in tables")
    try:
        for i in range(n_rows):
            rows[i] = (<Expression?>schedules[i]).node.expr
        with nogil:
            status = lrk_fill_rows(rows, n_rows, start, n, data, dtype, &row, &where)
    finally:
        free(rows)
    if status != LRK_OK:
        value = 0.0
        lrk_expr_value((<Expression>schedules[row]).node.expr, <double>where, &value)
        raise _no_value(f"tables: the value of schedules[{row}]", where, value)
