"""Bad calls of the loss-driven schedules: the right error, which names function and argument, and nothing written."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_type_hints

import numpy as np
import pytest
import reference_scan

import lrkern as lk
from lrkern._loss_driven import dialects as _plateau_dialects

M = np.ones((3, 4))
NUMBERS = ["factor", "patience", "threshold", "cooldown", "min_lr", "eps", "max_lr", "warmup", "reset_start", "warmup_lr"]
NUMBERS += ["atol", "accumulate", "min_scale", "begin", "end", "window"]
HOME = {
    "atol": "optax",
    "accumulate": "optax",
    "min_scale": "optax",
    "begin": "mmengine",
    "end": "mmengine",
    "warmup_lr": "timm",
}

BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    # what every number refuses
    *[
        (HOME.get(name, "transformers"), {name: value}, error, name)
        for name in NUMBERS
        for value, error in [
            ("0.5", TypeError),
            (True, TypeError),
            (1j, TypeError),
            (float("nan"), TypeError if name in ("patience", "cooldown", "reset_start", "accumulate") else ValueError),
            (-1, ValueError),
            (..., TypeError),
        ]
        if not (isinstance(value, float) and name in ("begin", "end", "window", "warmup"))
    ],
    # numbers per run
    ("torch", {"factor": [0.5, 0.5]}, ValueError, "factor"),
    ("torch", {"factor": [0.5, 0.5, 1.0]}, ValueError, r"factor\[2\]"),
    ("torch", {"min_lr": np.array([0.0, np.nan, 0.0])}, ValueError, r"min_lr\[1\]"),
    ("torch", {"min_lr": np.array(["a", "b", "c"])}, TypeError, "min_lr"),
    ("torch", {"min_lr": [[0.1], [0.1, 0.2]]}, ValueError, "min_lr"),
    ("torch", {"patience": [1.0, 2.0, 3.0]}, TypeError, "patience"),
    ("torch", {"patience": [1, -2, 3]}, ValueError, r"patience\[1\]"),
    ("torch", {"patience": np.array([1, 2**60, 3])}, ValueError, r"patience\[1\]"),
    ("torch", {"patience": 2.0}, TypeError, "patience"),
    # out of range
    ("torch", {"factor": 1.0}, ValueError, "factor"),
    ("keras", {"factor": 1.5}, ValueError, "factor"),
    ("optax", {"factor": 0.0}, ValueError, "factor"),
    ("transformers", {"factor": 0.0}, ValueError, "factor"),
    ("optax", {"threshold": 1.1}, ValueError, "threshold"),
    ("optax", {"threshold": 0.0}, ValueError, "threshold"),
    ("optax", {"accumulate": 0}, ValueError, "accumulate"),
    ("transformers", {"window": 0}, ValueError, "window"),
    ("transformers", {"window": 5.0}, TypeError, "window"),
    ("transformers", {"window": [5, 5, 5]}, TypeError, "window"),
    ("timm", {"warmup": [5, 5, 5]}, TypeError, "warmup"),
    ("mmengine", {"begin": 5, "end": 5}, ValueError, "end"),
    ("mmengine", {"begin": 5, "end": 0}, ValueError, "end"),
    # words
    ("torch", {"mode": "most"}, ValueError, "mode"),
    ("torch", {"mode": 1}, TypeError, "mode"),
    ("torch", {"threshold_mode": "relative"}, ValueError, "threshold_mode"),
    ("keras", {"precision": "float16"}, ValueError, "precision"),
    ("pytorch", {}, ValueError, "dialect"),
    (3, {}, TypeError, "dialect"),  # type: ignore[list-item]
    # of another dialect
    ("keras", {"eps": 1e-8}, TypeError, "eps"),
    ("keras", {"threshold_mode": "abs"}, TypeError, "threshold_mode"),
    ("optax", {"mode": "min"}, TypeError, "mode"),
    ("optax", {"min_lr": 0.0}, TypeError, "min_lr"),
    ("torch", {"window": 50}, TypeError, "window"),
    ("torch", {"precision": "float64"}, TypeError, "precision"),
    ("timm", {"max_lr": 1.0}, TypeError, "max_lr"),
    ("torch", {"patients": 3}, TypeError, "patients"),
]


@pytest.mark.parametrize(("dialect", "options", "error", "argument"), BAD, ids=lambda value: str(value)[:60])
def test_options(dialect: str, options: dict[str, Any], error: type[Exception], argument: str) -> None:
    out = np.full(M.shape, 7.0)
    with pytest.raises(error, match=rf"^plateau: .*{argument}"):
        lk.plateau(M, 0.1, dialect=dialect, out=out, **options)
    assert (out == 7.0).all()
    with pytest.raises(error, match=rf"^Plateau: .*{argument}"):
        lk.Plateau(np.full(3, 0.1), dialect=dialect, **options)


RAGGED = [[1.0], [1.0, 2.0]]
BAD_ARRAYS = [
    (1.0, ValueError),
    (np.float32(1), ValueError),
    ("abc", TypeError),
    (None, TypeError),
    (["a"], TypeError),
    ([True, False], TypeError),
    ([1j], TypeError),
    (RAGGED, ValueError),
    (np.ones(3, np.longdouble), TypeError),
    (np.ones(3, object), TypeError),
    (np.zeros(3, "M8[s]"), TypeError),
]


@pytest.mark.parametrize(("value", "error"), BAD_ARRAYS, ids=repr)
def test_metrics(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^plateau: metrics must"):
        lk.plateau(value, 0.1)
    with pytest.raises(error, match=r"^loss_driven: losses must"):
        lk.loss_driven(value, 0.1, 0.5)
    with pytest.raises(error, match=r"^refine: grad_norms must"):
        lk.refine(value)


@pytest.mark.parametrize(
    ("out", "error"),
    [
        (np.zeros((3, 4), "f4"), TypeError),
        (np.zeros((4, 3)), ValueError),
        (np.zeros((4, 3)).T, ValueError),
        (np.broadcast_to(0.0, (3, 4)), ValueError),
        ([[0.0] * 4] * 3, TypeError),
        (M, ValueError),
        (M[::-1], ValueError),
    ],
    ids=lambda value: str(value)[:40],
)
def test_out(out: Any, error: type[Exception]) -> None:
    before = M.copy()
    with pytest.raises(error, match=r"^plateau: out must"):
        lk.plateau(M, 0.1, out=out)
    with pytest.raises(error, match=r"^loss_driven: out must"):
        lk.loss_driven(M, 0.1, 0.5, out=out)
    assert (before == M).all()


@pytest.mark.parametrize(
    ("start", "error"),
    [("0.1", TypeError), (True, TypeError), (None, TypeError), (-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError)],
)
def test_start(start: Any, error: type[Exception]) -> None:
    for name, call in (
        ("plateau", lambda: lk.plateau(M, start)),
        ("Plateau", lambda: lk.Plateau(start)),
        ("loss_driven", lambda: lk.loss_driven(M, start, 0.5)),
        ("LossDriven", lambda: lk.LossDriven(start, 0.5)),
    ):
        with pytest.raises(error, match=rf"^{name}: start must"):
            call()


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^plateau: start must broadcast .* \(3,\); got shape \(4,\)"):
        lk.plateau(M, [0.1] * 4)
    with pytest.raises(ValueError, match=r"^plateau: factor must broadcast"):
        lk.plateau(M, 0.1, factor=[[0.5] * 3] * 3)
    with pytest.raises(ValueError, match=r"^loss_driven: decay must broadcast"):
        lk.loss_driven(M, 0.1, [0.5] * 4)
    with pytest.raises(ValueError, match=r"^Plateau: arguments must broadcast against each other; .*factor \(2,\)"):
        lk.Plateau([0.1] * 3, factor=[0.5] * 2)


@pytest.mark.parametrize("decay", ["0.5", True, None, 0.0, -0.5, np.nan])
def test_decay(decay: Any) -> None:
    error = ValueError if isinstance(decay, float) else TypeError
    with pytest.raises(error, match=r"^loss_driven: decay must"):
        lk.loss_driven(M, 0.1, decay)
    with pytest.raises(error, match=r"^LossDriven: decay must"):
        lk.LossDriven(0.1, decay)


@pytest.mark.parametrize("metric", ["a", None, True, [1.0], np.ones(2), np.ones((1, 1)), 1j])
def test_update(metric: Any) -> None:
    for schedule in (lk.Plateau(0.1), lk.LossDriven(0.1, 0.5)):
        name = type(schedule).__name__
        with pytest.raises((TypeError, ValueError), match=rf"^{name}.update: (metric|loss) must"):
            schedule.update(metric)
        assert schedule.count == 0
    with pytest.raises((TypeError, ValueError), match=r"^Plateau.update: metric must"):
        lk.Plateau([0.1, 0.1, 0.1]).update(metric)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "argument"),
    [
        (([1.0],), {}, ValueError, "grad_norms"),
        (([[1.0, 1.0]],), {}, ValueError, "grad_norms"),
        (([1.0, -1.0, 1.0],), {}, ValueError, r"grad_norms\[1\]"),
        (([1.0, 1.0, np.nan],), {}, ValueError, r"grad_norms\[2\]"),
        (([np.inf, 1.0],), {}, ValueError, r"grad_norms\[0\]"),
        (([1.0, 0.0, 1.0],), {"smoothing": 0}, ValueError, "grad_norms"),
        (([0.0] * 9,), {}, ValueError, "grad_norms"),
        (([1e-300, 1e300, 1e300],), {"smoothing": 0}, ValueError, "grad_norms"),
        (([1.0, 1.0], "l3"), {}, ValueError, "norm"),
        (([1.0, 1.0], 2), {}, TypeError, "norm"),
        (([1.0, 1.0],), {"peak": 0.0}, ValueError, "peak"),
        (([1.0, 1.0],), {"peak": "1"}, TypeError, "peak"),
        (([1.0, 1.0],), {"smoothing": 1.1}, ValueError, "smoothing"),
        (([1.0, 1.0],), {"smoothing": -0.1}, ValueError, "smoothing"),
        (([1.0, 1.0],), {"smoothing": None}, TypeError, "smoothing"),
    ],
)
def test_refine(arguments: Any, options: Any, error: type[Exception], argument: str) -> None:
    with pytest.raises(error, match=rf"^refine: {argument}"):
        lk.refine(*arguments, **options)


def test_the_names_of_arguments_agree_everywhere() -> None:
    """Signatures, the table of dialects and the reference have the same arguments."""
    plain = set(inspect.signature(lk.plateau).parameters) - {"metrics", "start", "dialect", "out", "backend", "more"}
    assert plain == set(inspect.signature(lk.Plateau).parameters) - {"start", "dialect", "schedule", "more"}
    named = plain | set(get_type_hints(_plateau_dialects.DialectOptions))
    assert named == {name for defaults in reference_scan.DEFAULTS.values() for name in defaults}
    for dialect, defaults in reference_scan.DEFAULTS.items():
        known = {name: default for name, (_, default) in _plateau_dialects.DIALECTS[dialect].arguments.items()}
        assert known == defaults, dialect
    assert all(re.search(rf"\b{name}\b", lk.plateau.__doc__ or "") for name in named)
