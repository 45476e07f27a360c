"""The command and its processes: a small run, wrong use, workers that fail, the package without a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from setuptools import find_packages

import lrkern as lk
from lrkern.bench import command, settings
from lrkern.bench.processes import measure
from lrkern.bench.processes.child import Child, WorkerError
from lrkern.bench.report import store
from lrkern.bench.rows import every
from lrkern.bench.timing.row import Contest, Fact, Row

ROOT = Path(__file__).parents[2]
SMALL = settings.Settings(quick=True, rivals=("numpy",))


@pytest.fixture(autouse=True)
def _settings_as_before():
    yield
    settings.use(settings.Settings())
    every.by_name.cache_clear()


def test_a_small_run(tmp_path, capsys):
    """A contest between processes, a row in one, a fact."""
    file = tmp_path / "run.json"
    words = "(step-list and 1000 and alone) or call-sgd_step or (float32-cumulative and not fill)"
    assert command.main(["--quick", "-k", words, "--rivals", "numpy", "--json", str(file), "--details"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("lrkern against its targets")
    assert "Small sizes: these are not measurements." in out
    run = store.read(file, "--from")
    assert run.quick
    assert {(r.row, r.case, r.how) for r in run.results} == {
        ("step-list", "AdamW, 1000 x 64", "alone"),
        ("call", "sgd_step", ""),
        ("float32", "cumulative", ""),
    }
    assert run.failures == []
    content = json.loads(file.read_text())
    assert set(content["seconds"]) == {"step-list", "call", "float32"}

    assert command.main(["--from", str(file)]) == 0
    assert command.main(["--compare", str(file), str(file)]) == 0
    assert "0 changed by more than the noise" in capsys.readouterr().out
    slower = [lk_slower(result) for result in content["results"]]
    other = tmp_path / "slower.json"
    other.write_text(json.dumps(content | {"results": slower}))
    assert command.main(["--compare", str(file), str(other)]) == command.FAILED
    assert "2 changed by more than the noise, 2 of them slower" in capsys.readouterr().out
    other.write_text(json.dumps(content | {"quick": False}))
    with pytest.raises(ValueError, match="both runs must be quick or neither"):
        command.main(["--compare", str(file), str(other)])


def lk_slower(result):
    """A result with tenfold times."""
    times = {name: [10 * time for time in rounds] for name, rounds in result["rounds"].items()}
    return result | {"time": result["time"] and 10 * result["time"], "rounds": times}


def test_contestants_have_processes_of_their_own():
    assert measure.seats(["lrkern", "torch fused", "torch foreach", "NumPy"]) == {
        "lrkern": "lrkern 1",
        "torch fused": "torch 1",
        "torch foreach": "torch 2",
        "NumPy": "NumPy 1",
    }
    found, failures, _ = measure.run(
        measure.jobs([every.named("step-list")], "SGD and 1 and 1000 and not 64 and alone"), SMALL, lambda index, job: None
    )
    assert failures == []
    (result,) = found
    assert result.how == "alone"
    assert {name: len(times) for name, times in result.rounds.items()} == {"lrkern": 2, "bare streams": 2, "NumPy": 2}


def test_rivals_share_a_process_in_quick_runs():
    assert measure.seats(["lrkern", "torch fused", "NumPy"], quick=True) == {
        "lrkern": "lrkern 1",
        "torch fused": measure.ROWS,
        "NumPy": measure.ROWS,
    }


def test_nothing_calms_the_thread_pools():
    """A user's program does not either."""
    sources = [path.read_text() for path in Path(command.__file__).parent.rglob("*.py")]
    assert len(sources) > 30
    assert not any("OMP_WAIT_POLICY" in text or "KMP_BLOCKTIME" in text for text in sources)


def test_a_row_that_fails_is_reported_and_the_others_go_on():
    def never(case, sizes):
        raise AssertionError

    todo = [
        measure.Job(Row("no-such-row", ("x",), never), "x"),
        measure.Job(every.named("call"), "sgd_step"),
        measure.Job(Fact("float32", ("no-such-curve",), never), "no-such-curve"),
    ]
    seen = []
    results, failures, seconds = measure.run(todo, SMALL, lambda index, job: seen.append(job.name))
    assert [result.case for result in results] == ["sgd_step"]
    assert [failure.job for failure in failures] == ["no-such-row-x", "float32-no-such-curve"]
    assert failures[0].reason == "KeyError: 'no-such-row'"
    assert seen == [job.name for job in todo]
    assert set(seconds) == {"no-such-row", "call", "float32"}


def test_a_rival_that_fails_is_reported_and_the_others_go_on():
    contest = every.named("step-list")

    def entries(case, sizes):
        return contest.entries(case, sizes) | {"nobody": None}

    results, failures, _ = measure.run(
        [measure.Job(Contest("step-list", contest.cases, entries), "SGD, 1 x 1000", "alone")], SMALL, lambda index, job: None
    )
    assert [(failure.job, failure.reason) for failure in failures] == [
        ("step-list-SGD, 1 x 1000-alone, nobody", "KeyError: 'nobody'")
    ]
    assert [set(result.rounds) for result in results] == [{"lrkern", "bare streams", "NumPy"}]


def test_processes_that_die_or_hang_are_reported():
    child = Child(SMALL)
    child.process.kill()
    with pytest.raises(WorkerError, match="the process ended with code -9"):
        child.ask("drop", timeout=60)
    assert not child.alive
    child.close()
    child = Child(SMALL)
    with pytest.raises(WorkerError, match="no answer within 0 s"):
        child.ask("measure", "float32", "cosine", timeout=0)
    assert not child.alive


def test_words_select_rows():
    assert measure.matches("", "fill-cosine")
    assert measure.matches("FILL and (cosine or rex) and not float32", "fill-cosine")
    assert not measure.matches("fill and not cosine", "fill-cosine")
    assert measure.matches("64", "step-list-AdamW, 1000 x 64-alone")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="-k must be words"):
            measure.matches("fill (cosine)", "x")  # Python takes it for a call
    for words in ("fill and", "(fill", "fill cosine", "()", "fill, cosine"):
        with pytest.raises(ValueError, match=f"^bench: -k must be words .*; got {re.escape(repr(words))}$"):
            measure.matches(words, "x")


def test_quick_takes_one_case():
    rows = [every.named(name) for name in ("error", "quick-run", "fill", "step", "step-list")]
    assert [job.name for job in measure.jobs(rows, "", quick=True)] == [
        "error-cumulative",
        "fill-cumulative",
        "step-AdamW, 64 M-alone",
        "step-AdamW, 64 M-beside",
        "step-list-AdamW, 1000 x 64-beside",
    ]
    found = measure.jobs(rows, "step and 16 and not list", quick=True)
    assert [job.name for job in found] == ["step-AdamW, 16 K-alone", "step-AdamW, 16 K-beside"]
    assert [job.name for job in measure.jobs(rows, "list and 1 and alone", quick=True)] == ["step-list-AdamW, 1000 x 64-alone"]
    assert len(measure.jobs(rows, "")) > 80


def test_all_quick_rows_run_in_few_processes(tmp_path, monkeypatch, capsys):
    """What each import of torch costs is what decides how long it takes."""
    started = []

    def start(child, chosen, begin=Child.__init__):
        started.append(child)
        begin(child, chosen)

    monkeypatch.setattr(Child, "__init__", start)
    file = tmp_path / "quick.json"
    assert command.main(["--quick", "--rivals", "numpy,python", "--json", str(file)]) == 0
    results = store.read(file, "--from").results
    wanted = {row.name for row in (*every.all_rows(), *every.all_facts()) if row.cases and row.quickly}
    assert {result.row for result in results} == wanted
    assert len(started) == 2  # all rows, and lrkern in the contest that is measured alone


def test_list(capsys):
    assert command.main(["--list"]) == 0
    out = capsys.readouterr().out
    for row in (*every.all_rows(), *every.all_facts()):
        assert not row.cases or re.search(rf"^{re.escape(row.name)} ", out, re.M)
    assert re.search(r"schedules, constant to \w+ \(alone, beside\)", out)
    assert command.main(["--list", "-k", "one-thread"]) == 0
    assert capsys.readouterr().out == "one-thread       SGD; AdamW\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "nothing.json"], "bench: --from: nothing.json cannot be read: No such file or directory"),
        (["--compare", "nothing.json"], "bench: --compare: nothing.json cannot be read: No such file or directory"),
        (["--compare", "a", "b", "c"], "bench: --compare must be OLD or OLD NEW; got 3 files"),
        (["-k", "no_such_row"], "bench: -k: no row matches 'no_such_row'; --list shows them"),
        (["--rivals", "numpy,jax"], "bench: --rivals must be of numpy, torch, numba, optax, python; got jax"),
        (["--quick", "--write"], "bench: --write excludes --quick"),
        (["--rivals", "numpy", "--rule", "a.py:b", "--save"], "bench: --save excludes --rivals, --rule"),
        (["--list", "--from", "gone"], "bench: --list excludes --from"),
        (["--list", "--rivals", "numpy", "--details"], "bench: --list excludes --rivals, --details"),
        (["--from", "x", "-k", "zzz", "--schedule", "1"], "bench: --from excludes -k, --schedule"),
        (["--from", "x", "--json", "y"], "bench: --from excludes --json"),
        (["--compare", "a", "b", "-k", "zzz", "--rule", "no.py:x"], "bench: --compare OLD NEW excludes -k, --rule"),
        (["--json", "/dev/null/x.json"], "bench: --json: /dev/null/x.json cannot be written: /dev/null is not a folder"),
        (["--json", ".", "-k", "float32"], "bench: --json: . cannot be written: Is a directory"),
        (["--schedule", "cosin(1)"], "cosin"),
        (["--rule", "mine"], "bench: --rule must be FILE.py:name; got 'mine'"),
        (["--rule", ""], "bench: --rule must be FILE.py:name; got ''"),
        (["--rule", "no.py:mine"], "no.py cannot be read: No such file or directory"),
        (["--rule", "dir.py:f"], "dir.py cannot be read: Is a directory"),
        (["--rule", "syntax.py:f"], "syntax.py cannot be run: SyntaxError: "),
        (["--rule", "raises.py:f"], "raises.py cannot be run: KeyError: 'x'"),
        (["--rule", "leaves.py:f"], "leaves.py cannot be run: SystemExit: 5"),
        (["--rule", "binary.py:f"], "binary.py cannot be run: "),
        (["--rule", "archive.py:f"], "archive.py cannot be run: "),
        (["--frm"], "bench: unrecognized arguments: --frm"),
        (["--json"], "bench: argument --json: expected one argument"),
    ],
)
def test_wrong_use_is_one_sentence(words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    every.by_name.cache_clear()
    Path("dir.py").mkdir()
    Path("syntax.py").write_text("def f(:\n")
    Path("raises.py").write_text("{}['x']\n")
    Path("leaves.py").write_text("import sys\nsys.exit(5)\n")
    Path("binary.py").write_bytes(bytes(range(256)))
    shutil.make_archive("archive", "zip", "dir.py")
    Path("archive.zip").rename("archive.py")
    monkeypatch.setattr(command, "run", lambda *arguments: pytest.fail("something was measured"))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        command.main(words)
    assert "\n" not in str(error.value)


RULE = """
import lrkern as lk

@lk.rule("m")
def mine(p, g, m, *, lr=0.1):
    new = 0.5 * m + g
    return p - lr * new, new

number = 3
Mine = lk.SGD
"""


def test_rows_of_ones_own(tmp_path, capsys, monkeypatch):
    file = tmp_path / "rules.py"
    file.write_text(RULE)
    expression = "cosine(0.1, 0.0, 1000).warmup(10)"
    words = ["--quick", "--schedule", expression, "--rule", f"{file}:Mine", "--json", str(tmp_path / "own.json")]
    assert command.main(words) == 0
    results = {result.row: result for result in store.read(tmp_path / "own.json", "--from").results}
    assert set(results) == {"own-schedule", "own-call", "own-compile", "own-rule"}
    assert results["own-rule"].ratio("bare streams") > 0
    out = capsys.readouterr().out
    assert f"{expression}: fill 200,000 float64" in out
    assert " rules.py:Mine: a step of 2^14 float32" in out
    from lrkern.bench.rows import own

    assert issubclass(own.optimizer_of(f"{file}:mine"), lk.Optimizer)
    with pytest.raises(ValueError, match=r"has no other$"):
        own.optimizer_of(f"{file}:other")
    with pytest.raises(ValueError, match=r"must name what lrkern\.rule makes, or an optimizer; got 3$"):
        own.optimizer_of(f"{file}:number")


def test_without_a_checkout(tmp_path):
    """As installed by pip: no sources, no tests, no compiler, no mpmath."""
    package = Path(lk.__file__).parent
    wanted = shutil.ignore_patterns("__pycache__", "*.c", "*.inc", "*.pyx", "*.pxi", "include")
    shutil.copytree(package, tmp_path / "lrkern", ignore=wanted, symlinks=False)
    (tmp_path / "mpmath.py").write_text("raise ImportError")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PATH": "/nowhere"}

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "lrkern", "bench", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    words = "fill-constant or cached-serial-constant or (step-list and 64 and alone)"
    code, out, err = run("--quick", "-k", words, "--rivals", "numpy", "--json", "run.json")
    assert (code, err) == (0, "")
    assert "fill 10^8 float64" in out
    assert "Errors in ULP are left out" in out
    assert "Failed" not in out
    assert {r["row"] for r in json.loads((tmp_path / "run.json").read_text())["results"]} >= {
        "fill",
        "cached-serial",
        "step-list",
    }
    assert run("--write") == (2, "", "lrkern: bench: --write needs the source checkout\n")
    assert run("--from", "x.json")[0] == 2
    assert not (tmp_path / "build").exists()


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the source checkout")
def test_the_wheel_has_all_of_it():
    """Every folder with a module is a package, and the limits are built with the other extension."""
    packages = set(find_packages(str(ROOT), include=["lrkern", "lrkern.*"]))
    folders = {path.parent for path in (ROOT / "lrkern").rglob("*.py")}
    assert {".".join(folder.relative_to(ROOT).parts) for folder in folders} == packages
    assert {f"lrkern.bench.{name}" for name in ("processes", "report", "rivals", "rows", "timing")} <= packages
    assert '"lrkern.bench.rivals._limits"' in (ROOT / "setup.py").read_text()
    for name in ("limits.c", "limit_blocks.inc"):  # of the source distribution
        assert f"lrkern/bench/rivals/{name}" in (ROOT / "MANIFEST.in").read_text()


@pytest.mark.parametrize("words", [["-m", "lrkern.bench"], ["-m", "lrkern", "bench"]])
def test_both_commands(words, tmp_path):
    done = subprocess.run(
        [sys.executable, *words, "--from", "gone.json"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    message = "lrkern: bench: --from: gone.json cannot be read: No such file or directory\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
