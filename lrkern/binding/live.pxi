# Scheduled inputs of rules: evaluated and checked within the step, under its lock.

cdef enum:
    EMA = -1  # and below: of the second average, of the third
    CLIP_NORM = -4
    SKIP_NORM = -5
    SKIP_SIGMA = -6

# Scheduled values that are not inputs of a rule.
EMA_PLACES = {"ema": EMA, "ema[0]": EMA, "ema[1]": EMA - 1, "ema[2]": EMA - 2}
LIMITS = {"clip_norm": CLIP_NORM, "skip_norm": SKIP_NORM, "skip_sigma": SKIP_SIGMA}
PLACES = EMA_PLACES | LIMITS

# The first inputs of every rule in C.
cdef enum:
    LR
    WEIGHT_DECAY
    DECOUPLED

MAX_FLOAT32 = float(np.finfo(np.float32).max)
cdef double MAX_SHRINKAGE = MAX_FLOAT32


def check_shrinkage(where, double lr, double decay):
    """Raise if lr weight_decay, which is rounded to the type of a tensor, is too large for float32."""
    if lr * decay > MAX_FLOAT32:
        wanted = f"lr * weight_decay must be at most {MAX_FLOAT32:g}"
        raise ValueError(f"{where}: {wanted}; got lr={lr}, weight_decay={decay}")


cdef class LiveInput:
    """One input with its schedule, or function of the step."""

    cdef int64_t group
    cdef int place  # of the input in RULES, or one of PLACES
    cdef object name, schedule, check

    cdef double at(self, TensorList tensors, int64_t count) except? -1.0:
        """The value at a step, checked."""
        cdef double value
        if isinstance(self.schedule, Expression):
            value = (<Expression>self.schedule).at(count)
            if type(self.check) is Range and (<Range>self.check).holds(value):
                return value
            given = value
        else:
            tensors.runs_python()
            given = self.schedule(count)
            if type(given) is float and type(self.check) is Range and (<Range>self.check).holds(<double>given):
                return <double>given
        return self.check(f"{tensors.where}, step {count}", self.name, given)


cdef class LiveInputs:
    """All scheduled inputs of an optimizer."""

    cdef TensorList tensors
    cdef list inputs
    cdef readonly list shrinking  # groups with a scheduled learning rate or weight decay

    def __init__(self, TensorList tensors not None):
        assert all(names[:3] == ("lr", "weight_decay", "decoupled") for names in RULES.values())
        self.tensors, self.inputs, self.shrinking = tensors, [], []

    def add(self, int64_t group, index, str name, schedule, check):
        """Schedule an input, replacing its previous schedule; its place is `index`, or that in PLACES."""
        cdef LiveInput made = LiveInput.__new__(LiveInput)
        made.group, made.place = group, PLACES[name] if index is None else index
        made.name, made.schedule, made.check = name, schedule, check
        self.remove(group, made.place)
        self._set([*self.inputs, made])

    def remove(self, int64_t group, int place):
        """Remove the schedule of an input."""
        cdef LiveInput one
        kept = []
        for one in self.inputs:
            if one.group != group or one.place != place:
                kept.append(one)
        self._set(kept)

    cdef _set(self, list inputs):
        cdef LiveInput one
        self.inputs, shrinking = inputs, set()
        for one in inputs:
            if (one.place == LR or one.place == WEIGHT_DECAY) and self.tensors.groups[one.group] in RULES:
                shrinking.add(one.group)
        self.shrinking = sorted(shrinking)

    def at(self, int64_t count):
        """(group, place, value) of each at a step, with checked values."""
        cdef LiveInput one
        found = []
        for one in self.inputs:
            found.append((one.group, one.place, one.at(self.tensors, count)))
        return found

    cpdef check(self, int64_t group, double lr, double decay, bint decoupled):
        """Raise if lr weight_decay of a group at a step is too large."""
        if decoupled:
            rows = self.tensors.largest_lr(group)
            check_shrinkage(self.tensors.where, lr if rows is None else rows, decay)
