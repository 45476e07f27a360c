"""Long runs are not lost: wrong arguments are found before, failed writes and Ctrl-C cost nothing that was measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrkern.bench import command, settings
from lrkern.bench.processes.child import PROC
from lrkern.bench.report import page, store
from lrkern.bench.report.machine import describe
from lrkern.bench.rows import every
from lrkern.bench.timing.result import Result


@pytest.fixture(autouse=True)
def _settings_as_before():
    yield
    settings.use(settings.Settings())
    every.by_name.cache_clear()


@pytest.fixture
def _nothing_is_measured(monkeypatch):
    monkeypatch.setattr(command, "run", lambda *arguments: pytest.fail("something was measured"))


def saved(path, results=(), quick=False, failures=()):
    """A file of these results."""
    store.write(store.Run(list(results), describe(), quick, list(failures)), path)
    return str(path)


TIMED = Result("call", "sgd_step", time=1.0)
ONE = ["-k", "call-sgd_step", "--rivals", "numpy"]


@pytest.mark.usefixtures("_nothing_is_measured")
def test_runs_that_cannot_be_compared_are_not_begun(tmp_path):
    old = saved(tmp_path / "quick.json", [TIMED], quick=True)
    with pytest.raises(ValueError, match="both runs must be quick or neither"):
        command.main(["--compare", old])


@pytest.mark.usefixtures("_nothing_is_measured")
def test_runs_that_cannot_be_kept_are_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "KEPT", tmp_path / "file" / "kept")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"^bench: --save: .* cannot be written: Not a directory$"):
        command.main(["--save"])
    monkeypatch.setattr(store, "KEPT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "RESULTS.md")
    page.PAGE.write_text("no marks")
    with pytest.raises(ValueError, match="must contain"):
        command.main(["--write"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RESULTS.md", "file"]


def test_quick_runs_and_rows_of_ones_own_are_not_kept(tmp_path):
    quick = saved(tmp_path / "quick.json", [TIMED], quick=True)
    with pytest.raises(ValueError, match="keep no quick runs"):
        command.main(["--from", quick, "--save"])
    mine = saved(tmp_path / "own.json", [Result("own-rule", "x.py:f", time=1.0)])
    with pytest.raises(ValueError, match="keep no rows of your own"):
        command.main(["--from", mine, "--write"])


def test_what_was_measured_is_shown_even_if_it_cannot_be_written(tmp_path, monkeypatch, capsys):
    file = tmp_path / "run.json"

    def measured_while_the_folder_goes(todo, chosen):
        file.mkdir()
        return store.Run([TIMED], describe(), True)

    monkeypatch.setattr(command, "measured", measured_while_the_folder_goes)
    with pytest.raises(ValueError, match=r"run\.json cannot be written: Is a directory$"):
        command.main(["--quick", *ONE, "--json", str(file)])
    out = capsys.readouterr().out
    assert "sgd_step, one tensor of 64" in out
    assert "Results:" not in out


@pytest.mark.parametrize(
    ("words", "writable", "last"),
    [
        (ONE, True, "Results: lrkern-bench.json"),
        (ONE, False, "Not kept: give --json FILE"),
        (["--quick", *ONE], True, ""),
    ],
)
def test_an_installed_package_keeps_results_in_the_current_folder(tmp_path, monkeypatch, capsys, words, writable, last):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "CHECKOUT", False)
    monkeypatch.setattr(store, "LATEST", store.latest(False))
    monkeypatch.setattr(command, "measured", lambda todo, chosen: store.Run([TIMED], describe(), chosen.quick))
    file = tmp_path / "lrkern-bench.json"
    if not writable:
        file.mkdir()
    assert command.main(words) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == last if last else "Results:" not in out and "Not kept" not in out
    assert file.is_file() == last.startswith("Results")


def test_comparisons_say_what_is_missing(tmp_path, capsys):
    gone = Result("fill", "cosine", time=1.0)
    old = saved(tmp_path / "old.json", [TIMED, gone])
    assert command.main(["--compare", old, saved(tmp_path / "a.json", [TIMED])]) == 0
    assert "Rows of the old run that the new one does not have: 1 (fill-cosine)." in capsys.readouterr().out
    assert command.main(["--compare", old, saved(tmp_path / "b.json", [Result("other", "x", time=1.0)])]) == command.FAILED
    assert "0 rows compared" in capsys.readouterr().out
    failed = [{"row": "fill-cosine", "reason": "out of luck"}]
    assert command.main(["--compare", old, saved(tmp_path / "c.json", [TIMED], failures=failed)]) == command.FAILED
    assert "Failed in " in (out := capsys.readouterr().out)
    assert "fill-cosine: out of luck" in out


def test_a_new_run_misses_only_what_it_was_asked_for(tmp_path, capsys):
    old = saved(tmp_path / "old.json", [TIMED, Result("fill", "cosine", time=1.0)], quick=True)
    assert command.main(["--quick", *ONE, "--json", str(tmp_path / "new.json"), "--compare", old]) == 0
    out = capsys.readouterr().out
    assert "1 rows compared" in out
    assert "does not have" not in out


def family(pid):
    """The processes below one."""
    try:
        children = [int(word) for word in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(one for child in children for one in family(child))]


def sleeps(pid):
    """Whether this is the process that sleeps."""
    try:
        return "time.sleep(600)" in (PROC / str(pid) / "cmdline").read_text()
    except OSError:
        return False


def gone(pid):
    """Whether a process has ended; one that nobody waits for may stay as a zombie."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition, seconds=60.0):
    """Wait."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)


@pytest.mark.skipif(not PROC.exists(), reason="sees processes in /proc")
def test_ctrl_c_ends_all_processes_and_loses_nothing(tmp_path):
    """Again and again: nobody knows how often it is pressed. The second row starts a process that sleeps."""
    program = f"""
import subprocess, sys
from lrkern.bench.rows import facts
def sleep(case, sizes):
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])
if __name__ != "__main__":
    facts.FACTS.append(facts.Fact("sleeps", ("x",), sleep))
else:
    from lrkern.bench.command import main
    sys.exit(main(["--quick", "-k", "sleeps or float32-cumulative and not fill", "--json", {str(tmp_path / "run.json")!r}]))
"""
    (tmp_path / "sitecustomize.py").write_text("import program")  # in all processes
    (tmp_path / "program.py").write_text(program)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: any(map(sleeps, family(parent.pid))))
    below = family(parent.pid)
    assert len(below) == 2
    for _ in range(20):
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.02)
    out, err = parent.communicate(timeout=60)
    assert (parent.returncode, err) == (command.FAILED, "")
    until(lambda: all(map(gone, below)))
    (failed,) = [line for line in out.splitlines() if line.startswith("Failed")]
    assert failed == "Failed: sleeps-x: interrupted; 0 more were not begun"
    assert [one["row"] for one in json.loads((tmp_path / "run.json").read_text())["results"]] == ["float32"]


def test_other_signals_are_as_before(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    assert command.main(["--quick", *ONE, "--json", str(Path(tmp_path) / "run.json")]) == 0
    assert signal.getsignal(signal.SIGINT) is before
