"""Rules over arrays in compiled code: one loop that reads, unscales, clips, updates, averages, copies and writes each element.

`Pipeline` has the options outside the rule. Options that are off have neutral values: a factor of 1, a limit of infinity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload

from lrkern.numba.arrays import (
    STRIDE,
    _ask_of_array,
    _part_of,
    cached,
    flat,
    load,
    only_writable,
    present,
    store,
    store_random,
    written,
    zero_of,
)
from lrkern.numba.norms import BLOCK, LANES, add_square, folded, square_of
from lrkern.pointwise import storage
from lrkern.pointwise.exact_sum import BINS, add, total
from lrkern.pointwise.pipeline import averaged, prepared
from lrkern.pointwise.primitives import FLAGS, number, pointwise, rounded, word
from lrkern.rules import compiled as rules

AHEAD = 512
"""The prefetch distance in elements."""

ELEMENTS = 4096
"""Elements that are updated before their gradients are set to zero: few enough for the inner caches."""


inlined = njit(inline="always", **FLAGS)
"""`pointwise` for functions with so many arguments that passing them would take longer than a small tensor, and that would take
longer to compile than what they do: Numba puts their statements into the function that calls them."""


class Pipeline(NamedTuple):
    """Options of steps outside the rule: gradients are multiplied by `factor`, then clipped to `limit`.

    In lists, each tensor has its own `factor` and weights, and those passed for all are ignored.
    """

    factor: float
    limit: float
    weight: float  # of the parameter in its average
    weight1: float  # in its second one
    weight2: float
    zero: bool  # set gradients to 0 afterwards
    mixed: Any  # `random_seed`'s uint64 if parameters are rounded stochastically; None if to nearest
    mixed_states: Any  # the same for states


class Arrays(NamedTuple):
    """Consecutive elements of a tensor's arrays, 1-D or None, in the order of C's roles, and of the new parameter in T."""

    param: Any
    grad: Any
    s0: Any
    s1: Any
    s2: Any
    s3: Any
    s4: Any
    average: Any
    average1: Any
    average2: Any
    copy: Any
    remainder: Any
    after: Any


load_param = word("load_param")  # load_param(param, remainder, i, like)
store_param = word("store_param")  # store_param(param, remainder, i, x, key, element)
store_state = word("store_state")  # store_state(state, i, x, key, element)
key_of = word("key_of")  # key_of(mixed, stream, element)
parts = word("parts")  # parts(a, begin, size): a part of these elements
ask_for = word("ask_for")  # ask_for(a, i): prefetch the elements from i on
# run_one(c, like, first, around, keys, a, i): update element i, whose index in the tensor is first + i. `around`: factor, limit
# and weights in T; `keys`: random keys of the parameter and of the states.
run_one = word("run_one")
measured_at = word("measured_at")  # measured_at(c, like, around, a, i): (the parameter, what its rule measures) of element i
room_for = word("room_for")  # room_for(like): memory for a block of norms in T


@overload(room_for, jit_options=FLAGS)
def _room_for(like):
    dtype = np.float64 if str(like) == "float64" else np.float32
    return lambda like: np.empty(BLOCK, dtype)


@overload(load_param, jit_options=FLAGS)
def _load_param(param, remainder, i, like):
    if isinstance(remainder, types.NoneType):
        return lambda param, remainder, i, like: load(param, i, like)
    return lambda param, remainder, i, like: storage.join_split(param[i], remainder[i])


@overload(store_param, jit_options=FLAGS)
def _store_param(param, remainder, i, x, key, element):
    def whole(param, remainder, i, x, key, element):
        store_state(param, i, x, key, element)

    def halves(param, remainder, i, x, key, element):
        param[i], remainder[i] = storage.split(x)

    return whole if isinstance(remainder, types.NoneType) else halves


@overload(store_state, jit_options=FLAGS)
def _store_state(state, i, x, key, element):
    if isinstance(key, types.NoneType):
        return lambda state, i, x, key, element: store(state, i, x)
    return lambda state, i, x, key, element: store_random(state, i, x, key, element)


@overload(key_of, jit_options=FLAGS)
def _key_of(mixed, stream, element):
    if isinstance(mixed, types.NoneType):
        return lambda mixed, stream, element: None
    return lambda mixed, stream, element: storage.random_key(mixed, np.uint64(stream), np.uint64(element))


@overload(parts, jit_options=FLAGS)
def _parts(a, begin, size):
    given = present(a)
    fields = [f"_part_of(a.{name}, begin, size)" if name in given and name != "after" else "None" for name in a.fields]
    return written("a, begin, size", [f"return Arrays({', '.join(fields)})"], Arrays=Arrays, _part_of=_part_of)


@overload(ask_for, jit_options=FLAGS)
def _ask_for(a, i):
    asked = [f"_ask_of_array(a.{name}, i)" for name in present(a) if name != "after"]
    return written("a, i", asked, _ask_of_array=_ask_of_array)


class _Elements:
    """Expressions on element i of the arrays that are present. Those in T need no function that converts."""

    def __init__(self, a: Any, like: Any) -> None:
        self.given, self.like = present(a), like

    def read(self, name: str) -> str:
        """An element in T; 0 without an array."""
        if name not in self.given:
            return "like"
        if name == "param" and "remainder" in self.given:
            return "load_param(a.param, a.remainder, i, like)"
        return f"a.{name}[i]" if self.given[name].dtype == self.like else f"load(a.{name}, i, like)"

    def store(self, name: str, value: str) -> list[str]:
        """Statements that write a number in T, rounded to nearest."""
        if name not in self.given:
            return []
        only_writable(self.given[name])
        return [f"a.{name}[i] = {value}" if self.given[name].dtype == self.like else f"store(a.{name}, i, {value})"]


STATES = ("s0", "s1", "s2", "s3", "s4")
AVERAGES = {"average": "weight", "average1": "weight1", "average2": "weight2"}


@overload(run_one, jit_options=FLAGS)
def _run_one(c, like, first, around, keys, a, i):
    e = _Elements(a, like)
    random = [not isinstance(one, types.NoneType) for one in keys]
    lines = ["factor, limit, weight, weight1, weight2 = around", f"y = prepared({e.read('grad')}, factor, limit)"]
    lines += ["element = np.uint64(first + i)"] if any(random) else ["element = np.uint64(0)"]
    lines.append(f"x, t0, t1, t2, t3, t4 = update(c, {e.read('param')}, y, {', '.join(map(e.read, STATES))})")
    for name, weight in AVERAGES.items():
        lines += e.store(name, f"averaged({e.read(name)}, x, {weight})")
    lines += e.store("copy", "x") + e.store("after", "x")
    if random[0] or "remainder" in e.given:
        lines.append("store_param(a.param, a.remainder, i, x, keys[0], element)")
    else:
        lines += e.store("param", "x")
    for k, name in enumerate(STATES):
        if random[1 + k] and name in e.given:
            lines.append(f"store_state(a.{name}, i, t{k}, keys[{1 + k}], element)")
        else:
            lines += e.store(name, f"t{k}")
    return written(
        "c, like, first, around, keys, a, i",
        lines,
        np=np,
        averaged=averaged,
        load=load,
        load_param=load_param,
        prepared=prepared,
        store=store,
        store_param=store_param,
        store_state=store_state,
        update=rules.functions_of(c.instance_class).update,
    )


@overload(measured_at, jit_options=FLAGS)
def _measured_at(c, like, around, a, i):
    e, functions = _Elements(a, like), rules.functions_of(c.instance_class)
    lines = [
        "factor, limit = around",
        f"x, y = {e.read('param')}, prepared({e.read('grad')}, factor, limit)",
        f"return x, measured(c, x, y, {', '.join(map(e.read, STATES))})",
    ]
    scope = {"load": load, "load_param": load_param, "prepared": prepared, "measured": functions.measured}
    return written("c, like, around, a, i", lines, **scope)


@inlined
def run_block(c, like, first, pipeline, a):
    """Update all elements; `first`: the index of the first one in its tensor."""
    around = (
        number(pipeline.factor, like),
        number(pipeline.limit, like),
        number(pipeline.weight, like),
        number(pipeline.weight1, like),
        number(pipeline.weight2, like),
    )
    states = pipeline.mixed_states
    keys = (
        key_of(pipeline.mixed, 0, first),
        key_of(states, 1, first),
        key_of(states, 2, first),
        key_of(states, 3, first),
        key_of(states, 4, first),
        key_of(states, 5, first),
    )
    size = a.param.size
    whole = size // STRIDE * STRIDE
    for group in range(0, whole, STRIDE):
        ask_for(a, group + AHEAD)
        for i in range(group, group + STRIDE):
            run_one(c, like, first, around, keys, a, i)
    for i in range(whole, size):
        run_one(c, like, first, around, keys, a, i)


@inlined
def run_range(c, like, first, pipeline, a):
    """The same in blocks; zeroes gradients if requested."""
    begin = 0
    while begin < a.param.size:
        size, left = ELEMENTS, a.param.size - begin
        # The key of random bits depends on the upper half of an element's index.
        half = (1 << 32) - ((first + begin) & 0xFFFFFFFF)
        if left < size:
            size = left
        if half < size:
            size = half
        block = parts(a, begin, size)
        run_block(c, like, first + begin, pipeline, block)
        if pipeline.zero:
            for i in range(size):
                block.grad[i] = 0
        begin += size


@pointwise
def with_after(a, after):
    """The same elements, with memory for the new parameter."""
    return Arrays(
        a.param, a.grad, a.s0, a.s1, a.s2, a.s3, a.s4, a.average, a.average1, a.average2, a.copy, a.remainder, after
    )  # fmt: skip


@pointwise
def run_with_norms(c, like, first, pipeline, a, sums, number):
    """`run_range` in blocks of norms: sums[number] and those after it get sums of squares of gradient, parameter, update."""
    lanes = np.empty(LANES)
    before, after = room_for(like), room_for(like)
    for begin in range(0, a.param.size, BLOCK):
        size = min(BLOCK, a.param.size - begin)
        block = with_after(parts(a, begin, size), after[:size])
        for i in range(size):
            before[i] = load_param(block.param, block.remainder, i, like)
        row = sums[number + begin // BLOCK]
        row[0] = square_of(block.grad, like, 1.0, lanes)
        row[1] = square_of(before[:size], like, 1.0, lanes)
        run_block(c, like, first + begin, pipeline, block)
        for i in range(size):
            before[i] = after[i] - before[i]
        row[2] = square_of(before[:size], like, 1.0, lanes)
        if pipeline.zero:
            for i in range(size):
                block.grad[i] = 0


@pointwise
def measure_block(c, like, pipeline, a, lanes, others):
    """(sum of squares of a block's parameters, sum of the terms of what the rule measures); the last two: scratch memory."""
    around = number(pipeline.factor, like), number(pipeline.limit, like)
    lanes[:] = 0.0
    others[:] = 0.0
    for i in range(a.param.size):
        x, m = measured_at(c, like, around, a, i)
        add_square(lanes, i % LANES, np.float64(x))
        others[i % LANES] = others[i % LANES] + rules.term(c, m)
    return folded(lanes), folded(others)


# ------------------------------------------------------------------------------------ one tensor, in a user's own function


@cached
def tensor(n, param):
    """What the scalars of a rule without scalar states depend on, at update number n of a tensor, before it is measured."""
    return rules.Tensor(n, 1.0, 1.0, np.float64(param.size), 0.0, 0.0)


@cached
def step(h, t, param, grad, s0, s1=None, s2=None, s3=None, s4=None):
    """Update one tensor by the rule with inputs `h`, without a pipeline; `t`: a `rules.Tensor`. Returns the scalar states."""
    like = zero_of(param)
    c = rounded(rules.scalars(h, t), like)
    a = Arrays(flat(param), flat(grad), flat(s0), flat(s1), flat(s2), flat(s3), flat(s4), None, None, None, None, None, None)
    run_block(c, like, 0, Pipeline(1.0, np.inf, 1.0, 1.0, 1.0, False, None, None), a)
    return rules.scalar_states(h, t)


@cached
def step_measured(h, t, sums_up, param, grad, s0, s1=None, s2=None, s3=None, s4=None):
    """The same for a rule that needs norms or, `sums_up`, a sum."""
    like, pipeline = zero_of(param), Pipeline(1.0, np.inf, 1.0, 1.0, 1.0, False, None, None)
    a = Arrays(flat(param), flat(grad), flat(s0), flat(s1), flat(s2), flat(s3), flat(s4), None, None, None, None, None, None)
    c = rounded(rules.scalars(h, t), like)
    lanes, others = np.empty(LANES), np.empty(LANES)
    sums = np.zeros((2, BINS), np.int64)
    for begin in range(0, a.param.size, BLOCK):
        block = parts(a, begin, min(BLOCK, a.param.size - begin))
        squares = measure_block(c, like, pipeline, block, lanes, others)
        for k in range(2):
            add(sums[k], squares[k])
    measured = total(sums[1]) if sums_up else np.sqrt(total(sums[1]))
    known = rules.Tensor(t.n, np.sqrt(total(sums[0])), measured, t.size, t.z0, t.z1)
    run_block(rounded(rules.scalars(h, known), like), like, 0, pipeline, a)
    return rules.scalar_states(h, known)
