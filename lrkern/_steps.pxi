# Fused optimizer steps: lists of NumPy arrays, checked here, stepped by src_c/steps.c.

from cpython.pythread cimport (
    NOWAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free


cdef extern from "steps.h" nogil:
    ctypedef enum lrk_rule:
        LRK_RULE_sgd
        LRK_RULE_sgd_momentum

    ctypedef struct lrk_step_tensor:
        void *param
        const void *grad
        void **states
        int64_t size
        int dtype
        int first

    ctypedef struct lrk_step_list:
        lrk_step_tensor *tensors
        int64_t count

    ctypedef struct lrk_sgd_coefs:
        pass

    const int LRK_MAX_STATES
    const int LRK_STEP_FLOAT32 "LRK_FLOAT32"
    const int LRK_STEP_FLOAT64 "LRK_FLOAT64"

    int lrk_step_list_init(lrk_step_list *list, int64_t count)
    void lrk_step_list_free(lrk_step_list *list)
    int64_t lrk_step_list_seal(lrk_step_list *list, int64_t *other)
    int64_t lrk_step_list_hit(const lrk_step_list *list, const void *address, int64_t bytes)
    int64_t lrk_step_bytes(const lrk_step_tensor *tensor)
    const char *lrk_step_run(const lrk_step_list *list, lrk_rule rule, const void *coefs)
    lrk_sgd_coefs lrk_sgd_coefficients(double lr, double momentum, double dampening, double weight_decay, bint nesterov,
                                       bint decoupled, bint maximize)


cdef inline bint _fits_param(object array):
    """Whether a step can write to this array as a parameter."""
    if not cnp.PyArray_Check(array):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>array)
    return (
        (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE)
        and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>array)
        and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>array)
        and (cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>array) or cnp.PyArray_IS_F_CONTIGUOUS(<cnp.ndarray>array))
    )


cdef inline bint _matches(object array, cnp.ndarray param):
    """Whether the elements of this array lie in memory as those of `param` do."""
    if not cnp.PyArray_Check(array):
        return False
    cdef cnp.ndarray other = <cnp.ndarray>array
    return (
        cnp.PyArray_TYPE(other) == cnp.PyArray_TYPE(param)
        and cnp.PyArray_ISNOTSWAPPED(other)
        and cnp.PyArray_SAMESHAPE(other, param)
        and (
            (cnp.PyArray_IS_C_CONTIGUOUS(other) and cnp.PyArray_IS_C_CONTIGUOUS(param))
            or (cnp.PyArray_IS_F_CONTIGUOUS(other) and cnp.PyArray_IS_F_CONTIGUOUS(param))
        )
    )


cdef class StepList:
    """The tensors of an optimizer: parameters and states checked when made, gradients when they come.

    `where` names the function in errors, and label(kind, index) an array: kind is "param", "grad" or one of `state_kinds`.
    `states` holds one list of arrays per state kind, each as long as `params`. `first` says whether the states hold nothing yet.
    """

    cdef lrk_step_list list
    cdef const void **staged
    cdef object where, label
    cdef tuple state_kinds
    cdef list params, states
    cdef list bound  # keeps bound gradients alive
    cdef bint any_first
    cdef const char *isa
    cdef PyThread_type_lock lock

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError

    def __init__(self, where, label, list params, tuple state_kinds=(), list states=None, bint first=True):
        if self.params is not None:
            raise RuntimeError("a StepList is made once")
        cdef int64_t i, other, n = len(params)
        cdef int s
        if len(states or ()) != len(state_kinds) or any(len(one) != n for one in states or ()):
            raise ValueError("states must have one list per kind, each as long as params")
        self.where, self.label, self.state_kinds = where, label, state_kinds
        self.params, self.states = list(params), [list(one) for one in states or ()]
        self.any_first = first
        self.staged = <const void **>calloc(n + 1, sizeof(void *))
        if self.staged == NULL or lrk_step_list_init(&self.list, n) < 0:
            raise MemoryError
        cdef lrk_step_tensor *tensor
        for i in range(n):
            param = self.params[i]
            if not _fits_param(param):
                self._refuse("param", i, param, True)
            tensor = &self.list.tensors[i]
            tensor.param = cnp.PyArray_DATA(<cnp.ndarray>param)
            tensor.size = cnp.PyArray_SIZE(<cnp.ndarray>param)
            tensor.dtype = LRK_STEP_FLOAT32 if cnp.PyArray_TYPE(<cnp.ndarray>param) == cnp.NPY_FLOAT else LRK_STEP_FLOAT64
            tensor.first = first
            for s in range(len(self.states)):
                state = self.states[s][i]
                if not _matches(state, param) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>state):
                    self._refuse(state_kinds[s], i, state, True)
                tensor.states[s] = cnp.PyArray_DATA(<cnp.ndarray>state)
        i = lrk_step_list_seal(&self.list, &other)
        if i >= 0:
            self._refuse_overlap([i, other], None)

    def __dealloc__(self):
        lrk_step_list_free(&self.list)
        free(<void *>self.staged)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    @property
    def isa(self):
        """Name of the ISA whose kernels the last step ran on; None before the first one."""
        return None if self.isa == NULL else self.isa.decode()

    def get_first(self):
        """For each tensor, whether its states hold nothing yet."""
        return [bool(self.list.tensors[i].first) for i in range(self.list.count)]

    def set_first(self, list first):
        """Restore what get_first gave."""
        self._acquire(first)
        try:
            for i in range(self.list.count):
                self.list.tensors[i].first = bool(first[i])
            self.any_first = True
        finally:
            PyThread_release_lock(self.lock)

    def bind(self, list grads):
        """Check the gradients, and keep the list for steps that are given none."""
        self._acquire(grads)
        try:
            self._take(grads)
            self.bound = grads
        finally:
            PyThread_release_lock(self.lock)

    def sgd(self, list grads, double lr, double momentum, double dampening, double weight_decay, bint nesterov,
            bint decoupled, bint maximize):
        """One step of SGD with these gradients (None: the bound ones); with momentum if there is a state."""
        cdef lrk_sgd_coefs coefs = lrk_sgd_coefficients(lr, momentum, dampening, weight_decay, nesterov, decoupled, maximize)
        self._run(grads, LRK_RULE_sgd_momentum if self.states else LRK_RULE_sgd, &coefs)

    cdef _run(self, list grads, lrk_rule rule, const void *coefs):
        self._acquire(grads)
        try:
            if grads is not None:
                self._take(grads)
                self.bound = None
            elif self.bound is None:
                raise ValueError(f"{self.where}: grads are needed: pass them to step(), or bind() them before")
            with nogil:
                self.isa = lrk_step_run(&self.list, rule, coefs)
            if self.any_first:
                self._end_first()
        finally:
            PyThread_release_lock(self.lock)

    cdef _end_first(self):
        self.any_first = False
        for i in range(self.list.count):
            if self.list.tensors[i].grad != NULL:
                self.list.tensors[i].first = False
            elif self.list.tensors[i].first:
                self.any_first = True

    cdef _acquire(self, list values):
        """Lock out other threads; `values` are to be one per tensor."""
        if self.params is None or (values is not None and len(values) != len(self.params)):
            raise ValueError("values must be as many as params")
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            raise RuntimeError(f"{self.where}: another thread is in the middle of a step of this optimizer")

    cdef _take(self, list grads):
        """Check all gradients, then make the C list use them."""
        cdef int64_t i, other, n = self.list.count
        cdef lrk_step_tensor *tensor
        cdef cnp.ndarray array
        for i in range(n):
            grad = grads[i]
            tensor = &self.list.tensors[i]
            if grad is None:
                self.staged[i] = NULL
                continue
            if not _matches(grad, <cnp.ndarray>self.params[i]):
                self._refuse("grad", i, grad, False)
            array = <cnp.ndarray>grad
            self.staged[i] = cnp.PyArray_DATA(array)
            if self.staged[i] != tensor.grad:
                other = lrk_step_list_hit(&self.list, self.staged[i], lrk_step_bytes(tensor))
                if other >= 0:
                    self._refuse_overlap([other], (i, grad))
        for i in range(n):
            self.list.tensors[i].grad = self.staged[i]

    cdef _refuse(self, kind, index, array, written):
        from lrkern import _checks
        if kind == "param":
            raise _checks.array_error(self.where, self.label(kind, index), array, written=written)
        raise _checks.array_error(self.where, self.label(kind, index), array, written=written,
                                  like=self.params[index], like_name=self.label("param", index))

    cdef _refuse_overlap(self, tensors, grad):
        from lrkern import _checks
        arrays = []
        for i in sorted(set(tensors)):
            arrays.append((self.label("param", i), self.params[i], True))
            arrays.extend((self.label(kind, i), one[i], True) for kind, one in zip(self.state_kinds, self.states))
        if grad is not None:
            arrays.append((self.label("grad", grad[0]), grad[1], False))
        raise _checks.overlap_error(self.where, arrays)
