"""Every fused step against the reference, to the last bit: rules, conventions, storage types, the pipeline around them."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import cases
import numpy as np
import pytest
import reference_steps as reference
from reference_steps import BF16, F16, F32, F64, Array
from representative import diagonals, rule_label
from step_arrays import assert_same_bits, fitting, specials, values
from step_pairs import Pair, arrays_in, defaults

import lrkern as lk

# Around every vector width (4 to 16 lanes) and around eight vectors; then several lines more.
SIZES = sorted({0, 1, 300, *(k * w + d for w in (4, 8, 16) for k in (1, 8) for d in (-1, 0, 1))})

# dtype of parameters, of gradients, of states; rounding, and after a slash that of states, if not stochastic
STORAGE = [
    (F64, F64, None, "nearest"),
    (F64, F32, F32, "nearest"),
    (F64, F16, F16, "nearest"),
    (F64, BF16, F16, "nearest/nearest"),
    (F64, BF16, BF16, "stochastic"),
    (F64, F64, F16, "stochastic"),
    (F32, F32, None, "nearest"),
    (F32, F32, F64, "nearest"),
    (F32, F64, F16, "nearest"),
    (F32, BF16, BF16, "nearest"),
    (F32, BF16, BF16, "nearest/nearest"),
    (F32, F16, BF16, "stochastic"),
    (F16, F16, None, "nearest"),
    (F16, F64, F64, "nearest"),
    (F16, F32, F16, "stochastic"),
    (F16, F32, BF16, "stochastic/nearest"),
    (BF16, BF16, None, "nearest"),
    (BF16, F64, BF16, "nearest"),
    (BF16, F32, None, "stochastic"),
    (BF16, BF16, BF16, "stochastic"),
    (BF16, F32, None, "split"),
    (BF16, BF16, BF16, "split"),
    (BF16, BF16, BF16, "split/nearest"),
]


def stored(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> dict[str, Any]:
    """The options for it, with states as a rule can have them."""
    _, _, state, rounding = storage
    rounding, _, of_states = rounding.partition("/")
    return {"state_dtype": fitting(name, options, state), "rounding": rounding, "state_rounding": of_states or "stochastic"}


# Some of them, for tests that multiply them with other things.
DOUBLE, PLAIN = (F64, F64, None, "nearest"), (F32, F32, None, "nearest")
FEW_STORAGE = [DOUBLE, PLAIN, (F64, F32, BF16, "stochastic"), *[one for one in STORAGE if one[0].itemsize == 2][::2]]
OPTIMIZERS: Any = cases.OPTIMIZERS
CASES = [(name, options) for name, tries in OPTIMIZERS.items() for options in tries]

_weight_decays: list[dict[str, Any]] = [{"weight_decay": 0.0}, {"weight_decay": 0.03}]
_decays: list[dict[str, Any]] = [*_weight_decays, {"weight_decay": 0.03, "decoupled": True}]
_adam: dict[str, list[Any]] = {
    "lr": [0.01],
    "convention": ["torch", "keras", "optax"],
    "amsgrad": [False, True],
    "eps_inside": [False, True],
    "eps": [1e-3],
    "": _weight_decays,
}
# All combinations of conventions and flags of each rule; dicts under "" are options that go together.
COMBINATIONS: dict[str, dict[str, list[Any]]] = {
    "SGD": {
        "lr": [0.1],
        "convention": ["torch", "zero-init", "keras"],
        "momentum": [0.0, 0.9],
        "nesterov": [False, True],
        "dampening": [0.0, 0.3],
        "": _decays,
    },
    "Adam": _adam,
    "AdamW": {**_adam, "decay_after": [False, True]},
    "Lion": {"lr": [0.01], "": _weight_decays},
    "RMSprop": {
        "lr": [0.01],
        "convention": ["torch", "keras"],
        "centered": [False, True],
        "momentum": [0.0, 0.9],
        "eps_inside": [False, True],
        "": _decays,
    },
    "Adagrad": {
        "lr": [0.1],
        "lr_decay": [0.0, 0.1],
        "initial_accumulator": [0.0, 0.1],
        "eps_inside": [False, True],
        "eps": [1e-3],
        "": _decays,
    },
    "LARS": {
        "lr": [0.5],
        "convention": ["paper", "optax", "apex"],
        "momentum": [0.0, 0.9],
        "nesterov": [False, True],
        "trust_clip": [False, True],
        "adapt": [True, False],
        "eps": [0.0, 0.01],
        "trust": [0.1],
        "": _weight_decays,
    },
    "LAMB": {
        "lr": [0.01],
        "convention": ["paper", "keras"],
        "bias_correction": [False, True],
        "adapt": [True, False],
        "eps": [1e-3],
        "": _weight_decays,
    },
}


def combinations(name: str) -> Iterator[dict[str, Any]]:
    table = {**COMBINATIONS[name], "maximize": [False, True]}
    for chosen in itertools.product(*table.values()):
        options = {key: value for key, value in zip(table, chosen, strict=True) if key}
        options |= dict(zip(table, chosen, strict=True))[""]
        if name == "SGD" and (
            (options["nesterov"] and (options["dampening"] or not options["momentum"]))
            or (options["convention"] == "keras" and options["dampening"])
        ):
            continue  # refused
        yield options


# ------------------------------------------------------------------------------------------------------------------- rules


def grads_of(dtype: Any, sizes: Sequence[int], step: int) -> list[Array]:
    return [values(dtype, n, 1000 * step + n) for n in sizes]


@diagonals(3, ("name,options", CASES, rule_label), ("storage", STORAGE, str))
def test_every_size_and_storage(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    param, grad, *_ = storage
    pair = Pair(name, [values(param, n, n) for n in SIZES], **options, **stored(name, options, storage), seed=2**64 - 3)
    pair.run([grads_of(grad, SIZES, step) for step in (1, 2)])
    pair.assert_moved(0.4)  # Lion goes back and forth


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_combination_of_options(name: str, dtype: Any) -> None:
    for options in combinations(name):
        pair = Pair(name, [values(dtype, 21, 1), values(dtype, 3, 2)], **options)
        try:
            pair.run([grads_of(dtype, (21, 3), step) for step in (1, 2)])
            pair.assert_moved(0.7)
        except AssertionError as error:
            raise AssertionError(f"{options}: {error}") from None


@diagonals(3, ("name,options", CASES, rule_label), ("storage", FEW_STORAGE, str))
def test_infinities_nans_zeros_and_denormals(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    """All pairs of special parameters and gradients, with special states and with none."""
    param, grad, *_ = storage
    rng = np.random.default_rng(1)
    p, g = (np.array(column) for column in zip(*itertools.product(specials(param), specials(grad)), strict=True))
    for updates in (0, 5):
        # LARS and LAMB take norms: small tensors, so that not all have a NaN in it.
        pieces = p.size if name in ("LARS", "LAMB") else 13
        params, grads = np.split(p, pieces), np.split(g, pieces)
        pair = Pair(name, params, **options, **stored(name, options, storage))
        if updates:
            state = stored(name, options, storage)["state_dtype"]
            kept = np.dtype(state or reference.computed_in(param))
            pair.load(updates, updates, [rng.choice(specials(kept), p.size // pieces) for _ in range(3)])
        pair.run([grads, grads[::-1]])
        pair.assert_moved(0.3)


FOUR_STORAGE = [DOUBLE, PLAIN, (F16, F32, F16, "stochastic"), (BF16, F32, BF16, "split")]


@diagonals(2, ("name,options", CASES, rule_label), ("storage", FOUR_STORAGE, str))
def test_step_of_a_million(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    param, grad, *_ = storage
    pair = Pair(name, [values(param, n, n) for n in (40, 3)], **options, **stored(name, options, storage))
    pair.load(10**6 - 1, 10**6 - 1, [np.abs(values(F32, 40, seed)) for seed in (1, 2, 3)])
    pair.run([grads_of(grad, (40, 3), step) for step in (1, 2)])
    assert pair.expected.count == 10**6 + 1
    pair.assert_moved()


@pytest.mark.parametrize("dtype", [F32, F64, BF16], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_options_at_their_limits(name: str, options: dict[str, Any], dtype: Any) -> None:
    """Options that are 0, that vanish in float32, that overflow in it: states move all the same."""
    has = defaults(name) | options
    extremes: list[dict[str, Any]] = [{"lr": 0.0}, {"weight_decay": 1e-60}, {"weight_decay": 1e-10}, {"weight_decay": 1e30}]
    extremes += [{"eps": one} for one in (0.0, 1e-60, 1e30) if "eps" in has]
    extremes += [{"beta1": 0.0, "beta2": 0.0}, {"beta1": 1 - 2.0**-53, "beta2": 1 - 2.0**-30}] if "beta1" in has else []
    extremes += [{"alpha": 0.0}, {"alpha": 1 - 2.0**-53}] if "alpha" in has else []
    extremes += [{"lr_decay": 1e38}] if "lr_decay" in has else []
    extremes += [{"trust": 0.0}, {"trust": 1e30}] if "trust" in has else []
    for extreme in extremes:
        p = values(dtype, 40, 1)
        p[::7] = 0
        grads = [values(dtype, 40, seed) for seed in (2, 3)]
        grads[0][::5] = 0
        pair = Pair(name, [p], **options | extreme)
        try:
            pair.run([[g] for g in grads])
            if pair.expected.tensors[0].states and extreme != {"trust": 0.0}:
                assert any(np.mean(one != 0) > 0.5 for one in pair.expected.tensors[0].states.values()) or extreme == {
                    "lr": 0.0
                }
        except AssertionError as error:
            raise AssertionError(f"{extreme}: {error}") from None


def test_weight_decay_that_vanishes_in_bfloat16() -> None:
    """1 - lr weight_decay is 1 in bfloat16, not in what the step computes in: split storage keeps it."""
    p = values(BF16, 200, 1)
    options: dict[str, Any] = {"lr": 1e-3, "weight_decay": 1e-2, "rounding": "split"}
    pair = Pair("AdamW", [p], **options)
    pair.run([[np.zeros(200, BF16)]] * 3)
    assert np.all(pair.expected.tensors[0].remainder != 0)
    assert float(np.array(1 - 1e-5).astype(BF16)) == 1
    for _ in range(400):
        pair.step([np.zeros(200, BF16)])
    pair.compare()
    assert np.all(np.abs(pair.expected.tensors[0].param) <= np.abs(p))
    assert np.mean(pair.expected.tensors[0].param != p) > 0.5


def test_no_weight_decay_never_reads_the_parameter() -> None:
    for (name, options), dtype in itertools.product(CASES, (F32, F64)):
        if not options.get("weight_decay") and name not in ("LARS", "LAMB"):
            p = np.array([math.inf, 1.0, math.nan], dtype)
            pair = Pair(name, [p], **options)
            pair.run([[np.ones(3, dtype)]])
            for state in pair.expected.tensors[0].states.values():
                assert np.all(np.isfinite(state)), name


# ---------------------------------------------------------------------------------------------------------------- pipeline

AROUND: list[dict[str, Any]] = [
    {"clip_norm": 0.5},
    {"clip_norm": 1e9},
    {"clip_norm": lk.linear(0.5, 0.1, 4), "clip_per": "tensor"},
    {"clip_value": 0.25},
    {"clip_norm": 0.5, "clip_value": 0.01, "skip_nonfinite": True},
    {"clip_norm": 3.0, "clip_per": "group", "skip_nonfinite": True, "zero_grad": True},
    {"clip_norm": 0.5, "clip_per": "tensor", "clip_value": 0.1, "ema": 0.5, "zero_grad": True},
    {"ema": 0.9},
    {"ema": lk.linear(0.0, 1.0, 3), "zero_grad": True, "clip_norm": 2.0},
    {"zero_grad": True, "skip_nonfinite": True},
    {"clip_norm": 0.5, "clip_value": 0.25, "skip_nonfinite": True, "ema": 0.99, "zero_grad": True},
]
AROUND_SIZES = (0, 5, 16, 131, 1)


@diagonals(3, ("name", OPTIMIZERS, OPTIMIZERS), ("storage", [*FEW_STORAGE, (F32, F64, F16, "nearest")], str))
def test_pipeline(name: str, storage: tuple[Any, ...]) -> None:
    """A step with one gradient that is not finite is among them."""
    param, grad, *_ = storage
    tries = OPTIMIZERS[name]
    for k, around in enumerate(AROUND):
        params = [values(param, n, n) for n in AROUND_SIZES]
        copies = (None, F64, F32, BF16, F16)[k % 5]
        copy_to = None if copies is None else [np.zeros(n, copies) for n in AROUND_SIZES]
        options = tries[k % len(tries)]
        pair = Pair(name, params, copy_to, **options, **around, **stored(name, options, storage), seed=k)
        try:
            for step, scale in enumerate((1.0, 1024.0, 3.0)):
                pair.step(grads_of(grad, AROUND_SIZES, step), scale)
                pair.compare()
            pair.assert_moved(0.4)
            bad = grads_of(grad, AROUND_SIZES, 9)
            bad[3][77] = math.nan if k % 2 else -math.inf
            pair.step(bad)
            pair.compare()
            assert pair.expected.skipped == around.get("skip_nonfinite", False)
            pair.step(grads_of(grad, AROUND_SIZES, 10), 0.5)
            pair.compare()
        except AssertionError as error:
            raise AssertionError(f"{around}: {error}") from None


def test_skipped_first_step_is_not_the_first() -> None:
    for name, options in CASES:
        pair = Pair(name, [values(F32, 20, 1), values(F64, 3, 2)], **options, skip_nonfinite=True, ema=0.5)
        bad = [values(F32, 20, 3), np.array([1.0, math.nan, 2.0])]
        pair.run([bad])
        assert pair.expected.skipped == 1
        for tensor, param in zip(pair.expected.tensors, pair.params, strict=True):
            assert tensor.updates == 0
            assert_same_bits(tensor.param, param, "a skipped step")
        pair.run([[values(F32, 20, 5), values(F64, 3, 6)]] * 2)
        pair.assert_moved()


def test_gradients_that_become_infinite_when_they_are_read() -> None:
    """Finite as stored, but not in the type that the step computes in, or not when rows are summed: a step to skip."""
    row = np.array([1, 1])
    overflowing: list[tuple[Any, list[Any]]] = [
        (F32, [np.array([[1.0], [1e300], [2.0]])]),
        (F32, [(row, np.full((2, 1), 3e38, F32))]),
        (F64, [(row, np.full((2, 1), 1.7e308))]),
    ]
    for param, grads in overflowing:
        pair = Pair("SGD", [np.ones((3, 1), param)], lr=1.0, skip_nonfinite=True)
        with np.errstate(all="ignore"):
            pair.run([grads])
        assert pair.expected.skipped == 1
        pair.run([[(row, np.ones((2, 1), param))]])
        assert pair.expected.tensors[0].param.tolist() == [1, -1, 1]


@pytest.mark.parametrize("scale", [1.0, 1e-30, 2.0**-540, 1e-200, 5e-324, 1e30, 1e160, 2.0**512, 1e300])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_norm_over_many_blocks(dtype: Any, scale: float) -> None:
    sizes = (1023, 1024, 1025, 0, 1, 15, 16, 17, 2500)
    most = float(np.finfo(dtype).max)
    grads = [np.clip(values(F64, n, n) * scale, -most, most).astype(dtype) for n in sizes]
    for mixed in (False, True):
        if mixed:  # one tensor computed in the other type
            other = F64 if dtype == F32 else F32
            grads[0] = values(other, 1023, 3)
        with np.errstate(all="ignore"):
            expected = float(reference.norm_of_gradients(grads))
        clip = min(max(0.4 * expected, 5e-324), 1e30)
        pair = Pair("SGD", [np.zeros_like(g) for g in grads], lr=1.0, clip_norm=clip)
        pair.run([grads], 0.5 if scale < 1e100 else 4.0)
        assert expected > 0 or (dtype == F32 and scale < 1e-100)
        assert expected < math.inf or scale == 1e300
        if 0 < expected < math.inf:
            pair.assert_moved(0.1)


def test_norm_is_inclusive_and_has_no_epsilon() -> None:
    for clip, expected in [(5.0, [3.0, 4.0]), (2.5, [1.5, 2.0])]:
        pair = Pair("SGD", [np.zeros(2)], lr=1.0, clip_norm=clip)
        pair.run([[np.array([3.0, 4.0])]])
        assert (-pair.expected.tensors[0].param).tolist() == expected


@pytest.mark.parametrize("dtype", [F32, F64, BF16, F16], ids=str)
@pytest.mark.parametrize(("name", "options"), [one for one in CASES if one[0] in ("LARS", "LAMB")], ids=str)
def test_norms_of_rules(name: str, options: dict[str, Any], dtype: Any) -> None:
    """Over many blocks, of zeros, and of numbers whose squares overflow or vanish."""
    top, bottom = {F64: (1e200, 1e-200), F32: (1e30, 1e-30), BF16: (1e30, 1e-30), F16: (6e4, 6e-8)}[dtype]
    sizes = (1023, 1025, 5000, 12, 12, 12, 12)
    params = [values(dtype, n, n) for n in sizes]
    grads = [values(dtype, n, n + 1) for n in sizes]
    with np.errstate(all="ignore"):
        params[3][:], grads[4][:] = 0, 0
        params[5] = np.clip(params[5].astype(F64), -1, 1).astype(dtype) * dtype.type(top)
        grads[5] = np.clip(grads[5].astype(F64), -1, 1).astype(dtype) * dtype.type(top)
        params[6], grads[6] = params[6] * dtype.type(bottom), grads[6] * dtype.type(bottom)
    pair = Pair(name, params, **options)
    pair.run([grads, grads])
    pair.assert_moved()


# ------------------------------------------------------------------------------------------- rows, groups, None, schedules


@pytest.mark.parametrize("storage", FEW_STORAGE, ids=str)
@pytest.mark.parametrize("options", OPTIMIZERS["SGD"], ids=str)
def test_lr_of_rows(options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    param, grad, *_ = storage
    lrs = np.array([0.5, 0.0, 1e-3, 7.0, 0.1])
    shapes = [(5, 1), (5,), (5, 33), (5, 16), (5, 0), (5, 3, 43)]
    params = [values(param, math.prod(shape), 1).reshape(shape) for shape in shapes]
    pair = Pair("SGD", params, **options | {"lr": lrs}, **stored("SGD", options, storage), clip_norm=3.0, ema=0.5)
    steps: list[list[Any]] = [[values(grad, math.prod(shape), step).reshape(shape) for shape in shapes] for step in (5, 6)]
    rows = np.array([4, 0, 4])
    steps.append([(rows, one[rows]) for one in steps[0]])
    steps.append([(rows[:0], one[:0]) for one in steps[0]])
    pair.run(steps)
    pair.assert_moved(0.5)


TAKING_ROWS = [one for one in CASES if one[0] not in ("LARS", "LAMB")]


@diagonals(3, ("name,options", TAKING_ROWS, rule_label), ("storage", FEW_STORAGE, str))
def test_gradients_of_rows(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    """Duplicates are summed in order; dense gradients are in the same list; one step has infinities."""
    param, grad, *_ = storage
    shapes = [(9, 5), (40, 17), (30,), (3, 2, 1030), (4, 6), (6, 0)]
    params = [values(param, math.prod(shape), i).reshape(shape) for i, shape in enumerate(shapes)]
    around = {"clip_norm": 2.0, "clip_value": 0.5, "ema": 0.8, "zero_grad": True, "skip_nonfinite": True}
    copies = [np.zeros(shape, F16) for shape in shapes]
    pair = Pair(name, params, copies, **options, **around, **stored(name, options, storage))
    rng = np.random.default_rng(2)
    for step, scale in enumerate((1.0, 8.0, 1.0)):
        grads: list[Any] = []
        for shape, k in zip(shapes, (7, 60, 4, 2, None, 3), strict=True):
            if k is None:
                grads.append(values(grad, math.prod(shape), 50 + step).reshape(shape))
                continue
            indices = rng.integers(0, shape[0], k).astype((np.int64, np.int32)[k % 2])
            grads.append((indices, values(grad, k * math.prod(shape[1:]), 90 + step).reshape(k, *shape[1:])))
        if step == 2:
            grads[1][1][3, 3] = math.inf
        pair.step(grads, scale)
        pair.compare()
    assert pair.expected.skipped == 1
    pair.assert_moved(0.3)


def test_duplicate_rows_are_added_in_order() -> None:
    big, small = 2.0**24, 1.0
    for order, total in [((big, small, small), big), ((small, small, big), big + 2)]:
        pair = Pair("SGD", [np.zeros((2, 3), F32)], lr=1.0)
        pair.run([[(np.array([1, 1, 1]), np.repeat(np.array(order, F32), 3).reshape(3, 3))]])
        assert pair.expected.tensors[0].param.tolist() == [0, 0, 0, -total, -total, -total]


def test_minus_zero_of_a_row_stays() -> None:
    for dtype in (F32, F64):
        pair = Pair("SGD", [np.full((2, 3), -0.0, dtype)], lr=1.0, momentum=0.5)
        pair.run([[(np.array([1]), np.full((1, 3), -0.0, dtype))]])
        assert np.signbit(pair.expected.tensors[0].states["momentum_buffer"]).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_groups_schedules_and_missing_gradients(name: str, options: dict[str, Any]) -> None:
    own = {"lr": lk.linear(0.3, 0.0, 4), "weight_decay": lk.from_table([0.0, 0.1, 0.0]), "ema": 0.5}
    named = {"beta1": lk.linear(0.9, 0.1, 3), "alpha": lk.linear(0.1, 0.9, 3), "eps": lk.linear(1e-3, 1e-2, 3)}
    own |= {key: value for key, value in named.items() if key in defaults(name)}
    if name in ("SGD", "RMSprop", "LARS") and not options.get("nesterov"):
        own["momentum"] = lk.from_table([0.0, 0.9, 0.5, 0.0])
    groups = [
        {"params": [values(F32, 20, 1), values(BF16, 7, 2)]},
        {"params": [values(F64, 9, 3)], **own},
        {"params": []},
        {"params": [values(F16, 33, 4)], "lr": 0.25, "ema": lk.linear(0.1, 0.9, 4)},
    ]
    pair = Pair(name, groups, **options, clip_norm=1.0)
    pair.expected.count = 0
    sizes = [one.size for one in arrays_in(groups)]
    for step, missing in enumerate([(), (0, 3), (1, 2), (), (0, 1, 2, 3), ()]):
        grads: list[Any] = grads_of(F32, sizes, step)
        for i in missing:
            grads[i] = None
        pair.step(grads)
        pair.compare()
    assert [one.updates for one in pair.expected.tensors] == [4, 4, 4, 4]
    pair.assert_moved()


@pytest.mark.parametrize("rounding", ["stochastic", "split", "nearest"])
@pytest.mark.parametrize("dtype", [BF16, F16, F32], ids=str)
def test_elements_are_numbered_as_they_lie_in_memory(dtype: Any, rounding: str) -> None:
    p = values(dtype, 4 * 5 * 6, 1).reshape(4, 5, 6)
    for axes in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        param = p.transpose(axes)
        pair = Pair("AdamW", [param, np.asfortranarray(p[0])], lr=0.1, state_dtype=BF16, rounding=rounding, ema=0.5)
        g = values(F32, 120, 2).reshape(4, 5, 6)
        pair.run([[g.transpose(axes), np.asfortranarray(g[0])]] * 2)
        pair.assert_moved()


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_seeds_and_counts(seed: int) -> None:
    results = set()
    for count in (0, 1, 2**31, 2**52):
        for state in (BF16, F16):
            pair = Pair(
                "SGD", [values(state, 50, 1)], lr=1e-3, momentum=0.9, state_dtype=state, rounding="stochastic", seed=seed
            )
            pair.load(count, 3)
            pair.run([[values(F32, 50, 2)]])
            results.add((str(state), pair.expected.tensors[0].states["momentum_buffer"].tobytes()))
    assert len(results) == 8, "other counts, other bits"


def test_elements_beyond_two_to_the_32() -> None:
    """Only pages that a row of the gradient touches are ever there in memory."""
    columns = 4096
    try:
        p = np.zeros((2**20 + 2, columns), BF16)
    except MemoryError:
        pytest.skip("no address space for 8 GiB")
    rows = np.array([3, 2**20 - 1, 2**20, 2**20 + 1])
    g = values(F32, len(rows) * columns, 1).reshape(len(rows), columns)
    lk.SGD([p], lr=1e-3, rounding="stochastic", seed=9).step([(rows, g)])
    for row, grad in zip(rows.tolist(), g, strict=True):
        x = reference.fma(F32.type(-1e-3), grad, np.zeros(columns, F32))
        numbers = np.arange(row * columns, (row + 1) * columns)
        expected = reference.to_stochastic(x, BF16, lambda i: reference.random_bits(9, 0, 0, i), numbers)
        assert_same_bits(p[row], expected, f"row {row}")
        assert np.mean(p[row] != 0) > 0.9


@pytest.mark.parametrize("rounding", ["nearest", "split", "stochastic"])
def test_bfloat16_as_uint16(rounding: str) -> None:
    p, g = values(BF16, 70, 1), values(BF16, 70, 2)
    pair = Pair("AdamW", [p], lr=0.1, rounding=rounding)
    pair.run([[g]])
    raw = p.view(np.uint16).copy()
    lk.AdamW([raw], lr=0.1, rounding=rounding, uint16_as_bfloat16=True).step([g.view(np.uint16)])
    assert_same_bits(raw.view(BF16), pair.expected.tensors[0].param, "uint16")
    assert np.mean(raw.view(BF16) != p) > 0.9


# --------------------------------------------------------------------------------------------------------------- functions


OF_FUNCTIONS = [DOUBLE, PLAIN, (F32, BF16, F16, "nearest/nearest"), (BF16, F32, BF16, "nearest/nearest")]


@diagonals(2, ("name,options", CASES, rule_label), ("storage", OF_FUNCTIONS, str))
def test_functions(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    """The steps without an optimizer: the first, and that of a million."""
    param, grad, *_ = storage
    kept_so = stored(name, options, storage)
    function = getattr(lk, f"{name.lower()}_step")
    has = inspect.signature(function).parameters
    for updates in (0, 10**6):
        expected = reference.Optimizer(name, [values(param, 67, 1)], **defaults(name) | options, **kept_so)
        tensor = expected.tensors[0]
        tensor.updates = updates
        for k, one in enumerate(tensor.states):
            if updates or name == "Adagrad":
                dtype = kept_so["state_dtype"] or reference.computed_in(param)
                tensor.states[one] = np.abs(values(F32, 67, 10 + k)).astype(dtype)
        p, g = tensor.param.copy(), values(grad, 67, 2)
        kept = {one: array.copy() for one, array in tensor.states.items()}
        numbers = {"count": updates} if "count" in has else {"first": updates == 0} if "first" in has else {}
        taken = {key: value for key, value in options.items() if key in has}
        expected.step([g])
        for isa in lk.isas():
            found_p, found = p.copy(), {one: array.copy() for one, array in kept.items()}
            with lk.use_isa(isa):
                function(found_p, g, **found, **numbers, **taken)
            assert_same_bits(found_p, tensor.param, f"{isa}: param")
            for one, array in found.items():
                assert_same_bits(array, tensor.states[one], f"{isa}: {one}")
        moved = [p != tensor.param, *(kept[one] != tensor.states[one] for one in kept)]
        assert np.mean(np.logical_or.reduce(moved)) > 0.5
