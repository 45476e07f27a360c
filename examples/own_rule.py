"""An optimizer of one's own: Grams, written in ten lines, learns to read handwritten digits.

Grams (arXiv 2412.17107) takes the size of a step from Adam and its direction from the gradient. lrkern compiles the formula and
updates all arrays in one pass. If torch is installed, it also trains a network of torch, and the same step is measured against
torch's operations: eagerly, one after the other, and compiled (torch.compile needs a C++ compiler, and a minute for it).

    python examples/own_rule.py        # needs: pip install 'lrkern[demo,numba,torch]'; without torch it does not measure
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


def digits_in_torch(torch: Any) -> float:
    """The same with a network of torch, whose parameters the rule updates."""
    from sklearn.datasets import load_digits

    import lrkern.torch as lt

    pictures, labels = (torch.from_numpy(one) for one in load_digits(return_X_y=True))
    x = (pictures / 16).float()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
    steps = 200
    opt = lt.rule_optimizer(grams)(model.parameters(), lr=lk.cosine(0.02, 0.0, steps))
    for _ in range(steps):
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        opt.step()
    return float((model(x).argmax(1) == labels).float().mean())


def in_torch(torch: Any, params: list[Any], grads: list[Any], compiled: bool) -> Callable[[], Any]:
    """One step of the same formula with torch's operations."""
    states = [(torch.zeros_like(one), torch.zeros_like(one)) for one in params]
    count = 0

    def update(step: Any, root: Any) -> None:
        for p, g, (m, v) in zip(params, grads, states, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_((m * step / (v.sqrt() * root + 1e-8)).abs_() * g.sign())

    made = torch.compile(update) if compiled else update

    @torch.no_grad()
    def run() -> None:
        nonlocal count
        count += 1
        # As tensors: numbers would be compiled into the code.
        made(torch.tensor(1e-3 / (1 - 0.9**count)), torch.tensor((1 - 0.999**count) ** -0.5))

    return run


def with_lrkern(torch: Any, params: list[Any], grads: list[Any]) -> Callable[[], Any]:
    """One step of the rule over the same tensors."""
    import lrkern.torch as lt

    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    return lt.rule_optimizer(grams)(params).step


def race(torch: Any, tensors: int = 160, rounds: int = 30) -> dict[str, tuple[float, list[Any]]]:
    """The least time of a step over tensors of 64 x 64, and the parameters at the end, of each contestant. They take turns."""
    torch.manual_seed(0)
    first, grads = ([torch.randn(64, 64) for _ in range(tensors)] for _ in range(2))
    runs: dict[str, Callable[[], Any]] = {}
    params = {name: [one.clone() for one in first] for name in ("lrkern", "torch, eager", "torch.compile")}
    runs["lrkern"] = with_lrkern(torch, params["lrkern"], grads)
    for name in ("torch, eager", "torch.compile"):
        runs[name] = in_torch(torch, params[name], grads, compiled=name == "torch.compile")
    for name, run in [*runs.items()]:
        start = perf_counter()
        try:
            run()
        except Exception as error:  # no C++ compiler
            print(f"{name} cannot run: {str(error).splitlines()[0]}")
            del runs[name]
        else:
            print(f"{name:14} {perf_counter() - start:8.2f} s for the first step")
    times = {name: float("inf") for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            for again in range(3):  # the first of them finds the caches full of the other contestants' arrays
                start = perf_counter()
                run()
                if again:
                    times[name] = min(times[name], perf_counter() - start)
    return {name: (time, params[name]) for name, time in times.items()}


def main() -> int:
    """Train, then measure."""
    print(grams.formula())
    read = digits()
    print(f"\ndigits: {read:.1%} of the pictures are read correctly")
    try:
        import torch
    except ImportError:
        print("torch is not installed: no comparison.")
        return 0 if read > 0.95 else 1
    read = min(read, in_model := digits_in_torch(torch))
    print(f"digits: {in_model:.1%} with a network of torch\n")
    found = race(torch)
    own, _ = found["lrkern"]
    for name, (time, _) in found.items():
        print(f"{name:14} {time * 1e6:8.0f} us a step" + (f", {time / own:.1f} times as long" if name != "lrkern" else ""))
    return 0 if read > 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
