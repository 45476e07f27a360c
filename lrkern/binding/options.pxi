# Options of optimizer steps, with fast paths for floats, booleans and strings.

from cpython.long cimport PyLong_AsLongAndOverflow
from libc.math cimport INFINITY

from numpy import float32, float64


cdef object FLOAT32 = float32, FLOAT64 = float64


cdef inline bint read_number(value, double *number) noexcept:
    """Whether this is a float, a float64 or float32 of NumPy, or an int, and not of a subclass; then also its value."""
    cdef long whole
    cdef int overflow = 0
    if type(value) is float or type(value) is FLOAT64 or type(value) is FLOAT32:
        number[0] = <double>value
        return True
    if type(value) is int:
        whole = PyLong_AsLongAndOverflow(value, &overflow)
        number[0] = <double>whole
        return not overflow
    return False


cdef class Range:
    """A check of numbers: finite, low <= x <= high and x < below. It is called like the checks of `_checks`."""

    cdef readonly double low, high, below

    def __init__(self, double low, double high, double below=INFINITY):
        self.low, self.high, self.below = low, high, below

    def __call__(self, where, name, value):
        """The value as a float."""
        cdef double number
        if read_number(value, &number) and self.holds(number):
            return number
        return HOOKS["real"](where, name, value, self.low, self.high, self.below)

    cdef bint holds(self, double value):
        return self.low <= value <= self.high and value < self.below


def kinds_of(dict checks, dict options, bint checked):
    """A key of options: for numbers whether they are 0, flags and strings themselves, True for everything else.

    None if they are not `checked` and one has another type or is out of range.
    """
    cdef list kinds = []
    cdef double number
    for name, check in checks.items():
        value = options[name]
        if type(check) is Range and read_number(value, &number):
            if not checked and not (<Range>check).holds(number):
                return None
            kinds.append(number != 0)
        elif type(check) is not Range and (type(value) is bool or type(value) is str):
            kinds.append(value)
        elif checked:
            kinds.append(True)
        else:
            return None
    return tuple(kinds)
