"""What a GPU's first step needs most often: the kernels of these steps are in the package as PTX."""

from __future__ import annotations

import inspect

import numpy as np
from device_steps import BF16, bits, host, on_device  # with the fake device, before a compiler looks for a driver

# isort: split
import lrkern as lk
from lrkern.optimizers import base

OFTEN = {"SGD": {"momentum": 0.9}, "Adam": {}, "AdamW": {}, "Lion": {}}
"""The optimizers that are used most."""

OPTIONS = {
    "clip_norm": {"clip_norm": 1.0},
    "clip_per": {"clip_norm": 1.0, "clip_per": "tensor"},
    "ema": {"ema": 0.9},
    "zero_grad": {"zero_grad": True},
}
"""Options that are tried with them."""

CLASSES = {
    name: one
    for name, one in inspect.getmembers(lk, inspect.isclass)
    if issubclass(one, base.Optimizer) and one is not base.Optimizer
}

CASES = {
    **{name: (name, np.float32, {}) for name in CLASSES},
    "SGD, momentum": ("SGD", np.float32, OFTEN["SGD"]),
    **{
        f"{name}, {np.dtype(dtype).name}": (name, dtype, given)
        for name, given in OFTEN.items()
        for dtype in (np.float64, np.float16, BF16)
    },
    **{
        f"{name}, {option}": (name, np.float32, {**given, **more})
        for name, given in OFTEN.items()
        for option, more in OPTIONS.items()
    },
}


def given(options):
    """Options, with a learning rate where the class has no default."""
    return {"lr": lk.cosine(0.1, 0.0, 10), **options}


def run(name):
    """Two steps on the device, and the same in C: (the bytes of all results there, here)."""
    kind, dtype, options = CASES[name]
    rng = np.random.default_rng(0)
    start, grads = ([rng.standard_normal(size).astype(dtype) for size in (5, 1030)] for _ in range(2))
    found = []
    for place in (on_device, np.copy):
        params, arrays = ([place(one) for one in some] for some in (start, grads))
        optimizer = CLASSES[kind](params, **given(options))
        for _ in range(2):
            optimizer.step(arrays)
            arrays = [place(one) for one in grads]
        state = [value for one in optimizer.state_dict().values() if isinstance(one, list) for value in one]
        kept = [bits(one) for one in state if isinstance(one, np.ndarray)]
        found.append([bits(host(one) if place is on_device else one) for one in params] + kept)
    lk.cosine(0.1, 0.0, 10).table(11, backend="cuda")
    return found
