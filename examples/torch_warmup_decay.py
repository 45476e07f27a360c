"""Warm-up and linear decay in PyTorch, on handwritten digits: once with torch's objects by hand, once with lrkern.

Three rates are compared: the warm-up as it is often written, which holds the full rate and then falls by `lr_step * step`; a
true warm-up, which rises from 0; and, after the same warm-up, a decay by a fraction of the first rate. By hand each is a
function for LambdaLR, which has to be stepped, saved and loaded along with the optimizer; in lrkern it is a schedule that the
optimizer takes as its `lr`. Both runs have the same losses. Rates, losses and accuracies are printed and drawn.

    python examples/torch_warmup_decay.py [picture.png]        # needs: pip install 'lrkern[torch,demo]'
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn import datasets
from torch import nn

import lrkern as lk
from lrkern import torch as lt
from lrkern.dialects import textbook

EPOCHS, BATCH = 10, 64
INITIAL_LR, FINAL_LR, DECAY_RATE = 0.2, 0.002, 0.9
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4


class Digits(NamedTuple):
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor


class Run(NamedTuple):
    rates: list[float]  # of each step
    losses: list[float]
    accuracies: list[float]  # of each epoch, on the test pictures


def load_digits() -> Digits:
    """The 1797 pictures of 8 x 8, scaled to -1 ... 1 and shuffled; one in five is kept for the test."""
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x, y = torch.from_numpy(images[order] / 8 - 1), torch.from_numpy(labels[order])
    n = len(x) // 5
    return Digits(x[n:], y[n:], x[:n], y[:n])


# ------------------------------------------------------------------------------------------------------------ by hand


def hold_then_decay(step: int, warmup_steps: int, total_steps: int) -> float:
    """The warm-up as often written: the rate is held, then falls from step 0 on: it jumps, and ends below the final rate."""
    if step < warmup_steps:
        return INITIAL_LR
    lr_step = (FINAL_LR - INITIAL_LR) / (total_steps - warmup_steps)
    return max(0.0, INITIAL_LR + lr_step * step)


def rise_then_decay(step: int, warmup_steps: int, total_steps: int) -> float:
    """A true warm-up: the rate rises from 0, then falls to the final rate."""
    if step < warmup_steps:
        return INITIAL_LR * step / warmup_steps
    return INITIAL_LR + (FINAL_LR - INITIAL_LR) * (step - warmup_steps) / (total_steps - warmup_steps)


def decay_by_fraction(step: int, warmup_steps: int, total_steps: int) -> float:
    """After a true warm-up the rate loses the fraction DECAY_RATE of itself, but is never below the final rate."""
    if step < warmup_steps:
        return INITIAL_LR * step / warmup_steps
    return max(FINAL_LR, INITIAL_LR * (1 - DECAY_RATE * (step - warmup_steps) / (total_steps - warmup_steps)))


def with_torch(model: nn.Module, rate: Callable[[int], float]) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
    """An optimizer and its scheduler: the factor of LambdaLR is the rate itself, as the optimizer's own is 1."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    return optimizer, scheduler.step


# -------------------------------------------------------------------------------------------------------- with lrkern


def schedules(warmup_steps: int, total_steps: int) -> dict[str, tuple[Callable[[int, int, int], float], lk.Schedule]]:
    """Each rate as a function and as a schedule."""
    hold = textbook.hold_then_linear(INITIAL_LR, FINAL_LR, warmup_steps, total_steps).clip(0.0, INITIAL_LR)
    rise = lk.linear(INITIAL_LR, FINAL_LR, total_steps - warmup_steps).warmup(warmup_steps)
    fraction = textbook.linear_fraction(INITIAL_LR, DECAY_RATE, total_steps - warmup_steps)
    fraction = fraction.clip(low=FINAL_LR).warmup(warmup_steps)
    return {
        "hold, then decay": (hold_then_decay, hold),
        "warm-up, then decay": (rise_then_decay, rise),
        "decay by a fraction": (decay_by_fraction, fraction),
    }


def with_lrkern(model: nn.Module, rate: lk.Schedule) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
    """An optimizer that follows the schedule: there is nothing else to step."""
    optimizer = lt.SGD(model.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return optimizer, lambda: None


# ------------------------------------------------------------------------------------------------------------ training


def train(digits: Digits, make: Callable[[nn.Module], tuple[torch.optim.Optimizer, Callable[[], None]]]) -> Run:
    """Train a small network; the start and the batches are always the same."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)).double()
    optimizer, step_rate = make(model)
    run, generator = Run([], [], []), torch.Generator().manual_seed(1)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(digits.train_images), generator=generator).split(BATCH):
            run.rates.append(optimizer.param_groups[0]["lr"])
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(digits.train_images[batch]), digits.train_labels[batch])
            loss.backward()
            optimizer.step()
            step_rate()
            run.losses.append(loss.item())
        with torch.no_grad():
            right = model(digits.test_images).argmax(1) == digits.test_labels
        run.accuracies.append(right.double().mean().item())
    return run


def compare() -> dict[str, tuple[Run, Run]]:
    """Each rate by hand and with lrkern."""
    digits = load_digits()
    total = EPOCHS * -(-len(digits.train_images) // BATCH)
    warmup, found = total // 10, {}
    for name, (function, schedule) in schedules(warmup, total).items():
        by_hand = train(digits, lambda model, f=function: with_torch(model, lambda t: f(t, warmup, total)))
        found[name] = by_hand, train(digits, lambda model, s=schedule: with_lrkern(model, s))
    return found


def draw(found: dict[str, tuple[Run, Run]], path: str) -> None:
    """Rate, loss and accuracy: by hand as lines, with lrkern as dots on them."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for k, (name, runs) in enumerate(found.items()):
        for run, style in zip(runs, ({"lw": 1.5, "label": name}, {"ls": "", "marker": ".", "ms": 4}), strict=True):
            every = 1 if run is runs[0] else 6
            smooth = np.convolve(run.losses, np.full(10, 0.1), "valid")
            axes[0].plot(range(0, len(run.rates), every), run.rates[::every], color=f"C{k}", **style)
            axes[1].semilogy(range(0, len(smooth), every), smooth[::every], color=f"C{k}", **style)
            axes[2].plot(range(1, EPOCHS + 1), run.accuracies, color=f"C{k}", **style)
    for axis, (title, label) in zip(
        axes, (("learning rate", "step"), ("loss, mean of 10 steps", "step"), ("test accuracy", "epoch")), strict=True
    ):
        axis.set(title=title, xlabel=label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[2].legend(loc="lower right", title="lines: torch by hand; dots: lrkern", frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    found = compare()
    print(f"{'rate':22} {'last loss':>10} {'accuracy':>9}   largest difference of losses")
    for name, (by_hand, ours) in found.items():
        apart = max(abs(a - b) / abs(a) for a, b in zip(by_hand.losses, ours.losses, strict=True))
        print(f"{name:22} {ours.losses[-1]:10.4f} {ours.accuracies[-1]:9.1%}   {apart:.1e}")
    draw(found, sys.argv[1] if len(sys.argv) > 1 else "torch_warmup_decay.png")


if __name__ == "__main__":
    main()
