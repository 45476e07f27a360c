"""A training loop compiled as one function: gradients, schedule and optimizer steps without a way back to Python.

Softmax regression on scikit-learn's handwritten digits, with AdamW in mini-batches and a warm-up cosine as its learning rate:

    python examples/numba_training_loop.py [EPOCHS]

The same loop is run twice: as one function that Numba compiles, and with the same compiled gradients, but the schedule and the
steps called from Python. Both give the same parameters, to the last bit; printed is how long they take.
"""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np
from numba import njit
from sklearn.datasets import load_digits

import lrkern as lk
import lrkern.numba as ln

BATCH = 32


@njit
def gradients(images, labels, weights, bias, weights_grad, bias_grad):
    """Cross-entropy of a batch, and its gradients."""
    weights_grad[:] = 0
    bias_grad[:] = 0
    loss = 0.0
    share = np.float32(1.0 / len(labels))
    for k in range(len(labels)):
        image, label = images[k], labels[k]
        scores = bias + image @ weights
        scores -= scores.max()
        chances = np.exp(scores)
        chances /= chances.sum()
        loss -= np.log(chances[label]) / len(labels)
        chances[label] -= np.float32(1.0)
        chances *= share
        bias_grad += chances
        for i in range(len(image)):
            if image[i] != 0:
                weights_grad[i] += image[i] * chances
    return loss


@njit
def train(images, labels, weights, bias, plan, epochs):
    """Train; all of it in here."""
    weights_grad, bias_grad = np.empty_like(weights), np.empty_like(bias)
    weights_m, weights_v = np.zeros_like(weights), np.zeros_like(weights)
    bias_m, bias_v = np.zeros_like(bias), np.zeros_like(bias)
    loss, count = 0.0, 0
    for _ in range(epochs):
        for begin in range(0, len(labels), BATCH):
            batch = slice(begin, begin + BATCH)
            loss = gradients(images[batch], labels[batch], weights, bias, weights_grad, bias_grad)
            lr = ln.at(plan, count)
            ln.adamw_step(weights, weights_grad, weights_m, weights_v, count=count, lr=lr)
            ln.adamw_step(bias, bias_grad, bias_m, bias_v, count=count, lr=lr)
            count += 1
    return loss


def train_from_python(images, labels, weights, bias, schedule, epochs):
    """The same loop, where each batch goes back to Python."""
    weights_grad, bias_grad = np.empty_like(weights), np.empty_like(bias)
    optimizer = lk.AdamW([weights, bias], schedule)
    optimizer.bind([weights_grad, bias_grad])
    loss = 0.0
    for _ in range(epochs):
        for begin in range(0, len(labels), BATCH):
            batch = slice(begin, begin + BATCH)
            loss = gradients(images[batch], labels[batch], weights, bias, weights_grad, bias_grad)
            optimizer.step()
    return loss


def timed(function, *arguments):
    """(seconds, result) of the quickest of three calls; each begins with parameters of its own."""
    times = []
    for _ in range(3):
        weights, bias = np.zeros((64, 10), np.float32), np.zeros(10, np.float32)
        begin = perf_counter()
        loss = function(*arguments[:2], weights, bias, *arguments[2:])
        times.append(perf_counter() - begin)
    return min(times), (loss, weights, bias)


def main(epochs=30):
    """Train both ways, compare."""
    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target
    steps = epochs * -(-len(labels) // BATCH)
    schedule = lk.cosine(1e-2, 0.0, steps - steps // 10).warmup(steps // 10)

    compiled, (loss, weights, bias) = timed(train, images, labels, schedule.plan(), epochs)
    called, (other_loss, other_weights, other_bias) = timed(train_from_python, images, labels, schedule, epochs)
    assert loss == other_loss
    assert weights.tobytes() == other_weights.tobytes()
    assert bias.tobytes() == other_bias.tobytes()

    right = np.mean((images @ weights + bias).argmax(1) == labels)
    print(f"{steps} steps, loss {loss:.4f}, {right:.1%} of the digits right, the same bits both ways")
    print(f"compiled as one function   {compiled / steps * 1e6:8.2f} us a step")
    print(f"called from Python         {called / steps * 1e6:8.2f} us a step, {called / compiled:.2f} times as long")
    return right


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
