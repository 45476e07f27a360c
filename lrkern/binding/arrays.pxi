# What steps have to know of NumPy's arrays: how elements are stored, and whether they lie along those of a parameter.

from cpython.type cimport PyType_IsSubtype

cdef extern from "numpy/ndarraytypes.h":
    const int NPY_HALF, NPY_USERDEF


# NumPy's number for ml_dtypes' bfloat16, once it has been met.
cdef int bfloat16_number = -1

cdef type MaskedArray = np.ma.MaskedArray


cdef int storage_of(cnp.ndarray array, bint halves) except -2:
    """How the elements of an array are stored, or -1 if no step can work on them. `halves`: uint16 holds bfloat16."""
    global bfloat16_number
    cdef int number = cnp.PyArray_TYPE(array)
    if not cnp.PyArray_ISNOTSWAPPED(array):
        return -1
    if not cnp.PyArray_CheckExact(array) and PyType_IsSubtype(type(array), MaskedArray):
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


cdef inline bint fits_along(cnp.ndarray array, cnp.ndarray param, int64_t size):
    """Whether C can read an array element by element along with a parameter of that size, which may have been reshaped since."""
    return lies_like(array, param) and is_dense(array) and size_of(fields_of(array)) == size


cdef const int64_t *integers_of(cnp.ndarray array) except? NULL:
    """The elements of an array that lrkern has made."""
    assert cnp.PyArray_TYPE(array) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(array)
    return <const int64_t *>cnp.PyArray_DATA(array)
