"""Every fused step, one operation at a time, each rounded once: the oracle of the step kernels.

Written from docs/steps.md alone, and organized like it; shares no code with the kernels. Each line is one written
operation on all elements of a tensor at once: NumPy's +, -, *, / and sqrt round once, and so does `fma` here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import ulp
from random_words import word

Array = np.ndarray[Any, Any]
Scalar = Any  # a float64, or an array with a float64 per element if rows have their own lr

F64, F32, F16, BF16 = (np.dtype(one) for one in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))

# ---------------------------------------------------------------------------------------------------------- arithmetic


def _fma64(a: float, b: float, c: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    if not math.isfinite(c):  # avoids an overflow of a * b
        return c
    if a == 0 or b == 0:  # the product is exact, and the sum has the right sign if it is zero
        return a * b + c
    (na, da), (nb, db), (nc, dc) = a.as_integer_ratio(), b.as_integer_ratio(), c.as_integer_ratio()
    numerator = na * nb * dc + nc * da * db
    try:
        return numerator / (da * db * dc)  # Python divides integers with one rounding, denormals included
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


_fma64_of_arrays = np.frompyfunc(_fma64, 3, 1)


def _fma32(a: Array, b: Array, c: Array) -> Array:
    """In float64 the product is exact. The sum is rounded to odd, whose 53 bits round to 24 as the exact sum would."""
    x, y = a.astype(F64) * b.astype(F64), c.astype(F64)
    s = x + y
    z = s - x
    error = (x - (s - z)) + (y - z)  # exact: x + y = s + error
    is_even = (s.view(np.uint64) & 1) == 0
    moved = np.isfinite(s) & (error != 0) & is_even
    odd: Array = np.where(moved, np.nextafter(s, np.copysign(np.inf, error)), s)
    return odd.astype(F32)


def fma(a: Any, b: Any, c: Array) -> Array:
    """a b + c, rounded once, in the type of c."""
    a, b, c = np.broadcast_arrays(a, b, c)
    assert a.dtype == b.dtype == c.dtype, "one type for all"
    if c.dtype == F64:
        return np.asarray(_fma64_of_arrays(a, b, c), F64)
    return _fma32(a, b, np.ascontiguousarray(c))


def one_minus_power(beta: float, n: int) -> np.float64:
    """1 - beta^n from the exact power, rounded once."""
    if n <= 100:
        exact = 1 - Fraction(beta) ** n
        return np.float64(exact.numerator / exact.denominator)
    with mpmath.workprec(2000):
        nearly = 1 - mpmath.mpf(beta) ** n
        margin = mpmath.ldexp(1, -1900)
        below, above = ulp.nearest(nearly - margin), ulp.nearest(nearly + margin)
    assert below == above, "more digits are needed to round this power"
    return np.float64(below)


# ------------------------------------------------------------------------------------------------------------- storage


def computed_in(param_dtype: np.dtype[Any]) -> np.dtype[Any]:
    """T."""
    return F64 if param_dtype == F64 else F32


def load(stored: Array, t: np.dtype[Any]) -> Array:
    """A stored array in T. (bfloat16 becomes float32 first, exactly: it is its upper half.)"""
    if stored.dtype == BF16:
        stored = (stored.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(F32)
    return stored.astype(t)


def to_odd(x: Array) -> Array:
    """A float32 in which no later rounding to fewer bits goes wrong: truncated, and the last bit set if that was inexact."""
    if x.dtype == F32:
        return x
    near = x.astype(F32)
    below = np.where(np.abs(near.astype(F64)) > np.abs(x), np.nextafter(near, F32.type(0)), near)
    inexact = below.astype(F64) != x
    odd = (below.view(np.uint32) | inexact.astype(np.uint32)).view(F32)
    return np.where(np.isfinite(x), odd, near)


def to_nearest(x: Array, dtype: np.dtype[Any]) -> Array:
    """Stored to nearest, ties to even, with one rounding."""
    if dtype != BF16:
        return to_odd(x).astype(dtype) if dtype == F16 else x.astype(dtype)
    u = to_odd(x).view(np.uint32).astype(np.uint64)
    last = (u >> np.uint64(16)) & np.uint64(1)
    rounded = ((u + np.uint64(0x7FFF) + last) >> np.uint64(16)).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded).view(BF16)


MASK32 = 2**32 - 1


def random_bits(seed: int, count: int, stream: int, i: int) -> int:
    """r, the 32 random bits of an element."""
    key = word(seed, count, (stream << 32) + (i >> 32))
    x = (i ^ key) & MASK32
    x ^= x >> 16
    x = x * 0x21F0AAAD & MASK32
    x ^= x >> 15
    x = x + (key >> 32) & MASK32
    x = x * 0xD35A2D97 & MASK32
    return x ^ x >> 15


def stochastic(x: float, dtype: np.dtype[Any], r: int) -> int:
    """The 16 bits of a finite float32, rounded up or down as r says."""
    bits = int(np.array(x, F32).view(np.uint32))
    sign, u = bits >> 31 << 15, bits & 0x7FFFFFFF
    if dtype == BF16:
        return sign | (u + (r >> 16)) >> 16
    if abs(x) < 2.0**-14:
        return sign | (math.trunc(abs(x) * 2.0**37) + (r >> 19)) >> 13
    return sign | min(((u + (r >> 19)) >> 13) - (112 << 10), 0x7C00)


def to_stochastic(x: Array, dtype: np.dtype[Any], bits_of: Callable[[int], int], numbers: Array) -> Array:
    """Stored stochastically; `numbers` are those of the elements in their array."""
    stored = to_nearest(x, dtype)  # infinities and NaNs are kept
    for k, value in enumerate(to_odd(x).tolist()):
        if math.isfinite(value):
            stored.view(np.uint16)[k] = stochastic(value, dtype, bits_of(int(numbers[k])))
    return stored


def split(x: Array) -> tuple[Array, Array]:
    """(parameter, remainder) of float32 numbers."""
    m = np.where(np.isnan(x), np.uint32(0x7FC00000), x.view(np.uint32))
    high = (m + np.uint32(0x8000)) >> np.uint32(16)
    return high.astype(np.uint16).view(BF16), (m - (high << np.uint32(16))).view(np.int32).astype(np.int16)


def joined(param: Array, remainder: Array) -> Array:
    """The float32 numbers that were split."""
    high = param.view(np.uint16).astype(np.uint32) << np.uint32(16)
    m = (high + remainder.astype(np.int32).view(np.uint32)).view(F32)
    return np.where(np.isnan(m), high.view(F32), m)


# ---------------------------------------------------------------------------------------------------------------- norm


def block_sums(x: Array, factor: float = 1.0) -> Iterator[float]:
    """Sums of squares of blocks of 1024 elements, in float64."""
    for start in range(0, x.size, 1024):
        block = x[start : start + 1024].astype(F64) * factor
        a = np.zeros(16)
        for row in range(0, block.size, 16):
            sixteen = block[row : row + 16]
            a[: sixteen.size] = a[: sixteen.size] + sixteen * sixteen
        for w in (8, 4, 2, 1):
            a[:w] = a[:w] + a[w : 2 * w]
        yield float(a[0])


def exact_sum(sums: Sequence[float]) -> float:
    try:
        return math.fsum(sums)
    except OverflowError:
        return math.inf


def norm(x: Array) -> np.float64:
    """Of one tensor, as rules take it."""
    return np.float64(math.sqrt(exact_sum(list(block_sums(x)))))


def norm_of_gradients(arrays: Sequence[Array]) -> np.float64:
    """Of all elements of arrays, each in its T."""

    def total(factor: float = 1.0) -> float:
        return exact_sum([one for x in arrays for one in block_sums(x, factor)])

    s = total()
    if any(x.dtype == F64 for x in arrays):
        if s == math.inf:
            return np.float64(math.sqrt(total(2.0**-600)) * 2.0**600)
        if s < 2.0**-900:
            return np.float64(math.sqrt(total(2.0**600)) * 2.0**-600)
    return np.float64(math.sqrt(s))


# --------------------------------------------------------------------------------------------------------------- rules


@dataclass
class Update:
    """What a rule works with: the options of this step, the number n of the update, and the tensor's T."""

    options: dict[str, Any]  # numbers are float64
    n: int
    t: np.dtype[Any]

    def __getattr__(self, name: str) -> Any:
        return self.options[name]

    def rounded(self, x: Scalar) -> Array:
        """A scalar in T."""
        return np.asarray(x, F64).astype(self.t)


States = dict[str, Array]
RuleOf = Callable[[Update, Array, Array, States], Array]  # d comes with its sign; gives p, changes the states


def add_decay(decay: Array, p: Array, d: Array) -> Array:
    return fma(decay, p, d) if decay != 0 else d


def l2(o: Update, p: Array, d: Array) -> Array:
    """d with L2 weight decay in it, unless decay is decoupled."""
    return d if o.decoupled else add_decay(o.rounded(o.weight_decay), p, d)


def joined_with(o: Update, pull: Scalar, x: Array, p: Array) -> Array:
    """`joined(x, p)`; `pull` is a float64, 0 where lr is 0 or decay is not decoupled."""
    pull = np.where(o.lr == 0, 0.0, pull) if o.decoupled else np.float64(0)
    pulled = fma(o.rounded(pull), p, x)
    return np.where(np.broadcast_to(o.rounded(pull) != 0, x.shape), pulled, x)


def sgd(o: Update, p: Array, d: Array, states: States) -> Array:
    d = l2(o, p, d)
    if not o.with_momentum:
        return fma(-o.rounded(o.lr), joined_with(o, o.weight_decay, d, p), p)
    keras = o.convention == "keras"
    fresh, out = (o.rounded(o.lr), o.rounded(1.0)) if keras else (o.rounded(1 - o.dampening), o.rounded(o.lr))
    momentum = o.rounded(o.momentum)
    x = fresh * d
    b = d if o.convention == "torch" and o.n == 1 else fma(momentum, states["momentum_buffer"], x)
    v = fma(momentum, b, x) if o.nesterov else b
    states["momentum_buffer"] = b
    pull = o.lr * o.weight_decay if keras else o.weight_decay
    return fma(-out, joined_with(o, pull, v, p), p)


def adam(o: Update, p: Array, d: Array, states: States) -> Array:
    d = l2(o, p, d)
    beta1, beta2, eps = o.rounded(o.beta1), o.rounded(o.beta2), o.rounded(o.eps)
    w1, w2 = o.rounded(1 - o.beta1), o.rounded(1 - o.beta2)
    c1, c2 = one_minus_power(o.beta1, o.n), one_minus_power(o.beta2, o.n)
    if o.convention == "keras":
        step, r, i = o.rounded(o.lr * np.sqrt(c2) / c1), o.rounded(1.0), o.rounded(1.0)
        pull = o.weight_decay * c1 / np.sqrt(c2)
    else:
        step, r, i = o.rounded(o.lr / c1), o.rounded(1 / np.sqrt(c2)), o.rounded(1 / c2)
        pull = o.weight_decay * c1
    m = states["exp_avg"] = fma(beta1, states["exp_avg"], w1 * d)
    v = states["exp_avg_sq"] = fma(w2 * d, d, beta2 * states["exp_avg_sq"])
    y = v
    if o.amsgrad:
        z, w = states["max_exp_avg_sq"], v
        if o.convention == "optax":
            w, r, i = o.rounded(1 / c2) * v, o.rounded(1.0), o.rounded(1.0)
        y = states["max_exp_avg_sq"] = np.where(w <= z, z, w)
    q = np.sqrt(fma(y, i, eps)) if o.eps_inside else fma(np.sqrt(y), r, eps)
    x = m / q
    decays = fma(-step, x, p) if o.options.get("decay_after") else p
    return fma(-step, joined_with(o, pull, x, decays), p)


def lion(o: Update, p: Array, d: Array, states: States) -> Array:
    u = fma(o.rounded(o.beta1), states["exp_avg"], o.rounded(1 - o.beta1) * d)
    states["exp_avg"] = fma(o.rounded(o.beta2), states["exp_avg"], o.rounded(1 - o.beta2) * d)
    one = o.rounded(1.0)
    sign = np.where(u > 0, one, np.where(u < 0, -one, u))
    return fma(-o.rounded(o.lr), joined_with(o, o.weight_decay, sign, p), p)


def root(y: Array, eps: Array, inside: bool) -> Array:
    return np.sqrt(y + eps) if inside else np.sqrt(y) + eps


def rmsprop(o: Update, p: Array, d: Array, states: States) -> Array:
    d = l2(o, p, d)
    alpha, w, eps, lr, one = (o.rounded(x) for x in (o.alpha, 1 - o.alpha, o.eps, o.lr, 1.0))
    y = v = states["square_avg"] = fma(w * d, d, alpha * states["square_avg"])
    if o.centered:
        a = states["grad_avg"] = fma(alpha, states["grad_avg"], w * d)
        y = fma(-a, a, v)
        y = np.where(y < 0, o.rounded(0.0), y)
    q = d / root(y, eps, o.eps_inside)
    if not o.with_momentum:
        return fma(-lr, joined_with(o, o.weight_decay, q, p), p)
    keras = o.convention == "keras"
    fresh, out = (lr, one) if keras else (one, lr)
    pull = o.lr * o.weight_decay if keras else o.weight_decay
    b = states["momentum_buffer"] = fma(o.rounded(o.momentum), states["momentum_buffer"], fresh * q)
    return fma(-out, joined_with(o, pull, b, p), p)


def adagrad(o: Update, p: Array, d: Array, states: States) -> Array:
    d = l2(o, p, d)
    later = 1 + (o.n - 1) * o.lr_decay
    rate = o.rounded(o.lr / later)
    v = states["sum"] = fma(d, d, states["sum"])
    q = d / root(v, o.rounded(o.eps), o.eps_inside)
    return fma(-rate, joined_with(o, o.weight_decay * later, q, p), p)


def quotient_of_norms(above: Scalar, below: Scalar) -> np.float64:
    most = np.float64(np.finfo(F32).max)
    quotient: np.float64 = above / below
    return most if quotient > most else quotient


def lars(o: Update, p: Array, d: Array, states: States) -> Array:
    apex = o.convention == "apex"
    decayed = add_decay(o.rounded(o.weight_decay), p, d)
    P, M = norm(p), norm(decayed if o.convention == "optax" else d)
    if not o.adapt:
        ratio = np.float64(1.0)
    elif P != 0 and M != 0:
        below = M if o.convention == "optax" else M + o.weight_decay * P
        ratio = quotient_of_norms(o.trust * P, below + o.eps)
        if o.trust_clip:
            ratio = np.float64(1.0) if ratio >= o.lr else ratio / o.lr
    else:
        ratio = np.float64(1.0)
        decayed = d if apex else decayed
    fresh, out = (o.rounded(ratio), o.rounded(o.lr)) if apex else (o.rounded(o.lr * ratio), o.rounded(1.0))
    momentum = o.rounded(o.momentum)
    x = fresh * decayed
    b = x if apex and o.n == 1 else fma(momentum, states["momentum_buffer"], x)
    states["momentum_buffer"] = b
    u = fma(momentum, b, x) if o.nesterov else b
    if momentum == 0:
        u = x
    return fma(-out, u, p)


def lamb(o: Update, p: Array, d: Array, states: States) -> Array:
    beta1, beta2, decay = o.rounded(o.beta1), o.rounded(o.beta2), o.rounded(o.weight_decay)
    w1, w2 = o.rounded(1 - o.beta1), o.rounded(1 - o.beta2)
    r = i = o.rounded(1.0)
    if o.bias_correction:
        c1, c2 = one_minus_power(o.beta1, o.n), one_minus_power(o.beta2, o.n)
        r, i = o.rounded(1 / np.sqrt(c2)), o.rounded(1 / c1)
    m = states["exp_avg"] = fma(beta1, states["exp_avg"], w1 * d)
    v = states["exp_avg_sq"] = fma(w2 * d, d, beta2 * states["exp_avg_sq"])
    u = i * (m / fma(np.sqrt(v), r, o.rounded(o.eps)))
    keras = o.convention == "keras"
    u = fma(decay, p, u) if decay != 0 and not keras else u
    shrinkage = o.lr * o.weight_decay if keras else np.float64(0.0)
    P, U = norm(p) * (1 - shrinkage), norm(u)
    step = quotient_of_norms(o.lr * P, U) if o.adapt and P != 0 and U != 0 else o.lr
    pull = o.rounded(shrinkage / step if step != 0 else 0.0)
    return fma(-o.rounded(step), fma(pull, p, u) if pull != 0 else u, p)


# Class -> the rule and its states, in the order of their streams.
RULES: dict[str, tuple[RuleOf, tuple[str, ...]]] = {
    "SGD": (sgd, ("momentum_buffer",)),
    "Adam": (adam, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
    "AdamW": (adam, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
    "Lion": (lion, ("exp_avg",)),
    "RMSprop": (rmsprop, ("square_avg", "grad_avg", "momentum_buffer")),
    "Adagrad": (adagrad, ("sum",)),
    "LARS": (lars, ("momentum_buffer",)),
    "LAMB": (lamb, ("exp_avg", "exp_avg_sq")),
}


def kept_states(name: str, options: dict[str, Any]) -> list[str]:
    """The states that these options need."""
    unless = {"max_exp_avg_sq": options.get("amsgrad"), "grad_avg": options.get("centered")}
    if name in ("SGD", "RMSprop"):
        unless["momentum_buffer"] = is_on(options["momentum"])
    return [state for state in RULES[name][1] if unless.get(state, True)]


def decays_of(ema: Any) -> tuple[Any, ...]:
    return () if ema is None else ema if isinstance(ema, tuple) else (ema,)


def is_on(value: Any) -> bool:
    return callable(value) or bool(value != 0)


# ------------------------------------------------------------------------------------------------------------ pipeline


@dataclass
class Tensor:
    """A parameter and its states, as stored, flat in memory order."""

    param: Array
    group: int
    options: dict[str, Any]
    row_length: int
    states: States
    emas: list[Array] = field(default_factory=list)
    copy: Array | None = None
    remainder: Array | None = None
    updates: int = 0
    norms: tuple[float, float, float] | None = None

    @property
    def t(self) -> np.dtype[Any]:
        return computed_in(self.param.dtype)

    def load_param(self, chosen: Array) -> Array:
        if self.remainder is not None:
            return joined(self.param[chosen], self.remainder[chosen])
        return load(self.param[chosen], self.t)


@dataclass
class Gradient:
    """One tensor's gradient: the indices of the elements that have one, and their values in T."""

    tensor: Tensor
    given: Any
    chosen: Array
    values: Array
    pieces: list[Array] = field(default_factory=list)
    """The parts that are divided into blocks separately: the whole gradient, or each row of a gradient of rows."""


def stored_values(grad: Any) -> Array:
    values: Array = grad[1] if isinstance(grad, tuple) else grad
    return values


def read_gradient(tensor: Tensor, grad: Any) -> Gradient:
    values = load(np.ravel(stored_values(grad), order="K"), tensor.t)
    if not isinstance(grad, tuple):
        return Gradient(tensor, grad, np.arange(tensor.param.size), values, [values])
    rows: dict[int, Array] = {}
    for index, row in zip(grad[0].tolist(), values.reshape(len(grad[0]), tensor.row_length), strict=True):
        rows[index] = rows[index] + row if index in rows else row
    numbers = [np.arange(index * tensor.row_length, (index + 1) * tensor.row_length) for index in rows]
    pieces = list(rows.values())
    empty = np.empty(0, np.intp), np.empty(0, tensor.t)
    return Gradient(tensor, grad, np.concatenate([empty[0], *numbers]), np.concatenate([empty[1], *pieces]), pieces)


def accumulate(into: Array, grad: Any, scale: float) -> None:
    """lrkern's function, for one array."""
    with np.errstate(all="ignore"):
        t = computed_in(into.dtype)
        flat = np.ravel(into, order="K")
        tensor = Tensor(flat, 0, {}, row_length=flat.size // max(into.shape[0], 1) if into.ndim else 1, states={})
        read = read_gradient(tensor, grad)
        flat[read.chosen] = to_nearest(fma(t.type(scale), read.values, load(flat[read.chosen], t)), into.dtype)


class Optimizer:
    """A list of tensors, stepped together. Takes the arguments of lrkern's class of that name; all options must be given."""

    def __init__(
        self,
        name: str,
        params: Sequence[Any],
        *,
        clip_norm: Any = None,
        clip_per: str = "list",
        clip_value: float | None = None,
        skip_norm: Any = None,
        skip_sigma: Any = None,
        skip_window: int = 100,
        skip_nonfinite: bool = False,
        error_if_nonfinite: bool = False,
        copy_to: Sequence[Any] | None = None,
        norms: bool = False,
        zero_grad: bool = False,
        ema_every: int = 1,
        state_dtype: Any = None,
        rounding: str = "nearest",
        state_rounding: str = "stochastic",
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.name = name
        self.rule, self.states = RULES[name]
        self.clip_norm, self.clip_per, self.clip_value = clip_norm, clip_per, clip_value
        self.skip_sigma, self.skip_window, self.recent = skip_sigma, skip_window, list[float]()
        self.skip_norm, self.skip_nonfinite, self.error_if_nonfinite = skip_norm, skip_nonfinite, error_if_nonfinite
        self.zero_grad, self.ema_every = zero_grad, ema_every
        self.rounding, self.state_rounding, self.seed = rounding, state_rounding, seed
        self.count = self.skipped = 0
        self.grad_norm: float | None = None
        self.tensors = []
        for g, group in enumerate(params if params and isinstance(params[0], dict) else [{"params": params}]):
            own = {**options, **group}
            for param in own.pop("params"):
                self.tensors.append(self._make_tensor(name, param, g, own, state_dtype))
        for tensor, copy in zip(self.tensors, copy_to or [], strict=bool(copy_to)):
            if copy is not None:
                tensor.copy = to_nearest(tensor.load_param(np.arange(tensor.param.size)), copy.dtype)

    def _make_tensor(self, name: str, param: Array, group: int, options: dict[str, Any], state_dtype: Any) -> Tensor:
        flat = np.ravel(param, order="K").copy()
        t = computed_in(flat.dtype)
        start = to_nearest(np.full(flat.shape, options.get("initial_accumulator", 0.0), t), np.dtype(state_dtype or t))
        return Tensor(
            flat,
            group,
            options,
            row_length=flat.size // max(param.shape[0], 1) if param.ndim else 1,
            states={state: start.copy() for state in kept_states(name, options)},
            emas=[load(flat, t).copy() for _ in decays_of(options.get("ema"))],
            remainder=np.zeros(flat.shape, np.int16) if self.rounding == "split" and flat.dtype == BF16 else None,
        )

    def step(self, grads: Sequence[Any], grad_scale: float = 1.0) -> None:
        """One step; the tensors change, and the gradients with zero_grad."""
        with np.errstate(all="ignore"):
            self._step(grads, np.float64(grad_scale))

    def _step(self, grads: Sequence[Any], grad_scale: np.float64) -> None:
        pairs = [(tensor, grad) for tensor, grad in zip(self.tensors, grads, strict=True) if grad is not None]
        read = [read_gradient(tensor, grad) for tensor, grad in pairs]
        is_finite = all(np.all(np.isfinite(one.values)) for one in read)
        if self.error_if_nonfinite and not is_finite:
            raise ValueError("a gradient is not finite")
        limits = self.clip_norm, self.skip_norm, self.skip_sigma
        if any(one is not None for one in limits) or self.skip_nonfinite or self.error_if_nonfinite:
            self.grad_norm = float(norm_of_gradients([piece for one in read for piece in one.pieces]) / grad_scale)
        if (self.skip_nonfinite and not is_finite) or self._is_too_large():
            self.skipped += 1
        else:
            for one, s in zip(read, self._scales(read, grad_scale), strict=True):
                self._step_tensor(one, s, grad_scale)
            for tensor, given in zip(self.tensors, grads, strict=True):
                tensor.norms = None if given is None else tensor.norms
            self.count += 1
            if self.skip_sigma is not None and math.isfinite(self.grad_norm):
                self.recent.append(self.grad_norm)
        if self.zero_grad:
            for one in read:
                stored_values(one.given)[...] = 0

    def _now(self, value: Any) -> np.float64:
        """A number, or a schedule at `count`."""
        return np.float64(value(self.count) if callable(value) else value)

    def _is_too_large(self) -> bool:
        if self.skip_norm is not None and self.grad_norm > self._now(self.skip_norm):
            return True
        if self.skip_sigma is None or len(self.recent) < self.skip_window:
            return False
        last, n = self.recent[-self.skip_window :], np.float64(self.skip_window)
        mean, squares = sum(map(np.float64, last), np.float64(0)) / n, np.float64(0)
        for one in last:
            squares = squares + (one - mean) * (one - mean)
        return bool(self.grad_norm > fma(self._now(self.skip_sigma), np.sqrt(squares / n), np.asarray(mean)))

    def _scales(self, read: Sequence[Gradient], grad_scale: np.float64) -> list[Scalar]:
        """s, for each tensor."""
        if self.clip_norm is None:
            return [1 / grad_scale] * len(read)
        clip_norm = self._now(self.clip_norm)
        of_each = {"list": [0] * len(read), "group": [one.tensor.group for one in read], "tensor": list(range(len(read)))}
        numbers = of_each[self.clip_per]
        scales = {}
        for number in set(numbers):
            pieces = [piece for one, its in zip(read, numbers, strict=True) if its == number for piece in one.pieces]
            raw_norm = norm_of_gradients(pieces)
            scales[number] = 1 / grad_scale if raw_norm / grad_scale <= clip_norm else clip_norm / raw_norm
        return [scales[number] for number in numbers]

    def _step_tensor(self, grad: Gradient, s: Scalar, grad_scale: np.float64) -> None:
        tensor, chosen, g, t = grad.tensor, grad.chosen, grad.values, grad.tensor.t
        tensor.updates += 1
        p = old = tensor.load_param(chosen)
        states = {name: load(stored[chosen], t) for name, stored in tensor.states.items()}
        if s != 1:
            g = t.type(s) * g
        if self.clip_value is not None:
            c = t.type(self.clip_value)
            g = np.where(g < -c, -c, np.where(g > c, c, g))
        options = self._options_now(tensor.options, chosen, tensor.row_length)
        p = self.rule(Update(options, tensor.updates, t), p, -g if options["maximize"] else g, states)
        tensor.norms = self._norms_of(grad, old, p, grad_scale)
        if (self.count + 1) % self.ema_every == 0:
            for ema, decay in zip(tensor.emas, decays_of(tensor.options.get("ema")), strict=True):
                e = ema[chosen]
                ema[chosen] = fma(t.type(1 - self._now(decay)), p - e, e)
        if tensor.copy is not None:
            tensor.copy[chosen] = to_nearest(p, tensor.copy.dtype)
        if tensor.remainder is not None:
            tensor.param[chosen], tensor.remainder[chosen] = split(p)
        else:
            tensor.param[chosen] = self._stored(p, tensor.param.dtype, self.rounding, 0, chosen)
        for name, value in states.items():
            stored = tensor.states[name]
            stored[chosen] = self._stored(value, stored.dtype, self.state_rounding, 1 + self.states.index(name), chosen)

    def _norms_of(self, grad: Gradient, old: Array, p: Array, grad_scale: np.float64) -> tuple[float, float, float]:
        """Of the gradient, the parameter, the update, by rows if lr or the gradient are."""
        tensor, (g, x, u) = grad.tensor, (np.concatenate([np.empty(0, old.dtype), *grad.pieces]), old, p - old)
        by_rows = isinstance(grad.given, tuple) or isinstance(tensor.options.get("lr"), np.ndarray)
        width = tensor.row_length if by_rows else max(g.size, 1)

        def of(values: Array) -> np.float64:
            pieces = [values[k : k + width] for k in range(0, values.size, width)] if width else []
            return np.float64(math.sqrt(exact_sum([one for piece in pieces for one in block_sums(piece)])))

        return float(of(g) / grad_scale), float(of(x)), float(of(u))

    def _options_now(self, options: dict[str, Any], chosen: Array, row_length: int) -> dict[str, Any]:
        """Schedules at `count`, numbers in float64, lr of rows for each element."""
        now: dict[str, Any] = {"with_momentum": is_on(options.get("momentum", 0.0))}
        now["decoupled"] = self.name in ("AdamW", "Lion")
        for name, value in options.items():
            value = value(self.count) if callable(value) else value
            if isinstance(value, np.ndarray):
                value = value.astype(F64)[chosen // row_length]
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            now[name] = np.float64(value) if is_number else value
        return now

    def _stored(self, x: Array, dtype: np.dtype[Any], rounding: str, stream: int, numbers: Array) -> Array:
        if rounding == "stochastic" and dtype in (BF16, F16):
            return to_stochastic(x, dtype, lambda i: random_bits(self.seed, self.count, stream, i), numbers)
        return to_nearest(x, dtype)
