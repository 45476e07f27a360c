# The floating-point mode of the calling thread, for what Python and Numba compute.

cdef extern from "runtime/fpenv.h" nogil:
    uint64_t lrk_fp_default()
    void lrk_fp_restore(uint64_t found)


cdef class DefaultMode:
    """A context in which floats are rounded to nearest and denormals kept, whatever the caller's mode; C sees to it by itself."""

    cdef uint64_t found

    def __enter__(self):
        self.found = lrk_fp_default()

    def __exit__(self, *error):
        lrk_fp_restore(self.found)
