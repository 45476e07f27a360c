"""Every optimizer on handwritten digits: the table of docs/implementations.md.

python -m bench.convergence            # the table
python -m bench.convergence --write    # the same, written into the page
python -m bench.convergence --quick    # a few steps of each: does everything run?

The network of examples/numpy_digits.py, from the same start, on the same batches, with a cosine from the learning rate to 0.
Each optimizer tries five learning rates; the table shows the one with the lowest loss.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lrkern as lk
from lrkern.cli.digits import BATCH, Digits, backward, forward, load_digits, new_params

PAGE = Path(__file__).parent.parent / "docs" / "implementations.md"
BEGIN, END = "<!-- convergence:begin, written by python -m bench.convergence --write -->", "<!-- convergence:end -->"

EPOCHS = 10
SEEDS = (0, 1, 2)
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)

# name -> the learning rate in the middle of those tried, options other than the defaults
OPTIMIZERS: dict[str, tuple[float, dict[str, Any]]] = {
    "SGD": (0.3, {"momentum": 0.9}),
    "Adam": (0.03, {}),
    "AdamW": (0.03, {"weight_decay": 0.01}),
    "Lion": (0.003, {}),
    "RMSprop": (0.01, {}),
    "Adagrad": (0.1, {}),
    "LARS": (1.0, {"trust": 0.01}),
    "LAMB": (0.03, {}),
    "Signum": (0.01, {}),
    "Tiger": (0.003, {}),
    "Rprop": (0.03, {}),
    "AdaBelief": (0.03, {}),
    "Adamax": (0.1, {}),
    "RAdam": (0.1, {}),
    "LaProp": (0.03, {}),
    "ADOPT": (0.1, {"beta2": 0.99}),
    "AdEMAMix": (0.01, {"beta3": 0.99, "alpha": 2.0}),
    "Adan": (0.1, {}),
    "Adadelta": (30.0, {}),
    "NAdam": (0.03, {}),
    "ASGD": (1.0, {"t0": 200.0}),
    "StableAdamW": (0.03, {}),
    "MARS": (0.03, {}),
    "NovoGrad": (0.1, {}),
    "ScheduleFreeSGD": (1.0, {}),
    "ScheduleFreeAdamW": (0.1, {}),
    "ScheduleFreeRAdam": (0.3, {}),
}


class Outcome(NamedTuple):
    """After training: the mean over the seeds."""

    lr: float
    loss: float
    """Of all training pictures."""
    accuracy: float
    """On the test pictures."""


def train(name: str, lr: float, digits: Digits, epochs: int, seed: int) -> tuple[float, float]:
    """The loss of the training pictures and the accuracy on the test pictures."""
    rng = np.random.default_rng(seed)
    params = new_params(rng)
    grads = {key: np.zeros_like(param) for key, param in params.items()}
    n_batches = len(digits.train_images) // BATCH
    optimizer = getattr(lk, name)(params, lk.cosine(lr, 0.0, epochs * n_batches), **OPTIMIZERS[name][1])
    optimizer.bind(grads)
    for _ in range(epochs):
        order = rng.permutation(len(digits.train_images))
        for batch in order[: n_batches * BATCH].reshape(n_batches, BATCH):
            backward(params, grads, digits.train_images[batch], digits.train_labels[batch])
            optimizer.step()
    loss = backward(params, grads, digits.train_images, digits.train_labels)
    guesses = forward(params, digits.test_images)[1].argmax(axis=1)
    return loss, float((guesses == digits.test_labels).mean())


def outcome(name: str, lr: float, digits: Digits, epochs: int = EPOCHS, seeds: tuple[int, ...] = SEEDS) -> Outcome:
    """At one learning rate. A loss that is not a number counts as infinite."""
    runs = np.array([train(name, lr, digits, epochs, seed) for seed in seeds])
    loss, accuracy = np.where(np.isfinite(runs), runs, np.inf).mean(axis=0)
    return Outcome(lr, float(loss), float(accuracy))


def outcomes(name: str, digits: Digits, epochs: int = EPOCHS, seeds: tuple[int, ...] = SEEDS) -> list[Outcome]:
    """At each of the learning rates."""
    with np.errstate(all="ignore"):  # the largest may diverge
        return [outcome(name, float(f"{factor * OPTIMIZERS[name][0]:.3g}"), digits, epochs, seeds) for factor in FACTORS]


def table(epochs: int = EPOCHS, seeds: tuple[int, ...] = SEEDS) -> str:
    """The optimizers, the lowest loss first."""
    digits = load_digits()
    best = {name: min(outcomes(name, digits, epochs, seeds), key=lambda one: one.loss) for name in OPTIMIZERS}
    rows = ["| optimizer | options | learning rates | best | loss | accuracy |", "| --- | --- | --- | --- | --- | --- |"]
    for name, found in sorted(best.items(), key=lambda pair: pair[1].loss):
        middle, options = OPTIMIZERS[name]
        shown = ", ".join(f"`{key}={value}`" for key, value in options.items())
        rates = f"{FACTORS[0] * middle:.3g} to {FACTORS[-1] * middle:.3g}"
        rows.append(f"| {name} | {shown} | {rates} | {found.lr:g} | {found.loss:.2e} | {100 * found.accuracy:.1f} % |")
    return "\n".join(rows)


def written(text: str, rows: str) -> str:
    """The page with this table."""
    new, count = re.subn(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{rows}\n{END}", text, flags=re.S)
    if count != 1:
        raise ValueError(f"the page needs one line {BEGIN!r} and one {END!r}; found {count}")
    return new


def main(arguments: list[str]) -> None:
    """Print the table, or write it."""
    rows = table(1, SEEDS[:1]) if "--quick" in arguments else table()
    if "--write" in arguments:
        PAGE.write_text(written(PAGE.read_text(), rows))
    else:
        print(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
