# Tensors of a library that has DLPack's C exchange API (DLPack 1.3): read without a call into Python for each.

from cpython.exc cimport PyErr_Clear
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport Py_TYPE
from types import GetSetDescriptorType

cdef extern from *:
    """
    typedef struct lrk_dl_exchange {
        struct { uint32_t major, minor; } version;
        struct lrk_dl_exchange *previous;
        void *allocate, *from_object, *to_object;
        int (*look)(void *object, lrk_dl_tensor *out);
        void *stream;
    } lrk_dl_exchange;
    """
    ctypedef struct lrk_dl_version:
        uint32_t major
    ctypedef struct lrk_dl_exchange:
        lrk_dl_version version
        lrk_dl_exchange *previous
        int (*look)(void *object, lrk_dl_tensor *out)

cdef extern from *:
    PyObject *PyList_GET_ITEM(list items, Py_ssize_t i)  # borrowed
    ctypedef object (*lrk_getter "getter")(PyObject *, void *)
    ctypedef struct lrk_getset "PyGetSetDef":
        lrk_getter get
        void *closure
    ctypedef struct lrk_descriptor "PyGetSetDescrObject":
        lrk_getset *d_getset

cdef enum:
    DL_FLOAT = 2
    DL_CPU = 1

cdef type NDARRAY = np.ndarray
# bfloat16 as its bits: `TensorList` with `halves` reads them.
cdef cnp.dtype F64 = np.dtype(np.float64), F32 = np.dtype(np.float32), F16 = np.dtype(np.float16), BITS = np.dtype(np.uint16)


cdef bint has_no_elements(const lrk_dl_tensor *tensor) noexcept:
    cdef int k
    for k in range(tensor.ndim):
        if tensor.shape[k] == 0:
            return True
    return False


@cython.final
cdef class Exchange:
    """Reads CPU tensors: instances of these classes, but not of their subclasses, which may lie elsewhere in memory."""

    cdef const lrk_dl_exchange *api
    cdef object keeper
    cdef object first, second
    cdef object descriptor
    cdef const lrk_getset *of_grad  # of both classes' attribute `grad`, or NULL if it has to be looked up
    cdef bint may_be_negated, is_mutable  # the API tells neither the negative bit nor that memory is read-only

    def __init__(self, capsule, first, second):
        """Raises ValueError if the capsule is not of a version with the function that is needed."""
        cdef const lrk_dl_exchange *api = <const lrk_dl_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
        while api != NULL and api.version.major != 1:
            api = api.previous
        if api == NULL or api.look == NULL:
            raise ValueError("the exchange API has no dltensor_from_py_object_no_sync")
        self.api, self.keeper, self.first, self.second = api, capsule, first, second
        self.may_be_negated = hasattr(first, "is_neg")
        self.is_mutable = first.__module__.partition(".")[0] == "torch"
        self.descriptor, self.of_grad = getattr(first, "grad", None), NULL
        if type(self.descriptor) is GetSetDescriptorType and getattr(second, "grad", None) is self.descriptor:
            self.of_grad = (<lrk_descriptor *><PyObject *>self.descriptor).d_getset

    cdef inline bint is_plain(self, object tensor) noexcept:
        """Whether it is an instance of one of the classes."""
        return <PyObject *>Py_TYPE(tensor) == <PyObject *>self.first or <PyObject *>Py_TYPE(tensor) == <PyObject *>self.second

    cdef inline object grad_of(self, object tensor):
        """The gradient of a tensor."""
        if self.of_grad != NULL and self.is_plain(tensor):
            return self.of_grad.get(<PyObject *>tensor, self.of_grad.closure)
        return tensor.grad

    cdef bint look(self, object tensor, lrk_dl_tensor *out) noexcept:
        """Read a tensor; False if it is no dense tensor of floats in CPU memory."""
        if not self.is_plain(tensor):
            return False
        if self.api.look(<PyObject *>tensor, out) != 0:
            PyErr_Clear()  # a tensor without storage
            return False
        if out.device_type != DL_CPU or out.lanes != 1 or out.ndim > 64 or (out.ndim > 0 and out.strides == NULL):
            return False
        if out.data == NULL and not has_no_elements(out):  # of torch's zeros that have no memory
            return False
        return out.bits == 16 if out.code == DL_BFLOAT else out.code == DL_FLOAT and out.bits in (16, 32, 64)

    cdef cnp.ndarray array_of(self, object tensor, const lrk_dl_tensor *read):
        cdef cnp.npy_intp shape[64]
        cdef cnp.npy_intp strides[64]
        cdef int k, size = read.bits // 8
        cdef cnp.dtype dtype = BITS if read.code == DL_BFLOAT else F32 if size == 4 else F64 if size == 8 else F16
        for k in range(read.ndim):
            shape[k], strides[k] = read.shape[k], read.strides[k] * size
        cnp.Py_INCREF(dtype)  # the call steals a reference
        cdef cnp.ndarray array = PyArray_NewFromDescr(
            NDARRAY, dtype, read.ndim, shape, strides, <char *>read.data + read.byte_offset, cnp.NPY_ARRAY_WRITEABLE, None
        )
        cnp.set_array_base(array, tensor)
        return array

    def array(self, tensor):
        """The elements of a tensor, as an array on the same memory; None if it cannot be read."""
        cdef lrk_dl_tensor read
        return self.array_of(tensor, &read) if self.look(tensor, &read) else None

    def gradients(self, list params not None, list known not None, list arrays not None, list grads not None):
        """Put the gradients of `params` into `grads`. `arrays` are those that `array` made of the parameters `known`.

        Returns the parameters that are others now, or no longer as in `arrays`, and the number of gradients that are None.
        """
        cdef lrk_dl_tensor read
        cdef list moved = []
        cdef Py_ssize_t i, n = len(params), missing = 0
        if len(known) != n or len(arrays) != n or len(grads) != n:
            raise ValueError("params, known, arrays and grads must have the same length")
        for i in range(n):
            if len(params) != n:  # Python code that has run within `grad` has changed it
                raise ValueError("params, known, arrays and grads must have the same length")
            param = params[i]
            if param is not known[i] or not self.look(param, &read) or not self.is_on(<cnp.ndarray?>arrays[i], &read):
                moved.append(i)
            grad = self.grad_of(param)
            missing += grad is None
            grads[i] = grad
        return moved, missing

    cdef bint is_at(self, object tensor, uint64_t address) noexcept:
        """Whether a tensor can be read, and its memory begins there."""
        cdef lrk_dl_tensor read
        return self.look(tensor, &read) and <uint64_t><uintptr_t>read.data + read.byte_offset == address

    cdef bint reads_along(self, object tensor, cnp.ndarray param, lrk_dl_tensor *read) except -1:
        """Whether a gradient can be read, in the memory order of a dense parameter."""
        cdef int k
        cdef bint is_empty = cnp.PyArray_SIZE(param) == 0
        if not self.look(tensor, read) or read.ndim != param.ndim:
            return False
        for k in range(read.ndim):
            if read.shape[k] != cnp.PyArray_DIM(param, k):
                return False
            if read.shape[k] > 1 and not is_empty and read.strides[k] * cnp.PyArray_ITEMSIZE(param) != cnp.PyArray_STRIDE(param, k):
                return False
        # A negative bit comes from the imaginary part of complex numbers, which is dense only as one element, unless
        # `as_strided` or a private function of torch makes it so. Asking each tensor would take as long as all the rest.
        return cnp.PyArray_SIZE(param) != 1 or not self.may_be_negated or not tensor.is_neg()

    cdef bint is_on(self, cnp.ndarray array, const lrk_dl_tensor *read) noexcept:
        """Whether an array still shows a tensor."""
        cdef int k
        if <char *>read.data + read.byte_offset != <char *>cnp.PyArray_DATA(array) and cnp.PyArray_SIZE(array) > 0:
            return False
        if read.ndim != array.ndim or read.bits // 8 != cnp.PyArray_ITEMSIZE(array):
            return False
        if (read.code == DL_BFLOAT) != (cnp.PyArray_TYPE(array) == cnp.NPY_USHORT):
            return False
        for k in range(read.ndim):
            if read.shape[k] != cnp.PyArray_DIM(array, k):
                return False
            if read.shape[k] > 1 and read.strides[k] * (read.bits // 8) != cnp.PyArray_STRIDE(array, k):
                return False
        return True


cdef inline bint is_in_place(Exchange exchange, list params, list known, list arrays, Py_ssize_t i) noexcept:
    """Whether a tensor is the one known, where its array is."""
    cdef lrk_dl_tensor read
    cdef PyObject *param
    if PyList_GET_SIZE(params) != PyList_GET_SIZE(known):  # Python code that has run may have changed it
        return False
    param = PyList_GET_ITEM(params, i)
    if param != PyList_GET_ITEM(known, i) or not exchange.look(<object>param, &read):
        return False
    return exchange.is_on(<cnp.ndarray>PyList_GET_ITEM(arrays, i), &read)


class Moved(Exception):
    """Parameters are others now, or no longer where they were."""


@cython.final
cdef class Gradients:
    """The gradients of the tensors `known`, which each step reads again. `arrays`: what the exchange made of these tensors."""

    cdef Exchange exchange
    cdef list known, arrays
    cdef readonly list grads  # of the step that runs
    cdef readonly list stepped  # the tensors that had gradients at the last step
    cdef readonly Py_ssize_t missing  # how many had none
    cdef public list params  # the tensors as they are now

    def __init__(self, Exchange exchange not None, list known not None, list arrays not None):
        if len(arrays) != len(known):
            raise ValueError("known and arrays must have the same length")
        for one in arrays:
            if not cnp.PyArray_Check(one):
                raise TypeError("arrays must be NumPy arrays")
        self.exchange, self.known, self.arrays, self.params = exchange, known, arrays, known
        self.grads, self.stepped, self.missing = [None] * len(known), [], 0

    cdef forget(self):
        """Drop the gradients: else memory that is freed in each step would be kept until the next one."""
        cdef Py_ssize_t i
        for i in range(len(self.grads)):
            self.grads[i] = None


# Classes of tensors -> their exchanges; and the class that was last found to have none. A class is never forgotten, so only
# those with an exchange are kept.
cdef dict EXCHANGES = {}
cdef object without_exchange = None


cdef Exchange exchange_of(object tensor):
    """The exchange that reads the tensors of exactly this class; None if there is none."""
    kind = type(tensor)
    found = EXCHANGES.get(kind)
    if found is None and kind is not without_exchange:
        found = find_exchange(kind)
    return <Exchange>found


cdef find_exchange(kind):
    global without_exchange
    torch = sys.modules.get("torch")
    # A Parameter is a Tensor that has only another class. Other subclasses may keep their elements elsewhere.
    parameter = getattr(getattr(torch, "nn", None), "Parameter", None)
    first, second = (torch.Tensor, parameter) if kind is parameter else (kind, kind)
    if "__dlpack_c_exchange_api__" in vars(first):
        if first is getattr(torch, "Tensor", None):
            second = parameter
        try:
            EXCHANGES[kind] = Exchange(first.__dlpack_c_exchange_api__, first, second)
            return EXCHANGES[kind]
        except ValueError:  # of another version
            pass
    without_exchange = kind
    return None
