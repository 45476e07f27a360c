"""What holds for every dialect: documented, with examples that run; ordinary schedules; no peer needed; clear errors."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import random
import re
import subprocess
import sys
from pathlib import Path

import dialect_checks
import numpy as np
import pytest

import lrkern as lk
from lrkern import dialects

MODULES = [f"lrkern.dialects.{m.name}" for m in pkgutil.iter_modules(dialects.__path__) if not m.name.startswith("_")]
PUBLIC = [(module, name) for module in MODULES for name in importlib.import_module(module).__all__]
PEERS = [*dialects.__all__, "jax", "mpmath", "scipy", "tensorflow"]


def calls():
    """(module, function, call) of the calls in the examples of all dialects that stand by themselves."""
    for module, name in PUBLIC:
        function = getattr(importlib.import_module(module), name)
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(function)):
            for node in ast.walk(ast.parse(example.source)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name:
                    used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} - {"t", "left", "i"}
                    if used <= {*vars(importlib.import_module(module)), *vars(lk), "dict"}:
                        yield module, name, node


CALLS = [one for one in calls() if one[1] != "loss_driven"]  # which is lrkern's own


def test_modules_are_all_exported():
    assert [f"lrkern.dialects.{name}" for name in dialects.__all__] == sorted(MODULES)
    assert set(dialects.__all__) <= set(dir(dialects))
    assert lk.dialects is dialects
    assert all(getattr(dialects, name).__name__ == f"lrkern.dialects.{name}" for name in dialects.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'toch'; the dialects are composer, .*torch"):
        dialects.toch  # noqa: B018


@pytest.mark.parametrize("name", dialects.__all__)
def test_every_dialect_has_its_own_tests(name):
    assert (Path(__file__).parent / f"test_{name}.py").exists()


@pytest.mark.parametrize("module", ["lrkern.dialects", "lrkern.dialects._parts", *MODULES])
def test_examples(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0
    assert results.attempted > 0 or module.endswith("_parts")


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_docstrings(module, name):
    """A sentence, an example, a source; every argument is named."""
    function = getattr(importlib.import_module(module), name)
    text = inspect.getdoc(function)
    assert ">>> " in text
    assert "Source: " in text
    missing = [p for p in inspect.signature(function).parameters if p not in text and "Args: those of" not in text]
    assert missing == []
    assert text.splitlines()[0].endswith((".", ":")), "the first line is a sentence"


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_function_is_listed(module, name):
    functions = {
        n
        for n, f in vars(importlib.import_module(module)).items()
        if inspect.isfunction(f) and f.__module__ == module and not n.startswith("_")
    }
    assert functions == set(importlib.import_module(module).__all__)


ODD = [0, 1, -1, 2, 3.5, 1e-300, 5e-324, 0.1, 0.999999999, True, None, "x", "", "linear", "1dur", "10ba", "cos", (1, 2, 3), []]
ODD += [[1], [1, 2], [0.1, "a"], [[1]], {}, {"a": 1}, {1: 0.5}, lk.constant(1.0), [lk.constant(1.0)], np.ones(2)]


@pytest.mark.parametrize("seed", range(20))
def test_errors_name_the_function_that_was_called(seed):
    """Examples of any dialect with one or two arguments replaced: a schedule, or an error that begins with the function."""
    draw, refused = random.Random(seed), 0
    for _ in range(150):
        module, name, call = draw.choice(CALLS)
        function, names = getattr(importlib.import_module(module), name), {**vars(lk), **vars(importlib.import_module(module))}
        args = [eval(ast.unparse(one), names) for one in call.args]
        kwargs = {one.arg: eval(ast.unparse(one.value), names) for one in call.keywords}
        parameters = list(inspect.signature(function).parameters)
        for _ in range(draw.choice((1, 1, 2))):
            if args and draw.random() < 0.5:
                args[draw.randrange(len(args))] = draw.choice(ODD)
            elif len(parameters) > len(args):
                kwargs[draw.choice(parameters[len(args) :])] = draw.choice(ODD)
        try:
            function(*args, **kwargs)
        except (TypeError, ValueError, OverflowError) as error:
            refused += 1
            text = str(error)
            # "schedule: " is what any expression may say that comes to lie beyond 2^53 steps
            assert text.startswith((f"{module.removeprefix('lrkern.dialects.')}.{name}: ", "schedule: ")), (text, args, kwargs)
    assert refused > 30


EXTREME = [None, "x", b"x", True, [object()], {}, (1, "a"), object(), -1, 10**30, -(10**30), 1e308, -1e308, 1e-320]
EXTREME += [float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("dialect", sorted({module for module, _, _ in CALLS}))
def test_errors_name_an_argument(dialect):
    """Every argument of every example replaced by what it can hardly be: the error is of the function, and of an argument."""
    names = {**vars(lk), **vars(importlib.import_module(dialect))}
    for module, name, call in CALLS:
        function = names.get(name)
        if module != dialect or any(isinstance(one, ast.Name) for one in ast.walk(call) if one is not call.func):
            continue
        parameters = inspect.signature(function).parameters
        given = inspect.signature(function).bind(
            *(eval(ast.unparse(one), names) for one in call.args),
            **{one.arg: eval(ast.unparse(one.value), names) for one in call.keywords},
        )
        for parameter in parameters:
            for value in EXTREME:
                arguments = given.arguments | {parameter: value}
                try:
                    function(**arguments)
                except OverflowError as error:
                    assert "beyond the range of float64" in str(error), (name, parameter, value, error)
                except (TypeError, ValueError) as error:
                    before, _, text = str(error).partition(": ")
                    assert before == f"{dialect.removeprefix('lrkern.dialects.')}.{name}", (parameter, value, error)
                    told = {*parameters, "min_lr", "min_lr_rate"}  # these are told of by transformers.get_scheduler
                    assert any(re.search(rf"\b{one}\b", text) for one in told), (name, parameter, value, error)


def test_no_peer_is_imported():
    code = (
        "import sys, lrkern\n"
        "assert 'lrkern.dialects' not in sys.modules\n"
        "lrkern.dialects.torch.OneCycleLR(0.1, 100).table(100)\n"
        f"print(sorted(set({PEERS!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_such_name():
    with pytest.raises(AttributeError, match="no_such_thing"):
        lk.no_such_thing  # noqa: B018


def test_groups():
    """A schedule times a vector of base learning rates: a row for each group."""
    shape, bases = dialects.torch.CosineAnnealingLR(1.0, T_max=50), np.array([0.1, 0.03, 1e-4])
    for product in (shape * bases, bases * shape):
        assert product == [shape * base for base in bases]
        table = lk.tables(product, 60)
        assert table.shape == (3, 60)
        for row, base in zip(table, bases, strict=True):
            dialect_checks.assert_agree(row, dialects.torch.CosineAnnealingLR(base, T_max=50).table(60), relative=5e-16)
    assert shape * np.array([]) == []
    assert shape * np.array([2, 3]) == [2 * shape, 3 * shape]


@pytest.mark.parametrize("factors", [np.ones((2, 2)), np.array(1.0), np.array(["a"]), np.array([np.nan])])
def test_groups_of_what_is_no_vector_of_numbers(factors):
    schedule = lk.linear(1.0, 0.0, 4)
    with pytest.raises((TypeError, ValueError), match=r"^\*: (factors|number) must be .*; got "):
        schedule * factors
    with pytest.raises((TypeError, ValueError), match=r"^\*: (factors|number) must be .*; got "):
        factors * schedule
