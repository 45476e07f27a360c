"""Files of optimizer state: whole whenever the process dies, refused wherever they are not what they should be."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from test_properties import EXAMPLES

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
    (
        "labels",
        put(labels=["params['w']", "params['c']"]),
        r"the state has no params\['b'\]; it has params\['c'\], which is not",
    ),
    ("no labels", put(labels=None), "its parameters have no names"),
    ("labels of another kind", put(labels=[1, []]), "its parameters have no names"),
    ("labels alike", put(labels=["params['w']"] * 2), r"the state has no params\['b'\]; it has params\['w'\]#2, which is not"),
    ("updates", put(updates=[1]), "its parameters have no names"),
    ("negative updates", put(updates=[1, -1]), r"updates\['b'\] must be an integer >= 0; got -1"),
    ("updates that are none", put(updates=[1, "1"]), r"updates\['b'\] must be an integer >= 0; got '1'"),
    ("updates as a text", put(updates="11"), "its parameters have no names"),
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
    ("version of another kind", put(version=[1] * 1000), r"of version 1; got version \[1, 1, .*\.\.\. \(list\)$"),
    ("a long name", put(optimizer="A" * 100_000), r"must be of AdamW; got one of A{57}\.\.\.$"),
    ("a nested name", put(optimizer=reduce(lambda inner, _: [inner], range(900), [])), r"must be of AdamW; got one of"),
    ("nested", lambda header, plain: {"version": 1, "dtypes": {}, "optimizer": {"a": [[[]]]}}, "something else"),
    ("nothing of ours", lambda header, plain: header["__metadata__"].pop("lrkern") and {}, "something else"),
    ("a state more", rename("exp_avg/0", "exp_avg/7"), r"the state has no exp_avgs\['w'\]; it has exp_avgs/7, which"),
    ("a state of a place too far", rename("exp_avg/0", "exp_avg/" + "9" * 5000), "the state has no .*; it has exp_avgs/9999"),
    ("a state of another kind", rename("exp_avg/0", "momentum_buffer/0"), r"has momentum_buffers\['w'\], which"),
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
    assert len(text) < 500


@pytest.mark.parametrize("depth", [500, 990, 2000, 200_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_metadata_nested_deeply(saved: Path, depth: int, brackets: str) -> None:
    whole, opt = saved.read_bytes(), make()
    nested = brackets[:-1] * depth + "1" + brackets[-1] * depth
    for text in (nested, f'{{"version": 1, "dtypes": {nested}}}', f'{{"version": 1, "dtypes": {{}}, "labels": {nested}}}'):
        header = json.dumps({"__metadata__": {"lrkern": text}}).encode()
        told = refuse(len(header).to_bytes(8, "little") + header, saved, opt, depth)
        assert len(told) < 500
    saved.write_bytes(whole)
    opt.load(saved)


def test_random_damage(saved: Path) -> None:
    """Bytes changed, moved, cut out, doubled: an error and nothing has changed, or a state of these shapes."""
    whole, opt, draw = saved.read_bytes(), make(), random.Random(7 if EXAMPLES is None else None)
    shapes = [(key, np.shape(value)) for key, value in opt.state_dict().items()]
    before, refused, tries = state_of(opt), 0, 20 * int(EXAMPLES or 20)
    for _ in range(tries):
        content = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 5))):
            at, length = draw.randrange(len(content) + 1), draw.choice((1, 2, 8, 100))
            other = draw.randrange(len(content) + 1)
            part = draw.choice((b"", draw.randbytes(length), content[other : other + length], b"[" * length, b"9" * length))
            content[at : at + draw.choice((0, length))] = part
        saved.write_bytes(content)
        try:
            opt.load(saved)
        except ValueError as error:
            assert str(error).startswith("AdamW.load: ")
            assert len(str(error)) < 500
            assert state_of(opt) == before
            refused += 1
        else:
            assert [(key, np.shape(value)) for key, value in opt.state_dict().items()] == shapes
            opt.load_state_dict(pickle.loads(before))
    assert refused > 0.5 * tries


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
    opt.save(tmp_path / "state")  # takes nothing but what is here
    with pytest.raises(ImportError, match=r"AdamW.load needs safetensors: pip install 'lrkern\[save\]'"):
        opt.load(tmp_path / "state")
