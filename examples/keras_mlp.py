"""A Keras classifier with five learning rates: by Keras' own means, and with lrkern.

A network with one hidden layer learns two tasks, 1,000 random samples of `make_classification` and the handwritten digits,
with a fixed rate, one that falls exponentially, one that falls with time, one that falls in stairs, and one that follows the
loss. Each run is done twice, from the same start and with the same batches: once with the schedules and callbacks that Keras
has, or as one would write them, once with lrkern's. Accuracy per epoch is printed and drawn.

    KERAS_BACKEND=jax python examples/keras_mlp.py [picture.png]    # needs: pip install 'lrkern[demo,keras]' and JAX

It runs on the other backends, too; on torch it takes eight times as long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split

import lrkern as lk
import lrkern.keras

LR = 0.1
EPOCHS = 15
BATCH = 32
STAIR = 75  # updates


class Task(NamedTuple):
    """Data for a classifier, for training and for testing."""

    name: str
    x: Any
    test_x: Any
    y: Any
    test_y: Any


def tasks() -> list[Task]:
    """Both data sets, a fifth of each set aside."""
    x, y = make_classification(n_samples=1000, n_features=20, random_state=0)
    digits = load_digits()
    both = {"make_classification": (x, y), "digits": (digits.data / 16.0, digits.target)}
    return [
        Task(name, *train_test_split(x.astype(np.float32), y, test_size=0.2, random_state=0)) for name, (x, y) in both.items()
    ]


# By Keras' own means.


class FollowLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """initial decay^t if the loss has fallen, else initial decay^(t-1), as tutorials have it."""

    def __init__(self, initial: float, decay: float) -> None:
        super().__init__()
        self.initial, self.decay, self.before = initial, decay, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Set the rate of the next epoch."""
        loss = logs["loss"]
        if self.before is not None:
            exponent = epoch if loss < self.before else epoch - 1
            self.model.optimizer.learning_rate = self.initial * self.decay**exponent
        self.before = loss


def by_hand(kind: str) -> tuple[Any, list[Any]]:
    """The learning rate for Keras' optimizer, and callbacks."""
    schedules = keras.optimizers.schedules
    match kind:
        case "fixed":
            return LR, []
        case "exponential":
            return schedules.ExponentialDecay(LR, 1, 0.995), []
        case "time-based":
            return schedules.InverseTimeDecay(LR, 1, 0.01), []
        case "staircase":
            return schedules.ExponentialDecay(LR, STAIR, 0.5, staircase=True), []
    return LR, [FollowLoss(LR, 0.9)]


# With lrkern.

SCHEDULES = {
    "fixed": lk.constant(LR),
    "exponential": lk.exponential(LR, 0.995),
    "time-based": lk.inverse_time(LR, 0.01),
    "staircase": lk.step_decay(LR, 0.5, STAIR),
}


def with_lrkern(kind: str) -> tuple[Any, list[Any]]:
    """The same."""
    if kind in SCHEDULES:
        # Stairs never end, and each is a piece of its own: more steps than the runs have are enough.
        return lrkern.keras.Schedule(SCHEDULES[kind], horizon=10_000), []
    return LR, [lrkern.keras.LossDriven(0.9)]


KINDS = [*SCHEDULES, "loss-driven"]
WAYS: dict[str, Callable[[str], tuple[Any, list[Any]]]] = {"Keras": by_hand, "lrkern": with_lrkern}


class Rates(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the learning rate at the beginning of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before the first update."""
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


class Run(NamedTuple):
    """What happened in one training run."""

    rates: list[float]
    """At the beginning of each epoch."""
    losses: list[float]
    accuracies: list[float]
    """On the test data."""


def train(task: Task, way: str, kind: str, epochs: int = EPOCHS) -> Run:
    """Train a new network."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((task.x.shape[1],)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(int(task.y.max()) + 1),
        ]
    )
    rate, callbacks = WAYS[way](kind)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, metrics=["accuracy"])
    noted, test = Rates(), (task.test_x, task.test_y)
    history = model.fit(task.x, task.y, BATCH, epochs, verbose=0, validation_data=test, callbacks=[noted, *callbacks]).history
    return Run(noted.rates, history["loss"], history["val_accuracy"])


def draw(runs: dict[tuple[str, str, str], Run]) -> Any:
    """The rates and accuracies of all runs: lines for lrkern, dots for Keras."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(task for task, _, _ in runs))
    figure = Figure(figsize=(9.0, 3.0 * len(names)), dpi=110, layout="constrained")
    for row, name in zip(figure.subplots(len(names), 2, squeeze=False), names, strict=True):
        for k, kind in enumerate(KINDS):
            for what, axes in zip(("rates", "accuracies"), row, strict=True):
                axes.plot(getattr(runs[name, "lrkern", kind], what), color=f"C{k}", lw=1.5, label=kind)
                axes.plot(getattr(runs[name, "Keras", kind], what), ".", color=f"C{k}")
        row[0].set(title=f"{name}: learning rate", yscale="log")
        row[1].set(title=f"{name}: test accuracy")
        for axes in row:
            axes.set_xlabel("epoch")
    row[0].legend(fontsize="small", title="lines: lrkern, dots: Keras", title_fontsize="small")
    return figure


def main(epochs: int = EPOCHS, out: str | None = None) -> dict[tuple[str, str, str], Run]:
    """All runs; prints a table, and draws a picture into a file."""
    runs = {}
    for task in tasks():
        for kind in KINDS:
            for way in WAYS:
                run = runs[task.name, way, kind] = train(task, way, kind, epochs)
                shown = " ".join(f"{100 * one:3.0f}" for one in run.accuracies)
                print(f"{task.name:20}{kind:12}{way:8}{shown}")
    apart = max(
        abs(one - other)
        for (task, way, kind), run in runs.items()
        for one, other in zip(run.losses, runs[task, "Keras", kind].losses, strict=True)
        if way == "lrkern"
    )
    print(f"largest difference of a loss: {apart:.1g}")
    if out is not None:
        draw(runs).savefig(out, facecolor="white")
    return runs


if __name__ == "__main__":
    main(out=sys.argv[1] if len(sys.argv) > 1 else "keras_mlp.png")
