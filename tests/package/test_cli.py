"""The command line: its output and files; wrong use gives one line and exit code 2."""

import csv
import io
import itertools
import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_properties import EXAMPLES

import lrkern as lk
from lrkern.cli import commands

SCHEDULE = "cosine(0.1, 0.0, 100).warmup(10)"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["lrkern", *words])
        with pytest.raises(SystemExit) as end:
            commands.main()
        return end.value.code, *capsys.readouterr()

    return call


def test_help_names_every_command(run):
    for words in ([], ["--help"], ["-h"]):
        code, out, _ = run(*words)
        assert code == 0
        for command in ("demo", "plot", "table", "compare", "info", "bench"):
            assert f"\n  {command} " in out


def test_version(run):
    assert run("--version")[:2] == (0, f"lrkern, version {lk.__version__}\n")


def test_info_shows_everything(run):
    code, out, _ = run("info")
    assert code == 0
    found = lk.info()
    for name, (usable, about) in found.pop("backends").items():
        assert f" backend {name} {'' if usable else 'not usable: '}{about}" in " ".join(out.split())
    for key, value in found.items():
        begin = next(i for i, line in enumerate(out.splitlines()) if line.startswith(key))
        text = "".join("".join(out.splitlines()[begin:]).split())  # long values, such as paths, take several lines
        assert all("".join(str(one).split()) in text for one in (value if isinstance(value, list) else [value]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_table_npy(run, dtype):
    assert run("table", SCHEDULE, "-n", "120", "--start", "5", "--dtype", dtype, "-o", "t.npy") == (0, "t.npy\n", "")
    wanted = lk.parse(SCHEDULE).table(120, 5, dtype=dtype)
    values = np.load("t.npy")
    assert values.dtype == dtype
    assert values.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("to_file", [False, True])
def test_table_csv_reads_back_exactly(run, dtype, to_file):
    words = ["table", SCHEDULE, "-n", "120", "--start", "5", "--dtype", dtype]
    code, text, _ = run(*words, *(["-o", "t.csv"] if to_file else []))
    assert code == 0
    if to_file:
        assert text == "t.csv\n"
        text = Path("t.csv").read_text(encoding="ascii")
    head, *lines = text.splitlines()
    assert head == "step,value"
    steps, values = zip(*(line.split(",") for line in lines), strict=True)
    assert list(map(int, steps)) == list(range(5, 125))
    assert np.array(values, dtype).tobytes() == lk.parse(SCHEDULE).table(120, 5, dtype=dtype).tobytes()


def test_table_of_no_steps(run):
    assert run("table", SCHEDULE, "-n", "0") == (0, "step,value\n", "")


TWO = (SCHEDULE, "join([constant(0.5), from_table([1.0, 0.1])], [50])")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_table_of_several(run, dtype):
    wanted = lk.tables([lk.parse(text) for text in TWO], 60, 5, dtype=dtype)
    words = ["table", *TWO, "-n", "60", "--start", "5", "--dtype", dtype]
    assert run(*words, "-o", "t.npy") == (0, "t.npy\n", "")
    assert np.load("t.npy").tobytes() == wanted.tobytes()
    printed = run(*words)[1]
    run(*words, "-o", "t.csv")
    assert Path("t.csv").read_text() == printed
    head, *rows = csv.reader(printed.splitlines())
    assert head == ["step", *TWO]
    run(*words, "-o", "t.txt")
    text = Path("t.txt").read_text().splitlines()
    assert text[0] == "# step " + " ".join(f'"{expression}"' for expression in TWO)
    for columns in (np.array(rows), np.array([line.split() for line in text[1:]]), np.loadtxt("t.txt").astype(str)):
        assert columns[:, 0].astype(float).tolist() == list(range(5, 65))
        assert columns[:, 1:].T.astype(dtype).tobytes() == wanted.tobytes()


def test_table_txt_of_one(run):
    run("table", "linear(1, 0, 4)", "-n", "3", "-o", "t.txt")
    assert Path("t.txt").read_text() == "# step value\n0 1.0\n1 0.75\n2 0.5\n"


def test_quotes_within_the_head_of_a_csv(run):
    text = "constant(0.5).warmup(3, curve='cosine')"
    head, *_ = csv.reader(run("table", text, "constant(1.0)", "-n", "1")[1].splitlines())
    assert head == ["step", text, "constant(1.0)"]


def test_compare(run):
    assert run("compare", SCHEDULE, SCHEDULE, "-n", "50") == (
        0,
        "equal in float64 at all 50 steps, 0 to 49\nratio of areas 1.0\n",
        "",
    )
    words = ["compare", "constant(0.1) + 0.2", "constant(0.3)", "-n", "3", "--start", "7"]
    pair = lk.constant(0.1) + 0.2, lk.constant(0.3), 3, 7
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert out.splitlines() == lk.compare(*pair).lines()
    assert out.startswith(
        "equal up to rounding in float64 at all 3 steps, 7 to 9; not identical at 3\nby 5.55112e-17 at step 7, "
    )
    for option in ("--rtol", "--atol"):
        code, out, err = run(*words, option, "0")
        assert (code, err) == (1, "")
        assert out.splitlines() == lk.compare(*pair, rtol=0).lines()
        assert out.startswith("3 of 3 steps (7 to 9) differ in float64\nby 5.55112e-17 at step 7, ")
    assert run("compare", "constant(0.1)", "constant(0.1001)", "-n", "3")[0] == 1
    assert run("compare", "constant(0.1)", "constant(0.1001)", "-n", "3", "--rtol", "1e-2")[0] == 0
    assert run("compare", "constant(0.1)", "constant(0.1001)", "-n", "3", "--atol", "1e-3", "--rtol", "1e-6")[0] == 0
    assert run(*words, "--dtype", "float32", "--rtol", "0")[0] == 0


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.npy", "T.CSV"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compare_reads_what_table_writes(run, name, dtype):
    start = [] if not name.endswith("npy") else ["--start", "5"]  # the others tell it
    run("table", SCHEDULE, "-n", "120", "--start", "5", "--dtype", dtype, "-o", name)
    for words in ([SCHEDULE, name], [name, SCHEDULE]):
        code, out, _ = run("compare", *words, *start, "--dtype", dtype, "--rtol", "0")
        assert (code, out.splitlines()[0]) == (0, f"equal in {dtype} at all 120 steps, 5 to 124")
    assert run("compare", name, name, *start)[1].startswith("equal in ")
    code, out, _ = run("compare", SCHEDULE + " * 1.001", name, *start)
    assert code == 1
    assert " of 120 steps (5 to 124) differ in float" in out
    run("table", *TWO, "-n", "60", "--dtype", dtype, "-o", name)
    first = 1 if name.endswith("npy") else 2
    for i, text in enumerate(TWO):
        columns = [str(first + i)] if name.endswith("npy") else [str(first + i), text]
        for column in columns:
            code, out, err = run("compare", text, name, "--column", column, "--dtype", dtype, "--rtol", "0")
            assert (code, err) == (0, "")
            assert out.startswith(f"equal in {dtype} at all 60 steps, 0 to 59\n")
    code, _, err = run("compare", TWO[0], name)
    assert code == 2
    assert "--column" in err


LOGS = {
    "values.txt": "1.0\n0.75\n0.5\n",
    "savetxt.txt": "1.000000000000000000e+00\n7.500000000000000000e-01\n5.000000000000000000e-01\n",
    "head.txt": "# what it is\n1.0\n0.75\n0.5\n",
    "commas.txt": "# step, value\n0, 1.0\n1, 0.75\n2, 0.5\n",
    "values.csv": "1\n0.75\n0.5\n",
    "crlf.csv": "step,value\r\n0,1\r\n1,0.75\r\n2,.5\r\n",
    "mark.csv": "\ufeffStep,value\n\n0,1\n1,0.75\n2.0,5e-1\n\n",
    "tensorboard.csv": "Wall time,Step,Value\n1669.5,0,1.0\n1670.5,1,0.75\n1671.5,2,0.5\n",
    "lightning.csv": "epoch,lr,step,loss\n0,1.0,0,3\n0,,0,2\n0,0.75,1,1\n0,0.5,2,\n",
    "numbers.csv": "7,1.0\n8,0.75\n9,0.5\n",
    "list.json": "[1, 0.75, 5e-1]",
    "record.json": json.dumps(lk.linear(1, 0, 4).to_dict()),
}


@pytest.mark.parametrize("name", LOGS)
def test_compare_reads_logs(run, name):
    Path(name).write_text(LOGS[name], encoding="utf-8")
    column = {"tensorboard.csv": ["--column", "Value"], "lightning.csv": ["--column", "lr"], "numbers.csv": ["--column", "2"]}
    code, out, err = run("compare", "linear(1, 0, 4)", name, *column.get(name, []), *(["-n", "3"] if "record" in name else []))
    assert (code, err) == (0, "")
    assert out.startswith("equal in float64 at all 3 steps, 0 to 2\n")


def test_first_steps_have_to_agree(run):
    run("table", SCHEDULE, "-n", "9", "--start", "5", "-o", "a.csv")
    run("table", SCHEDULE, "-n", "9", "--start", "6", "-o", "b.csv")
    assert run("compare", SCHEDULE, "a.csv", "--start", "5")[0] == 0
    for words in (["a.csv", "b.csv"], ["a.csv", SCHEDULE, "--start", "6"]):
        assert run("compare", *words) == (2, "", "lrkern: compare: both must have the same first step; got 5 and 6\n")


def test_compare_with_a_file(run):
    run("table", SCHEDULE, "-n", "120", "--start", "5", "--dtype", "float32", "-o", "t.npy")
    code, out, _ = run("compare", SCHEDULE, "t.npy", "--start", "5")
    assert (code, out.splitlines()[0]) == (0, "equal in float32 at all 120 steps, 5 to 124")
    assert run("compare", "t.npy", SCHEDULE)[0] == 1
    np.save("objects.npy", np.array([{}]))
    code, out, err = run("compare", "objects.npy", SCHEDULE)
    assert (code, out) == (2, "")
    assert "allow_pickle=False" in err


@pytest.mark.parametrize(("name", "magic"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.pdf", b"%PDF")])
def test_plot_writes_pictures(run, name, magic):
    assert run("plot", SCHEDULE, "step_decay(0.1, 0.5, 20)", "-n", "200", "--log", "-o", name) == (0, f"{name}\n", "")
    assert Path(name).read_bytes().startswith(magic)


def test_plot_in_the_terminal(run):
    code, out, _ = run("plot", SCHEDULE, "constant(0.05)", "-n", "200")
    lines = out.splitlines()
    assert code == 0
    assert lines[:2] == ["** cosine(0.1, 0.0, 100).warmup(10)", "++ constant(0.05)"]
    assert lines[-1].endswith("step 199")
    assert [i for i, character in enumerate(lines[-2]) if character == "┴"] == [11 + 10 * 67 // 199, 11 + 110 * 67 // 199]
    assert max(map(len, lines)) <= 80
    assert 40 < out.count("*") < 200
    assert 40 < out.count("+") < 200
    _, alone, _ = run("plot", SCHEDULE, "-n", "200")
    assert 50 < sum("\u2800" < character <= "\u28ff" for character in alone) < 200


def test_an_expression_that_begins_with_a_dash(run):
    code, out, _ = run("table", "-n", "2", "--", "-linear(1, 0, 2)")
    assert (code, out) == (0, "step,value\n0,-1.0\n1,-0.5\n")


def test_plot_of_what_leaves_float64(run):
    assert run("plot", "exponential(1.0, 1e20)", "-o", "p.png") == (0, "p.png\n", "")
    code, out, told = run("plot", "exponential(1.0, 10.0)", "-o", "q.png")
    assert (code, out) == (2, "")
    assert told.endswith("values must not exceed 1e+307, which matplotlib cannot draw; got 1e+308 at step 308\n")
    assert run("plot", "exponential(1.0, 10.0)")[1].endswith("step 308\n")


@pytest.mark.parametrize("columns", [30, 20, 60, 200])
def test_plot_fits_the_terminal(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run("plot", SCHEDULE, "constant(0.05)", "-n", "2000000000")
    lines = out.splitlines()
    assert len(lines) == 2 + 14 + 2
    assert max(map(len, lines)) <= columns


def test_plot_in_a_terminal_of_ascii():
    done = subprocess.run(
        [sys.executable, "-m", "lrkern", "plot", SCHEDULE + ".clip(0.0)" * 9, "constant(0.05)"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "60"},
    )
    lines = done.stdout.decode("ascii").splitlines()
    assert lines[0].startswith("** cosine(0.1, 0.0, 100).")
    assert lines[1] == "++ constant(0.05)"
    assert lines[-2].replace("+", "-") == " " * 10 + "-" * 49
    assert lines[-2].count("+") == 3
    picture = "".join(line.partition("|")[2] for line in lines[2:-2])
    assert picture.count("*") > 48
    assert picture.count("+") > 24
    assert set(picture) == {"*", "+", " "}


def test_demo(run):
    code, out, _ = run("demo", "--epochs", "2", "--seed", "3", "-o", "d.png")
    assert code == 0
    assert "Both runs agree" in out
    assert os.path.getsize("d.png") > 20_000


def test_module_runs_too():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "lrkern", "table", "linear(1, 0, 2)", "-n", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("step,value\n0,1.0\n1,0.5\n", "")


def test_a_reader_that_leaves_is_no_accident():
    command = [sys.executable, "-m", "lrkern", "table", "linear(1, 0, 2)", "-n", "500000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "step,value\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == commands.READER_LEFT


def test_a_fault_is_none_of_the_answers(run, monkeypatch):
    def fail(*_, **__):
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(lk, "compare", fail)
    code, out, err = run("compare", SCHEDULE, SCHEDULE, "-n", "3")
    assert (code, out) == (commands.FAULT, "")
    assert err.startswith("Traceback")
    assert "nobody thought of this" in err


WRONG = [
    (["nonsense"], "lrkern: No such command 'nonsense'"),
    (["--nonsense"], "lrkern: No such option"),
    (["plot", "-linear(1, 0, 2)"], "lrkern plot: No such option '-l' (an EXPR that begins with '-' goes after '--')"),
    (["table", "-1.0 * constant(1)", "-n", "3"], "lrkern table: No such option '-1' (an EXPR that begins with '-' goes"),
    (["plot", "constant(1)" + ".warmup(1)" * 390], "lrkern: schedule: expressions may be nested 100 deep at most; got 101"),
    (["plot", "constant(1e308) + constant(1e308)"], "lrkern: plot: nothing to draw: the value at step 0 is beyond"),
    (["plot"], "lrkern plot: Missing argument 'EXPR...'"),
    (["plot", "foo(1)"], "lrkern: parse: 'foo' is not a curve"),
    (["plot", "cosine(1, 0, 2.5)"], "lrkern: cosine: steps must be an integer >= 0; got 2.5 (float)"),
    (["plot", "cosine(1, 0"], "lrkern: parse: "),
    (["plot", "__import__('os').system('touch x')"], "lrkern: parse: "),
    (["plot", ""], "lrkern: parse: "),
    (["plot", "cosine(1, 0, 10)\n+\nnothing"], "lrkern: parse: "),
    (["plot", SCHEDULE, "-n", "0"], "lrkern: plot: n must be an integer >= 1; got 0"),
    (["plot", SCHEDULE, "-n", "many"], "lrkern plot: Invalid value for '-n'"),
    (["plot", SCHEDULE, "-o", "p.jpg"], "lrkern: out must end in .png, .svg or .pdf; got p.jpg"),
    (["plot", SCHEDULE, "-o", "no/p.png"], "lrkern: out must be in a folder that exists; got no/p.png"),
    (["plot", "constant(0)", "--log"], "lrkern: plot: nothing to draw on a logarithmic axis"),
    (["table", SCHEDULE], "lrkern table: Missing option '-n'"),
    (["table", SCHEDULE, "-n", "-1"], "lrkern: table: n must be an integer >= 0; got -1"),
    (["table", SCHEDULE, "-n", "1", "--start", "-1"], "lrkern: table: start must be an integer"),
    (["table", SCHEDULE, "-n", "1", "--dtype", "int8"], "lrkern table: Invalid value for '--dtype'"),
    (["table", SCHEDULE, "-n", "1", "-o", "t.dat"], "lrkern: out must end in .npy, .csv or .txt; got t.dat"),
    (["table", "-n", "1"], "lrkern table: Missing argument 'EXPR...'"),
    (["compare", SCHEDULE, SCHEDULE], "lrkern: compare: n must be given for two Schedules; got None"),
    (["compare", SCHEDULE, "-n", "5"], "lrkern compare: Missing argument 'B'"),
    (["compare", SCHEDULE, "nonsense", "-n", "5"], "lrkern: parse: "),
    (["compare", SCHEDULE, "absent.npy"], "lrkern: [Errno 2] No such file or directory: 'absent.npy'"),
    (["table", SCHEDULE, "-n", "1", "-o", "no/t.npy"], "lrkern: out must be in a folder that exists; got no/t.npy"),
    (["table", SCHEDULE, "-n", str(2**50)], "lrkern: table: an array of shape"),
    (["table", "exponential(1e300, 2)", "-n", "100"], "lrkern: "),
    (["demo", "--epochs", "0"], "lrkern demo: Invalid value for '--epochs'"),
    (["demo", "--seed", "-1"], "lrkern demo: Invalid value for '--seed'"),
    (["demo", "-o", "d.txt"], "lrkern: out must end in .png, .svg or .pdf; got d.txt"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words)[:40] for words, _ in WRONG])
def test_wrong_use_is_one_line(run, words, message):
    code, out, err = run(*words)
    assert code == 2
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert os.listdir() == []


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


def npy(array, **changes) -> bytes:
    """An array in a file, and what its header says changed."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, {**header, **changes})
    return file.getvalue() + array.tobytes()


UNREADABLE = {
    "a.npy": [
        *(b"", b"abc", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x00" + b" " * 99, zipped()),
        *(zipped()[:100], npy(np.ones(3))[:-1], npy(np.ones(3), shape=(-3,)), npy(np.ones(3), descr="|O"), pickle.dumps([1.0])),
        *(npy(np.ones(3), shape="abc"), npy(np.ones(3), descr=[("a", "<f8")] * 2), b"\x93NUMPY\x01\x00\x90\x01" + b"(" * 400),
        *(npy(np.ones((3, 3))), npy(np.array(1.0)), npy(np.ones(3), shape=(3, 0))),
    ],
    "a.csv": [
        *(
            b"",
            b"\n\n",
            b"step,value\n",
            b"\xff\xfe",
            b"\0",
            b"step,value\n0,x\n",
            b"step,value\n0\n",
            b"step,value\n0,1\n2,1\n",
        ),
        *(
            b"step,value\n0,1,2\n",
            b"step,value\nx,1\n",
            b"step,value\nnan,1\n",
            b"a,b\n1,2\n",
            b"1,2\n",
            b'"',
            b"step,value\n-1,0\n",
        ),
        *(b"1\n2,3\n", b"a," * 10**5, b"value\n1\n" + b"x" * 10**6, zipped()),
    ],
    "a.txt": [b"", b"# step value\n", b"# a b\n1 2\n", b"1\nx\n", b"\xff", b"# step value\n0 1\n1\n", b'# step "', b"\0"],
    "a.json": [
        *(
            b"",
            b"{",
            b"{}",
            b"[1, 'a']",
            b'["1"]',
            b"[true]",
            b"[[1]]",
            b"1",
            b"null",
            b'"a"',
            b"\xff",
            b"[" * 10**5,
            b"[1" + b"0" * 400 + b"]",
        ),
        *(b'{"format": "lrkern.schedule", "version": 1, "schedule": {"name": "no", "args": {}}}', b"[" + b"9" * 5000 + b"]"),
    ],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, one) for name, contents in UNREADABLE.items() for one in contents], ids=itertools.count()
)
def test_a_file_that_is_no_good_is_wrong_use(run, name, content):
    Path(name).write_bytes(content)
    for words in ([SCHEDULE, name], [name, name]):
        code, out, err = run("compare", *words)
        assert (code, out) == (2, "")
        assert err.startswith(f"lrkern: compare: {name} ")
        assert err.count("\n") == 1
        assert len(err) < 600


def test_a_file_of_another_kind_is_no_expression(run):
    for name in ("log.tsv", "log", "log.CSVX"):
        Path(name).write_text("step\tlr\n0\t0.1\n")
        code, out, err = run("compare", SCHEDULE, name)
        assert (code, out) == (2, "")
        assert err == f"lrkern: compare: {name} must end in .npy, .csv, .txt or .json to be read as a file\n"
    Path("linear(1, 0, 4)").write_text("not read")
    assert run("compare", "linear(1, 0, 4)", "linear(1, 0, 4)", "-n", "3")[0] == 0


def test_files_that_cannot_be_opened_are_wrong_use(run):
    os.mkdir("folder.csv")
    for name, message in (("folder.csv", "[Errno 21] Is a directory"), ("absent.json", "[Errno 2] No such file or directory")):
        code, out, err = run("compare", SCHEDULE, name)
        assert (code, out) == (2, "")
        assert err == f"lrkern: {message}: '{name}'\n"


def test_random_files(run, capsys):
    """Mutated files: the right exit code, and one line if they cannot be read."""
    draw = random.Random(17 if EXAMPLES is None else None)
    whole = {"t.npy": npy(np.linspace(1.0, 0.0, 20))}
    for name in ("t.csv", "t.txt"):
        assert run("table", "linear(1, 0, 20)", "-n", "20", "-o", name)[0] == 0
        whole[name] = Path(name).read_bytes()
    whole["t.json"] = json.dumps(np.linspace(1.0, 0.0, 20).tolist()).encode()
    codes = set()
    for _ in range(10 * int(EXAMPLES or 20)):
        name = draw.choice(list(whole))
        content = bytearray(whole[name])
        for _ in range(draw.choice((0, 1, 1, 3))):
            at, length = draw.randrange(len(content) + 1), draw.choice((1, 2, 9))
            content[at : at + draw.choice((0, length))] = draw.choice(
                (b"", draw.randbytes(length), b",", b"\n", b"9" * length, b"'")
            )
        Path(name).write_bytes(content)
        code, _, err = run("compare", "linear(1, 0, 20)", name)
        assert code in (0, commands.DIFFERENT, commands.WRONG_USE), err
        assert (err.count("\n"), code == commands.WRONG_USE) in ((0, False), (1, True))
        codes.add(code)
    assert codes == {0, 1, 2}


def test_bench_gets_its_arguments(run):
    assert run("bench", "--list", "-k", "one-thread") == (0, "one-thread       SGD; AdamW\n", "")
    code, out, err = run("bench", "--from", "gone.json")
    assert (code, out) == (2, "")
    assert err == "lrkern: bench: --from: gone.json cannot be read: No such file or directory\n"
    assert run("bench", "-h")[1].startswith("usage: lrkern bench ")


@pytest.mark.parametrize(
    ("missing", "words", "message"),
    [
        ("click", ["info"], "lrkern: the command line needs click: pip install 'lrkern[cli]'\n"),
        ("rich", ["info"], "lrkern: the command line needs rich: pip install 'lrkern[cli]'\n"),
        (
            "matplotlib",
            ["plot", "linear(1, 0, 2)", "-o", "x.png"],
            "plot -o needs matplotlib: pip install 'lrkern[plot]'\n",
        ),
        ("matplotlib", ["demo"], "the demo needs matplotlib: pip install 'lrkern[demo]'\n"),
        ("sklearn", ["demo"], "the demo needs scikit-learn: pip install 'lrkern[demo]'\n"),
    ],
)
def test_missing_packages_are_named(missing, words, message, tmp_path):
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('gone', name={missing!r})")
    done = subprocess.run(
        [sys.executable, "-m", "lrkern", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode in (1, 2)
    assert done.stderr.endswith(message)
    assert done.stderr.count("\n") == 1
