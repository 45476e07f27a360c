# Rules of the user's own, compiled while the program runs: registered in the C library.


cdef extern from "steps/steps.h" nogil:
    const int LRK_MAX_COEFS
    lrk_rule lrk_own_rule_find(const char *name)
    double lrk_own_power(double base, int64_t n)
    double lrk_own_one_minus_power(double base, int64_t n)
    double lrk_own_real_power(double base, double exponent)


# What compiled rules call: names and addresses
RULE_WORDS = {
    "lrk_own_power": <uintptr_t>&lrk_own_power,
    "lrk_own_one_minus_power": <uintptr_t>&lrk_own_one_minus_power,
    "lrk_own_real_power": <uintptr_t>&lrk_own_real_power,
}


cdef lrk_rule_tensor *no_tensor = NULL

# Where the members of an lrk_rule_tensor lie in it: bytes
RULE_TENSOR = {
    "n": <uintptr_t>&no_tensor.n,
    "norm": <uintptr_t>&no_tensor.norm,
    "measured": <uintptr_t>&no_tensor.measured,
    "size": <uintptr_t>&no_tensor.size,
    "states": <uintptr_t>&no_tensor.states[0],
}


def register_rule(str name, inputs, int states, int scalar_states, int coefs, measured, functions):
    """Make a rule known to `StepList`, if it is not yet. `measured`: None, "norm" or "sum".

    `functions`: the addresses of `scalars`, `new_scalar_states`, `update_f32`, `update_f64`, `measure_f32`, `measure_f64`.
    """
    cdef lrk_own_rule rule
    cdef lrk_rule number
    cdef bytes own_name = name.encode(), own_inputs = " ".join(inputs).encode()
    cdef dict at = {word: <uintptr_t>functions.get(word, 0) for word in RULE_FUNCTIONS}
    rule.name, rule.inputs = own_name, own_inputs
    rule.states, rule.scalar_states, rule.coefs = states, scalar_states, coefs
    rule.measured = LRK_MEASURES_SUM if measured == "sum" else LRK_MEASURES_NORM if measured else LRK_MEASURES_NOTHING
    rule.scalars = <lrk_own_scalars *><uintptr_t>at["scalars"]
    rule.new_scalar_states = <lrk_own_scalars *><uintptr_t>at["new_scalar_states"]
    rule.update[<int>LRK_F32] = <lrk_own_update *><uintptr_t>at["update_f32"]
    rule.update[<int>LRK_F64] = <lrk_own_update *><uintptr_t>at["update_f64"]
    rule.measure[<int>LRK_F32] = <lrk_own_measure *><uintptr_t>at["measure_f32"]
    rule.measure[<int>LRK_F64] = <lrk_own_measure *><uintptr_t>at["measure_f64"]
    number = lrk_rule_register(&rule)
    if number == LRK_ERROR_MEMORY:
        raise MemoryError("lrkern: there is no room for another rule")
    if number == LRK_ERROR_ARGUMENT:
        number = lrk_own_rule_find(own_name)  # it may be known already
    if number < 0:
        raise ValueError(f"register_rule: the rule must be valid; got {name!r}")
    RULE_NUMBERS[name] = number


RULE_FUNCTIONS = ("scalars", "new_scalar_states", "update_f32", "update_f64", "measure_f32", "measure_f64")


def knows_rule(str name):
    """Whether `StepList` has a rule of this name."""
    return name in RULE_NUMBERS
