# Checks that the memory of an array is still valid: its owner may be resized, replaced or closed without the array knowing.

from cpython.buffer cimport PyBUF_FULL_RO, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_Check
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF


cdef object lender_of(cnp.ndarray array):
    """The owner of an array's memory: itself, an array it is a view of, another object, or None if unknown.

    Raises ValueError if a memoryview in between has been released.
    """
    cdef object lender = array
    cdef PyObject *base
    while True:
        if cnp.PyArray_Check(lender):
            base = cnp.PyArray_BASE(<cnp.ndarray>lender)
            if cnp.PyArray_CHKFLAGS(<cnp.ndarray>lender, cnp.NPY_ARRAY_OWNDATA) or base == NULL:
                return lender
            lender = <object>base
        elif PyMemoryView_Check(lender):
            lender = lender.obj
        else:
            return lender


cdef bint lies_within(cnp.ndarray array, const char *begin, Py_ssize_t size):
    """Whether all elements of an array are within this memory."""
    cdef const char *low = <const char *>cnp.PyArray_DATA(array)
    cdef const char *high = low + cnp.PyArray_ITEMSIZE(array)
    cdef cnp.npy_intp reach
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach < 0:
            low += reach
        else:
            high += reach
    return begin <= low and high <= begin + size


@cython.final
cdef class Loan:
    """Memory owned by something other than an array: a file that may be closed, a buffer that may grow, a tensor that may be
    given other memory.

    Between `take` and `give_back` it cannot move, if its owner supports buffers.
    """

    cdef object lender
    cdef const char *address
    cdef Py_ssize_t size
    cdef Py_buffer buffer
    cdef bint is_held

    def __dealloc__(self):
        self.give_back()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.give_back()

    cdef bint take(self) except -1:
        """Hold the memory; whether it is still at the same place."""
        if self.is_held:
            return True
        if type(self.lender) is _Capsule:
            return (<_Capsule>self.lender).is_there()
        try:
            PyObject_GetBuffer(self.lender, &self.buffer, PyBUF_FULL_RO)
        except (BufferError, ValueError):  # closed, or released
            return False
        self.is_held = True
        if <const char *>self.buffer.buf == self.address and self.buffer.len >= self.size:
            return True
        self.give_back()
        return False

    cdef void give_back(self) noexcept:
        if self.is_held:
            PyBuffer_Release(&self.buffer)
            self.is_held = False


cdef Loan loan_of(cnp.ndarray array, object lender):
    """The taken loan for an array with this lender; None if none is needed. Raises ValueError if the memory is gone."""
    cdef Loan loan
    if cnp.PyArray_Check(lender) or cnp.PyArray_SIZE(array) == 0:
        return None
    if type(lender) is _Capsule:
        if (<_Capsule>lender).exporter is None:
            return None
    elif not PyObject_CheckBuffer(lender):
        return None
    loan = Loan.__new__(Loan)
    loan.lender = lender
    if type(lender) is _Capsule:
        return loan
    try:
        PyObject_GetBuffer(lender, &loan.buffer, PyBUF_FULL_RO)
    except BufferError:  # no buffer that could be held
        return None
    loan.is_held = True
    if not PyBuffer_IsContiguous(&loan.buffer, b"A"):
        return None
    loan.address, loan.size = <const char *>loan.buffer.buf, loan.buffer.len
    if not lies_within(array, loan.address, loan.size):
        raise ValueError("the memory has moved")
    return loan


cdef bint owns_memory(cnp.ndarray array):
    """Whether an array keeps its memory alive by itself, or by a capsule."""
    return cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA) or type(cnp.get_array_base(array)) is _Capsule


cdef bint is_within(cnp.ndarray array, object lender):
    """Whether an array is within the memory of its lender, if that is an array, which may have been resized; else True."""
    if not cnp.PyArray_Check(lender) or lender is array or cnp.PyArray_SIZE(array) == 0:
        return True
    return lies_within(array, <const char *>cnp.PyArray_DATA(<cnp.ndarray>lender), cnp.PyArray_NBYTES(<cnp.ndarray>lender))


cdef Loan NO_LOAN = Loan.__new__(Loan)


def hold(where, name, array):
    """A context in which an array's memory is valid and stays in place; raises if it is not. Other values are ignored.

    An array that owns its memory, or a view of one, is checked but not held: only `resize` can move it.
    """
    if not cnp.PyArray_Check(array) or cnp.PyArray_CHKFLAGS(<cnp.ndarray>array, cnp.NPY_ARRAY_OWNDATA):
        return NO_LOAN
    try:
        lender = lender_of(<cnp.ndarray>array)
        loan = loan_of(<cnp.ndarray>array, lender)
        if is_within(<cnp.ndarray>array, lender):
            return NO_LOAN if loan is None else loan
    except ValueError:
        pass
    raise ValueError(f"{where}: {name} must be in valid memory; {GONE}")


GONE = "what it was a view of has been closed, released or resized"


def moved(where, name, again):
    """The error text for an array whose memory has changed; `again`: what to do about it."""
    since = "it has been resized or replaced since, or what it is a view of has been closed"
    return f"{where}: {name} must stay in its memory, but {since}: {again}"


cdef extern from "numpy/arrayobject.h":
    ctypedef struct array_fields "PyArrayObject_fields":
        char *data
        int nd
        cnp.npy_intp *dimensions
        void *descr


cdef struct place:
    const array_fields *owner  # an owned reference
    const char *data
    cnp.npy_intp size
    const void *descr


cdef struct place_name:
    PyObject *kind  # an owned reference
    int64_t index


cdef inline const array_fields *fields_of(cnp.ndarray array) noexcept:
    return <const array_fields *><PyObject *>array


cdef inline cnp.npy_intp size_of(const array_fields *array) noexcept nogil:
    """The number of elements."""
    cdef cnp.npy_intp size = 1
    cdef int axis
    for axis in range(array.nd):
        size *= array.dimensions[axis]
    return size


@cython.final
cdef class Places:
    """The places of arrays in memory when they were added."""

    cdef place *places
    cdef place_name *names  # apart from what each step reads
    cdef int64_t count, room
    cdef list loans  # [(loan, kind, index)], or None

    def __cinit__(self, int64_t room):
        self.count, self.room, self.loans = 0, room, None
        self.places = <place *>malloc((room + 1) * sizeof(place))
        self.names = <place_name *>malloc((room + 1) * sizeof(place_name))
        if self.places == NULL or self.names == NULL:
            raise MemoryError

    def __dealloc__(self):
        self.clear()
        free(self.places)
        free(self.names)

    cdef void clear(self) noexcept:
        cdef int64_t i, count = self.count
        self.count, self.loans = 0, None
        for i in range(count):
            Py_DECREF(<object><PyObject *>self.places[i].owner)
            Py_DECREF(<object>self.names[i].kind)

    cdef bint add(self, cnp.ndarray array, object kind, int64_t index) except -1:
        """Add an array. False if its memory is not valid."""
        cdef object lender
        cdef Loan loan
        if cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA):
            self._note(array, kind, index)
            return True
        try:
            lender = lender_of(array)
            loan = loan_of(array, lender)
        except ValueError:
            return False
        if not is_within(array, lender):
            return False
        if loan is not None:
            if self.loans is None:
                self.loans = []
            self.loans.append((loan, kind, index))
        elif cnp.PyArray_Check(lender):
            self._note(<cnp.ndarray>lender, kind, index)
        return True

    cdef void _note(self, cnp.ndarray owner, object kind, int64_t index) noexcept:
        cdef const array_fields *fields = fields_of(owner)
        if self.count == self.room or (self.count > 0 and self.places[self.count - 1].owner == fields):
            return
        Py_INCREF(owner)
        Py_INCREF(kind)
        self.places[self.count] = place(fields, fields.data, size_of(fields), fields.descr)
        self.names[self.count] = place_name(<PyObject *>kind, index)
        self.count += 1

    cdef tuple take(self):
        """Take all loans. Returns (kind, index) of an array whose memory is no longer valid, else None."""
        cdef Loan loan
        for loan, kind, index in self.loans:
            if not loan.take():
                return kind, index
        return None

    cdef inline int64_t moved(self) noexcept nogil:
        """The first of `places` that has moved or has another size or type; -1 for none. Runs no Python code."""
        cdef const place *one = self.places
        cdef int64_t i
        for i in range(self.count):
            if one.owner.data != one.data or one.owner.descr != one.descr or size_of(one.owner) != one.size:
                return i
            one += 1
        return -1

    cdef tuple name_of(self, int64_t i):
        """(kind, index) of an array in `places`."""
        return <object>self.names[i].kind, self.names[i].index

    cdef void give_back(self) noexcept:
        cdef Loan loan
        for loan, _, _ in self.loans:
            loan.give_back()
