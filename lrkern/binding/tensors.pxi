# The tensors of an optimizer, for all engines: checked arrays, their memory, and the lock.

from cpython.pythread cimport (
    NOWAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_get_thread_ident,
    PyThread_release_lock,
    PyThread_type_lock,
)
from cpython.weakref cimport PyWeakref_NewRef
from libc.stdint cimport INT64_MAX, int16_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free


cdef extern from "steps/steps.h" nogil:
    const int LRK_N_RULES, LRK_MAX_STATES, LRK_MAX_SCALAR_STATES, LRK_MAX_AVERAGES, LRK_MAX_INPUTS, LRK_N_ROLES

    ctypedef struct lrk_step_span:
        uintptr_t begin, end
        int64_t tensor

    int64_t lrk_step_spans_overlap(lrk_step_span *spans, int64_t count, int64_t *other)
    int64_t lrk_step_find_overlap_near(const lrk_step_list *list, const void *address, int64_t bytes, int64_t *gap)
    int64_t lrk_storage_bytes(int type)
    const char *lrk_rule_name(lrk_rule rule)
    const char *lrk_rule_inputs(lrk_rule rule)



# name of a rule -> names of its inputs, in C's order
RULES = {lrk_rule_name(rule).decode(): tuple(lrk_rule_inputs(rule).decode().split()) for rule in range(LRK_N_RULES)}

cdef dict RULE_NUMBERS = {name: number for number, name in enumerate(RULES)}
# roles of arrays and storage types, numbered as in C and `TensorList.layout`; the states follow the first role
ROLES = {
    "param": LRK_PARAM, "grad": LRK_GRAD, "state": LRK_STATE, "ema_param": LRK_EMA, "second_ema_param": LRK_EMA + 1,
    "third_ema_param": LRK_EMA + 2, "copy_to": LRK_COPY, "remainder": LRK_REMAINDER,
}
# the kinds of averages
AVERAGES = tuple(kind for kind in ROLES if kind.endswith("ema_param"))
assert len(AVERAGES) == LRK_MAX_AVERAGES
STORAGES = {"float32": LRK_F32, "float64": LRK_F64, "bfloat16": LRK_BF16, "float16": LRK_F16}

cdef dict NO_ARRAYS = {}


cdef struct gradient:
    void *data
    int type
    int64_t bytes
    bint is_checked, is_sparse
    int64_t gap  # where it was among what steps write to
    lrk_step_sparse sparse


@cython.final
cdef class ArrayName:
    """The name of an array in errors, made only where there is one."""

    cdef object label, kind, index

    def __str__(self):
        return self.label(self.kind, self.index)


cdef class TensorList:
    """Parameters and all arrays written along with them, checked on creation; gradients, checked at each step.

    Each engine has one. It is created from the fields of a `lrkern.backends.StepTensors`, in their order.
    """

    cdef lrk_step_list list
    cdef gradient *staged
    cdef lrk_step_sparse *sparse
    cdef lrk_step_span *spans
    cdef readonly object where
    cdef readonly object label
    cdef object as_gradient
    cdef readonly list params, groups, group_of, row_lrs
    cdef dict written  # kind -> arrays
    cdef dict row_lrs_of  # group -> learning rates of its rows, for groups that have some
    cdef readonly list bound  # keeps bound gradients alive
    cdef Places places, bound_places, passing_places  # of all but gradients; of bound ones; of those of one step
    cdef list pins  # weak references to lrkern's own arrays: NumPy refuses to resize those
    cdef object fit
    cdef bint halves, any_sparse, reads_tensors
    cdef int64_t bytes  # of all parameters
    cdef public bint zero_grad  # whether steps write to gradients
    cdef unsigned long stepping  # the thread that holds the lock
    cdef PyThread_type_lock lock

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError

    def __init__(
        self, where, label, list params not None, list groups not None, list group_of not None, dict states not None,
        dict others not None=NO_ARRAYS, row_lrs=None, bint halves=False, as_gradient=None, bint owns_states=False, clips_with=None,
    ):
        if self.params is not None:
            raise RuntimeError("a TensorList is initialized only once")
        cdef int64_t i, other, n = len(params)
        cdef int s
        cdef cnp.ndarray array
        cdef lrk_step_tensor *tensor
        self.where, self.label, self.halves, self.as_gradient = where, label, halves, as_gradient
        self.params, self.groups, self.group_of, self.row_lrs = list(params), groups, group_of, row_lrs or [None] * n
        self.written = states | others
        self.row_lrs_of = {}
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
            self.list.groups[i].rule = RULE_NUMBERS.get(groups[i], 0)  # other engines have rules that C does not
            if clips_with is not None:
                assert 0 <= clips_with[i] < self.list.n_groups
                self.list.groups[i].clips_with = clips_with[i]
        self.places, self.pins = Places.__new__(Places, n * LRK_N_ROLES), []
        self.passing_places = Places.__new__(Places, n)
        for i in range(n):
            if not self._fits(self.params[i]):
                self._refuse("param", i, self.params[i])
            array = <cnp.ndarray>self.params[i]
            self._note("param", i, array)
            tensor = &self.list.tensors[i]
            tensor.data[LRK_PARAM] = cnp.PyArray_DATA(array)
            tensor.type[LRK_PARAM] = storage_of(array, self.halves)
            tensor.size = cnp.PyArray_SIZE(array)
            self.bytes += cnp.PyArray_NBYTES(array)
            tensor.width = 1 if array.ndim == 0 else tensor.size // max(1, array.shape[0])
            tensor.group = group_of[i]
            s = LRK_STATE
            for kind, arrays in states.items():
                self._written(kind, s, i, arrays[i], owns_states)
                s += 1
            for kind, arrays in others.items():
                self._written(kind, ROLES[kind], i, arrays[i], kind != "copy_to")
            if self.row_lrs[i] is not None:
                self._take_row_lrs(i, self.row_lrs[i])
                self.row_lrs_of.setdefault(group_of[i], []).append(self.row_lrs[i])
        i = lrk_step_list_finalize(&self.list, &other)
        if i >= 0:
            self._refuse_overlap([i, other], [])

    def __dealloc__(self):
        lrk_step_list_free(&self.list)
        free(self.staged)
        free(self.spans)
        free(self.sparse)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def layout(self):
        """(addresses, storages, sizes) for other engines: a row per tensor, a column per role; 0 for no array."""
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

    # -- the lock

    def __enter__(self):
        """Take the lock; raises if another thread holds it."""
        self.acquire()
        self.stepping = PyThread_get_thread_ident()
        return self

    def __exit__(self, *error):
        self.release()

    cdef acquire(self):
        """Take the lock; raises if another thread holds it."""
        if self.params is None:
            raise RuntimeError("a TensorList must be initialized first")
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            if self.stepping == PyThread_get_thread_ident():
                raise RuntimeError(f"{self.where}: code called by a step must not use the optimizer")
            raise RuntimeError(f"{self.where}: the optimizer is in use by another thread")

    cdef void release(self) noexcept:
        self.let_go_of_all()
        self.stepping = 0
        PyThread_release_lock(self.lock)

    cdef void runs_python(self) noexcept:
        """Note that user code may run now, which may call the optimizer."""
        self.stepping = PyThread_get_thread_ident()

    # -- memory

    def hold(self):
        """Check that no array has moved, and hold their memory where possible, until `let_go`."""
        self.hold_all()

    def let_go(self):
        """Release what is held."""
        self.let_go_of_all()

    cdef bint hold_all(self) except -1:
        """Check that no array has moved, bound gradients included; hold memory where possible, until `let_go_of_all`."""
        cdef Places bound = self.bound_places
        if self.places.loans is not None:
            self._refuse_moved(self.places.take())
        if bound is not None and bound.loans is not None:
            self._refuse_moved(bound.take())
        # After everything that may run user code.
        self._look(self.places)
        if bound is not None:
            self._look(bound)
        return True

    cdef inline bint _look(self, Places places) except -1:
        cdef int64_t i = places.moved()
        if i >= 0:
            self._refuse_moved(places.name_of(i))
        return True

    cdef void let_go_of_all(self) noexcept:
        if self.places.loans is not None:
            self.places.give_back()
        if self.passing_places.count > 0 or self.passing_places.loans is not None:
            self.passing_places.clear()
        if self.bound_places is not None and self.bound_places.loans is not None:
            self.bound_places.give_back()

    cdef _refuse_what_moved(self):
        """Raise if an array other than a gradient has moved."""
        if self.places.loans is not None:
            self._refuse_moved(self.places.take())
        self._look(self.places)

    cdef _refuse_moved(self, tuple array):
        if array is not None:
            again = "bind it again" if array[0] == "grad" else "create a new optimizer"
            raise ValueError(moved(self.where, self.label(*array), again))

    cdef bint _fits(self, object array) except -1:
        return (
            cnp.PyArray_Check(array)
            and storage_of(<cnp.ndarray>array, self.halves) >= 0
            and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>array)
            and is_dense(<cnp.ndarray>array)
        )

    cdef _written(self, kind, int role, int64_t index, array, bint is_own):
        """Register an array, or None, that a step writes besides the parameter. `is_own`: lrkern created it."""
        cdef lrk_step_tensor *tensor = &self.list.tensors[index]
        if array is None:
            return
        tensor.data[role] = cnp.PyArray_DATA(<cnp.ndarray>array) if cnp.PyArray_Check(array) else NULL
        if role == LRK_REMAINDER:  # created by the optimizer, and not a float type
            tensor.type[role] = LRK_BF16
            self.pins.append(PyWeakref_NewRef(array, None))
            return
        if not self._fits(array) or not lies_like(<cnp.ndarray>array, <cnp.ndarray>self.params[index]):
            self._refuse(kind, index, array)
        tensor.type[role] = storage_of(<cnp.ndarray>array, self.halves)
        if is_own:
            self.pins.append(PyWeakref_NewRef(array, None))
        else:
            self._note(kind, index, <cnp.ndarray>array)

    cdef _note(self, kind, int64_t index, cnp.ndarray array):
        """Record the memory of an array, so that steps can check that it has not moved."""
        if not self.places.add(array, kind, index):
            raise ValueError(f"{self.where}: {self.label(kind, index)} must be in valid memory; {GONE}")

    cdef _take_row_lrs(self, int64_t index, cnp.ndarray lrs):
        """Register the learning rates per row."""
        cdef lrk_step_tensor *tensor = &self.list.tensors[index]
        cdef int64_t size = cnp.PyArray_SIZE(lrs)
        if cnp.PyArray_TYPE(lrs) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(lrs) or size * tensor.width != tensor.size:
            raise ValueError(f"{self.where}: row_lrs must be float64, one per row")
        tensor.row_lrs = <const double *>cnp.PyArray_DATA(lrs)
        self.pins.append(PyWeakref_NewRef(lrs, None))

    # -- gradients

    def take(self, list grads not None):
        """Check gradients, one array or None per tensor, and add them to the layout. Returns what must stay alive."""
        kept = self.take_all(grads, self.passing_places)
        self.bound, self.bound_places = None, None
        return kept

    cdef list take_of(self, Gradients source):
        """The same for the gradients of tensors, while each is in the caches. Raises Moved if the tensors are not in place."""
        cdef Exchange exchange = source.exchange
        cdef int64_t i, missing = 0, n = self.list.count
        cdef list params = source.params, known = source.known, arrays = source.arrays, grads = source.grads
        if params is None:
            raise ValueError("gradients must have params")
        if len(known) != n:
            raise ValueError("gradients must be as many as params")
        for i in range(n):
            if not is_in_place(exchange, params, known, arrays, i):
                raise Moved
            grad = exchange.grad_of(known[i])
            grads[i] = grad
            missing += grad is None
            self.staged[i].is_checked = grad is not None and exchange.is_plain(grad) and self._read_along(i, grad, exchange)
        kept = self.take_all(grads, self.passing_places, True)
        self.bound, self.bound_places = None, None
        if kept is not grads:  # user code that has run may have given parameters other memory
            for i in range(n):
                if not is_in_place(exchange, params, known, arrays, i):
                    raise Moved
        source.missing = missing
        source.stepped = known if missing == 0 else [own for own, grad in zip(known, grads) if grad is not None]
        return kept

    def fit_by(self, fit):
        """Have fit(i) give gradient i, as an array or rows, if it is neither an array nor a tensor that an exchange can read."""
        assert self.reads_tensors
        self.fit = fit

    def bind(self, list grads not None):
        """The same for gradients that later steps read as well; they are kept in `bound`."""
        cdef Places places = Places.__new__(Places, self.list.count)
        self.bound, self.bound_places = self.take_all(grads, places), places
        return self.bound

    def nonfinite(self):
        """(tensor, position in the parameter's memory, value) of the first non-finite element of each tensor's gradient."""
        cdef int64_t i, element
        cdef double value = 0
        cdef list found = []
        for i in range(self.list.count):
            element = lrk_step_nonfinite(&self.list, i, &value)
            if element >= 0:
                found.append((i, element, value))
        return found

    def overwrite(self, list pairs):
        """Copy the second array of each pair into the first; none of them has moved."""
        held = [hold(self.where, "state", saved) for _, saved in pairs]
        self.hold_all()
        for own, saved in pairs:
            own[...] = saved

    def write_copies(self):
        """Write the arrays of "copy_to" as a step would, from the current parameters."""
        with nogil:
            lrk_step_copy(&self.list)

    def largest_lr(self, int64_t group):
        """The largest learning rate of a group's rows; None if rows share one."""
        lrs = self.row_lrs_of.get(group)
        return None if lrs is None else max(float(np.max(one, initial=0.0)) for one in lrs)

    cdef list take_all(self, list grads, Places places, bint are_staged=False):
        """Check all gradients, then set them in the C list. Returns what must stay alive. `are_staged`: those that an exchange
        can read have been read."""
        cdef int64_t i, other, n = self.list.count, n_spans = 0, bytes
        cdef lrk_step_tensor *tensor
        cdef gradient *staged
        cdef cnp.ndarray array
        cdef bint sparse = False, zero = self.zero_grad
        cdef list kept
        if len(grads) != n:
            raise ValueError("grads must be as many as params")
        kept = self._as_arrays(grads, places, are_staged)
        for i in range(n):  # runs no Python code, so that C reads what is checked here
            tensor = &self.list.tensors[i]
            staged = &self.staged[i]
            grad = kept[i]
            if grad is None or not staged.is_checked:
                staged.data = NULL
            staged.is_sparse = False
            if grad is None:
                continue
            if not staged.is_checked:
                if type(grad) is tuple:
                    staged.is_sparse = sparse = True
                    grad = (<tuple>grad)[0]
                array = <cnp.ndarray>grad
                staged.type = storage_of(array, self.halves)
                if (
                    staged.type < 0
                    or (zero and not cnp.PyArray_ISWRITEABLE(array))
                    or (not staged.is_sparse and not fits_along(array, <cnp.ndarray>self.params[i], tensor.size))
                ):
                    self._refuse("grad", i, grad)
                if staged.is_sparse:
                    self._take_rows(i, kept[i])
                if not cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA) and not is_within(array, lender_of(array)):
                    self._refuse_gone(i)
                staged.data = cnp.PyArray_DATA(array)
                staged.bytes = cnp.PyArray_NBYTES(array)
            bytes = staged.bytes
            # Checked at the last step, and of the same size since.
            if (
                staged.data != tensor.data[LRK_GRAD] or staged.type != tensor.type[LRK_GRAD]
                or staged.is_sparse or tensor.sparse != NULL
            ):
                other = lrk_step_find_overlap_near(&self.list, staged.data, bytes, &staged.gap)
                if other >= 0:
                    self._refuse_overlap([other], [(i, grad)])
            if zero and bytes > 0:
                self.spans[n_spans] = lrk_step_span(<uintptr_t>staged.data, <uintptr_t>staged.data + bytes, i)
                n_spans += 1
        if n_spans > 0:
            i = lrk_step_spans_overlap(self.spans, n_spans, &other)
            if i >= 0:
                self._refuse_overlap([], [(one, self._values(kept[one])) for one in sorted((i, other))])
        for i in range(n):
            tensor, staged = &self.list.tensors[i], &self.staged[i]
            tensor.data[LRK_GRAD] = staged.data
            tensor.type[LRK_GRAD] = staged.type
            self.sparse[i] = staged.sparse
            tensor.sparse = &self.sparse[i] if staged.is_sparse else NULL
        if sparse or self.any_sparse:
            lrk_step_list_balance(&self.list)
            self.any_sparse = sparse
        return kept

    cdef list _as_arrays(self, list grads, Places places, bint are_staged):
        """The gradients as plain numpy.ndarrays, or tuples of these; borrowed memory is held."""
        cdef list kept = grads
        cdef cnp.ndarray array
        cdef ArrayName name
        cdef int64_t i
        cdef bint passing = places is self.passing_places, any_checked = False
        places.clear()
        for i in range(len(grads)):
            grad = grads[i]
            if not are_staged:
                self.staged[i].is_checked = False
            if grad is None:
                continue
            if are_staged and self.staged[i].is_checked:
                any_checked = True
                continue
            if not cnp.PyArray_CheckExact(grad):
                if not are_staged and passing and self.reads_tensors and self._read_along(i, grad, exchange_of(grad)):
                    any_checked = True
                    continue
                if kept is grads:
                    kept = list(grads)
                    self.runs_python()
                if self.fit is not None:
                    grad = self.fit(i)
                name = ArrayName.__new__(ArrayName)
                name.label, name.kind, name.index = self.label, "grad", i
                kept[i] = self.as_gradient(self.where, name, grad, self.params[i], self.zero_grad)
                if kept[i] is None:
                    self._refuse("grad", i, grad)
                grad = self._values(kept[i])
            array = <cnp.ndarray?>grad
            if passing and owns_memory(array):
                continue  # checked again below and then used immediately
            if not places.add(array, "grad", i):
                self._refuse_gone(i)
        if any_checked and kept is not grads:  # user code that has run may have given tensors other memory
            for i in range(len(grads)):
                if self.staged[i].is_checked and not self._read_along(i, grads[i], exchange_of(grads[i])):
                    self._refuse_gone(i)
        return kept

    cdef bint _read_along(self, int64_t index, grad, Exchange exchange) except -1:
        """Check a gradient that an exchange reads and that lies like its parameter; False if it is none."""
        cdef lrk_dl_tensor read
        cdef gradient *staged = &self.staged[index]
        if exchange is None or (self.zero_grad and not exchange.is_mutable):
            return False
        if not exchange.reads_along(grad, <cnp.ndarray>self.params[index], &read):
            return False
        staged.type = LRK_BF16 if read.code == DL_BFLOAT else LRK_F32 if read.bits == 32 else LRK_F64 if read.bits == 64 else LRK_F16
        staged.data = <char *>read.data + read.byte_offset if read.data != NULL else <void *>staged  # NULL would mean no gradient
        staged.bytes = self.list.tensors[index].size * (read.bits // 8)
        staged.is_checked = True
        return True

    cdef _refuse_gone(self, int64_t index):
        raise ValueError(f"{self.where}: {self.label('grad', index)} must be in valid memory; {GONE}")

    cdef _take_rows(self, int64_t index, tuple rows):
        """Register the rows of a sparse gradient (values, index, begin, order), checked to be within the parameter."""
        cdef lrk_step_tensor *tensor = &self.list.tensors[index]
        cdef lrk_step_sparse *sparse = &self.staged[index].sparse
        cdef cnp.ndarray values = <cnp.ndarray?>rows[0]
        cdef int64_t k, n_rows = tensor.size // tensor.width if tensor.width > 0 else INT64_MAX, entries = len(rows[3])
        cdef bint fits
        sparse.count = len(rows[1])
        sparse.index, sparse.begin, sparse.order = integers_of(rows[1]), integers_of(rows[2]), integers_of(rows[3])
        if sparse.count == 0:
            return
        fits = cnp.PyArray_IS_C_CONTIGUOUS(values) and cnp.PyArray_SIZE(values) == entries * tensor.width
        fits = fits and len(rows[2]) == sparse.count + 1
        for k in range(sparse.count if fits else 0):
            fits = fits and 0 <= sparse.index[k] < n_rows and 0 <= sparse.begin[k] <= sparse.begin[k + 1] <= entries
        for k in range(entries if fits else 0):
            fits = fits and 0 <= sparse.order[k] < entries
        if not fits:
            self._refuse_what_moved()
            wanted = f"rows in 0..{n_rows - 1} and C-contiguous values of {tensor.width} elements for each"
            raise ValueError(f"{self.where}: {self.label('grad', index)} must be {wanted}")

    cdef _values(self, grad):
        return grad[0] if type(grad) is tuple else grad

    cdef _refuse(self, kind, index, array):
        self._refuse_what_moved()  # because the array may be like a parameter that has moved
        like = None if kind == "param" else self.params[index]
        raise HOOKS["array_error"](
            self.where, self.label(kind, index), array, written=kind != "grad" or self.zero_grad, like=like,
            like_name=self.label("param", index), halves=self.halves,
        )

    cdef _refuse_overlap(self, tensors, grads):
        arrays = []
        for i in sorted(set(tensors)):
            arrays.append((self.label("param", i), self.params[i], True))
            arrays.extend((self.label(kind, i), one[i], True) for kind, one in self.written.items() if one[i] is not None)
        for i, one in grads:
            arrays.append((self.label("grad", i), one if cnp.PyArray_Check(one) else exchange_of(one).array(one), self.zero_grad))
        raise HOOKS["overlap_error"](self.where, arrays)

