"""Checks and measurements of lrkern.cuda that need a GPU: `python -m bench.gpu`.

Needs `pip install 'lrkern[cuda,bfloat16]' torch`, or `cuda-mlir` for the other compiler (LRKERN_CUDA_COMPILER selects it).
Checks come first, and a failed one ends the run: the bits of every rule and storage against the C kernels, gradients of rows,
tables, a captured graph over 10,000 steps of a cosine; and compute-sanitizer on some of the first, if it is installed and can
access the device. Then the figures follow, each with its target. --save keeps them as
bench/results/gpu-<device>-<compiler>.json. Compiling takes most of the time, some minutes; `--only` runs a part.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import lrkern as lk
from lrkern._optional import installed
from lrkern.backends.cuda_compiler import chosen

torch: Any = import_module("torch")

RESULTS = Path(__file__).parent / "results"
LARGE = 1 << 28
ROUNDS, REPEATS = 9, 10

SIZES = [0, 1, 3, 4, 5, 1023, 1024, 1025, 8191, 8192, 8193, 100_003]
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "Adam": {"weight_decay": 0.1},
    "AdamW": {"amsgrad": True, "lr": lk.cosine(1e-2, 1e-3, 10)},
    "Lion": {"weight_decay": 0.1},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Adagrad": {"lr_decay": 0.1},
    "LARS": {"lr": 0.1, "weight_decay": 0.01},
    "LAMB": {"weight_decay": 0.01},
}
STORAGES: dict[str, tuple[torch.dtype, torch.dtype, dict[str, Any]]] = {
    "float32": (torch.float32, torch.float32, {}),
    "float64": (torch.float64, torch.float64, {}),
    "bfloat16": (torch.bfloat16, torch.bfloat16, {}),
    "float16": (torch.float16, torch.float16, {"state_dtype": "float16"}),
    "split": (torch.bfloat16, torch.bfloat16, {"rounding": "split"}),
    "stochastic": (torch.bfloat16, torch.bfloat16, {"rounding": "stochastic", "state_dtype": "bfloat16", "seed": 3}),
    "mixed": (torch.float32, torch.bfloat16, {}),
}
LAYERWISE = "LARS", "LAMB"
"""Rules without support for gradients of rows."""
PAIRS = {(1000, 64): 5000, (77, 3): 300, (50_000,): 100_000, (5, 1030): 40, (3, 8): 0, (100, 2): None}
"""Shapes of parameters, and the number of entries of their gradients; None: dense gradients."""
LOOKED_AT = "SGD", "AdamW", "LAMB"
"""Rules checked with compute-sanitizer: together they perform every kind of memory access."""
_ERRORS_FOUND = 9


# ---------------------------------------------------------------------------------------------------------- correctness


def bits(tensor: Any) -> bytes:
    """Of the elements."""
    return bytes(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())


def check_steps(steps: int = 3, rules: Iterable[str] = OPTIONS) -> int:
    """Every rule in every storage, with the whole pipeline, against the C kernels."""
    done = 0
    torch.manual_seed(0)
    for rule in rules:
        options = OPTIONS[rule]
        for storage, (param, grad, more) in STORAGES.items():
            here = [torch.randn(size).to(param) for size in SIZES]
            there = [tensor.cuda() for tensor in here]
            common = {**options, **more, "ema": 0.9, "clip_norm": 2.0, "skip_nonfinite": True, "zero_grad": True}
            a, b = getattr(lk, rule)(here, **common), getattr(lk, rule)(there, **common)
            for step in range(steps):
                grads = [torch.randn(size).to(grad) for size in SIZES]
                if step == 1:
                    grads[4][0] = torch.inf
                on_device = [tensor.cuda() for tensor in grads]
                a.step(grads, 2.0)
                b.step(on_device, 2.0)
                same_norm = np.float64(a.grad_norm).tobytes() == np.float64(b.grad_norm).tobytes()
                assert same_norm or step == 1, f"{rule}, {storage}: norm {a.grad_norm!r}, not {b.grad_norm!r}"
            for size, x, y in zip(SIZES, here, there, strict=True):
                assert bits(x) == bits(y), f"{rule}, {storage}: parameters of {size} elements differ from those of C"
            assert (b.count, b.skipped) == (a.count, a.skipped) == (steps - 1, 1)
            done += 1
    return done


def check_tables() -> int:
    """Tables against those of C, aligned and unaligned."""
    schedules = [lk.cosine(0.1, 0.0, 100_000).warmup(1000), lk.warm_restarts(1.0, 0.0, 999), lk.inverse_sqrt(0.1, 100)]
    for dtype, kind in ((np.float64, torch.float64), (np.float32, torch.float32)):
        for n in (1, 1023, 1_000_003):
            for schedule in schedules:
                for offset in (0, 1):
                    out = torch.empty(n + 1, dtype=kind, device="cuda")[offset : offset + n]
                    schedule.table(n, start=5, out=out)
                    assert bits(out) == schedule.table(n, start=5, dtype=dtype).tobytes(), f"{schedule}: tables differ"
        many = torch.empty((len(schedules), 10_001), dtype=kind, device="cuda")
        lk.tables(schedules, 10_001, out=many)
        assert bits(many) == lk.tables(schedules, 10_001, dtype=dtype).tobytes()
    return len(schedules)


def check_rows() -> int:
    """A learning rate for each row, against C."""
    for rows, columns in ((1000, 64), (77, 3)):
        lrs: Any = np.linspace(0.0, 0.1, rows)
        here = torch.randn(rows, columns)
        there = here.cuda()
        a, b = lk.SGD([here], lr=lrs, momentum=0.9), lk.SGD([there], lr=lrs, momentum=0.9)
        for _ in range(3):
            grad = torch.randn(rows, columns)
            a.step([grad])
            b.step([grad.cuda()])
        assert bits(here) == bits(there), f"rows of {columns}: parameters differ from those of C"
    return 2


def pairs_of(dtype: torch.dtype) -> list[Any]:
    """Gradients given as (indices, values), like PAIRS."""
    return [
        torch.randn(shape).to(dtype)
        if entries is None
        else (torch.randint(shape[0], (entries,)), torch.randn(entries, *shape[1:]).to(dtype))
        for shape, entries in PAIRS.items()
    ]


def on_device(grads: list[Any]) -> list[Any]:
    """The same on the device."""
    return [tuple(one.cuda() for one in grad) if isinstance(grad, tuple) else grad.cuda() for grad in grads]


def check_pairs(rules: Iterable[str] = OPTIONS) -> int:
    """Gradients as (indices, values), against C: new ones, and ones overwritten between replays of a captured graph."""
    done = 0
    torch.manual_seed(1)
    for rule in (rule for rule in rules if rule not in LAYERWISE):
        for storage, (param, grad, more) in STORAGES.items():
            here = [torch.randn(shape).to(param) for shape in PAIRS]
            there = [tensor.cuda() for tensor in here]
            common = {**OPTIONS[rule], **more, "ema": 0.9, "clip_norm": 2.0, "skip_nonfinite": True, "zero_grad": True}
            a, b = getattr(lk, rule)(here, **common), getattr(lk, rule)(there, **common)
            bound = on_device(pairs_of(grad))
            b.bind(bound)
            graph = None
            for step in range(4):
                grads = pairs_of(grad)
                for old, new in zip(bound, on_device(grads), strict=True):
                    for x, y in zip(old, new, strict=True) if isinstance(old, tuple) else [(old, new)]:
                        x.copy_(y)
                a.step(grads)
                if step == 2:
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph):
                        b.step()
                if graph is None:
                    b.step()
                else:
                    graph.replay()
                assert np.float64(a.grad_norm).tobytes() == np.float64(b.grad_norm).tobytes(), f"{rule}, {storage}: norms"
            for shape, x, y in zip(PAIRS, here, there, strict=True):
                assert bits(x) == bits(y), f"{rule}, {storage}: rows of {shape} differ from those of C"
            assert not any(bool(one.any()) for grad in bound for one in (grad[1:] if isinstance(grad, tuple) else [grad]))
            done += 1
    return done


def check_graph(steps: int = 10_000) -> int:
    """One captured step: it follows the schedule at all steps, bit-identical to C."""
    lr = lk.cosine(0.1, 0.0, steps).warmup(100)
    here, grad = torch.randn(1000), torch.randn(1000)
    there, grad_there = here.cuda(), grad.cuda()
    a, b = lk.SGD([here], lr=lr, momentum=0.9), lk.SGD([there], lr=lr, momentum=0.9)
    b.bind([grad_there])
    b.step()  # compiles, and makes the table
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        b.step()
    tensors: Any = b._tensors
    a.step([grad])
    table = lr.table(steps)
    for step in range(1, steps):
        graph.replay()
        torch.cuda.synchronize()
        assert tensors._read("inputs")[0, 0] == table[step], f"graph: lr differs at step {step}"
        a.step([grad])
    assert b.count == steps
    assert bits(here) == bits(there), "graph: parameters differ from those of C"
    return steps


def check_sanitizer() -> str:
    """Run compute-sanitizer on a part of the step checks, in a separate process."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return "not installed"
    command = [program, "--error-exitcode", str(_ERRORS_FOUND), sys.executable, "-m", "bench.gpu", "--only", "watched"]
    code = subprocess.run(command, check=False).returncode
    assert code != _ERRORS_FOUND, "compute-sanitizer has found errors"
    return "clean" if code == 0 else f"did not run (exit status {code})"


# ---------------------------------------------------------------------------------------------------------------- figures


def seconds(run: Callable[[], object]) -> float:
    """Seconds of one call: the median of rounds of several calls, by the device's clock."""
    for _ in range(3):
        run()
    times: list[float] = []
    for _ in range(ROUNDS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(REPEATS):
            run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000 / REPEATS)
    return statistics.median(times)


def tensors(count: int, size: int) -> list[Any]:
    """Like parameters."""
    return [torch.randn(size, device="cuda") for _ in range(count)]


def race(count: int, size: int, ours: Callable[..., Any], theirs: Callable[..., Any]) -> tuple[float, float]:
    """Seconds of a step of lrkern, and of torch."""
    params, grads = tensors(count, size), tensors(count, size)
    opt = ours(params)
    opt.bind(grads)
    own = seconds(opt.step)
    for param, grad in zip(params, grads, strict=True):
        param.requires_grad_(True)
        param.grad = grad
    other = theirs(params)
    return own, seconds(other.step)


def race_of_rows(rows: int, width: int, entries: int) -> tuple[float, float]:
    """Seconds of a step of Adam with gradients of some rows, and of torch's SparseAdam."""
    table, indices = torch.randn(rows, width, device="cuda"), torch.randint(rows, (entries,), device="cuda")
    values = torch.randn(entries, width, device="cuda")
    opt = lk.Adam([table])
    opt.bind([(indices, values)])
    own = seconds(opt.step)
    table.requires_grad_(True)
    table.grad = torch.sparse_coo_tensor(indices[None], values, table.shape)
    return own, seconds(torch.optim.SparseAdam([table]).step)


def replayed(count: int, size: int, ours: Callable[..., Any]) -> float:
    """Seconds of a step of lrkern that a CUDA graph replays."""
    opt = ours(tensors(count, size))
    opt.bind(tensors(count, size))
    opt.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        opt.step()
    return seconds(graph.replay)


def figures() -> list[dict[str, Any]]:
    """Print the measurements and their targets."""
    found = []

    def note(name: str, value: float, target: float, **more: float) -> None:
        found.append({"name": name, "value": value, "target": target, "met": value >= target, **more})
        print(f"{name:55} {value:8.3f}   target {target}   {'met' if value >= target else 'MISSED'}")

    source, target = tensors(2, LARGE)
    copy = 2 * 4 * LARGE / seconds(lambda: target.copy_(source))
    print(f"{'device-to-device copy':55} {copy / 1e9:8.1f} GB/s")
    schedule = lk.cosine(0.1, 0.0, LARGE)
    doubles = torch.empty(LARGE, dtype=torch.float64, device="cuda")
    for name, out in (("float64", doubles), ("float32", target)):
        table = out.nbytes / seconds(partial(schedule.table, LARGE, out=out))
        note(f"{name} table, part of the copy's bandwidth", table / copy, 0.92, bytes_per_second=table)
    del doubles

    def sgd(params: Any) -> Any:
        return lk.SGD(params, lr=0.1, momentum=0.9)

    def torch_sgd(params: Any) -> Any:
        return torch.optim.SGD(params, lr=0.1, momentum=0.9, fused=True)

    own, other = race(1, LARGE, sgd, torch_sgd)
    note("SGD with momentum, part of the copy's bandwidth", 20 * LARGE / own / copy, 0.92, seconds=own)
    note("SGD with momentum, times as fast as torch's fused", other / own, 1.0, seconds=own, torch_seconds=other)
    own, other = race(1, LARGE, lambda p: lk.AdamW(p), lambda p: torch.optim.AdamW(p, fused=True))
    note("AdamW, times as fast as torch's fused", other / own, 1.0, seconds=own, torch_seconds=other)
    own, other = race(1000, 64, sgd, torch_sgd)
    note("SGD over 1000 x 64, times as fast as torch's fused", other / own, 3.0, seconds=own, torch_seconds=other)
    own = replayed(1000, 64, sgd)
    note("the same from a captured graph, times as fast as that", other / own, 3.0, seconds=own)
    own, other = race_of_rows(1_000_000, 64, 65_536)
    note("Adam over 65,536 rows of 64, times as fast as torch's", other / own, 1.0, seconds=own, torch_seconds=other)
    return found


CHECKS: dict[str, Callable[[], object]] = {
    "steps": check_steps,
    "tables": check_tables,
    "rows": check_rows,
    "pairs": check_pairs,
    "graph": check_graph,
    "sanitizer": check_sanitizer,
    "watched": lambda: check_steps(2, LOOKED_AT) + check_pairs(LOOKED_AT),
}
"""The choices of `--only`; "watched" is run under compute-sanitizer."""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="keep the results in bench/results")
    parser.add_argument("--only", choices=[*CHECKS, "figures"], help="one check, or the figures, alone")
    options = parser.parse_args()
    device, compiler = torch.cuda.get_device_name(), chosen()
    print(f"{device}, {lk.info()['backends']['cuda'].about}", flush=True)
    done: dict[str, object] = {}
    for name, check in CHECKS.items():
        if options.only == name or (options.only is None and name != "watched"):
            begin = time.perf_counter()
            done[name] = check()
            print(f"{name}: {done[name]}, right ({time.perf_counter() - begin:.0f} s)", flush=True)
    if options.only not in (None, "figures"):
        return
    versions = {"torch": torch.__version__, "lrkern": lk.__version__, compiler: installed(compiler)}
    results = {"device": device, **versions, "checks": done, "figures": figures()}
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"gpu-{device.lower().replace(' ', '-').replace('/', '-')}-{compiler}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
