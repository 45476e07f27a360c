"""What a small step costs, in calls of Python functions, which no machine changes; the short way gives the same bits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lrkern as lk

FUNCTIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "sgd_step": (1, {"lr": 0.1, "momentum": 0.9}),
    "adam_step": (2, {"lr": 0.1, "count": 3}),
    "adamw_step": (2, {"lr": 0.1, "count": 3, "weight_decay": 0.25}),
    "lion_step": (1, {"lr": 0.1, "weight_decay": 0.25}),
    "rmsprop_step": (1, {"lr": 0.1}),
    "adagrad_step": (1, {"lr": 0.1, "count": 3}),
    "lars_step": (1, {"lr": 0.1}),
    "lamb_step": (2, {"lr": 0.1, "count": 3}),
}
"""Each function of one array -> how many states it needs, and options."""


def calls(function: Callable[[], object]) -> list[str]:
    """The Python functions that a call calls, the first one left out."""
    seen: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            seen.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return seen[1:]


def arrays(count: int, dtype: Any, shape: tuple[int, ...] = (64,)) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [np.abs(random.standard_normal(shape)).astype(dtype) for _ in range(count)]


def test_all_functions_are_here() -> None:
    assert sorted(FUNCTIONS) == sorted(name for name in lk.__all__ if name.endswith("_step"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_second_step_of_a_function_takes_the_short_way(name: str, dtype: str) -> None:
    states, options = FUNCTIONS[name]
    step = getattr(lk, name)
    given, expected = arrays(2 + states, dtype), arrays(2 + states, dtype)
    for _ in range(3):
        seen = calls(lambda: step(*given, **options))
        step(*expected, **options, backend="c")  # the long way
    assert seen[0] == name
    assert "settle" not in seen
    assert len(seen) <= 4
    for one, other, start in zip(given, expected, arrays(2 + states, dtype), strict=True):
        assert one.tobytes() == other.tobytes()
        assert (one == start).all() == (one is given[1])


NUMBERS: list[tuple[Any, bool]] = [
    (2, True),
    (np.float64(0.1), True),
    (np.float32(0.1), True),
    (np.float16(0.1), False),
    (np.int64(2), False),
    (2**70, False),
    (type("Other", (float,), {})(0.1), False),
    (np.array(0.1), False),
]
"""Numbers as learning rates, and whether they take the short way."""


@pytest.mark.parametrize(("lr", "is_short"), NUMBERS)
@pytest.mark.parametrize("backend", [None, "c"])
def test_other_numbers_are_floats(lr: Any, is_short: bool, backend: str | None) -> None:
    given, expected = arrays(3, "f4"), arrays(3, "f4")
    for made, options in ((given, {"lr": lr, "momentum": 1}), (expected, {"lr": float(lr), "momentum": 1.0})):
        lk.sgd_step(*arrays(3, "f4"), **options)  # so that the options are known
        seen = calls(lambda made=made, options=options: lk.sgd_step(*made, **options, backend=backend))
        assert ("settle" not in seen) == (backend is None and (is_short or made is expected))
    assert [one.tobytes() for one in given] == [one.tobytes() for one in expected]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [np.float32, np.float64, lambda x: int(x)])
@pytest.mark.parametrize("backend", [None, "c"])
def test_products_of_other_numbers_are_those_of_floats(number: Any, backend: str | None) -> None:
    """A product of float32 numbers would be infinite, with a warning."""
    lk.sgd_step(*arrays(3, "f4"), lr=3e38, weight_decay=0.5, decoupled=True, backend=backend)
    with pytest.raises(
        ValueError, match=r"^sgd_step: lr \* weight_decay must be at most .*; got lr=3[.\de]*\+38, weight_decay=3.0$"
    ):
        lk.sgd_step(*arrays(3, "f4"), lr=number(3e38), weight_decay=np.float32(3.0), decoupled=True, backend=backend)


@pytest.mark.parametrize("lr", [-1, 2**2000, True, np.float64("nan"), np.float64(-1.0), np.float32("inf"), np.bool_(True)])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sgd_step", lambda made, lr: lk.sgd_step(*made[:2], lr=lr)),
        ("SGD", lambda made, lr: lk.SGD(made[:1], lr=lr)),
        ("SGD.set", lambda made, lr: lk.SGD(made[:1], lr=0.1).set("lr", lr)),
    ],
)
def test_other_numbers_are_checked(name: str, call: Any, lr: Any) -> None:
    made, before = arrays(3, "f4"), arrays(3, "f4")
    lk.sgd_step(*arrays(3, "f4"), lr=0.1)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: lr must be a finite number >= 0 and <= 3.40282e"):
        call(made, lr)
    assert [one.tobytes() for one in made] == [one.tobytes() for one in before]


@pytest.mark.parametrize(
    ("what", "is_short"),
    [
        (lambda one: one.reshape(8, 8), True),
        (lambda one: one[8:], True),
        (lambda one: one[::2], False),  # an error
        (lambda one: one.reshape(8, 8).T, False),
        (lambda one: one.astype("f2"), False),
        (lambda one: one.view(np.recarray), False),
        (lambda one: one[:1].reshape(()), True),
        (lambda one: one[:0], False),
        (lambda one: np.frombuffer(bytearray(one.tobytes()), one.dtype), False),
    ],
)
def test_other_arrays(what: Callable[[np.ndarray], np.ndarray], is_short: bool) -> None:
    def outcome(made: list[np.ndarray], **backend: str) -> tuple[list[str], list[bytes], str]:
        def step() -> None:
            lk.sgd_step(*made, lr=0.1, momentum=0.9, **backend)

        error = ""
        try:
            seen = calls(step)
        except (TypeError, ValueError) as raised:
            seen, error = ["settle"], str(raised)
        return seen, [one.tobytes() for one in made], error

    lk.sgd_step(*arrays(3, "f4"), lr=0.1, momentum=0.9)  # so that the options are known
    made = [[what(one) for one in arrays(3, "f4")] for _ in range(2)]
    short, long = outcome(made[0]), outcome(made[1], backend="c")
    assert short[1:] == long[1:]
    assert ("settle" not in short[0]) == is_short


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p, g, b: (p, p, b), ValueError, "^sgd_step: param and grad must not share memory"),
        (lambda p, g, b: (p, g, p), ValueError, "^sgd_step: param and momentum_buffer must not share memory"),
        (lambda p, g, b: (p, g[:-1], b), ValueError, "^sgd_step: grad must be .* of shape"),
        (lambda p, g, b: (p, g, b.astype("i4")), TypeError, "^sgd_step: momentum_buffer must be .* of shape"),
        (lambda p, g, b: (p, g, None), ValueError, "^sgd_step: momentum_buffer is needed"),
        (lambda p, g, b: (read_only(p), g, b), ValueError, "^sgd_step: param must be writable"),
        (lambda p, g, b: (p, g, read_only(b)), ValueError, "^sgd_step: momentum_buffer must be writable"),
    ],
)
def test_errors_are_those_of_the_long_way(change: Any, error: type[Exception], message: str) -> None:
    made = arrays(3, "f4")
    lk.sgd_step(*arrays(3, "f4"), lr=0.1, momentum=0.9)
    with pytest.raises(error, match=message):
        lk.sgd_step(*change(*made), lr=0.1, momentum=0.9)
    assert [one.tobytes() for one in made] == [one.tobytes() for one in arrays(3, "f4")]


def read_only(array: np.ndarray) -> np.ndarray:
    view = array[:]
    view.flags.writeable = False
    return view


def test_options_of_another_kind() -> None:
    """Each is checked again, though options of the same names were right."""
    lk.sgd_step(*arrays(3, "f4"), lr=0.1, momentum=0.9)
    for bad in ({"lr": -0.1}, {"lr": float("nan")}, {"momentum": "0.9"}, {"nesterov": 1}, {"convention": "keras?"}):
        with pytest.raises((TypeError, ValueError), match=f"^sgd_step: {next(iter(bad))} must be"):
            lk.sgd_step(*arrays(3, "f4"), **{"lr": 0.1, "momentum": 0.9, **bad})
    with pytest.raises(ValueError, match="nesterov needs momentum > 0"):
        lk.sgd_step(*arrays(3, "f4"), lr=0.1, nesterov=True)
    lk.sgd_step(*arrays(3, "f4"), lr=3e38, weight_decay=0.5, decoupled=True)
    with pytest.raises(ValueError, match=r"^sgd_step: lr \* weight_decay must be at most"):
        lk.sgd_step(*arrays(3, "f4"), lr=3e38, weight_decay=3.0, decoupled=True)


def test_views_of_arrays_that_were_resized() -> None:
    whole = np.ones(64, "f4")
    view = whole[:]
    lk.sgd_step(view, np.ones(64, "f4"), lr=0.1)
    whole.resize(100_000, refcheck=False)
    with pytest.raises(ValueError, match=r"^sgd_step: param must be in valid memory"):
        lk.sgd_step(view, np.ones(64, "f4"), lr=0.1)


@pytest.mark.parametrize("count", [1, 100])
def test_steps_of_optimizers(count: int) -> None:
    """As many calls for many arrays as for one."""
    params, grads = arrays(count, "f4"), arrays(count, "f4")
    opt = lk.SGD(params, lr=lk.cosine(0.1, 0.0, 10), momentum=0.9)
    opt.step(grads)
    assert calls(lambda: opt.step(grads)) == ["step", "flatten", "_step_flat"]
    opt.bind(grads)
    assert calls(opt.step) == ["_step_flat"]
    assert opt.count == 3
