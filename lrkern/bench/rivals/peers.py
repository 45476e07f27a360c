"""Optional peers: Numba, torch, optax. Each is used if it is installed, and reported if it is not."""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern.bench.curves import END, Loop
from lrkern.bench.settings import current

Floats = NDArray[Any]
PEERS = ("numba", "torch", "optax")


def available(name: str) -> bool:
    """Whether the peer takes part; it is not imported for that."""
    return current().takes_part(name)


@functools.cache
def module(name: str) -> Any:
    """The peer, or None if it is not installed or not wanted."""
    if not current().takes_part(name):
        return None
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def missing() -> list[str]:
    """Names of the peers that are not installed."""
    return [name for name in PEERS if find_spec(name) is None]


# ---------------------------------------------------------------------------------------------------------- schedules


def numba_loop(function: Loop) -> Callable[[Floats], None]:
    """out[t] = function(t) for every t, both compiled."""
    numba = module("numba")
    at = numba.njit(function)

    @numba.njit  # type: ignore[untyped-decorator]
    def fill(out: Floats) -> None:
        for t in range(out.size):
            out[t] = at(t)

    return fill  # type: ignore[no-any-return]


def _cosine_annealing(optimizer: Any, n: int, a: float) -> Any:
    return module("torch").optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=n, eta_min=END)


def _linear(optimizer: Any, n: int, a: float) -> Any:
    return module("torch").optim.lr_scheduler.LinearLR(optimizer, 1.0, END / a, total_iters=n)


def _exponential(optimizer: Any, n: int, a: float) -> Any:
    return module("torch").optim.lr_scheduler.ExponentialLR(optimizer, 0.9 ** (1 / (n // 50)))


def _step_decay(optimizer: Any, n: int, a: float) -> Any:
    return module("torch").optim.lr_scheduler.StepLR(optimizer, n // 20, 0.5)


# lrkern's curve -> torch's scheduler with the same values
TORCH = {"cosine": _cosine_annealing, "linear": _linear, "exponential": _exponential, "step_decay": _step_decay}


class TorchSteps:
    """A schedule in torch: step the scheduler, read its rate."""

    def __init__(self, curve: str, n: int, a: float, steps: int) -> None:
        self.curve, self.n, self.a, self.steps = curve, n, a, steps

    def prepare(self) -> None:
        """Make a new optimizer and scheduler."""
        torch = module("torch")
        self.optimizer = torch.optim.SGD([torch.zeros(1)], lr=self.a)
        self.scheduler = TORCH[self.curve](self.optimizer, self.n, self.a)
        self.optimizer.step()  # torch warns if the scheduler steps first

    def run(self) -> list[float]:
        """Visit all steps."""
        rates = []
        for _ in range(self.steps):
            rates.append(self.scheduler.get_last_lr()[0])
            self.scheduler.step()
        return rates


def torch_plateau(start: float, metrics: list[float]) -> list[float]:
    """torch's plateau scheduler, stepped through recorded metrics."""
    torch = module("torch")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=start)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append(scheduler.get_last_lr()[0])
    return rates


OPTAX: dict[str, Callable[[Any, int, float], Any]] = {
    "constant": lambda optax, n, a: optax.constant_schedule(a),
    "linear": lambda optax, n, a: optax.linear_schedule(a, END, n),
    "polynomial": lambda optax, n, a: optax.polynomial_schedule(a, END, 0.9, n),
    "cosine": lambda optax, n, a: optax.cosine_decay_schedule(a, n, alpha=END / a),
    "exponential": lambda optax, n, a: optax.exponential_decay(a, n // 50, 0.9),
    "piecewise": lambda optax, n, a: optax.piecewise_constant_schedule(a, {n // 4: 0.5, n // 2: 0.4, 3 * n // 4: 0.5}),
    "warmup": lambda optax, n, a: optax.warmup_cosine_decay_schedule(0.0, a, n // 100, n, END),
}


def optax_values(curve: str, n: int, a: float, steps: int) -> Callable[[], Floats]:
    """A jitted evaluation of optax's schedule at 0, 1, ..., steps - 1 (float32, its default)."""
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    schedule = OPTAX[curve](module("optax"), n, a)
    compiled = jax.jit(lambda: jnp.broadcast_to(schedule(jnp.arange(steps)), (steps,)))
    return lambda: np.asarray(compiled().block_until_ready())


# -------------------------------------------------------------------------------------------------------------- steps


def numba_sgd() -> Callable[[Floats, Floats, Floats, np.float32, np.float32], None]:
    """The naive loop over one parameter array, compiled."""
    numba = module("numba")

    @numba.njit  # type: ignore[untyped-decorator]
    def step(param: Floats, grad: Floats, buffer: Floats, lr: np.float32, momentum: np.float32) -> None:
        for i in range(param.size):
            buffer[i] = momentum * buffer[i] + grad[i]
            param[i] -= lr * buffer[i]

    return step  # type: ignore[no-any-return]
