"""Files of optimizer state: whole whenever the process dies, refused wherever they are not what they should be."""

from __future__ import annotations

import json
import os
import pickle
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import lrkern as lk


def make(n: int = 5) -> Any:
    """An optimizer with a little state, among it averages and an array that is not there."""
    params = {"w": np.ones(n, "f4"), "b": np.ones((2, 3))}
    opt = lk.AdamW(params, 0.1, ema=0.5, state_dtype="bfloat16")
    opt.step({"w": np.ones(n, "f4"), "b": None})
    return opt


def state_of(opt: Any) -> bytes:
    return pickle.dumps(opt.state_dict())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make().save(tmp_path / "state")
    return tmp_path / "state"


def refuse(content: bytes, path: Path, opt: Any, what: object) -> str:
    """The error that these bytes give; the optimizer is as it was."""
    before = state_of(opt)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^AdamW\.load: ") as raised:
        opt.load(path)
    assert state_of(opt) == before, what
    return str(raised.value)


# ----------------------------------------------------------------------------------------------------- what is no good


def test_every_length(saved: Path) -> None:
    whole, opt = saved.read_bytes(), make()
    for length in range(len(whole)):
        refuse(whole[:length], saved, opt, length)
    for more in (b"\0", b"\n" * 8, whole):
        refuse(whole + more, saved, opt, more)
    saved.write_bytes(whole)
    opt.load(saved)


@pytest.mark.parametrize("mask", [0x01, 0x90])
def test_every_flipped_byte_of_the_header(saved: Path, mask: int) -> None:
    """Either it is an error and nothing has changed, or what it now says is a state, and that is there."""
    whole, opt = saved.read_bytes(), make()
    before, refused = state_of(opt), 0
    end = 8 + int.from_bytes(whole[:8], "little")
    for i in range(end):
        saved.write_bytes(whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1 :])
        try:
            opt.load(saved)
        except ValueError as error:
            assert str(error).startswith("AdamW.load: "), i
            assert state_of(opt) == before, i
            refused += 1
        else:
            other = pickle.loads(before)
            assert [(key, np.shape(value)) for key, value in opt.state_dict().items()] == [
                (key, np.shape(value)) for key, value in other.items()
            ], i
            opt = make()
    assert refused > 0.9 * end


def rewritten(whole: bytes, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> bytes:
    """The file with another header: of safetensors, and what lrkern says in it."""
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    plain = json.loads(header["__metadata__"]["lrkern"])
    other = change(header, plain)
    header["__metadata__"]["lrkern"] = json.dumps(plain if other is None else other)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[8 + size :]


def put(**values: Any) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    return lambda header, plain: plain.update(values)


def rename(old: str, new: str) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    def change(header: dict[str, Any], plain: dict[str, Any]) -> None:
        header[new] = header.pop(old)
        plain["dtypes"][new] = plain["dtypes"].pop(old)

    return change


def described(key: str, **values: Any) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    return lambda header, plain: header[key].update(values)


LIES: list[tuple[str, Any, str]] = [
    ("rule", put(optimizer="Adam"), "the state must be of AdamW; got one of Adam"),
    ("no rule", put(optimizer=None), "the state must be of AdamW; got one of None"),
    ("version", put(version=2), "of version 1; got version 2"),
    ("labels", put(labels=["params['w']", "params['c']"]), "is of an optimizer of other parameters"),
    ("no labels", put(labels=None), "is of an optimizer of other parameters"),
    ("updates", put(updates=[1]), "is of an optimizer of other parameters"),
    ("negative updates", put(updates=[1, -1]), r"updates\['b'\] must be an integer >= 0; got -1"),
    ("updates that are none", put(updates=[1, "1"]), r"updates\['b'\] must be an integer >= 0; got '1'"),
    ("updates as a text", put(updates="11"), "is of an optimizer of other parameters"),
    ("negative count", put(count=-1), "count must be an integer >= 0; got -1"),
    ("fraction", put(count=1.5), "count must be an integer >= 0; got 1.5"),
    ("nan", put(count=float("nan")), "count must be an integer >= 0; got nan"),
    ("flag", put(count=True), "count must be an integer >= 0; got True"),
    ("beyond", put(count=2**53 + 1), "count must be an integer"),
    ("far beyond", put(count=10**4000), "count must be an integer|something else"),
    ("no count", put(count=None), "count must be an integer >= 0; got None"),
    ("skipped", put(skipped=-1), "skipped must be an integer >= 0; got -1"),
    ("no dtypes", put(dtypes={}), "something else"),
    ("dtypes of another kind", put(dtypes=[1]), "something else"),
    ("a list", lambda header, plain: [1], "something else"),
    ("a number", lambda header, plain: 7, "something else"),
    ("nested", lambda header, plain: {"version": 1, "dtypes": {}, "optimizer": {"a": [[[]]]}}, "something else"),
    ("nothing of ours", lambda header, plain: header["__metadata__"].pop("lrkern") and {}, "something else"),
    ("a state more", rename("exp_avg/0", "exp_avg/7"), "holds other states than are kept here"),
    ("a state of another kind", rename("exp_avg/0", "momentum_buffer/0"), "holds other states than are kept here"),
    (
        "shape",
        described("exp_avg/0", shape=[1, 5]),
        r"exp_avgs\['w'\] must be bfloat16 of shape \(5,\).*; got bfloat16 \(1, 5\)",
    ),
    ("size", described("exp_avg/0", shape=[4]), "damaged or of another kind"),
    ("dtype", described("exp_avg/0", dtype="F16"), "something else"),
    ("other dtype", lambda header, plain: plain["dtypes"].update({"exp_avg/0": "uint16"}), r"must be bfloat16.*got uint16"),
    ("dtype of ours unheard of", lambda header, plain: plain["dtypes"].update({"exp_avg/0": "x"}), "something else"),
    ("dtype unheard of", described("exp_avg/0", dtype="Q7"), "damaged or of another kind"),
    ("offsets", described("exp_avg/0", data_offsets=[0, 2**60]), "damaged or of another kind"),
]


@pytest.mark.parametrize(("change", "message"), [one[1:] for one in LIES], ids=[one[0] for one in LIES])
def test_headers_that_lie(saved: Path, change: Any, message: str) -> None:
    opt = make()
    content = rewritten(saved.read_bytes(), change)
    text = refuse(content, saved, opt, message)
    assert re.search(message, text), text
    assert "\n" not in text


def test_nothing_changed_is_read(saved: Path) -> None:
    """So that the tests above fail for the reason that they name."""
    saved.write_bytes(rewritten(saved.read_bytes(), put()))
    make().load(saved)


def test_other_files(tmp_path: Path) -> None:
    opt, path = make(), tmp_path / "file"
    others: list[Any] = [make(4), lk.AdamW({"w": np.ones(5, "f4"), "b": np.ones((2, 3))}), lk.SGD([np.ones(5)], 0.1)]
    for other in others:
        other.save(path)
        refuse(path.read_bytes(), path, opt, other)
    safetensors.numpy.save_file({"x": np.ones(3)}, path)
    assert "it is a safetensors file of something else" in refuse(path.read_bytes(), path, opt, "foreign")
    for content in (
        b"",
        b"no safetensors at all, but some bytes",
        os.urandom(4096),
        b"\xff" * 100,
        pickle.dumps(opt.state_dict()),
    ):
        assert "it is damaged or of another kind" in refuse(content, path, opt, content)
    for bad, error in [(tmp_path / "missing", FileNotFoundError), (tmp_path, IsADirectoryError)]:
        with pytest.raises(error):
            opt.load(bad)


def test_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opt = make()
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"AdamW.save needs safetensors: pip install 'lrkern\[save\]'"):
        opt.save(tmp_path / "state")


# ------------------------------------------------------------------------------------------------------------ the write


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


@pytest.mark.parametrize("stage", ["mkstemp", "close", "save_file", "fsync", "chmod", "replace"])
def test_an_error_at_any_stage(stage: str, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    before, opt = saved.read_bytes(), make()
    opt.step({"w": np.ones(5, "f4"), "b": None})

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    owner: Any = {"mkstemp": tempfile, "save_file": safetensors.numpy}.get(stage, os)
    with monkeypatch.context() as patch:
        patch.setattr(owner, stage, fail)
        with pytest.raises(OSError, match="No space left"):
            opt.save(saved)
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.iterdir()] == ["state"], "temporary files are left"


# Children save again and again; each is killed, at a random moment or as it comes to a certain call.
KILLER = r"""
import os, random, signal, sys, time
import numpy as np, safetensors.numpy, tempfile
import lrkern as lk

N = 200_000
path, random = sys.argv[1], random.Random(1)
stages = [(tempfile, "mkstemp"), (os, "close"), (safetensors.numpy, "save_file"), (os, "fsync"), (os, "chmod"), (os, "replace")]


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_file(tensors, target, **_):
    with open(target, "wb") as file:
        file.write(b"\0" * 4096)
        file.flush()
        die()


def child(k):
    opt = lk.SGD([np.ones(N)], 0.1, momentum=0.5)
    opt.bind([np.ones(N)])
    if os.path.exists(path):
        opt.load(path)
    for i in range(10**6):
        opt.step()
        if i == 1 and k < len(stages):
            owner, name = stages[k]
            setattr(owner, name, die if name != "save_file" else half_a_file)
        opt.save(path)
        os.write(writer, b"x")


last = 0
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
    os.close(reader), os.close(writer)
    opt = lk.SGD([np.ones(N)], 0.1, momentum=0.5)
    opt.load(path)
    assert opt.count > last, (k, opt.count, last)
    expected = 0.0
    for _ in range(opt.count):
        expected = 0.5 * expected + 1
    assert (opt.momentum_buffers[0] == expected).all(), k
    last = opt.count
print(last)
"""


def test_killed_while_saving(tmp_path: Path) -> None:
    """Whenever the process dies, the file is an old state or a new one, whole."""
    path, kills = tmp_path / "state", 60
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(path), str(kills)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= kills
    assert any(one.name != "state" for one in tmp_path.iterdir()), "no child died in the middle of a save"
