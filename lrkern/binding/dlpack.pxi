# CPU arrays of other libraries through DLPack, without a copy: NumPy's own import knows no bfloat16.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_SetName
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from *:
    """
    #include <stdint.h>
    /* The layout is DLPack's: https://dmlc.github.io/dlpack/latest/c_api.html */
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

# Types of devices whose memory is this machine's: the CPU, and what CUDA and ROCm have pinned.
DLPACK_HOSTS = (1, 3, 11)


cdef class _Capsule:
    """Owns what a DLPack capsule holds, as long as an array looks at it."""

    cdef lrk_dl_managed *managed
    cdef lrk_dl_versioned *versioned
    cdef object address_of  # says where the memory of the array is that it came from, None if nothing does
    cdef uint64_t address

    def __dealloc__(self):
        if self.managed != NULL and self.managed.deleter != NULL:
            self.managed.deleter(self.managed)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)

    cdef bint is_there(self) except -1:
        """Whether the array that it came from still has the memory that it had."""
        return self.address_of is None or self.address_of() == self.address


def array_of_capsule(capsule, dtype_of, device_types=DLPACK_HOSTS, address_of=None):
    """The array in a DLPack capsule; None if it cannot be one, or lies elsewhere. dtype_of(code, bits) names its dtype, or is None.

    address_of(): where the memory is now, for what libraries can give other memory.
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
    kind = dtype_of(tensor.code, tensor.bits)
    if kind is None:
        return None
    cdef cnp.dtype dtype = np.dtype(kind)
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
    cnp.Py_INCREF(dtype)  # the call takes a reference
    cdef cnp.ndarray array = PyArray_NewFromDescr(
        np.ndarray, dtype, tensor.ndim, shape, NULL if tensor.strides == NULL else strides,
        <char *>tensor.data + tensor.byte_offset, cnp.NPY_ARRAY_WRITEABLE if writable else 0, None,
    )
    cnp.set_array_base(array, owner)
    owner.address = <uintptr_t>cnp.PyArray_DATA(array)
    owner.address_of = address_of if address_of is not None and address_of() == owner.address else None
    return array
