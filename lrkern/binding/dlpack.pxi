# Arrays of any library: NumPy's as they are, others through DLPack, without a copy. NumPy's own import does not support bfloat16.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_SetName
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from *:
    """
    #include <stdint.h>
    /* The layout is that of DLPack: https://dmlc.github.io/dlpack/latest/c_api.html */
    typedef struct { void *data; int32_t device_type, device_id; int32_t ndim; uint8_t code, bits; uint16_t lanes;
                     int64_t *shape, *strides; uint64_t byte_offset; } lrk_dl_tensor;
    typedef struct lrk_dl_managed { lrk_dl_tensor tensor; void *context; void (*deleter)(struct lrk_dl_managed *); }
        lrk_dl_managed;
    typedef struct lrk_dl_versioned { uint32_t major, minor; void *context; void (*deleter)(struct lrk_dl_versioned *);
                                      uint64_t flags; lrk_dl_tensor tensor; } lrk_dl_versioned;
    """
    ctypedef struct lrk_dl_tensor:
        void *data
        int32_t device_type, ndim
        uint8_t code, bits
        uint16_t lanes
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset
    ctypedef struct lrk_dl_managed:
        lrk_dl_tensor tensor
        void (*deleter)(lrk_dl_managed *) noexcept
    ctypedef struct lrk_dl_versioned:
        uint32_t major
        void (*deleter)(lrk_dl_versioned *) noexcept
        uint64_t flags
        lrk_dl_tensor tensor


cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, const cnp.npy_intp *dims, const cnp.npy_intp *strides,
                                void *data, int flags, object obj)

cdef enum:
    DL_READ_ONLY = 1
    DL_IS_COPIED = 2

# Device types of host memory: the CPU, and memory pinned by CUDA and ROCm.
cdef tuple HOSTS = (1, 3, 11)

cdef enum:
    DL_BFLOAT = 4

# (DLPack's type code, bits) -> dtype. Integers are for the indices of sparse gradients, and for names in errors.
cdef dict DLPACK_DTYPES = {
    (code, bits): np.dtype(f"{kind}{bits}")
    for code, kind in enumerate(("int", "uint", "float")) for bits in (8, 16, 32, 64) if (kind, bits) != ("float", 8)
}


cdef class Exchange


cdef class _Capsule:
    """Owns the tensor of a DLPack capsule while an array uses its memory."""

    cdef lrk_dl_managed *managed
    cdef lrk_dl_versioned *versioned
    cdef object exporter  # the array, if `data_ptr` tells its current address, else None
    cdef Exchange exchange  # that reads it, or None
    cdef uint64_t address

    def __dealloc__(self):
        if self.managed != NULL and self.managed.deleter != NULL:
            self.managed.deleter(self.managed)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)

    cdef bint is_there(self) except -1:
        """Whether the exporting array still has the same memory."""
        if self.exporter is None or (self.exchange is not None and self.exchange.is_at(self.exporter, self.address)):
            return True
        return self.exporter.data_ptr() == self.address


cdef dtype_of(where, const lrk_dl_tensor *tensor):
    """The dtype of a tensor's elements, or None if lrkern does not support it."""
    if tensor.code == DL_BFLOAT and tensor.bits == 16:
        return HOOKS["bfloat16"](f"{where} with bfloat16 arrays of other libraries")
    return DLPACK_DTYPES.get((tensor.code, tensor.bits))


cpdef array_of_capsule(where, capsule, tuple device_types, exporter=None):
    """The array in a DLPack capsule; None if it is unsupported or on another device.

    exporter: the array of the library, if that can replace its memory: `exporter.data_ptr()` is the current address.
    """
    cdef _Capsule owner = _Capsule()
    cdef lrk_dl_tensor *tensor
    cdef bint writable = True
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        owner.versioned = <lrk_dl_versioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        PyCapsule_SetName(capsule, "used_dltensor_versioned")
        if owner.versioned.major != 1:
            return None
        tensor = &owner.versioned.tensor
        writable = not owner.versioned.flags & (DL_READ_ONLY | DL_IS_COPIED)
    else:
        owner.managed = <lrk_dl_managed *>PyCapsule_GetPointer(capsule, "dltensor")
        PyCapsule_SetName(capsule, "used_dltensor")
        tensor = &owner.managed.tensor
    if tensor.device_type not in device_types or tensor.lanes != 1 or not 0 <= tensor.ndim <= 64:
        return None
    if tensor.ndim > 0 and tensor.shape == NULL:
        return None
    cdef cnp.dtype dtype = dtype_of(where, tensor)
    if dtype is None:
        return None
    cdef cnp.npy_intp shape[64]
    cdef cnp.npy_intp strides[64]
    cdef bint is_empty = False
    cdef int k
    for k in range(tensor.ndim):
        shape[k] = tensor.shape[k]
        is_empty |= shape[k] == 0
        strides[k] = 0 if tensor.strides == NULL else tensor.strides[k] * (tensor.bits // 8)
    if tensor.data == NULL and not is_empty:
        return None
    cnp.Py_INCREF(dtype)  # the call steals a reference
    cdef cnp.ndarray array = PyArray_NewFromDescr(
        np.ndarray, dtype, tensor.ndim, shape, NULL if tensor.strides == NULL else strides,
        <char *>tensor.data + tensor.byte_offset, cnp.NPY_ARRAY_WRITEABLE if writable else 0, None,
    )
    cnp.set_array_base(array, owner)
    owner.address = <uintptr_t>cnp.PyArray_DATA(array)
    if exporter is not None:
        owner.exporter, owner.exchange = exporter, exchange_of(exporter)
        if not owner.is_there():
            owner.exporter = None
    return array


cdef capsule_of(value, bint written):
    """The DLPack capsule; None from another device. Version 1 if available: it has a read-only flag."""
    # torch tells it quickly by `is_cpu`.
    if getattr(value, "is_cpu", None) is not True and hasattr(value, "__dlpack_device__"):
        if int(value.__dlpack_device__()[0]) not in HOSTS:
            return None
    try:
        return value.__dlpack__(max_version=(1, 0), copy=False if written else None)
    except TypeError:  # unknown argument: the library predates version 1
        return value.__dlpack__()


# torch's name of the layout of dense tensors, once it has been seen.
cdef object STRIDED = ""


def sparse_layout(value):
    """torch's name for the layout of a tensor that is not dense; "" for everything else."""
    global STRIDED
    layout = STRIDED if cnp.PyArray_Check(value) else getattr(value, "layout", STRIDED)
    if layout is STRIDED:
        return ""
    name = str(layout)
    if name == "torch.strided" and type(layout).__module__ == "torch":
        STRIDED = layout
    return name if name.startswith("torch.") and name != "torch.strided" else ""


def exportable(where, name, value, *, bint written):
    """A tensor in a form that its library exports; raises if it must not be used, though its library would export it."""
    if written and type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        raise TypeError(f"{where}: {name} must be writable; got a JAX array, which is immutable")
    if getattr(value, "requires_grad", False):
        value = value.detach()  # the same memory without autograd history, which torch refuses to export
    if getattr(value, "is_neg", bool)():  # torch exports it silently
        raise TypeError(f"{where}: {name} must not have its negative bit set; got such a tensor: call resolve_neg() first")
    return value


def as_array(where, name, value, *, bint written):
    """`value` as a plain numpy.ndarray on the same memory, if it is an array or has DLPack; other values unchanged."""
    if cnp.PyArray_Check(value) or not hasattr(value, "__dlpack__"):
        return plain(value)
    exporter = value if hasattr(value, "data_ptr") else None  # torch's: a tensor's memory can be replaced
    try:
        shape = getattr(value, "shape", None)
    except Exception as error:  # of a nested tensor
        raise HOOKS["dlpack_error"](where, name, value, f": {error}") from None
    value = exportable(where, name, value, written=written)
    layout = sparse_layout(value)
    if layout:
        raise HOOKS["dlpack_error"](where, name, value, f", {layout}")
    try:
        capsule = capsule_of(value, written)
    except Exception as error:  # another library may raise anything
        raise HOOKS["dlpack_error"](where, name, value, f": {error}") from None
    if capsule is None:
        raise HOOKS["dlpack_error"](where, name, value)
    try:
        array = array_of_capsule(where, capsule, HOSTS, exporter)
    except ValueError as error:  # not a capsule, or a used one, or not representable in NumPy
        raise HOOKS["dlpack_error"](where, name, value, f": {error}") from None
    if array is None:
        raise HOOKS["dlpack_error"](where, name, value)
    if shape is not None and tuple(shape) != array.shape:
        raise HOOKS["dlpack_error"](where, name, value, f": its shape is {tuple(shape)}, that of its capsule {array.shape}")
    return array


def as_dense_gradient(where, name, grad, cnp.ndarray param, bint written):
    """A gradient that is not a NumPy array, as one; None if it is not an array."""
    if cnp.PyArray_NDIM(param) == 0 and isinstance(grad, np.generic) and not written:  # NumPy turns 0-d arrays into scalars
        return np.asarray(grad)
    array = as_array(where, name, grad, written=written)
    return array if cnp.PyArray_Check(array) else None


def as_gradient(bint takes_rows, bint halves, where, name, grad, cnp.ndarray param, bint written):
    """The same, or the parts of a sparse gradient for rules that take them."""
    if isinstance(grad, tuple) or sparse_layout(grad):
        return HOOKS["sparse_gradient"](takes_rows, halves, where, name, grad, param, written)
    return as_dense_gradient(where, name, grad, param, written)
