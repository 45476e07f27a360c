"""Rules as functions of arrays of JAX and torch against lrkern's own steps, in float64."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pages
import pytest
from test_rules_exactly import inputs_of, run

from lrkern.rules.array_update import array_update
from lrkern.rules.rule import own_rules

pytestmark = pytest.mark.peers

RULES = own_rules()
STEPS, CLOSE = 20, 1e-12


@contextmanager
def arrays_of(library):
    """Functions from NumPy to arrays of a library and back."""
    if library == "torch":
        torch = pytest.importorskip("torch")
        yield (lambda x: torch.from_numpy(np.array(x))), (lambda x: x.numpy())
    else:
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            yield jax.numpy.asarray, np.asarray


def assert_close(found, expected, what):
    """Equal to 1e-12 of the largest element."""
    assert found.dtype == expected.dtype == np.float64
    assert found.shape == expected.shape, what
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected), what)
    distance = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-3 * np.abs(expected).max(initial=1e-300))
    assert np.max(distance, initial=0.0) <= CLOSE, f"{what}: {np.max(distance)}"


@pytest.mark.parametrize(("library", "traced"), [("jax", False), ("jax", True), ("torch", False)])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_against_lrkerns_own_step(name, library, traced):
    rng = np.random.default_rng([2, *name.encode()])
    with arrays_of(library) as (to, back):
        for _ in range(3):
            check(name, library, traced, to, back, rng)


def check(name, library, traced, to, back, rng):
    rule = RULES[name]
    inputs = inputs_of(rule, name, rng)
    if name.startswith("rmsprop"):  # where alpha weighs an average: roots of negative numbers otherwise
        inputs["alpha"] = float(rng.uniform(0.5, 0.99))
    flags = {one.name: bool(inputs[one.name]) for one in rule.parts(name).hypers if one.is_flag}
    update = array_update(rule, library, {**rule.variants[name], **flags})
    function = pytest.importorskip("jax").jit(update) if traced else update
    hypers = {one: inputs[one] for one in update.hypers}
    grads = [rng.standard_normal((5, 7)) for _ in range(STEPS)]
    param = rng.standard_normal((5, 7))
    states = {one: np.zeros((5, 7)) for one in rule.parts(name).states}
    p, own = to(param), [to(states[one]) for one in update.states]
    kept: list[object] = [np.float64(0.0) if traced else 0.0 for _ in update.scalar_states]
    for n, grad in enumerate(grads, 1):
        before = [p, *own]
        contents = [back(one).copy() for one in before]
        p, *rest = function(np.int32(n) if traced else n, hypers, p, to(grad), *own, *kept)
        own, kept = rest[: len(own)], rest[len(own) :]
        assert all(np.array_equal(back(one), content) for one, content in zip(before, contents, strict=True))
    scalars = run("c", name, inputs, param, list(states.values()), grads)
    assert_close(back(p), param, f"{name} {inputs}")
    for state, one, other in zip(update.scalar_states, kept, scalars, strict=True):
        assert abs(float(one) - other) <= CLOSE * max(abs(other), 1e-3), f"{state} of {name} {inputs}"
    for state, one in zip(update.states, own, strict=True):
        assert_close(back(one), states[state], f"{state} of {name} {inputs}")


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_misuse_is_named(library):
    with arrays_of(library) as (to, _):
        with pytest.raises(ValueError, match=r"^array_update: flags must be those of signum, decoupled, .*; got 'upwards'$"):
            array_update(RULES["signum"], library, {"upwards": True})
        p = to(np.ones(2))
        numbers = array_update(RULES["signum"], library)
        plain, of_numpy = (numbers(n, {"lr": lr}, p, p, p)[0] for n, lr in ((1, 0.1), (np.int64(1), np.float64(0.1))))
        assert np.array_equal(plain, of_numpy)
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'lr'"):
            array_update(RULES["signum"], library)(1, {}, p, p, p)
        with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
            array_update(RULES["signum"], library)(1, {"rate": 0.1}, p, p, p)


PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source checkout")
def test_the_page_about_rules():
    pytest.importorskip("torch")
    assert pages.run(PAGE, "python torch") == 1
    text = array_update(RULES["signum"], "torch", {"decoupled": False}).text
    assert f"```text\n{text}```" in PAGE.read_text()
