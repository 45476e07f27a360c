"""Files of optimizer state while they are written: errors, full disks, interrupts, kills, others at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from test_files import make, saved
from test_properties import EXAMPLES

import lrkern as lk
from lrkern.optimizers import safetensors_file

__all__ = ["saved"]  # a fixture


def test_what_is_left_behind(tmp_path: Path) -> None:
    path, opt = tmp_path / "state", make()
    old = os.umask(0o027)
    try:
        opt.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        opt.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)
    link = tmp_path / "link"
    link.symlink_to(path)
    before = path.stat().st_ino
    opt.save(link)
    assert link.is_symlink()
    assert path.stat().st_ino != before
    with pytest.raises(FileNotFoundError):
        opt.save(tmp_path / "missing" / "state")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "state"]


def test_the_bytes_are_those_of_safetensors(saved: Path) -> None:
    params = {"w": np.ones(5, "f4"), "b": np.ones((2, 3)), "none": np.ones((0, 4), "f4"), "one": np.ones(())}
    for opt in (
        make(),
        lk.AdamW(params, 0.1),
        lk.SGD([np.ones(3)], 0.1),
        lk.Lion(params, 0.1, state_dtype="bfloat16", ema=0.9),
    ):
        opt.save(saved)
        with safetensors.safe_open(saved, framework="numpy") as file:
            tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
        assert saved.read_bytes() == safetensors.numpy.save(tensors, metadata)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as one:  # names of sockets must be short
        one.bind(path.name)


@pytest.mark.parametrize(
    ("make_it", "kind"),
    [(Path.mkdir, "a directory"), (fifo, "a FIFO"), (bound_socket, "a socket")],
    ids=["folder", "fifo", "socket"],
)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_stays(make_it: Callable[[Path], None], kind: str, linked: bool, tmp_path: Path) -> None:
    path, opt = tmp_path / "state", make()
    make_it(path)
    before = path.stat()
    if linked:
        (tmp_path / "link").symlink_to(path)
    for name, call in (("save", opt.save), ("load", opt.load)):
        with pytest.raises(OSError, match=rf"AdamW\.{name}: path must be that of a regular file; it is {kind}: '"):
            call(tmp_path / ("link" if linked else "state"))
    assert os.path.samestat(path.stat(), before)
    assert len(list(tmp_path.iterdir())) == 1 + linked


def test_devices_stay(tmp_path: Path) -> None:
    """A device of the test's own where it may be replaced: root must not lose /dev/null to a fault."""
    opt, path = make(), Path("/dev/null")
    if os.access(path.parent, os.W_OK):
        path = tmp_path / "null"
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("no device can be made here")
    with pytest.raises(OSError, match=rf"AdamW\.save: path must be that of a regular file; it is a device: '{path}'"):
        opt.save(path)
    assert stat.S_ISCHR(path.stat().st_mode)


def test_what_is_written_to_by_number_stays(tmp_path: Path) -> None:
    opt = make()
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match="it is a FIFO"):
            opt.save(f"/dev/fd/{writer}")
    finally:
        os.close(reader), os.close(writer)
    for path in ("", f"{tmp_path}/", f"{tmp_path}/new/"):
        with pytest.raises(OSError, match=r"^\[Errno "):
            opt.save(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "\udcff", " ", ".lrkern-save-", "new\nline"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    opt, path = make(), tmp_path / name
    for _ in range(2):
        opt.save(path)
        opt.load(path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    with pytest.raises(OSError, match=r"AdamW\.save: File name too long: '"):
        opt.save(tmp_path / ("a" * 256))


STAGES: list[tuple[Any, str]] = [
    (os, "open"),
    (fcntl, "flock"),
    (safetensors_file, "_write"),
    (os, "fchmod"),
    (os, "fsync"),
    (os, "replace"),
]


@pytest.mark.parametrize(("owner", "stage"), STAGES, ids=[stage for _, stage in STAGES])
def test_an_error_at_any_stage(owner: Any, stage: str, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, opt = saved.read_bytes(), make()
    opt.step({"w": np.ones(5, "f4"), "b": None})

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, stage, fail)
        if stage == "flock":  # a file system that has no locks
            opt.save(saved)
            before = saved.read_bytes()
        else:
            with pytest.raises(OSError, match=rf"^\[Errno 28\] AdamW.save: No space left on device: '{saved}'$"):
                opt.save(saved)
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.iterdir()] == ["state"], "temporary files are left"


FULL = r"""
import os, resource, sys
import numpy as np
import lrkern as lk

path, how = sys.argv[1:]
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
else:
    import subprocess
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", os.path.dirname(path)], check=True)
small, large = lk.AdamW([np.ones(100)], 0.1), lk.AdamW([np.ones(100_000)], 0.1)
small.save(path)
before = open(path, "rb").read()
try:
    large.save(path)
except OSError as error:
    print(error.errno, error.filename == path, error)
print(open(path, "rb").read() == before, os.listdir(os.path.dirname(path)))
"""


@pytest.mark.parametrize(("how", "code"), [("limit", errno.EFBIG), ("tmpfs", errno.ENOSPC)])
def test_a_full_disk(how: str, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "state"), how]
    if how == "tmpfs":
        command = ["unshare", "-rm", *command]
        mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told, after = done.stdout.splitlines()
    assert told.startswith(f"{code} True [Errno {code}] AdamW.save: {os.strerror(code)}: '")
    assert after == "True ['state']"


# Python closes what is interrupted between its opening and its `with`, and warns that it had to.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def interrupted(call: Callable[[], Any], *moments: int) -> bool:
    """Interrupt a call after so many instructions of `safetensors_file`, and again so many later; whether it came to that."""
    left, remaining = moments[0], list(moments[1:])

    def local(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        if event == "opcode":
            if left == 0:
                left = remaining.pop(0) if remaining else -1
                raise KeyboardInterrupt
            left -= 1
        return local

    def everywhere(frame: Any, event: str, argument: Any) -> Any:
        return local(frame, event, argument) if frame.f_code.co_filename == safetensors_file.__file__ else None

    before = sys.gettrace()
    sys.settrace(everywhere)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@UNCLOSED
def test_interrupted_anywhere(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before any instruction: the old file or the new one, a KeyboardInterrupt, nothing left, nothing kept open."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    folder, opt, old = saved.parent, make(), saved.read_bytes()
    opt.step({"w": np.ones(5, "f4"), "b": None})
    opt.save(saved)
    new, kept = saved.read_bytes(), set(map(int, os.listdir("/proc/self/fd")))
    seen, moment, lost = set(), 0, 0
    assert old != new
    while True:
        saved.write_bytes(old)
        if not interrupted(lambda: opt.save(saved), moment):
            break
        seen.add(saved.read_bytes())
        opened = [one for one in map(int, os.listdir("/proc/self/fd")) if one not in kept and is_open(one)]
        # A few moments have none to close it: after the directory was opened, before its `try`.
        assert [os.readlink(f"/proc/self/fd/{one}") for one in opened] in ([], [str(folder)]), moment
        list(map(os.close, opened))
        lost += len(opened)
        assert [one.name for one in folder.iterdir()] == ["state"], moment
        moment += 1
    assert seen == {old, new}
    assert moment > 300
    assert lost < 10


@UNCLOSED
def test_interrupted_twice(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An impatient Ctrl-C during the clean-up: something may be left, until the next save."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    opt, whole, draw = make(), saved.read_bytes(), random.Random(3)
    for _ in range(300):
        assert interrupted(lambda: opt.save(saved), draw.randrange(300), draw.randrange(30))
        assert saved.read_bytes() == whole
    opt.save(saved)
    assert [one.name for one in saved.parent.iterdir()] == ["state"]


@UNCLOSED
def test_interrupted_by_a_timer(saved: Path) -> None:
    """The same with signals at arbitrary moments: no other error replaces the interrupt."""
    opt, whole, draw, hits = make(), saved.read_bytes(), random.Random(5), 0

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(40 * int(EXAMPLES or 20)):
            try:
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, 1e-3))
                opt.save(saved)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                hits += 1
            assert saved.read_bytes() == whole
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits > 50
    opt.save(saved)
    assert [one.name for one in saved.parent.iterdir()] == ["state"]


# A file in the making, held by a process that lives.
WRITER = r"""
import os, sys
import numpy as np
import lrkern as lk
from lrkern.optimizers import safetensors_file

def wait(file, part):
    print("writing", flush=True)
    sys.stdin.readline()
    original(file, part)

original, safetensors_file._write = safetensors_file._write, wait
lk.SGD([np.ones(5)], 0.1).save(sys.argv[1])
"""


def test_what_others_are_writing_stays(tmp_path: Path) -> None:
    """A save beside another process's neither waits for it nor takes its file away; what a dead one left it removes."""
    path, opt = tmp_path / "other", make()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        (temporary,) = tmp_path.iterdir()
        opt.save(tmp_path / "state")
        assert temporary.exists()
        for _ in range(10):
            process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "state"]


def test_what_is_cleaned_up(tmp_path: Path) -> None:
    own, foreign = safetensors_file._PREFIX + safetensors_file._host(), safetensors_file._PREFIX + "00000000"
    digits = "0123456789abcdef"
    names = [f"{own}-{digits}", f"{foreign}-{digits}", f"{foreign}-{digits[::-1]}", f"{own}-x", f"{own}-{digits}0", "other"]
    for name in names:
        (tmp_path / name).touch()
    os.utime(tmp_path / names[2], (0, 0))
    os.mkfifo(tmp_path / f"{own}-{'a' * 16}")
    (tmp_path / f"{own}-{'b' * 16}").symlink_to("other")
    (tmp_path / f"{own}-{'c' * 16}").mkdir()
    make().save(tmp_path / "state")
    left = {one.name for one in tmp_path.iterdir()}
    assert left == {names[1], *names[3:], "state", *(f"{own}-{letter * 16}" for letter in "abc")}


# Children save again and again; each is killed, at a random moment or as it comes to a certain call.
KILLER = r"""
import fcntl, os, random, signal, sys, time
import numpy as np
import lrkern as lk
from lrkern.optimizers import safetensors_file

N = 200_000
path, random = sys.argv[1], random.Random(1)
stages = [(os, "open"), (fcntl, "flock"), (safetensors_file, "_write"), (os, "fchmod"), (os, "fsync"), (os, "replace")]


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_file(file, part):
    file.write(b"\0" * 4096)
    die()


def child(k):
    opt = lk.SGD([np.ones(N)], 0.1, momentum=0.5)
    opt.bind([np.ones(N)])
    if os.path.exists(path):
        opt.load(path)
    for i in range(10**6):
        if os.getppid() != parent:
            os._exit(1)
        opt.step()
        if i == 1 and k < len(stages):
            owner, name = stages[k]
            setattr(owner, name, die if name != "_write" else half_a_file)
        opt.save(path)
        os.write(writer, b"x")


parent = os.getpid()
last = littered = 0
for k in range(int(sys.argv[2])):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(k)
    os.read(reader, 1)  # it has saved once
    if k >= len(stages):
        time.sleep(random.random() * 0.02)
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    left = [name for name in os.listdir(os.path.dirname(path)) if name != "state"]
    littered += len(left)
    assert len(left) <= 1, left
    os.close(reader), os.close(writer)
    opt = lk.SGD([np.ones(N)], 0.1, momentum=0.5)
    opt.load(path)
    assert opt.count > last, (k, opt.count, last)
    expected = 0.0
    for _ in range(opt.count):
        expected = 0.5 * expected + 1
    assert (opt.momentum_buffers[0] == expected).all(), k
    last = opt.count
assert littered >= 4, "no child died in the middle of a save"
opt.save(path)
print(last, os.listdir(os.path.dirname(path)))
"""


def test_killed_while_saving(tmp_path: Path) -> None:
    """Whenever the process dies, the file is a complete old or new state; the next save removes leftovers."""
    path, kills = tmp_path / "state", 60
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(path), str(kills)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    count, names = done.stdout.split(maxsplit=1)
    assert int(count) >= kills
    assert names == "['state']\n"
