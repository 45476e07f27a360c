# Fused optimizer steps in C: src_c/steps/run.c updates the tensors that a TensorList has checked.

cdef dict CLIPS_PER = {"list": LRK_CLIP_LIST, "group": LRK_CLIP_GROUP, "tensor": LRK_CLIP_TENSOR}
cdef enum:
    SMALL_STEP = 16 << 10  # bytes of parameters, up to which a step keeps the GIL: another thread would take it for longer

cdef dict ROUNDINGS = {"nearest": LRK_NEAREST, "stochastic": LRK_STOCHASTIC, "split": LRK_SPLIT}


cdef class StepList:
    """The C engine: updates a list of tensors. See `lrkern.backends.engine.Engine`."""

    cdef readonly TensorList tensors
    cdef lrk_step_list *list  # of those tensors
    cdef lrk_step_options options
    cdef LiveInputs live
    cdef double[::1] recent
    cdef readonly double grad_norm
    cdef readonly int64_t count, skipped
    cdef const char *isa

    def __init__(self, tensors):
        for name in tensors.groups:
            if name not in RULE_NUMBERS:
                raise ValueError(f"{tensors.where}: the C library must know the rule; got {name}")
        self._begin(TensorList(*tensors))

    cdef _begin(self, TensorList tensors):
        self.tensors, self.list, self.live, self.recent = tensors, &tensors.list, None, None
        tensors.reads_tensors = True
        self.options = lrk_step_defaults()
        self.options.state_rounding = LRK_NEAREST

    @property
    def isa(self):
        """Name of the ISA whose kernels the last step ran on; None before the first one."""
        return None if self.isa == NULL else self.isa.decode()

    def set_options(self, options):
        """Set the options of steps outside the rule: a `lrkern.backends.StepOptions`."""
        self.tensors.zero_grad = self.options.zero_grad = options.zero_grad
        self.options.clip_value, self.options.clip_per = options.clip_value, CLIPS_PER[options.clip_per]
        self.options.skip_nonfinite, self.options.norms = options.skip_nonfinite, options.norms
        self.options.error_if_nonfinite = options.error_if_nonfinite
        self.options.skip_window, self.recent = options.skip_window, np.zeros(options.skip_window)
        self.list.recent, self.list.recent_count = &self.recent[0], 0
        self.options.rounding = ROUNDINGS[options.rounding]
        self.options.state_rounding = ROUNDINGS[options.state_rounding]
        self.options.ema_every, self.options.seed = options.ema_every, options.seed

    def set_input(self, int64_t group, int index, double value):
        """Set an input of a group's rule, by its place in RULES."""
        assert 0 <= group < self.list.n_groups and 0 <= index < LRK_MAX_INPUTS
        self._forget(group, index)
        self.list.groups[group].inputs[index] = value

    def set_ema(self, int64_t group, int which, double decay):
        """Set a decay of a group's averages."""
        assert 0 <= group < self.list.n_groups and 0 <= which < LRK_MAX_AVERAGES
        self._forget(group, EMA - which)
        self.list.groups[group].ema[which] = decay

    def set_limit(self, name, double limit):
        """Set a limit of norms: one of `LIMITS`; infinity: off."""
        self._forget(0, PLACES[name])
        self._limit(PLACES[name], limit)

    def set_schedule(self, int64_t group, index, name, schedule, check):
        """Schedule an input; without an `index`, the one of that name in PLACES."""
        if self.live is None:
            self.live = LiveInputs(self.tensors)
        self.live.add(group, index, name, schedule, check)

    cdef _forget(self, int64_t group, int place):
        if self.live is not None:
            self.live.remove(group, place)

    cdef _limit(self, int place, double value):
        if place == CLIP_NORM:
            self.options.clip_norm = value
        elif place == SKIP_NORM:
            self.options.skip_norm = value
        else:
            self.options.skip_sigma = value

    def publish(self):
        """Does nothing: the next step reads what has been set."""

    def get_norms(self):
        """(gradient, parameter, update) of each tensor at the last step done: see `Engine`."""
        return [
            (self.list.lengths[i].grad, self.list.lengths[i].param, self.list.lengths[i].update) for i in range(self.list.count)
        ]

    def get_updates(self):
        """The number of updates of each tensor."""
        return [self.list.updates[i] for i in range(self.list.count)]

    def alone(self, function):
        """Call a function while no other thread can use the optimizer, and return its result."""
        with self.tensors:
            return function()

    def held(self, function):
        """The same within a function called by `alone`, with arrays checked to be in place."""
        self.tensors.hold_all()
        try:
            return function()
        finally:
            self.tensors.let_go_of_all()

    def get_recent(self):
        """The norms of the last steps done, the oldest first."""
        cdef int64_t count = 0 if self.recent is None else min(self.list.recent_count, self.options.skip_window), k
        return [self.recent[(self.list.recent_count - count + k) % self.options.skip_window] for k in range(count)]

    def get_scalar_states(self):
        """The scalar states of each tensor."""
        return [
            tuple([self.list.tensors[i].scalar_states[k] for k in range(LRK_MAX_SCALAR_STATES)]) for i in range(self.list.count)
        ]

    def restore(self, list updates, int64_t count, int64_t skipped, list arrays, recent=(), scalar_states=()):
        """Go back to these counts, norms and scalar states, and copy the second array of each pair of `arrays` into the first."""
        if len(updates) != self.list.count:
            raise ValueError("updates must be as many as params")
        with self.tensors:
            self.tensors.overwrite(arrays)
            for i in range(self.list.count):
                self.list.updates[i] = updates[i]
                own = scalar_states[i] if i < len(scalar_states) else ()
                for k in range(LRK_MAX_SCALAR_STATES):
                    self.list.tensors[i].scalar_states[k] = own[k] if k < len(own) else 0.0
            self.count, self.skipped, self.list.recent_count = count, skipped, 0
            if self.recent is not None:
                for norm in recent[-self.options.skip_window:]:
                    self.recent[self.list.recent_count] = norm
                    self.list.recent_count += 1

    def write_copies(self):
        """Write the arrays of "copy_to" as a step would, from the current parameters. Call it through `alone`."""
        self.tensors.write_copies()

    def bind(self, list grads):
        """Check the gradients, and keep them for steps without gradients."""
        self.tensors.acquire()
        try:
            self.tensors.bind(grads)
        finally:
            self.tensors.release()

    def run(self, grads, double grad_scale):
        """One step with these gradients (a list, or `Gradients`; None: the bound ones) and the current values of schedules.

        It is counted here, not by the caller: Ctrl-C could come before the caller's next line.

        Returns the result of `TensorList.nonfinite` if the step was refused because of it and has done nothing, else None.
        """
        cdef lrk_step_result result
        cdef TensorList tensors = self.tensors
        tensors.acquire()
        try:
            if self.live is not None:
                self._refresh()
            if type(grads) is Gradients:
                kept = tensors.take_of(<Gradients>grads)
            elif grads is not None:
                kept = tensors.take(grads)
            elif tensors.bound is None:
                raise ValueError(f"{tensors.where}: grads are needed: pass them to step(), or bind() them first")
            self.options.grad_scale = grad_scale
            self.options.step = <uint64_t>self.count
            tensors.hold_all()
            if tensors.bytes <= SMALL_STEP and not tensors.any_sparse:
                result = lrk_step_run(self.list, &self.options)
            else:
                with nogil:
                    result = lrk_step_run(self.list, &self.options)
            if result.isa == NULL:
                raise MemoryError
            self.isa = result.isa
            if result.refused:
                return tensors.nonfinite()
            self.grad_norm = result.grad_norm
            if result.skipped:
                self.skipped += 1
            else:
                self.count += 1
        finally:
            if type(grads) is Gradients:  # before another thread can read its own
                (<Gradients>grads).forget()
            tensors.release()

    def rewind(self):
        """Take back the count of the last step, which was not skipped: another part of it follows."""
        self.count -= 1

    cdef _refresh(self):
        """Set the scheduled inputs of the next step."""
        cdef LiveInput one
        cdef double value
        cdef double *inputs
        cdef int64_t group
        for one in self.live.inputs:
            value = one.at(self.tensors, self.count)
            if one.place <= CLIP_NORM:
                self._limit(one.place, value)
            elif one.place < 0:
                self.list.groups[one.group].ema[EMA - one.place] = value
            else:
                self.list.groups[one.group].inputs[one.place] = value
        for group in self.live.shrinking:
            inputs = self.list.groups[group].inputs
            self.live.check(group, inputs[LR], inputs[WEIGHT_DECAY], inputs[DECOUPLED] != 0)


def own_name(kind, index):
    """The name of an array if there is only one tensor."""
    return kind


def step_once(where, form, dict options, param, grad, dict states, int64_t update, arrays):
    """One step of one tensor, after `update` updates. `form` is an `options.Form`, `options` those it was made from.

    The states that the form needs must be there. `arrays`: the array library of the backend.
    """
    cdef dict kept = {}
    cdef StepList tensors = StepList.__new__(StepList)
    cdef int place = 0
    for name, state in states.items():
        if name not in form.states:
            state = None
        elif not cnp.PyArray_CheckExact(state):
            state = arrays.as_array(where, name, state, written=True)
        kept[name] = [state]
    if not cnp.PyArray_CheckExact(param):
        param = arrays.as_array(where, "param", param, written=True)
    # The fields of a StepTensors, in order: creating one would take longer than a small step.
    tensors._begin(
        TensorList(where, own_name, [param], [form.variant], [0], kept, NO_ARRAYS, None, False, arrays.as_dense_gradient, False)
    )
    for _, hyper, constant in <tuple>form.inputs:
        tensors.list.groups[0].inputs[place] = options[hyper] if hyper else constant
        place += 1
    tensors.list.updates[0] = update
    tensors.run([grad], 1)
