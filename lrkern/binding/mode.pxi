# The floating-point mode of the calling thread, for computations in Python and Numba.

cdef extern from "runtime/fpenv.h" nogil:
    uint64_t lrk_fp_default()
    void lrk_fp_restore(uint64_t found)


cdef class DefaultMode:
    """A context with rounding to nearest and denormals, whatever the caller's mode. C sets its mode itself."""

    cdef uint64_t found

    def __enter__(self):
        self.found = lrk_fp_default()

    def __exit__(self, *error):
        lrk_fp_restore(self.found)
