# The numbers of parameters that an optimizer of another framework shows to its users, who may write there.

from libc.string cimport memcmp, memcpy


@cython.final
cdef class Shown:
    """A row of numbers for each parameter: how many updates it has had, and its scalar states.

    Every step looks at them and counts. Right after a backward pass the caches hold other code, and NumPy's functions take as
    long as steps of a hundred small tensors.
    """

    cdef readonly cnp.ndarray rows
    cdef cnp.ndarray noted

    def __init__(self, Py_ssize_t count, Py_ssize_t scalars):
        self.rows, self.noted = np.zeros((count, 1 + scalars)), np.zeros((count, 1 + scalars))

    def count(self):
        """Count an update of every parameter."""
        cdef Py_ssize_t i, width = cnp.PyArray_DIM(self.rows, 1)
        cdef double *rows = <double *>cnp.PyArray_DATA(self.rows)
        for i in range(cnp.PyArray_DIM(self.rows, 0)):
            rows[i * width] += 1

    def note(self):
        """Remember the numbers, to find those that users write."""
        memcpy(cnp.PyArray_DATA(self.noted), cnp.PyArray_DATA(self.rows), cnp.PyArray_NBYTES(self.rows))

    def note_one(self, Py_ssize_t i):
        """Remember those of one parameter."""
        self.noted[i] = self.rows[i]

    def are_as_noted(self):
        """Whether all numbers have the bits that they had then."""
        return memcmp(cnp.PyArray_DATA(self.noted), cnp.PyArray_DATA(self.rows), cnp.PyArray_NBYTES(self.rows)) == 0
