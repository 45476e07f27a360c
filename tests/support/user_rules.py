"""Rules as a user writes them, for tests: one of every kind."""

import lrkern as lk
from lrkern.rules import fma, isfinite, maximum, minimum, n, norm, sign, sqrt


@lk.rule("momentum_buffer")
def signum(p, g, b, *, lr, beta=0.9, weight_decay=0.0):
    """Signum, arXiv 1802.04434."""
    m = fma(beta, b, (1 - beta) * g)
    return p - (lr * sign(m) + lr * weight_decay * p), m


@lk.rule()
def plain(p, g, *, size=0.5):
    return p - size * g


@lk.rule("exp_avg", "exp_avg_sq")
def adam(p, g, exp_avg, exp_avg_sq, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """lrkern's Adam, written again."""
    d = g if weight_decay == 0 else fma(weight_decay, p, g)
    c1, c2 = 1 - beta1**n, 1 - beta2**n
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    scale = 1 / sqrt(c2)
    q = m / fma(sqrt(v), scale, eps)
    step = lr / c1
    return fma(-step, q, p), m, v


@lk.rule("a", "b", "c", "d", "e", initial={"b": 0.5, "e": -1.0})
def five(p, g, a, b, c, d, e, *, lr=0.01, turn=True, limit=2.0):
    x = minimum(maximum(g, -limit), limit)
    y = x if isfinite(x) else a
    f = (p if y > b else -e) * y if turn else y
    return p - lr * f, f, abs(y), b, c * 0.5 + d, minimum(e, y)


@lk.rule()
def by_norm_of_param(p, g, *, lr=0.1):
    return p - lr * norm(p) * sign(g)


@lk.rule("m")
def by_norms(p, g, m, *, lr=0.1, beta=0.5, weight_decay=0.0):
    u = fma(beta, m, (1 - beta) * g)
    size = norm(u)
    ratio = norm(p) / size if size > 0 else 1.0
    return p - lr * ratio * u - lr * weight_decay * p, u


ALL = [signum, plain, adam, five, by_norm_of_param, by_norms]
