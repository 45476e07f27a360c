"""State in safetensors files: written atomically, so that a crash leaves the old or the new file, and read defensively."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import FileIO
from os import PathLike
from typing import Any

import numpy as np

from lrkern._checks import cut, describe
from lrkern._optional import require
from lrkern.optimizers.arrays import Array

_INSTALL = "'lrkern[save]'"
_KEY = "lrkern"
_VERSION = 1
_CHUNK = 1 << 26  # bytes per write, so that Ctrl-C is handled soon

_PREFIX = ".lrkern-save-"
_TEMPORARY = re.compile(re.escape(_PREFIX) + "[0-9a-f]{8}-[0-9a-f]{16}")
_DAY = 86400.0  # seconds
_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


# ------------------------------------------------------------------------------------------------------------- writing


def save(where: str, path: str | PathLike[str], arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> None:
    """Write arrays and plain values to a file.

    The bytes are those of safetensors, but written here: the package's writer leaves temporary files behind when the process is
    killed, and raises its own exception types.
    """
    # Not every version of safetensors supports NumPy's bfloat16: write the bits, and the dtype's name to the header.
    dtypes = {key: array.dtype.name for key, array in arrays.items()}
    bits = {key: one.view(np.uint16) if dtypes[key] == "bfloat16" else one for key, one in arrays.items()}
    bits = {key: np.asarray(one, order="C") for key, one in bits.items()}  # ascontiguousarray adds an axis to 0-d arrays
    keys = sorted(bits, key=lambda key: (-bits[key].itemsize, key))  # so that each array is aligned
    header = _header(keys, bits, json.dumps({"version": _VERSION, "dtypes": dtypes, **plain}))
    parts = [header, *(bits[key].reshape(-1).view(np.uint8) for key in keys)]
    with _errors_of(where, path):
        found = _regular(path)
        _replace(os.path.realpath(path), None if found is None else stat.S_IMODE(found.st_mode), parts)


def _replace(target: str, mode: int | None, parts: Sequence[Any]) -> None:
    """Write parts to a file, replacing an existing one, whose mode is `mode`."""
    folder = os.path.dirname(target)
    _clean(folder)
    temporary = os.path.join(folder, f"{_PREFIX}{_host()}-{secrets.token_hex(8)}")
    try:
        with _created(temporary, 0o666 if mode is None else mode) as file:
            for part in parts:
                _write(file, part)
            if mode is not None:
                os.fchmod(file.fileno(), mode)  # including bits that the umask has cleared
            os.fsync(file)
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):  # it may have been renamed or never created
            os.unlink(temporary)
        raise
    _sync_entries(folder)


def _header(keys: list[str], bits: Mapping[str, Array], metadata: str) -> bytes:
    """The header of a safetensors file: the length of a JSON text, and the text."""
    described: dict[str, Any] = {"__metadata__": {_KEY: metadata}}
    end = 0
    for key in keys:
        one, begin = bits[key], end
        end += one.nbytes
        name = f"{one.dtype.kind.upper()}{8 * one.itemsize}"
        described[key] = {"dtype": name, "shape": list(one.shape), "data_offsets": [begin, end]}
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@contextlib.contextmanager
def _errors_of(where: str, path: str | PathLike[str]) -> Iterator[None]:
    """Make OSErrors name the function and the user's path instead of a temporary one or none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{where}: {error.strerror}", os.fspath(path)) from error


def _regular(path: str | PathLike[str]) -> os.stat_result | None:
    """The stat result of the file at a path, None if it does not exist; an OSError if it is not a regular file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if os.path.basename(os.fspath(path)):
            return None
        raise
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(code, f"path must be that of a regular file; it is {kind}")
    return found


def _created(path: str, mode: int) -> FileIO:
    """A new file, locked while it is open, so that other processes see that it is being written.

    Another process may remove it between creation and locking; then it is created again.
    """
    while True:
        file = FileIO(path, "x", opener=partial(os.open, mode=mode))
        with contextlib.suppress(OSError):  # if files cannot be locked, nobody removes them
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _write(file: FileIO, part: Any) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest[:_CHUNK]) :]


def _sync_entries(folder: str) -> None:
    """Flush a directory's entries to disk. A directory without read permission cannot be flushed."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _clean(folder: str) -> None:
    """Remove the temporary files of processes that died while saving to a directory.

    Such files are no longer locked. Some network file systems do not show the locks of other machines: files of those are only
    removed when nobody has written to them for a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if _TEMPORARY.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                _remove_abandoned(os.path.join(folder, name), name.startswith(f"{_PREFIX}{_host()}-"))


def _remove_abandoned(path: str, made_here: bool) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with FileIO(path, opener=lambda name, _: os.open(name, flags)) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and (made_here or found.st_mtime < time.time() - _DAY):
            os.unlink(path)


# ------------------------------------------------------------------------------------------------------------- reading


def load(where: str, path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read the arrays and plain values that `save` wrote."""
    safetensors = require("safetensors", install=_INSTALL, what=where)
    with _errors_of(where, path):  # safetensors raises its own exception types
        _regular(path)
        FileIO(path).close()
    wanted = f"{where}: {path} must be a file that save() wrote"
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{wanted}; it is damaged or not a safetensors file: {cut(str(error), 200)}") from None
    try:
        plain = json.loads(metadata[_KEY])
        version, dtypes = plain.pop("version"), plain.pop("dtypes")
        found = {key: _as_dtype(array, dtypes[key]) for key, array in arrays.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{wanted}; it is a safetensors file from another program") from None
    if version != _VERSION:
        raise ValueError(f"{wanted}, of version {_VERSION}; got version {describe(version)}")
    return found, plain


def _as_dtype(array: Array, name: str) -> Array:
    """An array of a file, in the dtype with which it was saved."""
    if array.dtype.name != ("uint16" if name == "bfloat16" else name):
        raise ValueError(name)
    if name != "bfloat16":
        return array
    return array.view(require("ml_dtypes", install="'lrkern[bfloat16]'", what="loading bfloat16 states").bfloat16)
