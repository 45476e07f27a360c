"""CONTRIBUTING's walk-throughs for a new curve and a new optimizer, followed literally in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
TEXT = PAGE.read_text() if PAGE.exists() else ""


def section(title: str) -> str:
    """The text of a section of the page."""
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


WALK = section("Adding a curve")
WALK_OF_OPTIMIZER = section("Adding an optimizer")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not TEXT, reason="needs the source checkout")]


class Checkout:
    """A copy of the files that the walk-through edits and that the tests need, with the same build."""

    def __init__(self, folder: Path, *, copies_c: bool = False) -> None:
        self.folder = folder
        unwanted = shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info", "cuda")
        for name in ("lrkern", "tests", "tools", "docs"):
            shutil.copytree(ROOT / name, folder / name, symlinks=name == "lrkern", ignore=unwanted)
        for name in ("README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile", "CHANGELOG.md"):
            shutil.copy2(ROOT / name, folder)
        if copies_c:
            shutil.copytree(ROOT / "src_c", folder / "src_c", ignore=unwanted)
        else:
            (folder / "src_c").symlink_to(ROOT / "src_c")
        (folder / "examples").symlink_to(ROOT / "examples")
        shutil.copytree(ROOT / "lrkern" / "cuda", folder / "lrkern" / "cuda", ignore=unwanted)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in this copy, which precedes the installed package."""
        path = os.pathsep.join([str(self.folder), str(self.folder / "tests" / "support")])
        env = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    def tests(self, *arguments: str) -> tuple[int, int, str]:
        """The numbers of passed and failed tests, and the output."""
        said = self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments).stdout
        found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", said)}
        return found.get("passed", 0), found.get("failed", 0) + found.get("error", 0), said


def steps() -> dict[str, str]:
    """The file that each step names, with the text to write there."""
    found = re.findall(r"^\*\*\d\. `(\S+\.py)`\*\*.*?^```text\n(.*?)^```", WALK, re.S | re.M)
    assert len(found) == 2, found
    return dict(found)


def commands(target: str) -> list[list[str]]:
    """The commands of a Makefile target."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe
    lines = [line.split() for line in recipe[1].splitlines()]
    assert all(line[0] == "$(BIN)/python" for line in lines)
    return [line[1:] for line in lines]


@pytest.mark.exhaustive
def test_the_walk_through_for_a_new_curve(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    changed = steps()
    (name,) = {found for text in changed.values() for found in re.findall(r"^def (\w+)\(", text, re.M)}
    for path, text in changed.items():
        file = tmp_path / path
        source = file.read_text().rstrip() + "\n\n\n" + text
        if path.endswith("curves.py"):  # "name it in `__all__`"
            source = source.replace("__all__ = [\n", f'__all__ = [\n    "{name}",\n', 1)
        file.write_text(source)
    before = (tmp_path / "tests/golden/schedules.sha256").read_text()
    lists = ["tests/package/test_docs.py::test_every_curve_is_listed", "tests/schedules/test_bits.py::test_golden[1-scalar]"]
    _, failed, told = checkout.tests(*lists)
    assert failed >= 2, told
    assert "make record" in told, "the tests say what to do"

    assert "`make record`" in WALK
    for command in commands("record"):
        done = checkout.run(*command)
        assert done.returncode == 0, done.stderr
    after = (tmp_path / "tests/golden/schedules.sha256").read_text()
    assert after.startswith(before)
    assert f"| `{name}(" in (tmp_path / "docs" / "schedules.md").read_text()

    files = ["accuracy", "bits", "names", "records", "edges", "oracle", "tables"]
    paths = ["tests/package/test_docs.py", *[f"tests/schedules/test_{one}.py" for one in files]]
    passed, failed, told = checkout.tests("-k", f"{name} or test_every_curve_is_listed or (test_golden and 1-scalar)", *paths)
    assert (passed > 102, failed) == (True, 0), told


def test_the_copy_is_what_is_tested(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "lrkern" / "schedules" / "shapes.py").write_text("raise SystemExit('this one')\n")
    for command in (["-c", "import lrkern"], *commands("record")):
        assert "this one" in checkout.run(*command).stderr


def blocks() -> list[str]:
    """The texts to write for a new optimizer: its file, a line that imports it, its paper, and a line of each table."""
    found = re.findall(r"^```text\n(.*?)^```", WALK_OF_OPTIMIZER, re.S | re.M)
    assert len(found) == 7, found
    return found


def insert(file: Path, *pairs: tuple[str, str]) -> None:
    """Write a text before each mark, which must occur once."""
    source = file.read_text()
    for mark, text in pairs:
        assert source.count(mark) == 1, (file.name, mark)
        source = source.replace(mark, text + mark)
    file.write_text(source)


# The extension of the copy does not know the new rule: it is not rebuilt. Numba compiles it from the same formula.
TRIES = """
import sys, doctest
sys.path[:0] = ["tests/steps", "tests/support", "."]

import lrkern as lk
from lrkern import _core, backends
from lrkern.rules.rule import own_rules

rule = own_rules()["qhm"]
_core.RULES["qhm"] = tuple(one.name for one in rule.parts("qhm").hypers)
chosen = backends.choose
backends.choose = lambda name, backend, *arrays, **more: chosen(name, backend or "numba", *arrays, **more)

import test_convergence, test_papers

cases = [case for case in test_papers.CASES if case[0] is lk.QHM]
assert len(cases) == 1, cases
test_papers.test_as_the_paper_says(*cases[0])
for function in test_convergence.FUNCTIONS:
    test_convergence.test_comes_down("QHM", function, "f8")
failed, tried = doctest.testmod(sys.modules["lrkern.optimizers.qhm"])
assert (failed, tried > 3) == (0, True)
from bench.convergence import OPTIMIZERS
assert OPTIMIZERS["QHM"]
print("done")
"""

# The C that is made of the rule, against the rule executed one exact operation at a time.
BITS = """
import ctypes, sys
from pathlib import Path

import numpy as np
from lrkern.rules import c_source, exactly
from lrkern.rules.rule import own_rules
import lrkern as lk, subprocess

rule, compiler = own_rules()["qhm"], sys.argv[1]
Path("qhm.c").write_text(c_source.c_source(rule, "qhm", "float32"))
flags = ["-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-I", "src_c/steps", "-I", lk.get_include()]
subprocess.run([compiler, *flags, "qhm.c", "-o", "qhm.so", "-lm"], check=True)
names = [one.name for one in rule.parts("qhm").hypers]
inputs = {"lr": 0.1, "weight_decay": 0.3, "decoupled": 1.0, "maximize": 0.0, "beta": 0.9, "nu": 0.7}
rng = np.random.default_rng(1)
p, g, m = (rng.standard_normal(100).astype("f4") for _ in range(3))
expected, (state,), _ = exactly.step(rule, "qhm", inputs, 3, p, g, [m])
h = (ctypes.c_double * len(names))(*(inputs[name] for name in names))


class Tensor(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("rest", ctypes.c_double * 5)]


before = p.copy()
arrays = [one.ctypes.data_as(ctypes.c_void_p) for one in (p, g, m)]
ctypes.CDLL("./qhm.so").qhm_update_f32(ctypes.c_int64(100), *arrays, h, ctypes.byref(Tensor(3)))
assert p.tobytes() == expected.tobytes() and m.tobytes() == state.tobytes() and np.all(p != before)
print("done")
"""


@pytest.mark.exhaustive
def test_the_walk_through_for_a_new_optimizer(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, copies_c=True)
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    file, line, paper, of_papers, descent, rate, peer = blocks()
    ((name, folder),) = re.findall(r"^\*\*1\. `(\w+\.py)` in `([\w/]+)`\*\*", WALK_OF_OPTIMIZER, re.M)
    before = (tmp_path / "src_c/steps/generated_rules.def").read_text()

    (tmp_path / folder / name).write_text(file)
    here = "from lrkern.optimizers.schedule_free import *"
    marks = [(here, line), ("    schedule_free,\n", "    qhm,\n"), ("schedule_free, signs", "qhm, ")]
    insert(tmp_path / "lrkern/optimizers/__init__.py", *marks)
    insert(tmp_path / "lrkern/__init__.py", (here, line))
    insert(tmp_path / "tests/steps/test_papers.py", ("CASES = [\n", paper + "\n\n"))
    for path, table, text in (
        ("tests/steps/test_papers.py", "CASES = [", of_papers),
        ("tests/support/cases.py", "DESCENTS = {", descent),
        ("bench/convergence.py", "OPTIMIZERS: dict[str, tuple[float, dict[str, Any]]] = {", rate),
        ("tests/steps/test_implementations_peer.py", "CASES: list[Case] = [", peer),
    ):
        insert(tmp_path / path, (f"{table}\n", ""))  # it is there once
        source = (tmp_path / path).read_text()
        (tmp_path / path).write_text(source.replace(f"{table}\n", f"{table}\n{text}", 1))

    (command,) = commands("rules")
    done = checkout.run(*command, "--check")
    assert done.returncode == 1
    assert done.stderr.count("run `make rules`") == 4, "a test tells that the files are outdated"
    done = checkout.run(*command)
    assert done.returncode == 0, done.stderr
    after = (tmp_path / "src_c/steps/generated_rules.def").read_text()
    assert "LRK_FAMILY(qhm," in after
    assert "LRK_RULE(qhm, 1," in after
    assert [one for one in before.splitlines() if one not in set(after.splitlines())] == []
    header = (tmp_path / "src_c/lrkern_optimizers.h").read_text()
    assert "lrkern.QHM(params): {.lr = 1, .beta = 0.999, .nu = 0.7}" in header
    assert "lrk_step_qhm_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates" in header
    assert "cdef lrk_status lrk_step_qhm_f32(" in (tmp_path / "lrkern/binding/generated_declarations.pxi").read_text()
    assert checkout.run(*command, "--check").returncode == 0

    done = checkout.run("-c", TRIES)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    assert compiler, "a C compiler is needed to build lrkern"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{tmp_path / 'src_c'}"]
    subprocess.run([compiler, *flags, tmp_path / "src_c/steps/generated_functions.c"], check=True)
    done = checkout.run("-c", BITS, compiler)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr
