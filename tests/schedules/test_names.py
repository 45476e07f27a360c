"""Custom curves: `lrkern.curve`, and packages that provide curves as entry points."""

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import ulp

import lrkern as lk
from lrkern.schedules import names


@lk.curve
def sawteeth(peak, period, gain=1.0):
    """Falls from `peak` to 0 every `period` steps."""
    return lk.linear(peak, 0.0, period).repeat(period, gain=gain)


@lk.curve
def blended(schedules, weights=(0.5, 0.5), note=None, scaled=True):
    total = lk.constant(0.0)
    for schedule, weight in zip(schedules, weights, strict=True):
        total = total + weight * schedule
    return total if scaled else 2.0 * total


MADE = [
    (lambda: sawteeth(0.1, 20), "sawteeth(0.1, 20)"),
    (lambda: sawteeth(0.1, 20, gain=0.5), "sawteeth(0.1, 20, 0.5)"),
    (lambda: sawteeth(period=20, peak=1), "sawteeth(1, 20)"),
    (lambda: sawteeth(np.float32(0.5), np.int64(7)), "sawteeth(0.5, 7)"),
    (lambda: 2.0 * sawteeth(0.1, 20).warmup(5), "2.0 * sawteeth(0.1, 20).warmup(5)"),
    (
        lambda: blended([sawteeth(1.0, 3), lk.cosine(1.0, 0.0, 9)], np.array([0.25, 0.75]), scaled=False),
        "blended([sawteeth(1.0, 3), cosine(1.0, 0.0, 9)], [0.25, 0.75], scaled=False)",
    ),
    (lambda: blended((lk.constant(1), lk.constant(2)), note="x'y"), 'blended([constant(1.0), constant(2.0)], note="x\'y")'),
]


@pytest.mark.parametrize(("make", "text"), MADE, ids=[text for _, text in MADE])
def test_a_curve_of_ones_own_is_like_any_other(make, text):
    made = make()
    assert repr(made) == text
    for again in (
        make(),
        lk.parse(text),
        pickle.loads(pickle.dumps(made)),
        copy.deepcopy(made),
        lk.Schedule.from_dict(json.loads(json.dumps(made.to_dict(), allow_nan=False))),
    ):
        assert again == made
        assert hash(again) == hash(made)
        assert repr(again) == text
        assert again.steps == made.steps
        ulp.assert_same_bits(again.table(100), made.table(100))


def test_it_has_the_values_and_the_length_of_what_the_function_returned():
    inner = lk.linear(0.1, 0.0, 20).repeat(20, gain=0.5)
    made = sawteeth(0.1, 20, 0.5)
    ulp.assert_same_bits(made.table(200), inner.table(200))
    assert made.steps is None
    assert blended([lk.linear(0.1, 0.0, 20), lk.cosine(0.1, 0.0, 30)]).steps == 30
    assert made != inner
    assert sawteeth.__doc__.startswith("Falls")


def test_records_name_the_arguments():
    node = sawteeth(0.1, 20).to_dict()["schedule"]
    assert node == {"name": "sawteeth", "args": {"peak": 0.1, "period": 20, "gain": 1.0}}


def test_depth_is_that_of_what_is_inside():
    """Nested calls count towards the limit of nesting, which keeps recursion within the stack."""

    @lk.curve
    def deeper(s):
        for _ in range(30):
            s = s.shift(1)
        return s

    s = deeper(deeper(deeper(lk.constant(1.0))))
    assert s.depth == 92
    with pytest.raises(ValueError, match="nested 100 deep"):
        deeper(s)


def test_a_function_may_be_replaced():
    def make(value):
        @lk.curve
        def again(a, b=0.0):
            return lk.constant(value * a + b)

        return again

    first, second = make(1.0), make(2.0)
    before = first(3.0)
    assert lk.parse("again(3.0)")(0) == second(3.0)(0) == 6.0
    assert before(0) == 3.0

    def elsewhere():
        @lk.curve
        def again(a):
            return lk.constant(a)

        return again

    taken = r"^curve: 'again' is already the name of .*make.<locals>.again; rename .*elsewhere.<locals>.again$"
    with pytest.raises(ValueError, match=taken):
        elsewhere()
    assert lk.parse("again(3.0)")(0) == 6.0


def test_what_a_schedule_prints_after_its_curve_changed_its_arguments():
    namespace = {"__name__": "somewhere", "lk": lk}
    exec("@lk.curve\ndef fickle(a, b=1.0):\n    return lk.constant(a + b)", namespace)
    before = namespace["fickle"](1.0)
    exec("@lk.curve\ndef fickle(a):\n    return lk.constant(a)", namespace)
    assert repr(before) == "fickle(1.0, 1.0)"
    assert repr(namespace["fickle"](1.0)) == "fickle(1.0)"
    with pytest.raises(ValueError, match=r"^to_dict: the curve 'fickle' has been redefined"):
        before.to_dict()


def takes_any(*args):
    return lk.constant(1.0)


def takes_keywords(a, *, b=1.0):
    return lk.constant(1.0)


def cosine(a):
    return lk.constant(a)


def warmup(a):
    return lk.constant(a)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (5, TypeError, "curve: function must be a function; got 5 (int)"),
        (lk.Schedule, TypeError, "curve: function must be a function; got <class"),
        (takes_any, TypeError, "curve: takes_any must take plain arguments only; got *args"),
        (takes_keywords, TypeError, "curve: takes_keywords must take plain arguments only; got b=1.0"),
        (cosine, ValueError, "curve: 'cosine' is the name of a curve or method of lrkern; rename the function"),
        (warmup, ValueError, "curve: 'warmup' is the name of a curve or method of lrkern"),
        (lambda: lk.constant(1), ValueError, "curve: function must have a name that is an identifier, as def"),
    ],
)
def test_what_cannot_be_a_curve(function, error, message):
    with pytest.raises(error) as raised:
        lk.curve(function)
    assert str(raised.value).startswith(message)
    assert lk.cosine(1.0, 0.0, 3).table(1)[0] == 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sawteeth(0.1), TypeError, "missing a required argument: 'period'"),
        (lambda: sawteeth(0.1, 5, floor=1), TypeError, "got an unexpected keyword argument 'floor'"),
        (lambda: sawteeth(float("nan"), 5), ValueError, "sawteeth: peak must be a finite number; got nan (float)"),
        (lambda: sawteeth(0.1, 5.5), TypeError, "linear: steps must be an integer >= 0; got 5.5 (float)"),
        (
            lambda: sawteeth({}, 5),
            TypeError,
            "sawteeth: peak must be a number, a string, None, a Schedule or a sequence of those; got {} (dict)",
        ),
        (lambda: blended([lk.constant(1), object()]), TypeError, "blended: schedules[1] must be a number, a string, "),
        (lambda: blended([[1.0]]), TypeError, "blended: schedules[0] must be a number, a string, "),
        (lambda: lk.parse("sawteeth(0.1)"), ValueError, "parse: sawteeth: missing a required argument: 'period'"),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value).startswith(message)


def test_a_curve_returns_a_schedule():
    @lk.curve
    def number(a):
        return a

    with pytest.raises(TypeError, match=r"^number: a curve must return a Schedule; got 1.0 \(float\)$"):
        number(1.0)


# ------------------------------------------------------------------------------------------------- installed packages

PACKAGE = """
import lrkern as lk

print("imported")

@lk.curve
def plateaus(peak, every, factor=0.5):
    return lk.step_decay(peak, factor, every)

def plain(peak):
    return lk.constant(peak)

@lk.curve
def misnamed(peak):
    return lk.constant(peak)
"""

ENTRY_POINTS = """
[lrkern.schedules]
plateaus = curves_of_others:plateaus
plain = curves_of_others:plain
other_name = curves_of_others:misnamed
absent = curves_of_others:absent
nowhere = no_such_module_anywhere:thing
cosine = curves_of_others:plateaus
"""


def install(folder, name, module, source, entry_points):
    """An installed package as pip leaves it: a module and its metadata folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(source))
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    install(folder, "curves-of-others", "curves_of_others", PACKAGE, ENTRY_POINTS)
    return folder


def python(site, code, *words):
    command = [sys.executable, "-W", "error", *(["-c", code] if code else []), *words]
    env = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_an_installed_package_is_found_when_its_name_is_met_and_not_before(site):
    code = """
    import json, pickle, sys
    import lrkern as lk
    s = lk.parse("cosine(1.0, 0.0, 9).warmup(3)")
    assert "curves_of_others" not in sys.modules and "importlib.metadata" not in sys.modules
    t = lk.parse("plateaus(1.0, 2).warmup(3)")
    u = lk.Schedule.from_dict(json.loads(json.dumps(t.to_dict())))
    assert t == u == pickle.loads(pickle.dumps(t))
    print(t, t.table(8).tolist(), lk.cosine(1.0, 0.0, 2)(1))
    """
    done = python(site, textwrap.dedent(code))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "imported",
        "plateaus(1.0, 2).warmup(3) [0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 1.0, 0.5, 0.5, 0.25] 0.5",
    ]


@pytest.mark.parametrize("how", ["pickle", "record"])
def test_what_one_process_wrote_another_one_reads(site, how):
    write = "import pickle, json, lrkern as lk; s = lk.parse('plateaus(1.0, 2) + 1.0')"
    if how == "pickle":
        stored = python(site, f"{write}; print(pickle.dumps(s).hex())").stdout.split()[-1]
        read = f"import pickle; s = pickle.loads(bytes.fromhex({stored!r}))"
    else:
        stored = python(site, f"{write}; print(json.dumps(s.to_dict()))").stdout.splitlines()[-1]
        read = f"import json, lrkern as lk; s = lk.Schedule.from_dict(json.loads({stored!r}))"
    done = python(site, f"{read}; print(s, s(2))")
    assert (done.stdout.splitlines()[-1], done.stderr) == ("plateaus(1.0, 2) + 1.0 1.5", "")


def test_the_command_line_finds_it(site):
    done = python(site, None, "-m", "lrkern", "table", "plateaus(1.0, 1)", "-n", "2")
    assert (done.stdout, done.stderr) == ("imported\nstep,value\n0,1.0\n1,0.5\n", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "plain",
            "lrkern: 'plain' of curves-of-others (curves_of_others:plain) must be a function plain decorated with ",
        ),
        ("other_name", "lrkern: 'other_name' of curves-of-others (curves_of_others:misnamed) must be a function other_name"),
        (
            "absent",
            "lrkern: cannot load the curve 'absent' of curves-of-others (curves_of_others:absent): "
            "AttributeError: module 'curves_of_others' has no attribute 'absent'",
        ),
        (
            "nowhere",
            "lrkern: cannot load the curve 'nowhere' of curves-of-others (no_such_module_anywhere:thing): "
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_said(site, monkeypatch, name, message):
    monkeypatch.syspath_prepend(str(site))
    record = {"format": "lrkern.schedule", "version": 1, "schedule": {"name": name, "args": {}}}
    for read in (lambda: lk.parse(f"{name}(1.0)"), lambda: lk.Schedule.from_dict(record)):
        with pytest.raises(ImportError) as raised:
            read()
        assert str(raised.value).startswith(message)
    done = python(site, None, "-m", "lrkern", "plot", f"{name}(1.0)")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_two_packages_with_one_name(tmp_path):
    for name in ("first", "second"):
        source = "import lrkern as lk\n@lk.curve\ndef twice(a):\n    return lk.constant(a)\n"
        install(tmp_path, name, name, source, f"[lrkern.schedules]\ntwice = {name}:twice\n")
    done = python(tmp_path, "import lrkern as lk; lk.parse('twice(1.0)')")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: lrkern: 'twice' is a curve of first (first:twice) and of second (second:twice); uninstall all but one"
    )


def test_names_that_nobody_knows(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    for text in ("nobody(1.0)", "warmup(1.0)", "from_function(1.0)", "curve(1.0)"):
        with pytest.raises(ValueError, match=r"^parse: '\w+' is not a curve$"):
            lk.parse(text)
    assert names.find("+") is None
    assert names.find("no identifier") is None
