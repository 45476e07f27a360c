# Options of optimizer steps, read fast where they are what nearly all are: floats, True, False, words.

from libc.math cimport INFINITY


cdef class Range:
    """Checks numbers: finite, low <= x <= high and x < below. Called, it is a check like those of `_checks`."""

    cdef readonly double low, high, below

    def __init__(self, double low, double high, double below=INFINITY):
        self.low, self.high, self.below = low, high, below

    def __call__(self, where, name, value):
        """The value as a float."""
        if type(value) is float and self.holds(value):
            return value
        return HOOKS["real"](where, name, value, self.low, self.high, self.below)

    cdef bint holds(self, double value):
        return self.low <= value <= self.high and value < self.below


def kinds_of(dict checks, dict options, bint checked):
    """A key of the options: of a number whether it is 0, flags and words as they are, True for whatever else there is.

    None where they are not `checked` and one is something else, or a number out of range.
    """
    cdef list kinds = []
    for name, check in checks.items():
        value = options[name]
        if type(value) is float and type(check) is Range:
            if not checked and not (<Range>check).holds(value):
                return None
            kinds.append(<double>value != 0)
        elif type(check) is not Range and (type(value) is bool or type(value) is str):
            kinds.append(value)
        elif checked:
            kinds.append(True)
        else:
            return None
    return tuple(kinds)
