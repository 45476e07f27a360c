"""State in safetensors files: written so that a crash leaves the old file or the new one, read with all doubts raised."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from lrkern._arrays import Array
from lrkern._optional import require

_INSTALL = "'lrkern[save]'"
_KEY = "lrkern"
_VERSION = 1


def save(where: str, path: str | PathLike[str], arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> None:
    """Write arrays and plain values to a file."""
    numpy = require("safetensors.numpy", install=_INSTALL, what=where)
    # Not every version of safetensors knows NumPy's bfloat16: the bits go to the file, their name to the header.
    dtypes = {key: array.dtype.name for key, array in arrays.items()}
    bits = {key: one.view(np.uint16) if dtypes[key] == "bfloat16" else one for key, one in arrays.items()}
    bits = {key: np.ascontiguousarray(one) for key, one in bits.items()}
    header = json.dumps({"version": _VERSION, "dtypes": dtypes, **plain})
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        os.close(handle)
        numpy.save_file(bits, temporary, metadata={_KEY: header})
        _sync(temporary)
        os.chmod(temporary, _mode_of(target))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(target.parent)


def _mode_of(target: Path) -> int:
    """The permissions that the file has, or would get from open()."""
    try:
        return target.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync(path: str | Path) -> None:
    """Make sure that a file's content, or a directory's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(where: str, path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What `save` wrote: arrays and plain values."""
    safetensors = require("safetensors", install=_INSTALL, what=where)
    with open(path, "rb"):  # an OSError that names the file, if it cannot be read
        pass
    wanted = f"{where}: {path} must be a file that save() wrote"
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{wanted}; it is damaged or of another kind: {error}") from None
    try:
        plain = json.loads(metadata[_KEY])
        version, dtypes = plain.pop("version"), plain.pop("dtypes")
        found = {key: _as_dtype(array, dtypes[key]) for key, array in arrays.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{wanted}; it is a safetensors file of something else") from None
    if version != _VERSION:
        raise ValueError(f"{wanted}, of version {_VERSION}; got version {version}")
    return found, plain


def _as_dtype(array: Array, name: str) -> Array:
    """An array of a file, in the dtype that it was saved from."""
    if array.dtype.name != ("uint16" if name == "bfloat16" else name):
        raise ValueError(name)
    if name != "bfloat16":
        return array
    return array.view(require("ml_dtypes", install="'lrkern[bfloat16]'", what="loading bfloat16 states").bfloat16)
