"""Tensors as the arrays that lrkern's optimizers step, on the same memory; and back. One class for each kind of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from lrkern import _core, backends

Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape and strides of an array."""


class Memory(Protocol):
    """How tensors of one kind of device are handed to an optimizer of lrkern, and its arrays to torch."""

    @property
    def backend(self) -> Any:
        """The option `backend` of the optimizer, where it is not the user's: None lets it choose."""

    def array(self, where: str, name: str, tensor: Tensor) -> Any:
        """A tensor as an array on the same memory."""

    def rows(self, where: str, name: str, indices: Tensor) -> Any:
        """The indices of a gradient of rows; raises if there are none of these."""

    def alike(self, tensors: list[Any], layouts: list[Layout | None]) -> list[Any]:
        """Those tensors as arrays that have these layouts; None for others, and where that is not quick to tell."""

    def gradients(
        self, params: list[Tensor], known: list[Tensor], arrays: list[Any], grads: list[Any]
    ) -> tuple[list[int], int]:
        """Put the gradients of `params` into `grads`: see `_core.Exchange.gradients`."""
        ...

    def takes(self, engine: Any, fit: Callable[[int], Any]) -> bool:
        """Whether an engine takes gradients as they are, and fit(i) where it cannot; else all of them must be arrays."""
        ...

    def source(self, params: list[Tensor], arrays: list[Any]) -> _core.Gradients | None:
        """What an engine that takes gradients reads: those of `params`, which `arrays` show; None if no engine takes them."""
        ...

    def tensor(self, array: Any) -> Tensor:
        """An array as a tensor on the same memory; 16 bits of unsigned integers as bfloat16."""
        ...


class _Reader(Protocol):
    def array(self, tensor: Tensor) -> Any: ...
    def gradients(
        self, params: list[Tensor], known: list[Tensor], arrays: list[Any], grads: list[Any]
    ) -> tuple[list[int], int]: ...


_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


class _SlowReader:
    """The same as `_core.Exchange` for versions of torch without the exchange API, by `Tensor.numpy`."""

    def array(self, tensor: Tensor) -> Any:
        if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.dtype not in _FLOATS:
            return None
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_neg():
            return None
        tensor = tensor.detach()
        if tensor.dtype is torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(np.uint16)
        return tensor.numpy()

    def gradients(
        self, params: list[Tensor], known: list[Tensor], arrays: list[Any], grads: list[Any]
    ) -> tuple[list[int], int]:
        moved = []
        for i, (param, one, own) in enumerate(zip(params, known, arrays, strict=True)):
            now = self.array(param)
            if (
                param is not one
                or now is None
                or _layout(now) != _layout(own)
                or (now.size and now.ctypes.data != own.ctypes.data)
            ):
                moved.append(i)
            grads[i] = param.grad
        return moved, sum([one is None for one in grads])


def _layout(array: Any) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.strides


def _reader() -> _Reader:
    capsule = getattr(Tensor, "__dlpack_c_exchange_api__", None)
    try:
        return _SlowReader() if capsule is None else _core.Exchange(capsule, Tensor, torch.nn.Parameter)
    except ValueError:
        return _SlowReader()


_ADDRESSED = ("cpu", "cuda", "mps", "xpu")
"""Devices on which tensors that have memory have an address."""


def is_freed(tensor: Tensor) -> bool:
    """Whether its memory has been freed, as by `untyped_storage().resize_(0)`; operations of torch may crash on it."""
    return not tensor.data_ptr() and tensor.numel() > 0 and tensor.device.type in _ADDRESSED


def _refused(where: str, name: str, tensor: Tensor) -> Exception:
    if tensor.layout is torch.strided and tensor.dtype in _FLOATS and is_freed(tensor):
        return ValueError(f"{where}: {name} must have memory; got a tensor without (freed, or torch's zeros)")
    got = f"{tensor.dtype} of layout {tensor.layout}".replace("torch.", "")
    return TypeError(f"{where}: {name} must be a dense tensor of float64, float32, bfloat16 or float16; got {got}")


class CPUMemory:
    """Tensors in CPU memory, as NumPy arrays."""

    backend: Any = None

    def __init__(self, reader: _Reader | None = None) -> None:
        self._reader = reader or _reader()
        self.gradients = self._reader.gradients

    def takes(self, engine: Any, fit: Callable[[int], Any]) -> bool:
        """Whether the engine reads tensors through the exchange API."""
        found = isinstance(self._reader, _core.Exchange) and isinstance(engine, cast(type, _core.StepList))
        if found:
            engine.tensors.fit_by(fit)
        return found

    def source(self, params: list[Tensor], arrays: list[Any]) -> _core.Gradients | None:
        """What an engine reads that takes gradients as they are."""
        return _core.Gradients(cast(_core.Exchange, self._reader), params, arrays)

    def array(self, where: str, name: str, tensor: Tensor) -> Any:
        """A tensor as an array on the same memory; bfloat16 as 16 bits of unsigned integers."""
        array = self._reader.array(tensor)
        if array is None:
            raise _refused(where, name, tensor)
        return array

    def rows(self, where: str, name: str, indices: Tensor) -> Any:
        """The indices as an array on the same memory."""
        return indices.numpy()

    def alike(self, tensors: list[Any], layouts: list[Layout | None]) -> list[Any]:
        """Those tensors as arrays that have these layouts; None for others."""
        read = self._reader.array  # it reads the memory of negated ones as it is
        arrays = [None if one is None or one.is_neg() else read(one) for one in tensors]
        return [
            one if one is not None and (one.shape, one.strides) == layout else None
            for one, layout in zip(arrays, layouts, strict=True)
        ]

    def tensor(self, array: Any) -> Tensor:
        """An array as a tensor on the same memory; 16 bits of unsigned integers as bfloat16."""
        if array.dtype == np.uint16:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


class AnyMemory:
    """Tensors in the memory of any device, which plain operations of torch step."""

    @property
    def backend(self) -> Any:
        """The backend of plain operations."""
        from lrkern.torch.operations import BACKEND

        return BACKEND

    def array(self, where: str, name: str, tensor: Tensor) -> Any:
        """The tensor itself."""
        if tensor.layout is not torch.strided or tensor.dtype not in _FLOATS or is_freed(tensor):
            raise _refused(where, name, tensor)
        if any(step == 0 and size > 1 for size, step in zip(tensor.shape, tensor.stride(), strict=True)):
            raise ValueError(
                f"{where}: {name} must not be expanded; got shape {tuple(tensor.shape)}, strides {tensor.stride()}"
            )
        return tensor.detach()

    def rows(self, where: str, name: str, indices: Tensor) -> Any:
        """There are no rows: raises."""
        raise TypeError(f"{where}: the {name} must be dense with backend 'torch'; got a sparse one")

    def alike(self, tensors: list[Any], layouts: list[Layout | None]) -> list[Any]:
        """None of them: what is quick on the CPU is not known here."""
        return [None] * len(tensors)

    def gradients(
        self, params: list[Tensor], known: list[Tensor], arrays: list[Any], grads: list[Any]
    ) -> tuple[list[int], int]:
        """The gradients, and the parameters that have moved."""
        moved = []
        for i, (param, one, own) in enumerate(zip(params, known, arrays, strict=True)):
            place = param.data_ptr()
            if param is not one or not place or place != own.data_ptr() or param.dtype != own.dtype or param.shape != own.shape:
                moved.append(i)
            grads[i] = param.grad
        return moved, sum([one is None for one in grads])

    def takes(self, engine: Any, fit: Callable[[int], Any]) -> bool:
        """It takes tensors; but their layout has to be checked."""
        return False

    def source(self, params: list[Tensor], arrays: list[Any]) -> _core.Gradients | None:
        """None: no engine takes them unchecked."""
        return None

    def tensor(self, array: Any) -> Tensor:
        """The tensor itself."""
        assert isinstance(array, Tensor)
        return array


class CUDAMemory(AnyMemory):
    """Tensors in the memory of a CUDA device, which `lrkern.cuda` reads itself."""

    @property
    def backend(self) -> Any:
        """It is chosen by the tensors."""
        return None

    def array(self, where: str, name: str, tensor: Tensor) -> Any:
        """The tensor itself; `lrkern.cuda` checks it."""
        return tensor.detach()

    def rows(self, where: str, name: str, indices: Tensor) -> Any:
        """The indices themselves."""
        return indices

    def tensor(self, array: Any) -> Tensor:
        """A tensor on the memory of an array of `lrkern.cuda`."""
        array = getattr(array, "owner", array)
        found = array if isinstance(array, Tensor) else torch.as_tensor(array, device="cuda")
        return found.view(torch.bfloat16) if found.dtype is torch.uint16 else found


def memory_of(where: str, params: Sequence[Tensor], backend: str | None) -> Memory:
    """The memory that the parameters are in, and by that the backend if it is None.

    Raises:
        ValueError: they are in several memories, in one that the backend does not reach, or in none.
    """
    kinds = {param.device.type for param in params}
    if len(kinds) > 1:
        raise ValueError(f"{where}: params must all be on one kind of device; got {' and '.join(sorted(kinds))}")
    if not kinds:
        raise ValueError(f"{where}: params must have at least one tensor; got empty groups")
    [kind] = kinds
    if kind == "meta":
        raise ValueError(f"{where}: params must have memory; got tensors on meta: materialize them first, as with to_empty")
    if backend == "torch":
        return AnyMemory()
    if kind == "cpu":
        return CPUMemory()
    if kind == "cuda" and torch.version.hip is None and (backend is not None or backends.status("cuda").usable):
        return CUDAMemory()
    if backend is not None:
        raise ValueError(f"{where}: backend must be None or 'torch' for tensors on {kind}; got {backend!r}")
    return AnyMemory()
