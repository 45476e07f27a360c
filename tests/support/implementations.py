"""Optimizers of other packages: functions that make one, and steps of it with gradients given as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import isolated_import
import numpy as np
import pytest

Array = np.ndarray[Any, Any]
Peer = Callable[[list[Array]], list[Array]]
"""A step: gradients in, the parameters after it out."""
Maker = Callable[[list[Array]], Peer]
"""From the parameters before the first step."""


def of_torch(make: Callable[..., Any], **options: Any) -> Maker:
    """An optimizer like torch's: `make(parameters, **options)`."""

    def started(start: list[Array]) -> Peer:
        torch = pytest.importorskip("torch")
        parameters = [torch.nn.Parameter(torch.from_numpy(one.copy())) for one in start]
        with floats_of_torch(parameters[0].dtype):
            optimizer = make(parameters, **options)
            if hasattr(optimizer, "train"):  # schedule-free ones
                optimizer.train()

        def step(grads: list[Array]) -> list[Array]:
            for parameter, g in zip(parameters, grads, strict=True):
                parameter.grad = torch.from_numpy(g.copy())
            with floats_of_torch(parameters[0].dtype):
                optimizer.step()
            return [one.detach().numpy() for one in parameters]

        return step

    return started


def of_optax(make: Callable[..., Any], *args: Any, **options: Any) -> Maker:
    """`make(*args, **options)` is a gradient transformation."""

    def started(start: list[Array]) -> Peer:
        jax = pytest.importorskip("jax")
        optax = pytest.importorskip("optax")
        with jax.enable_x64(True):
            transformation = make(*args, **options)
            params = [jax.numpy.asarray(one) for one in start]
            state = transformation.init(params)

        @jax.jit
        def advance(params: Any, state: Any, grads: Any) -> Any:
            updates, state = transformation.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        def step(grads: list[Array]) -> list[Array]:
            nonlocal params, state
            with jax.enable_x64(True):
                params, state = advance(params, state, [jax.numpy.asarray(one) for one in grads])
                assert all(one.dtype == other.dtype for one, other in zip(params, start, strict=True))
                return [np.asarray(one) for one in params]

        return step

    return started


def of_keras(make: Callable[..., Any], *args: Any, **options: Any) -> Maker:
    """An optimizer of Keras, on top of torch; its scalars have the type of the parameters."""

    def started(start: list[Array]) -> Peer:
        keras = pytest.importorskip("keras")
        torch = pytest.importorskip("torch")
        with floats_of_keras(start[0].dtype):
            optimizer = make(*args, **options)
            variables = [keras.Variable(one) for one in start]
            optimizer.build(variables)

        def step(grads: list[Array]) -> list[Array]:
            with floats_of_keras(start[0].dtype):
                optimizer.apply([torch.from_numpy(g.copy()) for g in grads], variables)
            return [one.value.detach().numpy() for one in variables]

        return step

    return started


@contextmanager
def floats_of_torch(dtype: Any) -> Iterator[None]:
    """torch keeps the numbers of a tensor's state in this type."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def floats_of_keras(dtype: Any) -> Iterator[None]:
    """Keras converts numbers to this type before any other."""
    keras = pytest.importorskip("keras")
    before = keras.config.floatx()
    keras.config.set_floatx(str(dtype))
    try:
        yield
    finally:
        keras.config.set_floatx(before)


@cache
def timm(name: str) -> ModuleType:
    """The module timm.optim.<name>, without what timm needs for its models."""
    pytest.importorskip("torch")
    return isolated_import.load(f"timm.optim.{name}")


@cache
def adabelief() -> ModuleType:
    """The package of AdaBelief's authors."""
    pytest.importorskip("torch")
    return isolated_import.load("adabelief_pytorch.AdaBelief", tabulate=..., colorama=...)


def installed(name: str) -> Any:
    """This package; without it the test is skipped."""
    if name == "keras":
        os.environ.setdefault("KERAS_BACKEND", "torch")
        pytest.importorskip("torch")
    return pytest.importorskip(name)
