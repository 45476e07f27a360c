"""What the benchmark prints and writes: targets, headline, comparison, the page of several processors."""

from __future__ import annotations

import io
import json
import math

import pytest

import lrkern as lk
from lrkern.bench.report import compare, details, forms, headline, noise, page, store, table, targets, versions
from lrkern.bench.report.line import Line, both
from lrkern.bench.report.machine import describe, file_name
from lrkern.bench.report.progress import Progress
from lrkern.bench.rivals.limits import STREAMING, STREAMS
from lrkern.bench.rivals.torch_steps import FUSED
from lrkern.bench.timing.result import Result


def result(row, case, ours, how="", **rivals):
    """A result from the times of every round; rivals with spaces are written with underscores."""
    times = {"lrkern": ours, **{name.replace("_", " "): rounds for name, rounds in rivals.items()}}
    return Result.of(row, case, times, how=how)


def test_a_ratio_is_the_median_of_the_rounds():
    """The machine was four times slower in the second and third rounds: medians of times would say 2."""
    found = result("sgd", "x", [1.0, 4.0, 4.0], NumPy=[3.0, 12.0, 2.0])
    assert found.time == 4.0
    assert found.rivals == {"NumPy": 3.0}
    assert found.ratio("NumPy") == 3.0
    assert Result("sgd", "x", time=4.0, rivals={"NumPy": 8.0}).ratio("NumPy") == 2.0  # of a file without rounds


def test_targets_are_checked():
    line = Line("fill", "", "step", STREAMING, at_least=0.85)
    fast, slow = (Result("fill", c, time=t, rivals={STREAMING: 1.0}) for c, t in (("cosine", 1.0), ("rex", 1.2)))
    assert line.worst([fast, slow, Result("peers", "rex", time=9.0)]) == (slow, 2)
    assert line.met(fast)
    assert not line.met(slow)
    assert Line("cached", "", "step", at_most=0.3e-9).met(Result("cached", "rex", time=0.3e-9))
    assert line.worst([]) == (None, 0)


def test_alone_and_beside_have_targets_of_their_own():
    alone, beside = both("step-list", "", "step", {FUSED: (100, 60)})
    results = [result("step-list", "x", [1.0], how, torch_fused=[80.0]) for how in ("alone", "beside")]
    assert alone.worst(results) == (results[0], 1)
    assert beside.worst(results) == (results[1], 1)
    assert not alone.met(results[0])
    assert beside.met(results[1])


def test_streams_stand_beside_other_ratios():
    found = result("sgd-peers", "x", [1.0], "alone", NumPy=[5.0], bare_streams=[1.25])
    lines = [cells for cells in table.lines([found]) if cells[4] in ("NumPy", STREAMS)]
    assert [cells[6] for cells in lines] == ["1.25x", "5x (streams 4x)"]
    assert lines[0][7:] == [">= 0.95x", "yes"]


def test_every_line_has_a_row():
    from lrkern.bench.rows import every

    for line in targets.LINES:
        row = every.named(line.row)
        ways = set().union(*(row.ways(case) for case in row.cases)) if hasattr(row, "ways") else {""}
        assert line.how in ways or not row.cases, line
        assert any(map(line.cases, row.cases)) or not row.cases, line


STEPS = [
    result("step-list", "AdamW, 1000 x 64", [2e-5] * 3, "alone", torch_fused=[1e-2] * 3),
    result("step-list", "AdamW, 1000 x 64", [4e-5] * 3, "beside", torch_fused=[1.2e-2] * 3),
]


def test_the_headline_takes_the_smaller_gain():
    first, verdict = headline.headline(STEPS)
    assert first == "AdamW, 1000 tensors of 64: 40 us a step, 300x torch's fused step"
    assert verdict == "Targets met: 2 of 2"
    slow = [result("step-list", "AdamW, 1000 x 64", [2e-4], "alone", torch_fused=[1e-2])]
    assert headline.headline(slow)[-1] == "Targets met: 0 of 1; not: AdamW step, 1000 tensors of 64"
    assert headline.headline([]) == []


OLD = [
    result("fill", "cosine", [1.0, 1.01, 1.02, 1.03, 1.04], streaming_fill=[1.0] * 5),
    result("cached", "cosine", [1.0, 1.1, 1.2, 1.3, 1.4]),
    result("scalar", "cosine", [1.0, 1.001, 1.002]),
    Result("compile", "cosine", time=1.0, spread=0.1),
    Result("error", "cosine", value=0.5),
    Result("gone", "x", time=1.0),
]
NEW = [
    result("fill", "cosine", [1.3, 1.31, 1.32, 1.33, 1.34], streaming_fill=[1.3] * 5),  # 29 % slower, as is the machine
    result("cached", "cosine", [1.05, 1.15, 1.28, 1.35, 1.45]),  # inside the noise
    result("scalar", "cosine", [1.01, 1.011, 1.012]),  # 1 %: too little
    Result("compile", "cosine", time=0.8, spread=0.1),  # faster
    Result("error", "cosine", value=0.52),
    Result("new", "x", time=1.0),
]


def test_changes_beyond_the_noise_are_seen_and_others_are_not():
    found = {change.old.row: change for change in compare.changes(OLD, NEW)}
    assert set(found) == {"fill", "cached", "scalar", "compile", "error"}
    assert {row: change.beyond_noise for row, change in found.items()} == {
        "fill": True,
        "cached": False,
        "scalar": False,
        "compile": True,
        "error": False,
    }
    assert found["fill"].cells()[3:] == ["1.02 s", "1.32 s", "+29.4%", "2.0%, 1.5%", "+30.0%", "slower"]
    assert found["compile"].cells()[-1] == "faster"
    assert compare.Change(OLD[4], Result("error", "cosine", value=0.6)).beyond_noise


def test_a_comparison_of_different_machines_says_so():
    text = compare.summary([], {"cpu": "A", "threads": 2}, {"cpu": "B", "threads": 2})
    assert text[1] == "The runs differ in cpu: A and B."
    assert len(compare.summary([], {"cpu": "A"}, {"cpu": "A"})) == 1


def kept(folder, cpu, date, results):
    """A kept file."""
    machine = describe() | {"cpu": cpu, "date": date, "isa": "avx2"}
    return store.keep(store.Run(results, machine), folder)


def test_the_page_shows_processors_side_by_side(tmp_path):
    fill = [Result("fill", "cosine", time=1e-10, rivals={STREAMING: 1e-10}), Result("error", "cosine", value=0.5)]
    slow = [Result("fill", "cosine", time=2e-10, rivals={STREAMING: 1e-10}), Result("error", "cosine", value=0.55)]
    kept(tmp_path, "Intel X", "2026-01-01", slow)
    kept(tmp_path, "AMD Y", "2026-01-02", slow)
    kept(tmp_path, "Intel X", "2026-01-03", fill)
    (tmp_path / "gpu-z.json").write_text("{}")
    runs = store.kept(tmp_path)
    assert [(run.machine["cpu"], run.machine["date"]) for run in runs] == [
        ("AMD Y", "2026-01-02"),
        ("Intel X", "2026-01-03"),
    ]
    target = tmp_path / "RESULTS.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(runs, target)
    text = target.read_text()
    assert text.startswith(f"before\n{page.BEGIN}\nA: AMD Y, avx2; B: Intel X, avx2.")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "\nold\n" not in text
    assert "| largest error, float64 |  |  | <= 0.6 ULP | 0.55 ULP | 0.5 ULP | yes |" in text
    assert "| streaming fill | >= 0.85x | 0.2 ns/step, 0.5x | 0.1 ns/step, 1x | NO (A) |" in text
    assert "### A: AMD Y, avx2\n" in text
    assert [line for line in text.splitlines() if len(line) > 128 and not line.startswith("|")] == []
    target.write_text("nothing")
    with pytest.raises(ValueError, match="once each"):
        page.write(runs, target)


def test_a_second_run_of_the_day_replaces_the_rows_that_it_has(tmp_path):
    first = kept(tmp_path, "X", "2026-01-01", [Result("fill", "cosine", time=1.0), Result("fill", "rex", time=2.0)])
    second = kept(tmp_path, "X", "2026-01-01", [Result("fill", "rex", time=3.0)])
    assert first == second
    assert {r.case: r.time for r in store.read(first, "").results} == {"cosine": 1.0, "rex": 3.0}


def test_a_second_run_of_the_day_keeps_times_and_failures(tmp_path):
    """What failed this time is gone, what was measured again did not fail; an interrupted row keeps its figure."""

    def run(cases, failures, seconds):
        results = [Result("fill", case, time=1.0, version=version) for case, version in cases.items()]
        reasons = [{"row": row, "reason": reason} for row, reason in failures.items()]
        return store.Run(results, describe(), failures=reasons, seconds=seconds)

    first = {"a": "1", "b": "1", "c": "1"}
    failed = {"fill-d": "dead", "fill-b, NumPy": "wrong", "fill-e": "dead"}
    path = store.keep(run(first, failed, {"fill": 9.0, "call": 5.0}), tmp_path)
    again = {"fill-a": "worse", "fill-c": "interrupted; 3 more were not begun"}
    assert store.keep(run({"b": "2", "d": "2"}, again, {"fill": 2.0}), tmp_path) == path
    found = store.read(path, "")
    assert {result.case: result.version for result in found.results} == {"b": "2", "c": "1", "d": "2"}
    assert {one["row"]: one["reason"] for one in found.failures} == {"fill-e": "dead", **again}
    assert found.seconds == {"fill": 2.0, "call": 5.0}
    assert versions.sentence(found.results) == "Rows by version of lrkern: 2 of 2, 1 of 1."


def test_a_line_says_where_it_was_measured():
    line = Line("fill", "", "step", STREAMING, at_least=0.85)
    fast, slow = ([Result("fill", "x", time=t, rivals={STREAMING: 1.0})] for t in (1.0, 2.0))

    def met(*runs, line=line):
        return page.line_cells(line, [store.Run(results, describe()) for results in runs])[-1]

    assert met(fast, fast) == "yes"
    assert met(fast, [], fast) == "yes (A, C)"
    assert met([], slow, fast) == "NO (B)"
    assert met(fast, [], line=Line("fill", "", "step", STREAMING)) == ""
    assert page.line_cells(line, [store.Run([], describe())]) is None


def test_the_page_says_what_an_empty_cell_means():
    error, both = Result("error", "x", value=0.5), [Result("error", "x", value=0.5), Result("float32", "x", value=0)]
    words = "An empty cell is a line that has not been measured"
    assert words in page.text_of([store.Run(both, describe()), store.Run([error], describe())]).replace("\n", " ")
    assert words not in page.text_of([store.Run(both, describe()), store.Run(both, describe())]).replace("\n", " ")


def test_every_row_has_the_version(monkeypatch):
    assert versions.sentence([Result("a", "x", version="1"), Result("b", "x", version="1")]) == ""
    assert versions.sentence([Result("a", "x", version="1"), Result("b", "x")]).endswith("1 of 1, 1 of unknown.")
    assert versions.current()
    monkeypatch.setattr(versions, "CHECKOUT", False)
    assert versions.current() == lk.__version__


def test_sizes_of_own_rows():
    assert [targets.count(n) for n in (10**8, 2**22, 2**14, 200_000, 1)] == ["10^8", "2^22", "2^14", "200,000", "10^0"]
    mine = [Result("own-schedule", "s", time=1.0, rivals={STREAMING: 1.0})]
    assert [table.lines(mine, quick)[0][0] for quick in (False, True)] == ["s: fill 10^8 float64", "s: fill 200,000 float64"]


def test_results_survive_json(tmp_path):
    run = store.Run([*STEPS, *OLD], describe(), True, [{"row": "x", "reason": "y"}], {"x": 1.0})
    assert store.holds({"results": [GOOD], "machine_info": describe()})
    store.write(run, tmp_path / "new" / "run.json")
    again = store.read(tmp_path / "new" / "run.json", "--from")
    assert (again.results, again.machine, again.quick, again.failures) == (run.results, run.machine, True, run.failures)
    assert file_name(run.machine).endswith(f"-{run.machine['date']}.json")


GOOD = {"row": "call", "case": "x", "time": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        "",
        [],
        {},
        {"results": 3},
        {"results": [{"row": 1}], "machine_info": {}},
        {"results": [], "machine_info": {}},
        {"results": [], "machine_info": None},
        {"results": [GOOD], "machine_info": describe() | {"caches": 3}},
        {"results": [GOOD], "quick": "yes"},
        {"results": [GOOD], "failures": ["x"]},
        {"results": [GOOD], "failures": [{"row": "x"}]},
        {"results": [GOOD], "seconds": {"call": "1"}},
        *(
            {"results": [GOOD | wrong]}
            for wrong in (
                {"time": "1.0"},
                {"time": 0.0},
                {"time": True},
                {"time": None},
                {"time": None, "value": "x"},
                *({"time": endless} for endless in (math.inf, math.nan, 10**400)),
                *({"time": None, "value": endless} for endless in (math.inf, -math.inf, math.nan)),
                {"spread": math.nan},
                {"rivals": {"NumPy": math.inf}},
                {"rounds": {"lrkern": [math.inf]}},
                {"row": 1},
                {"rivals": {"NumPy": "1"}},
                {"rivals": [1.0]},
                {"rounds": {"lrkern": 1.0}},
                {"rounds": {"lrkern": ["1"]}},
                {"spread": None},
                {"version": 3},
                {"no_such_field": 1},
            )
        ),
    ],
)
def test_files_that_are_something_else(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"machine_info": describe()} | content if isinstance(content, dict) and content else content))
    with pytest.raises(ValueError, match=r"^bench: --from: .*x\.json does not hold results of the benchmark$"):
        store.read(file, "--from")


def test_old_files_are_still_read(tmp_path):
    """Without rounds and ways of measuring."""
    old = {"row": "fill", "case": "cosine", "time": 1.0, "spread": 0.1, "rivals": {STREAMING: 2.0}, "rival_spreads": {}}
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"results": [old], "machine_info": describe(), "benchmarks": []}))
    (found,) = store.read(file, "--from").results
    assert found.ratio(STREAMING) == 2.0


def test_details_and_plain_tables(capsys, monkeypatch):
    step = result("step", "AdamW, 4 K", [1e-9], "alone", torch_fused=[5e-9], bare_streams=[0.5e-9])
    rule = result("rule", "Lion, 4 M", [1e-9], bare_streams=[0.9e-9])
    sizes, every_rule = details.tables([step, rule])
    assert sizes[2] == [["AdamW, 4 K", "4.1", "0.5", "5", "", ""]]
    assert every_rule[2] == [["Lion", "1", "0.9", "", ""]]
    forms.show("a title", *sizes[1:])
    assert "4.1" in capsys.readouterr().out
    assert forms.plain(["a", "b"], [["x", "1"]]).splitlines()[2] == "x  1"
    assert noise.sentence([step, OLD[0]]).endswith("at most 2.0% (fill, cosine).")


def test_progress_is_drawn_on_terminals_only():
    class Screen(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Screen(), True), (io.StringIO(), False)):
        progress = Progress(4, stream)
        progress(1, "fill-cosine")
        progress.wipe()
        assert ("######" in stream.getvalue() and "1/4" in stream.getvalue() and "fill-cosine" in stream.getvalue()) == shown
        assert bool(stream.getvalue()) == shown
