"""What optimizers take and how they say no: parameters of any kind, numbers in arrays, names of options, gradients of rows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from representative import diagonals

import lrkern as lk
from lrkern.optimizers.base import DEFAULTS, Shared

CLASSES = [one for one in map(lk.__dict__.get, lk.__all__) if isinstance(one, type) and issubclass(one, lk.Optimizer)]
CLASSES.remove(lk.Optimizer)
BACKENDS = ["c", "numba"]


class List:
    """What gives arrays in an order, like torch's ParameterList."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Any:
        return iter(self.arrays)


class Dict:
    """Has keys but is not a Mapping, like torch's ParameterDict."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def keys(self) -> Any:
        return self.arrays.keys()

    def __getitem__(self, key: str) -> Any:
        return self.arrays[key]

    def __len__(self) -> int:
        return len(self.arrays)


class Tensor:
    """A tensor of another library, of which only the number of elements is read."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("must not be called")

    __array__ = __dlpack__

    def item(self) -> float:
        if len(self.values) != 1:
            raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")
        return self.values[0]


class Sparse(Tensor):
    """One of torch's that is not dense."""

    layout = "torch.sparse_coo"


# ---------------------------------------------------------------------------------------------------------- parameters


WAYS: list[Callable[[list[np.ndarray]], Any]] = [
    list,
    tuple,
    iter,
    lambda arrays: (one for one in arrays),
    lambda arrays: filter(lambda one: True, arrays),
    lambda arrays: List(*arrays),
    lambda arrays: dict(enumerate(arrays)).values(),
]


@pytest.mark.parametrize("way", WAYS)
def test_any_iterable(way: Any) -> None:
    params, grads = [np.ones(2), np.ones(3)], [np.ones(2), np.full(3, 2.0)]
    opt = lk.SGD(way(params), 0.5)
    opt.step(way(grads))
    opt.bind(way(grads))
    opt.step()
    assert [one.tolist() for one in params] == [[0.0] * 2, [-1.0] * 3]
    groups = [{"params": way(params)}, {"params": way([np.ones(1)]), "lr": 0.1}]
    lk.SGD((one for one in groups), 0.5).step([way(grads), [None]])
    assert [one.tolist() for one in params] == [[-0.5] * 2, [-2.0] * 3]


def test_what_has_keys() -> None:
    p = np.ones(2)
    lk.SGD(Dict(w=p), 0.5).step(Dict(w=np.ones(2)))
    assert p.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"^SGD\.step: grads must have the keys of params; got no 'w' and also 'v'$"):
        lk.SGD(Dict(w=p), 0.5).step(Dict(v=np.ones(2)))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "params must contain at least one array; got an empty list"),
        ((), ValueError, "params must contain at least one array; got an empty list|tuple"),
        ({}, ValueError, "params must contain at least one array; got an empty dict"),
        (iter([]), ValueError, "params must contain at least one array; got an empty iterator: is it exhausted"),
        ([{"params": []}], ValueError, "params must contain at least one array; got groups without arrays"),
        ([{"params": [np.ones(1)]}, {"params": iter([])}], ValueError, r"params\[1\]\['params'\] must contain at least one"),
        (np.ones(3), TypeError, r"params must be a dict or list of arrays; got .*; for one array pass \[array\]"),
        (Tensor(1.0), TypeError, r"params must be a dict or list of arrays; got .*; for one array pass \[array\]"),
        ({"a"}, TypeError, "params must be a dict or list of arrays; got .*; sets have no order"),
        ("ab", TypeError, "params must be a dict or list of arrays; got 'ab'"),
        (3, TypeError, "params must be a dict or list of arrays; got 3"),
        (iter([("w", np.ones(1))]), TypeError, r"params must be arrays; got \(name, array\) pairs: pass dict\(\.\.\.\)"),
    ],
)
def test_parameters_that_are_none(params: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^SGD: {message}"):
        lk.SGD(params, 0.1)


def test_one_group_may_be_empty() -> None:
    """Whoever sorts parameters into groups need not ask whether there are any."""
    p = np.ones(1)
    lk.SGD([{"params": [p]}, {"params": []}], 0.5).step([[np.ones(1)], []])
    assert p.tolist() == [0.5]


# ------------------------------------------------------------------------------------------------------------- numbers


NUMBERS = [np.float32(0.5), np.float64(0.5), np.array(0.5), np.array(0.5, "f4"), Tensor(0.5), ml_dtypes.bfloat16(0.5)]
NUMBERS += [np.array(0.5, ml_dtypes.bfloat16), np.array(0.5).view(np.recarray)]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: type(one).__name__)
def test_arrays_of_one_number(number: Any) -> None:
    def run(**options: Any) -> list[float]:
        p = np.ones(3)
        opt = lk.SGD([p], **{"momentum": number, "ema": number, "clip_norm": number, "clip_value": number, **options})
        opt.step([np.ones(3)], grad_scale=number)
        opt.set("weight_decay", number)
        opt.step([np.full(3, 2.0)])
        return [*p.tolist(), *opt.ema_params[0].tolist()]

    wanted = run(lr=0.5, momentum=0.5, ema=0.5, clip_norm=0.5, clip_value=0.5)
    assert run(lr=number) == run(lr=lambda step: number) == wanted
    assert run(lr=number, momentum=lambda step: number, ema=lambda step: number) == wanted
    p = np.ones(3)
    lk.sgd_step(p, np.ones(3), lr=number)
    assert p.tolist() == [0.5] * 3


@pytest.mark.parametrize(
    "wrong",
    [np.array([0.5, 0.5]), np.array([[0.5, 0.5]]), Tensor(0.5, 0.5), np.array(True), np.array("1"), np.ma.array(0.5)],
)
def test_arrays_that_are_no_number(wrong: Any) -> None:
    p = np.ones(3)
    for options in ({"lr": 0.1, "momentum": wrong}, {"lr": 0.1, "clip_norm": wrong}, {"lr": 0.1, "ema": wrong}):
        with pytest.raises(TypeError, match="must be a finite number"):
            lk.SGD([p], **options)
    opt = lk.SGD([p], lambda step: wrong)
    with pytest.raises(TypeError, match=r"^SGD, step 0: lr must be a finite number"):
        opt.step([np.ones(3)])
    with pytest.raises(TypeError, match="grad_scale must be a finite number"):
        lk.SGD([p], 0.1).step([np.ones(3)], grad_scale=wrong)
    assert p.tolist() == [1.0] * 3


HALF = {"scalar": np.float64(0.5), "array": np.array(0.5), "float32": np.float32(0.5), "bfloat16": ml_dtypes.bfloat16(0.5)}


@diagonals(2, ("grad", HALF.values(), HALF), ("backend", BACKENDS, BACKENDS))
def test_a_gradient_without_axes(grad: Any, backend: str) -> None:
    """NumPy makes scalars of such arrays wherever it can."""
    p, q = np.array(1.0), np.array(1.0)
    lk.SGD([p], 1.0, backend=backend).step([grad])
    lk.sgd_step(q, grad, lr=1.0, backend=backend)
    assert (float(p), float(q)) == (0.5, 0.5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_gradient_without_axes(backend: str) -> None:
    p = np.array(0.5)
    for wrong in (np.int64(1), np.bool_(True), 0.25):
        with pytest.raises(TypeError, match=r"grads\[0\] must be "):
            lk.SGD([p], 1.0, backend=backend).step([wrong])
    with pytest.raises(TypeError, match=r"grads\[0\] must be a NumPy array of .*; got 0\.5 \(float64\)"):
        lk.SGD([np.ones(1)], 1.0, backend=backend).step([np.float64(0.5)])
    with pytest.raises(TypeError, match=r"grads\[0\] must be a NumPy array, because zero_grad sets it to 0; got 0\.5"):
        lk.SGD([p], 1.0, zero_grad=True, backend=backend).step([np.float64(0.5)])
    with pytest.raises(TypeError, match=r"^SGD\.bind: grads\[0\] must be an array, whose values later steps read; got 0\.5"):
        lk.SGD([p], 1.0, backend=backend).bind([np.float64(0.5)])
    assert float(p) == 0.5


# ---------------------------------------------------------------------------------------------------------------- bind


@pytest.mark.parametrize("backend", BACKENDS)
def test_there_must_be_something_to_bind(backend: str) -> None:
    p, g = {"w": np.ones(2), "b": np.ones(1)}, np.ones(2)
    opt = lk.SGD(p, 0.5, backend=backend)
    message = (
        r"^SGD\.bind: grads must contain at least one array, .*; got None for each parameter: has a backward pass been run\?"
    )
    with pytest.raises(ValueError, match=message):
        opt.bind({"w": None, "b": None})
    with pytest.raises(ValueError, match="grads are needed"):
        opt.step()
    opt.bind({"w": g, "b": None})
    with pytest.raises(ValueError, match=message):
        opt.bind({"w": None, "b": None})
    opt.step()
    assert (p["w"].tolist(), p["b"].tolist(), opt.count) == ([0.5, 0.5], [1.0], 1)


# ------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (
            lk.AdamW,
            "betas",
            "unknown option betas: use beta1, beta2; the options of AdamW are lr, beta1, beta2, eps, weight_decay, ",
        ),
        (lk.SGD, "clip", "unknown option clip: use clip_norm; the options of SGD are "),
        (lk.SGD, "max_norm", "unknown option max_norm: use clip_norm; the options of SGD are "),
        (lk.Lion, "wd", "unknown option wd: use weight_decay; the options of Lion are "),
        (lk.LARS, "trust_coefficient", "unknown option trust_coefficient: use trust; "),
        (lk.RMSprop, "rho", "unknown option rho: use alpha; "),
        (lk.SGD, "betas", "unknown option betas; the options of SGD are "),
        (lk.SGD, "fused", "unknown option fused: omit it; "),
        (lk.SGD, "momentun", "unknown option momentun: use momentum; "),
        (lk.SGD, "xyz", "unknown option xyz; the options of SGD are lr, momentum, .*, clip_norm, .*, backend$"),
        (lk.SGD, "x" * 10**5, r"unknown option xxx*\.\.\.; "),
    ],
)
def test_options_that_there_are_not(make: Any, given: str, message: str) -> None:
    for options in ({given: 0.1}, {given: None}):
        with pytest.raises(TypeError, match=f"^{make.__name__}: {message}"):
            make([np.ones(1)], lr=0.1, **options)
    if "omit" not in message and "clip" not in message:
        group = message.replace(f"of {make.__name__}", "of a group").partition("the options of")[0]
        with pytest.raises(TypeError, match=f"^{make.__name__}: {group}"):
            make([{"params": [np.ones(1)], given: 0.1}], lr=0.1)
        wanted = group.partition(": ")[2] if ": use" in group else ""
        with pytest.raises(
            TypeError, match=rf"^{make.__name__}\.set: name must be one of lr, .*; got '.*\(str\).*{wanted[:8]}"
        ):
            make([np.ones(1)], lr=0.1).set(given, 0.1)


@pytest.mark.parametrize("make", CLASSES)
def test_help_tells_of_all_options(make: Any) -> None:
    shared = [name for name, one in inspect.signature(make.__init__).parameters.items() if one.kind is one.KEYWORD_ONLY]
    signature = inspect.signature(make)
    assert {"lr", "clip_norm", "ema", "backend", *shared} <= set(signature.parameters)
    assert "shared" not in signature.parameters
    for name, one in signature.parameters.items():  # the signature's defaults are those in use
        if name not in ("params", "lr", "copy_to", "clip_norm", "clip_value", "ema", "state_dtype", "backend", "decay_mask"):
            make([np.ones(1)], 0.1, **{name: one.default})
    for name in signature.parameters:
        assert f"        {name}: " in make.__doc__ or f"{name}, " in make.__doc__ or f", {name}" in make.__doc__, name
    assert "see `Optimizer`.\n\n" not in make.__doc__


def test_every_shared_option_has_a_default() -> None:
    assert set(DEFAULTS) == set(Shared.__annotations__)


def test_classes_of_users_show_their_own_arguments() -> None:
    class Own(lk.SGD):
        def __init__(self, params: Any, rate: float) -> None:
            super().__init__(params, rate)

    assert list(inspect.signature(Own).parameters) == ["params", "rate"]
    Own([np.ones(1)], 0.1)


# ---------------------------------------------------------------------------------------------------------------- rows


def test_rates_of_rows_of_another_length() -> None:
    p, lrs = [np.ones((4, 2)), np.ones((3, 2))], np.full(3, 0.1)
    with pytest.raises(ValueError, match=r"^SGD: lr must be one number, or 4 numbers, one per row of params\[0\]; got 3$"):
        lk.SGD(p, lrs)
    with pytest.raises(ValueError, match=r"^SGD: lr must be one number, because params\[0\] has no rows; got float64 \(3,\)$"):
        lk.SGD([np.ones(())], lrs)
    with pytest.raises(ValueError, match=r"^SGD: params\[0\] must be C-contiguous, because each of its rows has its own lr"):
        lk.SGD([np.asfortranarray(p[1])], lrs)
    opt = lk.SGD([p[1]], lrs)
    with pytest.raises(ValueError, match=r"^SGD\.set: lr must have 3 entries, one per row; got 50000$"):
        opt.lr = np.full(50_000, 0.1)
    for other, value, words in [
        (opt, 0.1, "from one number per row to a single one"),
        (lk.SGD(p, 0.1), lrs, "from one number"),
    ]:
        with pytest.raises(ValueError, match=rf"^SGD\.set: lr cannot change {words}.*: create a new optimizer$"):
            other.lr = value
    with pytest.raises(
        ValueError, match=r"^SGD: lr \* weight_decay must be at most 3.40282e\+38; got lr=3e\+38, weight_decay=10"
    ):
        lk.SGD([p[1]], np.array([0.0, 3e38, 0.0]), decoupled=True, weight_decay=10.0)
    opt.lr = np.full(3, 0.5)
    opt.step([np.ones((3, 2))])
    assert p[1].tolist() == [[0.5] * 2] * 3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [lk.LARS, lk.LAMB])
def test_rows_where_norms_need_them_all(make: Any, backend: str) -> None:
    p, name = np.ones((4, 2)), make.__name__
    opt = make([p], lr=0.1, backend=backend)
    for grad, got in [((np.array([0]), np.ones((1, 2))), "a tuple"), (Sparse(), "a tensor of torch.sparse_coo")]:
        with pytest.raises(
            TypeError, match=rf"grads\[0\] must be an array: {name} needs dense gradients for its norms; got {got}$"
        ):
            opt.step([grad])
    assert opt.count == 0
    assert (p == 1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_sparse_tensors(backend: str) -> None:
    p = np.ones((4, 2))
    opt = lk.SGD([p], 0.1, backend=backend)
    message = r"grads\[0\] must be an array or a pair \(indices, values\); got a tensor of torch.sparse_coo: pass "
    for take in (opt.step, opt.bind):
        with pytest.raises(TypeError, match=message):
            take([Sparse()])
    with pytest.raises(TypeError, match=r"^SGD: params\[0\] must be an array of .*; got Sparse of .*, torch.sparse_coo$"):
        lk.SGD([Sparse()], 0.1, backend=backend)
    with pytest.raises(TypeError, match=r"^sgd_step: grad must be an array of .*, torch.sparse_coo$"):
        lk.sgd_step(p, Sparse(), lr=0.1, backend=backend)
    assert (p == 1).all()


WHOLE = "the rule looks at whole tensors"
NO_ROWS = [
    *((name, {}, WHOLE) for name in ("LAMB", "LARS", "MARS", "NovoGrad", "StableAdamW")),
    *((name, {"cautious": "update"}, "cautious='update' looks at whole tensors") for name in ("AdamW", "NAdam", "Lion")),
    ("ASGD", {}, "it decides eta and mu, which a tensor has once for all its rows"),
]


@pytest.mark.parametrize(("name", "options", "why"), NO_ROWS, ids=lambda one: one if isinstance(one, str) else None)
def test_why_rows_cannot_have_learning_rates_of_their_own(name, options, why):
    param, lrs = np.ones((2, 3)), np.array([0.1, 0.2])
    wanted = f"^{name}: lr must be one number, not one per row, because {re.escape(why)}; got float64 \\(2,\\)$"
    with pytest.raises(TypeError, match=wanted):
        getattr(lk, name)([param], lr=lrs, **options)
    np.testing.assert_array_equal(param, 1.0)


def test_the_reason_is_that_of_the_option_that_is_wrong():
    with pytest.raises(TypeError, match=r"lr must be a finite number"):
        lk.AdamW([np.ones((2, 3))], lr=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"cautious"):  # Adagrad has no cautious updates
        lk.Adagrad([np.ones((2, 3))], lr=np.array([0.1, 0.2]), cautious="update")
    rule = lk.rule()("def f(p, g, *, lr):\n    return p - lr * g / norm(g)\n")
    with pytest.raises(TypeError, match=f"f: lr must be one number, not one per row, because {WHOLE}"):
        rule.Optimizer([np.ones((2, 3))], lr=np.array([0.1, 0.2]))
