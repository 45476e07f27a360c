"""Handwritten digits, trained twice: by hand, and with lrkern.

A network of 64 inputs, 64 hidden units and 10 outputs learns to read scikit-learn's 8 x 8 pictures of digits.
Everything is plain NumPy. The first run uses a learning rate and a momentum update as one would write them by hand,
the second lets lrkern do both. Same data, same start, same batches: the two runs have to agree.

    python examples/numpy_digits.py        # needs: pip install 'lrkern[demo]'
"""

import math
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import lrkern as lk

Floats = NDArray[np.float64]
Params = dict[str, Floats]

PEAK_LR = 0.1
WARMUP = 0.05  # part of all steps
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-3
HIDDEN = 64
BATCH = 32


# ------------------------------------------------------------------------------------------------ learning rate, update
# An optimizer is made from the parameters and the arrays that receive their gradients; every call of it is one step.


def learning_rate(t: int, steps: int) -> float:
    """Warm-up and cosine as one writes them by hand."""
    warmup = int(WARMUP * steps)
    if t < warmup:
        return PEAK_LR * t / warmup
    return PEAK_LR * (1 + math.cos(math.pi * (t - warmup) / (steps - warmup))) / 2


def by_hand(params: Params, grads: Params, steps: int) -> Callable[[], None]:
    """Weight decay and momentum as NumPy expressions."""
    buffers = {name: np.zeros_like(param) for name, param in params.items()}
    count = 0

    def step() -> None:
        nonlocal count
        lr = learning_rate(count, steps)
        for name, param in params.items():
            grad = grads[name] + WEIGHT_DECAY * param
            buffers[name] = MOMENTUM * buffers[name] + grad
            param -= lr * buffers[name]
        count += 1

    return step


def schedule(steps: int) -> lk.Schedule:
    """The same learning rate as an expression."""
    warmup = int(WARMUP * steps)
    return lk.cosine(PEAK_LR, 0.0, steps - warmup).warmup(warmup)


def with_lrkern(params: Params, grads: Params, steps: int) -> Callable[[], None]:
    """The same step as one pass over all arrays."""
    optimizer = lk.SGD(params, lr=schedule(steps), momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    optimizer.bind(grads)  # the gradients are always written to the same arrays, so they are named once
    return optimizer.step


OPTIMIZERS = {"by hand": by_hand, "lrkern": with_lrkern}


# --------------------------------------------------------------------------------------------------------- the network


def new_params(rng: np.random.Generator) -> Params:
    return {
        "w1": rng.normal(0.0, 1 / math.sqrt(64), (64, HIDDEN)),
        "b1": np.zeros(HIDDEN),
        "w2": rng.normal(0.0, 1 / math.sqrt(HIDDEN), (HIDDEN, 10)),
        "b2": np.zeros(10),
    }


def forward(params: Params, images: Floats) -> tuple[Floats, Floats]:
    """Return the hidden activations and the logarithm of each digit's probability."""
    hidden = np.tanh(images @ params["w1"] + params["b1"])
    scores = hidden @ params["w2"] + params["b2"]
    scores -= scores.max(axis=1, keepdims=True)
    return hidden, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def backward(params: Params, grads: Params, images: Floats, labels: NDArray[np.int64]) -> float:
    """Write the gradients of the mean cross-entropy into `grads`; return that loss."""
    hidden, log_probs = forward(params, images)
    rows = np.arange(len(labels))

    d_scores = np.exp(log_probs)
    d_scores[rows, labels] -= 1
    d_scores /= len(labels)
    d_hidden = (d_scores @ params["w2"].T) * (1 - hidden**2)

    np.matmul(hidden.T, d_scores, out=grads["w2"])
    np.sum(d_scores, axis=0, out=grads["b2"])
    np.matmul(images.T, d_hidden, out=grads["w1"])
    np.sum(d_hidden, axis=0, out=grads["b1"])
    return -float(log_probs[rows, labels].mean())


# --------------------------------------------------------------------------------------------------------- the training


class Digits(NamedTuple):
    train_images: Floats
    train_labels: NDArray[np.int64]
    test_images: Floats
    test_labels: NDArray[np.int64]


def load_digits() -> Digits:
    """The 1797 pictures, scaled to -1 ... 1 and shuffled, always the same way; one in five is kept for the test."""
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order] / 8 - 1, labels[order]
    n_test = len(images) // 5
    return Digits(images[n_test:], labels[n_test:], images[:n_test], labels[:n_test])


class Epoch(NamedTuple):
    loss: float  # mean over the epoch's batches
    accuracy: float  # on the test pictures
    update_seconds: list[float]  # of each optimizer step, learning rate included
    step_seconds: list[float]  # of each step as a whole
    params: Params


def train(how: str, digits: Digits, epochs: int, seed: int) -> Iterator[Epoch]:
    """Train with `OPTIMIZERS[how]` and yield a report after every epoch."""
    rng = np.random.default_rng(seed)
    params = new_params(rng)
    grads = {name: np.zeros_like(param) for name, param in params.items()}
    n_batches = len(digits.train_images) // BATCH
    optimizer_step = OPTIMIZERS[how](params, grads, epochs * n_batches)

    for _ in range(epochs):
        losses, update_seconds, step_seconds = [], [], []
        order = rng.permutation(len(digits.train_images))
        for batch in order[: n_batches * BATCH].reshape(n_batches, BATCH):
            images, labels = digits.train_images[batch], digits.train_labels[batch]
            began = perf_counter()
            losses.append(backward(params, grads, images, labels))
            computed = perf_counter()
            optimizer_step()
            ended = perf_counter()
            update_seconds.append(ended - computed)
            step_seconds.append(ended - began)
        guesses = forward(params, digits.test_images)[1].argmax(axis=1)
        accuracy = float((guesses == digits.test_labels).mean())
        yield Epoch(float(np.mean(losses)), accuracy, update_seconds, step_seconds, params)


if __name__ == "__main__":
    from lrkern.cli.demo import main

    main(sys.modules[__name__])  # progress bars, a table and a picture
