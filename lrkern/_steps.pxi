# Fused optimizer steps: lists of NumPy arrays, checked here, stepped by src_c/steps.c.

from cpython.pythread cimport (
    NOWAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdint cimport int16_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

cdef extern from "numpy/ndarraytypes.h":
    const int NPY_HALF, NPY_USERDEF


cdef extern from "steps.h" nogil:
    const int LRK_N_RULES, LRK_MAX_STATES, LRK_MAX_INPUTS, LRK_N_ROLES

    ctypedef struct lrk_step_span:
        uintptr_t begin, end
        int64_t tensor

    int64_t lrk_step_spans_clash(lrk_step_span *spans, int64_t count, int64_t *other)
    int64_t lrk_storage_bytes(int type)
    const char *lrk_rule_name(lrk_rule rule)
    const char *lrk_rule_inputs(lrk_rule rule)


# name of a rule -> names of its inputs, in the order that C expects
RULES = {lrk_rule_name(rule).decode(): tuple(lrk_rule_inputs(rule).decode().split()) for rule in range(LRK_N_RULES)}

cdef dict RULE_NUMBERS = {name: number for number, name in enumerate(RULES)}
# arrays and storages, as C and `StepList.layout` number them; the states follow the first one
ROLES = {
    "param": LRK_PARAM, "grad": LRK_GRAD, "state": LRK_STATE, "ema_param": LRK_EMA, "copy_to": LRK_COPY,
    "remainder": LRK_REMAINDER,
}
STORAGES = {"float32": LRK_F32, "float64": LRK_F64, "bfloat16": LRK_BF16, "float16": LRK_F16}

cdef dict ROUNDINGS = {"nearest": LRK_NEAREST, "stochastic": LRK_STOCHASTIC, "split": LRK_SPLIT}

# NumPy's number for ml_dtypes' bfloat16, once it has been met.
cdef int bfloat16_number = -1


cdef int storage_of(cnp.ndarray array, bint halves) except -2:
    """How the elements of an array are stored, or -1 if no step can work on them. `halves`: uint16 holds bfloat16."""
    global bfloat16_number
    cdef int number = cnp.PyArray_TYPE(array)
    if not cnp.PyArray_ISNOTSWAPPED(array):
        return -1
    if not cnp.PyArray_CheckExact(array) and isinstance(array, np.ma.MaskedArray):
        return -1
    if number == cnp.NPY_FLOAT:
        return LRK_F32
    if number == cnp.NPY_DOUBLE:
        return LRK_F64
    if number == NPY_HALF:
        return LRK_F16
    if number == bfloat16_number or (halves and number == cnp.NPY_USHORT):
        return LRK_BF16
    if number >= NPY_USERDEF and array.dtype.name == "bfloat16":
        bfloat16_number = number
        return LRK_BF16
    return -1


cdef bint is_dense(cnp.ndarray array):
    """Whether the elements lie in memory one after the other, in whatever order of the axes."""
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array):
        return True
    cdef cnp.npy_intp expected = cnp.PyArray_ITEMSIZE(array)
    cdef int axis, step
    for step in range(cnp.PyArray_NDIM(array)):
        # The axis whose neighbours are `expected` bytes apart; axes of length 1 lie anywhere.
        for axis in range(cnp.PyArray_NDIM(array)):
            if cnp.PyArray_DIM(array, axis) > 1 and cnp.PyArray_STRIDE(array, axis) == expected:
                expected *= cnp.PyArray_DIM(array, axis)
                break
    return expected == cnp.PyArray_ITEMSIZE(array) * cnp.PyArray_SIZE(array)


cdef bint lies_like(cnp.ndarray array, cnp.ndarray param):
    """Whether element i of one is element i of the other, counted along memory; `param` is dense."""
    cdef int axis
    if not cnp.PyArray_SAMESHAPE(array, param):
        return False
    if cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_IS_C_CONTIGUOUS(param):
        return True
    for axis in range(cnp.PyArray_NDIM(param)):
        if cnp.PyArray_DIM(param, axis) > 1 and (
            cnp.PyArray_STRIDE(array, axis) * cnp.PyArray_ITEMSIZE(param)
            != cnp.PyArray_STRIDE(param, axis) * cnp.PyArray_ITEMSIZE(array)
        ):
            return False
    return True


cdef struct gradient:
    void *data
    int type
    bint is_sparse
    lrk_step_sparse sparse


cdef class StepList:
    """The tensors of an optimizer: parameters and all that is written along with them checked when made, gradients when they come.

    Made from a `lrkern.backends.StepTensors`, which says what is what.
    """

    cdef lrk_step_list list
    cdef lrk_step_options options
    cdef gradient *staged
    cdef lrk_step_sparse *sparse
    cdef lrk_step_span *spans
    cdef readonly object where
    cdef object label, as_gradient
    cdef readonly list params, groups, group_of, row_lrs
    cdef dict written  # kind -> arrays
    cdef readonly list bound  # keeps bound gradients alive
    cdef bint halves, any_sparse
    cdef readonly double grad_norm
    cdef readonly int64_t count, skipped
    cdef const char *isa
    cdef PyThread_type_lock lock

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError

    def __init__(self, tensors):
        if self.params is not None:
            raise RuntimeError("a StepList is made once")
        cdef list params, groups, group_of, row_lrs
        cdef dict states, others
        self.where, self.label, params, groups, group_of, states, others, row_lrs, self.halves, self.as_gradient = tensors
        cdef int64_t i, other, n = len(params)
        cdef int s
        cdef cnp.ndarray array
        cdef lrk_step_tensor *tensor
        self.params, self.groups, self.group_of, self.row_lrs = list(params), groups, group_of, row_lrs or [None] * n
        self.written = states | others
        for arrays in self.written.values():
            if len(arrays) != n:
                raise ValueError("states must have one list per kind, each as long as params")
        if len(states) > LRK_MAX_STATES or len(group_of) != n:
            raise ValueError("states must be few, group_of as long as params")
        self.staged = <gradient *>calloc(n + 1, sizeof(gradient))
        self.spans = <lrk_step_span *>calloc(n + 1, sizeof(lrk_step_span))
        self.sparse = <lrk_step_sparse *>calloc(n + 1, sizeof(lrk_step_sparse))
        if self.staged == NULL or self.spans == NULL or self.sparse == NULL or lrk_step_list_init(&self.list, n, len(groups)) != LRK_OK:
            raise MemoryError
        for i in range(self.list.n_groups):
            self.list.groups[i].rule = RULE_NUMBERS[groups[i]]
        for i in range(n):
            if not self._fits(self.params[i]):
                self._refuse("param", i, self.params[i])
            array = <cnp.ndarray>self.params[i]
            tensor = &self.list.tensors[i]
            tensor.data[LRK_PARAM] = cnp.PyArray_DATA(array)
            tensor.type[LRK_PARAM] = storage_of(array, self.halves)
            tensor.size = cnp.PyArray_SIZE(array)
            tensor.width = 1 if array.ndim == 0 else tensor.size // max(1, array.shape[0])
            tensor.group = group_of[i]
            s = LRK_STATE
            for kind, arrays in states.items():
                self._written(kind, s, i, arrays[i])
                s += 1
            for kind, arrays in others.items():
                self._written(kind, ROLES[kind], i, arrays[i])
            if self.row_lrs[i] is not None:
                tensor.row_lrs = <const double *>cnp.PyArray_DATA(<cnp.ndarray>self.row_lrs[i])
        i = lrk_step_list_seal(&self.list, &other)
        if i >= 0:
            self._refuse_overlap([i, other], [])
        self.options = lrk_step_options(1, INFINITY, INFINITY, False, False, LRK_NEAREST, LRK_NEAREST, 0, 0)

    def __dealloc__(self):
        lrk_step_list_free(&self.list)
        free(self.staged)
        free(self.spans)
        free(self.sparse)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    @property
    def isa(self):
        """Name of the ISA whose kernels the last step ran on; None before the first one."""
        return None if self.isa == NULL else self.isa.decode()

    def set_options(self, options):
        """What steps do around the rule: a `lrkern.backends.StepOptions`."""
        self.options = lrk_step_options(
            1, options.clip_norm, options.clip_value, options.skip_nonfinite, options.zero_grad, ROUNDINGS[options.rounding],
            ROUNDINGS[options.state_rounding], options.seed, 0,
        )

    def set_input(self, int64_t group, int index, double value):
        """Set an input of a group's rule, by its place in RULES."""
        assert 0 <= group < self.list.n_groups and 0 <= index < LRK_MAX_INPUTS
        self.list.groups[group].inputs[index] = value

    def set_ema(self, int64_t group, double decay):
        """Set the decay of a group's averages."""
        assert 0 <= group < self.list.n_groups
        self.list.groups[group].ema = decay

    def layout(self):
        """(addresses, storages, sizes) for kernels of another kind: a row for each tensor, a column for each role; 0 for no array."""
        cdef int64_t i
        cdef int role
        cdef int64_t[:, ::1] addresses = np.zeros((self.list.count, LRK_N_ROLES), np.int64)
        cdef uint8_t[:, ::1] storages = np.zeros((self.list.count, LRK_N_ROLES), np.uint8)
        cdef int64_t[::1] sizes = np.zeros(self.list.count, np.int64)
        for i in range(self.list.count):
            sizes[i] = self.list.tensors[i].size
            for role in range(LRK_N_ROLES):
                addresses[i, role] = <int64_t><uintptr_t>self.list.tensors[i].data[role]
                storages[i, role] = self.list.tensors[i].type[role]
        return np.asarray(addresses), np.asarray(storages), np.asarray(sizes)

    def get_updates(self):
        """For each tensor, how many updates it has had."""
        return [self.list.updates[i] for i in range(self.list.count)]

    def alone(self, function):
        """What a function returns, called while no other thread can step."""
        self._acquire(None)
        try:
            return function()
        finally:
            PyThread_release_lock(self.lock)

    def restore(self, list updates, int64_t count, int64_t skipped, list arrays):
        """Go back to these counts, and copy the second array of each pair of `arrays` into the first."""
        self._acquire(updates)
        try:
            for own, saved in arrays:
                own[...] = saved
            for i in range(self.list.count):
                self.list.updates[i] = updates[i]
            self.count, self.skipped = count, skipped
        finally:
            PyThread_release_lock(self.lock)

    def write_copies(self):
        """Write the arrays of "copy_to" as a step would, with the parameters as they are. Called while no other thread can step."""
        with nogil:
            lrk_step_copy(&self.list)

    def bind(self, list grads):
        """Check the gradients, and keep the list for steps that are given none."""
        self._acquire(grads)
        try:
            self.bound = self._take(grads)
        finally:
            PyThread_release_lock(self.lock)

    def run(self, list grads, double grad_scale, prepare=None):
        """One step with these gradients (None: the bound ones), after a call of `prepare`, which may set inputs for it.

        It is counted here and not by the caller: between this and a line of Python, Ctrl-C could come. For the same reason
        `prepare` is called here: no step of another thread comes between.
        """
        cdef lrk_step_result result
        self._acquire(grads)
        try:
            if prepare is not None:
                prepare()
            if grads is not None:
                kept = self._take(grads)
                self.bound = None
            elif self.bound is None:
                raise ValueError(f"{self.where}: grads are needed: pass them to step(), or bind() them before")
            self.options.grad_scale = grad_scale
            self.options.step = <uint64_t>self.count
            with nogil:
                result = lrk_step_run(&self.list, &self.options)
            if result.isa == NULL:
                raise MemoryError
            self.isa = result.isa
            self.grad_norm = result.grad_norm
            if result.skipped:
                self.skipped += 1
            else:
                self.count += 1
        finally:
            PyThread_release_lock(self.lock)

    cdef _acquire(self, list values):
        """Lock out other threads; `values` are to be one per tensor."""
        if self.params is None or (values is not None and len(values) != len(self.params)):
            raise ValueError("values must be as many as params")
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            raise RuntimeError(f"{self.where}: another thread is in the middle of a step of this optimizer, or copies its state")

    cdef bint _fits(self, object array) except -1:
        return (
            cnp.PyArray_Check(array)
            and storage_of(<cnp.ndarray>array, self.halves) >= 0
            and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>array)
            and is_dense(<cnp.ndarray>array)
        )

    cdef _written(self, kind, int role, int64_t index, array):
        """Note an array, or None, that a step writes besides the parameter."""
        cdef lrk_step_tensor *tensor = &self.list.tensors[index]
        if array is None:
            return
        tensor.data[role] = cnp.PyArray_DATA(<cnp.ndarray>array) if cnp.PyArray_Check(array) else NULL
        if role == LRK_REMAINDER:  # made by the optimizer, and of no float type
            tensor.type[role] = LRK_BF16
            return
        if not self._fits(array) or not lies_like(<cnp.ndarray>array, <cnp.ndarray>self.params[index]):
            self._refuse(kind, index, array)
        tensor.type[role] = storage_of(<cnp.ndarray>array, self.halves)

    cdef list _take(self, list grads):
        """Check all gradients, then make the C list use them. Returns what must stay alive."""
        cdef int64_t i, other, n = self.list.count, n_spans = 0, bytes
        cdef lrk_step_tensor *tensor
        cdef gradient *staged
        cdef cnp.ndarray array
        cdef bint sparse = False, zero = self.options.zero_grad
        cdef list kept = grads
        for i in range(n):
            grad = grads[i]
            tensor = &self.list.tensors[i]
            staged = &self.staged[i]
            staged.data = NULL
            staged.is_sparse = False
            if grad is None:
                continue
            if not cnp.PyArray_Check(grad):
                if kept is grads:
                    kept = list(grads)
                kept[i] = self.as_gradient(self.where, self.label("grad", i), grad, self.params[i], zero)
                if kept[i] is None:
                    self._refuse("grad", i, grad)
                grad = kept[i]
                if type(grad) is tuple:
                    grad = self._take_rows(staged, grad)
                    staged.is_sparse = sparse = True
            array = <cnp.ndarray>grad
            staged.type = storage_of(array, self.halves)
            if (
                staged.type < 0
                or (zero and not cnp.PyArray_ISWRITEABLE(array))
                or (not staged.is_sparse and not lies_like(array, <cnp.ndarray>self.params[i]))
            ):
                self._refuse("grad", i, grad)
            staged.data = cnp.PyArray_DATA(array)
            bytes = cnp.PyArray_NBYTES(array)
            # What has been checked at the last step, and has as many elements as then.
            if (
                staged.data != tensor.data[LRK_GRAD] or staged.type != tensor.type[LRK_GRAD]
                or staged.is_sparse or tensor.sparse != NULL
            ):
                other = lrk_step_list_hit(&self.list, staged.data, bytes)
                if other >= 0:
                    self._refuse_overlap([other], [(i, grad)])
            if zero and bytes > 0:
                self.spans[n_spans] = lrk_step_span(<uintptr_t>staged.data, <uintptr_t>staged.data + bytes, i)
                n_spans += 1
        if n_spans > 0:
            i = lrk_step_spans_clash(self.spans, n_spans, &other)
            if i >= 0:
                self._refuse_overlap([], [(one, self._values(kept[one])) for one in sorted((i, other))])
        for i in range(n):
            tensor, staged = &self.list.tensors[i], &self.staged[i]
            tensor.data[LRK_GRAD] = staged.data
            tensor.type[LRK_GRAD] = staged.type
            self.sparse[i] = staged.sparse
            tensor.sparse = &self.sparse[i] if staged.is_sparse else NULL
        if sparse or self.any_sparse:
            lrk_step_list_weigh(&self.list)
            self.any_sparse = sparse
        return kept

    cdef _take_rows(self, gradient *staged, tuple rows):
        """Note the rows of a sparse gradient; its values are returned."""
        values, index, begin, order = rows
        staged.sparse.count = len(index)
        staged.sparse.index = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>index)
        staged.sparse.begin = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>begin)
        staged.sparse.order = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>order)
        return values

    cdef _values(self, grad):
        return grad[0] if type(grad) is tuple else grad

    cdef _refuse(self, kind, index, array):
        from lrkern import _arrays
        like = None if kind == "param" else self.params[index]
        raise _arrays.array_error(
            self.where, self.label(kind, index), array, written=kind != "grad" or self.options.zero_grad, like=like,
            like_name=self.label("param", index), halves=self.halves,
        )

    cdef _refuse_overlap(self, tensors, grads):
        from lrkern import _arrays
        arrays = []
        for i in sorted(set(tensors)):
            arrays.append((self.label("param", i), self.params[i], True))
            arrays.extend((self.label(kind, i), one[i], True) for kind, one in self.written.items() if one[i] is not None)
        arrays.extend((self.label("grad", i), one, self.options.zero_grad) for i, one in grads)
        raise _arrays.overlap_error(self.where, arrays)


def own_name(kind, index):
    """The name of an array where there is only one tensor."""
    return kind


def step_once(where, form, dict options, param, grad, dict states, int64_t update, needed, arrays):
    """One step of one tensor, its update of this number from 0. `form` is a `_rule.Form`, `options` those it was made of.

    `needed` says when a state that is missing is needed, `arrays` is the module `_arrays`.
    """
    cdef dict kept = {}
    cdef StepList tensors
    cdef int place = 0
    for name, state in states.items():
        if name not in form.states:
            state = None
        elif state is None:
            raise ValueError(f"{where}: {name} is needed{needed}; got None")
        elif not cnp.PyArray_Check(state):
            state = arrays.as_array(where, name, state, written=True)
        kept[name] = [state]
    if not cnp.PyArray_Check(param):
        param = arrays.as_array(where, "param", param, written=True)
    # The fields of a StepTensors, in their order: to make one would take longer than a small step.
    tensors = StepList(
        (where, own_name, [param], [form.variant], [0], kept, {}, None, False, arrays.as_dense_gradient)
    )
    for _, hyper, constant in <tuple>form.inputs:
        tensors.list.groups[0].inputs[place] = options[hyper] if hyper else constant
        place += 1
    tensors.list.updates[0] = update
    tensors.run([grad], 1)
