"""An optimizer of one's own: Grams, written in ten lines, learns to read handwritten digits.

Grams (arXiv 2412.17107) takes the size of a step from Adam and its direction from the gradient. lrkern compiles the formula and
updates all arrays in one pass. If torch is installed, the same formula is then measured against torch: eagerly, one operation
after the other, and compiled.

    python examples/own_rule.py        # needs: pip install 'lrkern[demo,numba]'; with torch it measures as well
"""

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import lrkern as lk
from lrkern.rules import abs, fma, n, sign, sqrt


@lk.rule("exp_avg", "exp_avg_sq")
def grams(p, g, exp_avg, exp_avg_sq, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):  # type: ignore[no-untyped-def]
    """Grams, arXiv 2412.17107."""
    m = fma(beta1, exp_avg, (1 - beta1) * g)
    v = fma((1 - beta2) * g, g, beta2 * exp_avg_sq)
    u = m / (1 - beta1**n) / (sqrt(v / (1 - beta2**n)) + eps)
    return p - (lr * weight_decay * p + lr * (abs(u) * sign(g))), m, v


def digits() -> float:
    """Train a softmax regression; returns the part of the pictures that it reads correctly."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    x, wanted = (pictures / 16).astype(np.float32), np.eye(10, dtype=np.float32)[labels]
    params = {"w": np.zeros((64, 10), np.float32), "b": np.zeros(10, np.float32)}
    steps = 200
    opt = grams.Optimizer(params, lr=lk.cosine(0.05, 0.0, steps))
    for _ in range(steps):
        scores = x @ params["w"] + params["b"]
        chances = np.exp(scores - scores.max(1, keepdims=True))
        error = (chances / chances.sum(1, keepdims=True) - wanted) / len(x)
        opt.step({"w": x.T @ error, "b": error.sum(0)})
    return float(((x @ params["w"] + params["b"]).argmax(1) == labels).mean())


def in_torch(torch: Any, params: list[Any], grads: list[Any], compiled: bool) -> Callable[[], None]:
    """One step of the same formula with torch's operations."""
    states = [(torch.zeros_like(one), torch.zeros_like(one)) for one in params]
    count = 0

    def update(step: Any, root: Any) -> None:
        for p, g, (m, v) in zip(params, grads, states, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_((m * step / (v.sqrt() * root + 1e-8)).abs_() * g.sign())

    made = torch.compile(update) if compiled else update

    def run() -> None:
        nonlocal count
        count += 1
        # As tensors: numbers would be compiled into the code.
        made(torch.tensor(1e-3 / (1 - 0.9**count)), torch.tensor((1 - 0.999**count) ** -0.5))

    return run


def seconds(run: Callable[[], None], rounds: int = 30) -> float:
    """The least time of a call."""
    times = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


def race() -> None:
    """160 tensors of 64 x 64: lrkern against torch."""
    try:
        import torch
    except ImportError:
        print("torch is not installed: no comparison.")
        return
    generator = np.random.default_rng(0)
    first = [generator.standard_normal((64, 64)).astype(np.float32) for _ in range(160)]
    grads = [generator.standard_normal((64, 64)).astype(np.float32) for _ in range(160)]
    opt = grams.Optimizer([one.copy() for one in first])
    opt.bind(grads)
    own = seconds(opt.step)
    print(f"lrkern         {own * 1e6:8.0f} us")
    tensors = [[torch.from_numpy(one.copy()) for one in some] for some in (first, grads)]
    for name, compiled in (("torch, eager", False), ("torch.compile", True)):
        if compiled and "--compile" not in sys.argv:
            continue
        with torch.no_grad():
            run = in_torch(torch, *tensors, compiled)
            run()
            time = seconds(run)
        print(f"{name:14} {time * 1e6:8.0f} us, {time / own:.1f} times as long")


def main() -> int:
    """Train, then measure."""
    print(grams.formula())
    read = digits()
    print(f"\ndigits: {read:.1%} of the pictures are read correctly")
    race()
    return 0 if read > 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
