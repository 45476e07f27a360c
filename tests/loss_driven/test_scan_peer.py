"""`plateau` against the peers' own objects, metric by metric, bit for bit: random arguments, ties, NaNs, infinities."""

from __future__ import annotations

import importlib.util
import itertools
import os
import textwrap
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import isolated_import
import numpy as np
import pytest
from ulp import assert_same_bits

import lrkern as lk

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
NO_DEPS = "skrl rsl-rl-lib"

STEPS = 120
Step = Callable[[float], float]


def parameter(lr: float) -> Any:
    """torch's SGD over one number, with this rate."""
    torch = pytest.importorskip("torch")
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rate_after(optimizer: Any, step: Callable[[float], object]) -> Step:
    def one(metric: float) -> float:
        step(metric)
        return float(optimizer.param_groups[0]["lr"])

    return one


def torch_steps(lr: float, **options: Any) -> Step:
    optimizer = parameter(lr)
    scheduler = pytest.importorskip("torch").optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    return rate_after(optimizer, scheduler.step)


def mmengine_steps(lr: float, mode: str = "min", threshold_mode: str = "rel", min_lr: float = 0.0, **options: Any) -> Step:
    optimizer = parameter(lr)
    if options.get("end", 0) is None:
        del options["end"]
    rule = {"min": "less", "max": "greater"}[mode]
    scheduler_class = isolated_import.mmengine_schedulers().ReduceOnPlateauLR
    scheduler = scheduler_class(optimizer, rule=rule, threshold_rule=threshold_mode, min_value=min_lr, **options)

    def step(metric: float) -> None:
        scheduler.step()  # the end of an epoch of training, then its evaluation
        scheduler.step({"loss": metric})

    return rate_after(optimizer, step)


def timm_steps(lr: float, mode: str = "max", **options: Any) -> Step:
    optimizer = parameter(lr)
    names = {
        "factor": "decay_rate",
        "patience": "patience_t",
        "threshold": "threshold",
        "cooldown": "cooldown_t",
        "min_lr": "lr_min",
        "warmup": "warmup_t",
        "warmup_lr": "warmup_lr_init",
    }
    scheduler_class = isolated_import.load("timm.scheduler.plateau_lr").PlateauLRScheduler
    scheduler = scheduler_class(optimizer, mode=mode, **{names[name]: value for name, value in options.items()})
    epochs = iter(range(1, STEPS + 2))
    return rate_after(optimizer, lambda metric: scheduler.step(next(epochs), metric))


def transformers_steps(lr: float, window: int | None = None, **options: Any) -> Step:
    pytest.importorskip("transformers")
    optimization = pytest.importorskip("transformers.optimization")
    if not hasattr(optimization, "GreedyLR"):
        pytest.skip("this transformers has no GreedyLR")
    optimizer = parameter(lr)
    scheduler = optimization.GreedyLR(optimizer, smooth=window is not None, window_size=window or 50, **options)
    return rate_after(optimizer, scheduler.step)


def keras_steps(lr: float, precision: str = "float32", threshold: float = 1e-4, **options: Any) -> Step:
    os.environ.setdefault("KERAS_BACKEND", "torch" if importlib.util.find_spec("torch") else "jax")
    keras = pytest.importorskip("keras")
    keras.backend.set_floatx(precision)
    try:
        optimizer = keras.optimizers.SGD(lr)
        optimizer.build([keras.Variable(0.0)])
    finally:
        keras.backend.set_floatx("float32")
    callback = keras.callbacks.ReduceLROnPlateau(min_delta=threshold, **{"mode": "min"} | options)
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    callback.on_train_begin()
    rounds = iter(range(STEPS))

    def one(metric: float) -> float:
        keras.backend.set_floatx(precision)
        try:
            callback.on_epoch_end(next(rounds), {"val_loss": metric})
        finally:
            keras.backend.set_floatx("float32")
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    return one


def optax_steps(lr: float, precision: str = "float32", **options: Any) -> Step:
    """Without jit: under it, XLA may fuse a product and a sum into one rounding."""
    jax, _ = pytest.importorskip("jax"), pytest.importorskip("optax")
    from optax.contrib import reduce_on_plateau

    names = {"threshold": "rtol", "accumulate": "accumulation_size"}
    transform = reduce_on_plateau(**{names.get(name, name): value for name, value in options.items()})
    x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental").enable_x64
    with x64(precision == "float64"), jax.disable_jit():
        params = jax.numpy.zeros((), precision)
        state = transform.init(params)

    def one(metric: float) -> float:
        nonlocal state
        with x64(precision == "float64"), jax.disable_jit():
            _, state = transform.update(params, state, value=metric)
        return lr * float(state.scale)

    return one


def paddle_steps(lr: float, eps: float = 1e-8, **options: Any) -> Step:
    """Not among those that `make test-peers` installs: see test_paddle_peer.py."""
    core = types.SimpleNamespace(eager=types.SimpleNamespace(Tensor=()))
    peer = isolated_import.load(
        "paddle.optimizer.lr", **{"paddle": ..., "paddle.base": {"core": core}}, **dict.fromkeys(PADDLE, ...)
    )
    scheduler = peer.ReduceOnPlateau(lr, epsilon=eps, **options)

    def step(metric: float) -> float:
        scheduler.step(metric)
        return float(scheduler())

    return step


PADDLE = ["paddle.base.data_feeder", "paddle.base.framework", "paddle.base.layer_helper"]


def speechbrain_schedulers() -> types.ModuleType:
    same = lambda x: x  # noqa: E731
    hooks = types.SimpleNamespace(register_checkpoint_hooks=same, mark_as_saver=same, mark_as_loader=same)
    stand_ins = {"speechbrain.utils": {"checkpoints": hooks}, "speechbrain.utils.logger": ...}
    return isolated_import.load("speechbrain.nnet.schedulers", **stand_ins)


def speechbrain_steps(lr: float, factor: float = 0.5, threshold: float = 0.0025, patience: int = 0) -> Step:
    scheduler = speechbrain_schedulers().NewBobScheduler(lr, factor, threshold, patience)
    return lambda metric: float(scheduler(metric)[1])


def speechbrain_plateau_steps(
    lr: float, factor: float = 0.5, patience: int = 2, min_lr: float = 1e-8, warmup: int = 65
) -> Step:
    scheduler = speechbrain_schedulers().ReduceLROnPlateau(min_lr, factor, patience, warmup)
    optimizer, epochs = types.SimpleNamespace(param_groups=[{"lr": lr}]), itertools.count(1)

    def step(metric: float) -> float:
        optimizer.param_groups[0]["lr"] = scheduler([optimizer], next(epochs), metric)[1]
        return float(optimizer.param_groups[0]["lr"])

    return step


PEERS: dict[str, Callable[..., Step]] = {
    "torch": torch_steps,
    "mmengine": mmengine_steps,
    "timm": timm_steps,
    "transformers": transformers_steps,
    "keras": keras_steps,
    "optax": optax_steps,
    "paddle": paddle_steps,
    "speechbrain": speechbrain_steps,
    "speechbrain_plateau": speechbrain_plateau_steps,
}


def random_options(dialect: str, rng: np.random.Generator) -> dict[str, Any]:
    """Random arguments of a dialect."""
    options: dict[str, Any] = {
        "factor": float(rng.uniform(0.1, 0.95)),
        "patience": int(rng.integers(0, 4)),
        "cooldown": int(rng.integers(0, 4)),
        "threshold": float(rng.choice([1e-4, 0.01, 0.2])),
        "mode": str(rng.choice(["min", "max"])),
        "min_lr": float(rng.choice([0.0, 0.001, 0.05])),
    }
    if dialect == "speechbrain":
        del options["cooldown"], options["mode"], options["min_lr"]
    if dialect == "speechbrain_plateau":
        del options["cooldown"], options["mode"], options["threshold"]
        options |= {"warmup": int(rng.integers(0, 9))}
    if dialect in ("torch", "mmengine", "transformers", "paddle"):
        options["threshold_mode"] = str(rng.choice(["rel", "abs"]))
        options["eps"] = float(rng.choice([1e-8, 0.003]))
    if dialect in ("keras", "optax"):
        options["precision"] = str(rng.choice(["float32", "float64"]))
    if dialect == "mmengine" and rng.random() < 0.5:
        options |= {"begin": int(rng.integers(0, 9)), "end": int(rng.integers(20, 150))}
    if dialect == "timm" and rng.random() < 0.5:
        options |= {"warmup": int(rng.integers(0, 9)), "warmup_lr": 0.01}
    if dialect == "optax":
        del options["mode"], options["min_lr"]
        options |= {"accumulate": int(rng.integers(1, 4)), "min_scale": float(rng.choice([0.0, 0.03]))}
        options["atol"] = float(rng.choice([0.0, 0.01]))
    if dialect == "transformers":
        options |= {"max_lr": 0.3, "warmup": int(rng.integers(0, 3)), "reset_start": int(rng.integers(0, 4))}
        options["window"] = [None, 1, 5, 50][rng.integers(4)]
    chosen = [name for name in options if rng.random() < 0.8]
    return {name: options[name] for name in chosen}


def recorded(rng: np.random.Generator, finite: bool) -> np.ndarray:
    x = np.round(rng.random(STEPS) * 0.3 + 2 * np.exp(-np.arange(STEPS) / 15), int(rng.integers(1, 4)))
    if rng.random() < 0.3:
        x -= 1.0
    if not finite:
        x[rng.random(STEPS) < 0.04] = np.nan
        x[rng.random(STEPS) < 0.02] = rng.choice([np.inf, -np.inf])
    return x


@pytest.mark.parametrize("dialect", PEERS)
def test_defaults(dialect: str) -> None:
    metrics = recorded(np.random.default_rng(0), True)
    step = PEERS[dialect](0.1)
    assert_same_bits(lk.plateau(metrics, 0.1, dialect=dialect), np.array([step(x) for x in metrics.tolist()]), dialect)


@pytest.mark.parametrize("dialect", PEERS)
def test_random_arguments(dialect: str) -> None:
    moved = 0
    tries = {"keras": 40, "optax": 12}.get(dialect, 150)
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        options = random_options(dialect, rng)
        metrics = recorded(rng, finite=seed % 3 == 0)
        start = float(rng.choice([0.1, 0.02]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step = PEERS[dialect](start, **options)
            wanted = np.array([step(x) for x in metrics.tolist()])
        found = lk.plateau(metrics, start, dialect=dialect, **options)
        assert_same_bits(found, wanted, f"{dialect} {options}, seed {seed}")
        moved += len(np.unique(wanted)) > 2
    assert moved > tries / 3, "most of these runs never change their rate"


def kl_steps(lr: float, dialect: str, **options: Any) -> Step:
    """skrl's own object; rsl_rl has the rule inside its update, so its source is executed."""
    torch = pytest.importorskip("torch")
    if dialect == "skrl":
        optimizer = parameter(lr)
        scheduler_class = isolated_import.load("skrl.resources.schedulers.torch.kl_adaptive").KLAdaptiveLR
        names = {"threshold": "kl_threshold"}
        scheduler = scheduler_class(optimizer, **{names.get(name, name): value for name, value in options.items()})
        return rate_after(optimizer, lambda kl: scheduler.step(torch.tensor(kl, dtype=torch.float32)))
    spec = importlib.util.find_spec("rsl_rl")
    if spec is None:
        pytest.skip("could not import 'rsl_rl'")
    text = (Path(next(iter(spec.submodule_search_locations))) / "algorithms" / "ppo.py").read_text()
    lines = text[text.index("if kl_mean > self.desired_kl") :].splitlines()[:4]
    rule = compile(textwrap.dedent(" " * 28 + "\n".join(lines)), "ppo.py", "exec")
    ppo = types.SimpleNamespace(desired_kl=options.get("threshold", 0.01), learning_rate=lr)

    def step(kl: float) -> float:
        exec(rule, {"self": ppo, "kl_mean": torch.tensor(kl, dtype=torch.float32), "max": max, "min": min})
        return float(ppo.learning_rate)

    return step


@pytest.mark.parametrize("dialect", ["skrl", "rsl_rl"])
def test_kl_adaptive(dialect: str) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        options = {"threshold": float(rng.choice([0.008, 0.01, rng.uniform(0.001, 0.1)]))}
        if dialect == "skrl" and seed % 2:
            options |= {"min_lr": 1e-4, "max_lr": 5e-3, "kl_factor": float(rng.uniform(1, 3)), "lr_factor": 1.7}
        target, factor = options["threshold"], options.get("kl_factor", 2.0)
        kl = (target * rng.lognormal(0, 1, STEPS)).astype(np.float32)
        kl[rng.random(STEPS) < 0.1] = np.float32(target * factor)  # on the bounds, in float32
        kl[rng.random(STEPS) < 0.1] = np.float32(target / factor)
        kl[rng.random(STEPS) < 0.05] = 0.0
        step = kl_steps(1e-3, dialect, **options)
        wanted = np.array([step(float(x)) for x in kl])
        assert_same_bits(lk.kl_adaptive(kl, 1e-3, dialect=dialect, **options), wanted, f"{dialect} {options}")
