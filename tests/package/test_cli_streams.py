"""The command line with closed, full, unbuffered and broken streams; interrupts and exit codes."""

import itertools
import os
import shlex
import signal
import subprocess
import sys

import pytest
from representative import diagonals
from test_cli import SCHEDULE

from lrkern.cli import commands

COMMANDS = {
    "table": ["table", SCHEDULE, "-n", "3"],
    "long table": ["table", SCHEDULE, "-n", "30000"],
    "compare": ["compare", SCHEDULE, "constant(0.1)", "-n", "3"],
    "plot": ["plot", SCHEDULE],
    "info": ["info"],
    "help": ["--help"],
    "nothing": [],
}
UNBUFFERED = {"": "buffered", "1": "unbuffered"}
BUFFERED = pytest.mark.parametrize("unbuffered", UNBUFFERED, ids=UNBUFFERED.get)


def shell(words, redirection="", cwd=None, **environment):
    """Run a shell script, in which "COMMAND" is the command: (exit code, standard output, standard error)."""
    line = redirection if "COMMAND" in redirection else f"COMMAND {redirection}"
    command = shlex.join([sys.executable, "-m", "lrkern", *words])
    done = subprocess.run(
        ["bash", "-c", line.replace("COMMAND", command)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        cwd=cwd,
        timeout=60,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout, done.stderr


@diagonals(2, ("words", COMMANDS.values(), COMMANDS), ("unbuffered", UNBUFFERED, UNBUFFERED.values()))
def test_what_cannot_be_written_is_an_error(words, unbuffered):
    for where, message in (
        ("> /dev/full", "lrkern: [Errno 28] No space left on device\n"),
        (">&-", "lrkern: [Errno 9] the standard output is closed\n"),
    ):
        assert shell(words, where, PYTHONUNBUFFERED=unbuffered) == (2, "", message)


def test_what_cannot_be_written_is_an_error_even_if_that_cannot_be_told():
    for streams in itertools.product(("> /dev/full", ">&-"), ("2> /dev/full", "2>&-")):
        assert shell(COMMANDS["table"], " ".join(streams)) == (2, "", "")


@diagonals(2, ("words", COMMANDS.values(), COMMANDS), ("unbuffered", UNBUFFERED, UNBUFFERED.values()))
def test_a_pipe_without_a_reader_is_silent(words, unbuffered):
    line = "{ sleep 0.1; COMMAND; echo $? >&2; } | true"
    assert shell(words, line, PYTHONUNBUFFERED=unbuffered) == (0, "", f"{commands.READER_LEFT}\n")


@BUFFERED
def test_a_disk_that_has_room_for_a_part(unbuffered, tmp_path):
    """Python's own unbuffered output ignores partial writes."""
    code, _, told = shell(COMMANDS["long table"], "ulimit -f 64; COMMAND > part.csv", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert (code, told) == (2, "lrkern: [Errno 27] File too large\n")
    for name in ("part.csv", "part.npy", "part.txt"):
        code, _, told = shell([*COMMANDS["long table"], "-o", name], "ulimit -f 64; COMMAND", tmp_path)
        assert (code, told) == (2, "lrkern: [Errno 27] File too large\n")


@pytest.mark.parametrize(
    ("redirection", "name"),
    [
        *[(redirection, "t\udcff.npy") for redirection in ("", ">&-", "> /dev/full", "2>&-", "| true; exit ${PIPESTATUS[0]}")],
        *[("", name) for name in ("t\n.txt", "é.svg", "t\udcff.csv")],
    ],
)
def test_what_is_written_is_a_success_even_if_nobody_hears_of_it(redirection, name, tmp_path):
    words = ["plot", SCHEDULE, "-o", name] if name.endswith("svg") else ["table", SCHEDULE, "-n", "9", "-o", name]
    code, out, err = shell(words, redirection, tmp_path, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert out == (
        "" if redirection[:1] in (">", "|") and redirection else name.encode("ascii", "backslashreplace").decode() + "\n"
    )
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).stat().st_size > 50


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full"])
def test_errors_that_cannot_be_printed_keep_their_exit_code(redirection):
    assert shell(["table", "nonsense(1)", "-n", "3"], redirection) == (2, "", "")


def test_files_take_no_number_of_a_closed_stream(tmp_path):
    """A closed standard error must not end up in the table's file."""
    program = """
import os, sys
from lrkern.cli import value_files
from lrkern.cli import commands

def noisy(*arguments):
    with open("seen", "w") as file:
        file.write(str(file.fileno()))
    write(*arguments)

write, value_files.write = value_files.write, noisy
sys.argv = ["lrkern", "table", "constant(1.0)", "-n", "1", "-o", "t.csv"]
commands.main()
"""
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} <&- >&- 2>&-"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0
    assert int((tmp_path / "seen").read_text()) > 2


# A process inherits that an interrupt is ignored, as it is in the background of a script.
HEEDING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"


def test_an_interrupt_is_silent():
    command = [sys.executable, "-m", "lrkern", "table", "linear(1, 0, 2)", "-n", str(10**8), "--dtype", "float32"]
    heeding = [sys.executable, "-c", HEEDING, *command]
    with subprocess.Popen(heeding, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "step,value\n"
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait() == commands.INTERRUPTED


def test_shells_complete_words():
    environment = {"_LRKERN_COMPLETE": "bash_complete", "COMP_WORDS": "lrkern co", "COMP_CWORD": "1"}
    assert shell([], **environment) == (0, "plain,compare\n", "")
