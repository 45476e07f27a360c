# Properties of NumPy's arrays that steps need: the storage type, and whether the layout is that of a parameter.

from cpython.type cimport PyType_IsSubtype

cdef extern from "numpy/ndarraytypes.h":
    const int NPY_HALF, NPY_USERDEF


# NumPy's type number of ml_dtypes' bfloat16, once it has been seen.
cdef int bfloat16_number = -1

cdef type MaskedArray = None


cpdef bint is_masked(value):
    """Whether this is a masked array. numpy.ma is not imported for it: before somebody else does, no masked array exists."""
    global MaskedArray
    if MaskedArray is None:
        MaskedArray = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
        if MaskedArray is None:
            return False
    return PyType_IsSubtype(type(value), MaskedArray)


def plain(value):
    """A NumPy array as one of the base class, on the same memory: a subclass may misreport shape, dtype or flags.

    Other objects are returned unchanged, and so are masked arrays, which no function accepts.
    """
    if cnp.PyArray_CheckExact(value) or not cnp.PyArray_Check(value) or is_masked(value):
        return value
    return np.ndarray.view(value, np.ndarray)


cdef int storage_of(cnp.ndarray array, bint halves) except -2:
    """The storage type of an array's elements, or -1 if steps do not support it. `halves`: uint16 holds bfloat16."""
    global bfloat16_number
    cdef int number = cnp.PyArray_TYPE(array)
    if not cnp.PyArray_ISNOTSWAPPED(array):
        return -1
    if not cnp.PyArray_CheckExact(array) and is_masked(array):
        return -1
    if number == cnp.NPY_FLOAT:
        return LRK_F32
    if number == cnp.NPY_DOUBLE:
        return LRK_F64
    if number == NPY_HALF:
        return LRK_F16
    if number == bfloat16_number or (halves and number == cnp.NPY_USHORT):
        return LRK_BF16
    if number >= NPY_USERDEF and cnp.PyArray_ITEMSIZE(array) == 2 and array.descr.name == "bfloat16":
        bfloat16_number = number
        return LRK_BF16
    return -1


cdef bint is_dense(cnp.ndarray array):
    """Whether the elements are contiguous in memory, with axes in any order."""
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array):
        return True
    cdef cnp.npy_intp expected = cnp.PyArray_ITEMSIZE(array)
    cdef int axis, step
    for step in range(cnp.PyArray_NDIM(array)):
        # The axis with stride `expected`; axes of length 1 may have any stride.
        for axis in range(cnp.PyArray_NDIM(array)):
            if cnp.PyArray_DIM(array, axis) > 1 and cnp.PyArray_STRIDE(array, axis) == expected:
                expected *= cnp.PyArray_DIM(array, axis)
                break
    return expected == cnp.PyArray_ITEMSIZE(array) * cnp.PyArray_SIZE(array)


cdef bint lies_like(cnp.ndarray array, cnp.ndarray param):
    """Whether both arrays have the same shape and memory order; `param` is dense."""
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


cdef inline bint fits_along(cnp.ndarray array, cnp.ndarray param, int64_t size):
    """Whether C can read an array in parallel with a parameter of this size, which may have been reshaped since."""
    return lies_like(array, param) and is_dense(array) and size_of(fields_of(array)) == size


cdef const int64_t *integers_of(cnp.ndarray array) except? NULL:
    """The elements of an array created by lrkern."""
    assert cnp.PyArray_TYPE(array) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(array)
    return <const int64_t *>cnp.PyArray_DATA(array)
