# Steps of one array, as by `sgd_step`, without a TensorList: for what they are nearly always called with.

from libc.string cimport memset

cdef enum:
    ROOM = 8


cdef struct plain_array:
    void *data
    int type, ndim
    const int64_t *shape
    int64_t size
    bint is_writable


cdef bint read_plain(value, plain_array *out, lrk_dl_tensor *read) except -1:
    """Describe a C-contiguous array of float32 or float64 in memory that is there; False: it is something else."""
    cdef cnp.ndarray array
    cdef Exchange exchange
    cdef int64_t expected
    cdef int k
    if cnp.PyArray_CheckExact(value):
        array = <cnp.ndarray>value
        k = cnp.PyArray_TYPE(array)
        if (k != cnp.NPY_FLOAT and k != cnp.NPY_DOUBLE) or not cnp.PyArray_ISCARRAY_RO(array):
            return False
        if not cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA) and not is_within_array(array):
            return False
        out.data, out.type = cnp.PyArray_DATA(array), LRK_F32 if k == cnp.NPY_FLOAT else LRK_F64
        out.ndim, out.shape, out.size = cnp.PyArray_NDIM(array), <const int64_t *>cnp.PyArray_DIMS(array), size_of(fields_of(array))
        out.is_writable = cnp.PyArray_ISWRITEABLE(array)
        return True
    exchange = exchange_of(value)
    if exchange is None or not exchange.look(value, read) or read.bits == 16:
        return False
    expected = 1
    for k in range(read.ndim - 1, -1, -1):
        if read.shape[k] != 1 and read.strides[k] != expected:
            return False
        expected *= read.shape[k]
    if expected == 1 and exchange.may_be_negated:
        return False
    out.data, out.type = <char *>read.data + read.byte_offset, LRK_F32 if read.bits == 32 else LRK_F64
    out.ndim, out.shape, out.size, out.is_writable = read.ndim, read.shape, expected, exchange.is_mutable
    return True


cdef bint is_within_array(cnp.ndarray array) except -1:
    """Whether the memory of a view is that of an array, which still has it."""
    try:
        lender = lender_of(array)
    except ValueError:
        return False
    return cnp.PyArray_Check(lender) and is_within(array, lender)


cdef bint is_like(const plain_array *one, const plain_array *other) noexcept:
    cdef int k
    if one.type != other.type or one.ndim != other.ndim:
        return False
    for k in range(one.ndim):
        if one.shape[k] != other.shape[k]:
            return False
    return True


cdef class _OneTensor:
    """A list of one tensor, for one step at a time."""

    cdef lrk_step_list list
    cdef lrk_step_options options
    cdef bint is_busy

    def __cinit__(self):
        if lrk_step_list_init(&self.list, 1, 1) != LRK_OK:
            raise MemoryError
        self.options = lrk_step_defaults()
        self.options.state_rounding = LRK_NEAREST

    def __dealloc__(self):
        lrk_step_list_free(&self.list)


cdef _OneTensor one_tensor = _OneTensor()


cdef class QuickForm:
    """A form of a rule: which states and inputs it has."""

    cdef lrk_rule rule
    cdef tuple states, hypers
    cdef double constants[64]
    cdef bint shrinks


cdef class QuickSteps:
    """The steps of one rule's functions, by the kinds of their options."""

    cdef dict checks, forms

    def __init__(self, dict checks not None):
        assert LRK_MAX_INPUTS <= 64 and LRK_MAX_STATES <= ROOM
        self.checks, self.forms = checks, {}

    def learn(self, dict options, form):
        """Note the form that such options have."""
        cdef QuickForm made
        cdef int place = 0
        key = kinds_of(self.checks, options, False)
        if key is None or key in self.forms or form.variant not in RULE_NUMBERS:
            return
        made = QuickForm.__new__(QuickForm)
        made.rule, made.states, made.shrinks = RULE_NUMBERS[form.variant], form.states, form.shrinks
        made.hypers = tuple([hyper for _, hyper, _ in form.inputs])
        for _, _, constant in form.inputs:
            made.constants[place] = constant
            place += 1
        self.forms[key] = made

    def step(self, param, grad, dict states not None, int64_t update, dict options not None):
        """One step like `step_once`, if all is as it usually is; False: nothing has been done, not even all of the checks."""
        cdef QuickForm form
        cdef plain_array p, g
        cdef plain_array[ROOM] s
        cdef lrk_dl_tensor read_p, read_g
        cdef lrk_dl_tensor[ROOM] read_s
        cdef lrk_step_tensor *tensor = one_tensor.list.tensors
        cdef double *inputs = one_tensor.list.groups[0].inputs
        cdef lrk_step_result result
        cdef int k, count = 0, place = 0
        cdef int64_t other
        if one_tensor.is_busy or len(states) > LRK_MAX_STATES or sizeof(cnp.npy_intp) != sizeof(int64_t):
            return False
        found = self.forms.get(kinds_of(self.checks, options, False))
        if found is None:
            return False
        form = <QuickForm>found
        if not (read_plain(param, &p, &read_p) and p.is_writable and p.size > 0):
            return False
        if not (read_plain(grad, &g, &read_g) and is_like(&g, &p)):
            return False
        for name, state in states.items():
            s[count].data = NULL
            if name in form.states:
                if not (read_plain(state, &s[count], &read_s[count]) and s[count].is_writable and is_like(&s[count], &p)):
                    return False
            count += 1
        # Nothing from here on runs Python code of others, nor another thread before `is_busy` is set.
        memset(tensor, 0, sizeof(lrk_step_tensor))
        for k in range(count):
            tensor.data[LRK_STATE + k], tensor.type[LRK_STATE + k] = s[k].data, p.type
        tensor.data[LRK_PARAM], tensor.size, tensor.width = p.data, p.size, 1
        tensor.type[LRK_PARAM] = tensor.type[LRK_GRAD] = p.type
        for hyper in form.hypers:
            inputs[place] = <double>options[hyper] if hyper else form.constants[place]
            place += 1
        if form.shrinks and inputs[LR] * inputs[WEIGHT_DECAY] > MAX_SHRINKAGE:
            return False
        one_tensor.list.groups[0].rule, one_tensor.list.updates[0] = form.rule, update
        if lrk_step_list_finalize(&one_tensor.list, &other) >= 0:
            return False
        if lrk_step_list_find_overlap(&one_tensor.list, g.data, p.size * lrk_storage_bytes(p.type)) >= 0:
            return False
        tensor.data[LRK_GRAD] = g.data
        if p.size * lrk_storage_bytes(p.type) <= SMALL_STEP:
            result = lrk_step_run(&one_tensor.list, &one_tensor.options)
        else:
            one_tensor.is_busy = True
            with nogil:
                result = lrk_step_run(&one_tensor.list, &one_tensor.options)
            one_tensor.is_busy = False
        if result.isa == NULL:
            raise MemoryError
        return True
