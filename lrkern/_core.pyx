# cython: language_level=3, binding=True, embedsignature=True, boundscheck=False
"""Binding of src_c: the active ISA, the thread pool, schedules, plans and fused steps."""

cimport numpy as cnp

cnp.import_array()


cdef extern from "lrkern.h" nogil:
    const int LRK_MAX_THREADS
    int lrk_isa_count()
    const char *lrk_isa_name(int index)
    int lrk_use_isa(const char *name)
    int lrk_set_threads(int n)
    int lrk_get_threads()
    const char *lrk_active_pool()

cdef extern from "isa/dispatch.h" nogil:
    ctypedef struct lrk_plan_kernels:
        int lanes
    ctypedef struct lrk_kernels:
        const char *isa
        const lrk_plan_kernels *plan
    const lrk_kernels *lrk_active()

cdef extern from "runtime/policy.h" nogil:
    ctypedef enum lrk_work:
        LRK_WORK_STEP, LRK_WORK_FILL, LRK_WORK_SCAN
    const int LRK_PIECES_PER_THREAD, LRK_STEP_MIN_PIECE, LRK_STEP_MAX_PIECE, LRK_NORM_BLOCKS_PER_PIECE
    const int LRK_FILL_MIN_TASK, LRK_SCAN_MIN_TASK
    bint lrk_worth_waking(lrk_work work, int64_t amount)
    int64_t lrk_step_traffic(int64_t bytes, int64_t states)


cdef extern from "steps/steps.h" nogil:
    const int LRK_NORM_BLOCK
    const double LRK_NORM_TINY_SUM, LRK_NORM_SCALE


cdef extern from "runtime/stores.h" nogil:
    ctypedef enum lrk_stores:
        LRK_STORES_PLAIN
    lrk_stores lrk_stores_for(int threads, int64_t bytes)


cdef extern from "runtime/threads.h" nogil:
    ctypedef struct lrk_bad_variable:
        const char *name
        const char *rule
    const lrk_bad_variable *lrk_find_bad_variable()
    int lrk_job_threads()


MAX_THREADS = LRK_MAX_THREADS


def isas():
    """Names of the ISAs that this build has and this machine supports, narrowest first."""
    return tuple([lrk_isa_name(i).decode() for i in range(lrk_isa_count())])


def active_isa():
    """Name of the active ISA."""
    return lrk_active().isa.decode()


def active_lanes():
    """Number of doubles in a vector of the active plan kernels."""
    return lrk_active().plan.lanes


def set_isa(str name):
    """Make `name` the active ISA; returns False and changes nothing if it is not one of isas()."""
    return lrk_use_isa(name.encode()) == 0


def set_threads(int n):
    """Let a job use up to `n` threads; returns False and changes nothing outside 1 .. MAX_THREADS."""
    return lrk_set_threads(n) == 0


def get_threads():
    """Maximum number of threads of a job."""
    return lrk_get_threads()


def job_threads():
    """The same, unless the OpenMP runtime in use grants fewer to the calling thread."""
    return lrk_job_threads()


def active_pool():
    """Whose threads jobs of the calling thread use: the file of an OpenMP runtime, or "own"."""
    return lrk_active_pool().decode(errors="surrogateescape")


def _choose_from_environment():
    import os
    wanted = os.environ.get("LRKERN_ISA", "")
    if wanted and not set_isa(wanted):
        raise ImportError(f"lrkern: LRKERN_ISA must be one of {', '.join(isas())}; got {wanted!r}")
    cdef const lrk_bad_variable *bad = lrk_find_bad_variable()
    if bad != NULL:
        name = bad.name.decode()
        raise ImportError(f"lrkern: {name} must be {bad.rule.decode()}; got {os.environ.get(name)!r}")


_choose_from_environment()

# The thread policy of src_c/runtime/policy.h, for engines written in Python.
PIECES_PER_THREAD = LRK_PIECES_PER_THREAD
STEP_MIN_PIECE, STEP_MAX_PIECE = LRK_STEP_MIN_PIECE, LRK_STEP_MAX_PIECE
NORM_BLOCKS_PER_PIECE = LRK_NORM_BLOCKS_PER_PIECE
FILL_MIN_TASK, SCAN_MIN_TASK = LRK_FILL_MIN_TASK, LRK_SCAN_MIN_TASK


def step_in_parallel(int64_t size, int64_t states):
    """Whether a step of `size` bytes of parameters with this number of states is worth several threads."""
    return lrk_get_threads() > 1 and lrk_worth_waking(LRK_WORK_STEP, lrk_step_traffic(size, states))


def fill_in_parallel(int64_t size):
    """Whether a table of this size is worth several threads."""
    return lrk_get_threads() > 1 and lrk_worth_waking(LRK_WORK_FILL, size)


def streams(int threads, int64_t size):
    """Whether an output of so many bytes should be written with streaming stores."""
    return lrk_stores_for(threads, size) != LRK_STORES_PLAIN


def scan_in_parallel(int64_t size):
    """Whether this number of metrics is worth several threads."""
    return lrk_get_threads() > 1 and lrk_worth_waking(LRK_WORK_SCAN, size)


# Elements per block of a norm; the limits of the sum of squares beyond which float64 norms are computed from scaled
# elements, and that scale.
NORM_BLOCK, NORM_TINY_SUM, NORM_SCALE = LRK_NORM_BLOCK, LRK_NORM_TINY_SUM, LRK_NORM_SCALE

# Checks and error texts, registered by modules above this one: `_checks` and `optimizers.arrays`.
HOOKS = {}

include "binding/c_api.pxi"
include "binding/mode.pxi"
include "binding/plan.pxi"
include "binding/scan.pxi"
include "binding/dlpack.pxi"
include "binding/memory.pxi"
include "binding/options.pxi"
include "binding/arrays.pxi"
include "binding/exchange.pxi"
include "binding/tensors.pxi"
include "binding/live.pxi"
include "binding/rules.pxi"
include "binding/steps.pxi"
include "binding/one_array.pxi"
include "binding/shown.pxi"
