"""Optimizers that keep numbers of each tensor, look at whole tensors, or are cautious: against their papers' formulas.

As in test_papers.py: plain NumPy, float64, 200 steps.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_papers import STEPS, assert_near, data, run

import lrkern as lk


def nadam(p, grads, lr, beta1, beta2, eps, wd, momentum_decay):
    def mu(n):
        return beta1 * (1 - 0.5 * 0.96 ** (n * momentum_decay))

    m, v, product = np.zeros_like(p), np.zeros_like(p), 1.0
    for n, g in enumerate(grads, 1):
        product *= mu(n)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = (1 - mu(n)) / (1 - product) * g + mu(n + 1) / (1 - product * mu(n + 1)) * m
        p = p - lr * (u / (np.sqrt(v / (1 - beta2**n)) + eps) + wd * p)
    return p


def asgd(p, grads, lr, lambd, alpha, t0):
    eta, average = lr, np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        p = p - eta * (g + lambd * p)
        average = average + (p - average) / max(1, n - 1 - t0)
        eta = lr / (1 + lambd * lr * n) ** alpha
    return p, average


def stable_adamw(p, grads, lr, beta1, beta2, eps, wd):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        b1, b2 = (beta * (1 - beta ** (n - 1)) / (1 - beta**n) for beta in (beta1, beta2))
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        step = lr / max(1, np.sqrt(np.mean(g**2 / np.maximum(v, eps**2))))
        p = p - step * (m / (np.sqrt(v) + eps) + wd * p)
    return p


def mars(p, grads, lr, beta1, beta2, eps, wd, gamma):
    m, v, before = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        c = g + gamma * beta1 / (1 - beta1) * (g - before)
        c = c / max(1, np.linalg.norm(c))
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c**2
        p = p - lr * (m / (1 - beta1**n) / (np.sqrt(v / (1 - beta2**n)) + eps) + wd * p)
        before = g
    return p


def novograd(p, grads, lr, beta1, beta2, eps, wd, averaging):
    m, v = np.zeros_like(p), 0.0
    for n, g in enumerate(grads, 1):
        square = np.sum(g**2)
        v = square if n == 1 else beta2 * v + (1 - beta2) * square
        m = beta1 * m + ((1 - beta1) if averaging else 1) * (g / (np.sqrt(v) + eps) + wd * p)
        p = p - lr * m
    return p


def schedule_free(p, grads, lrs, beta, wd, r, lr_power, direction):
    """Both sequences, and the points between them."""
    z, x, largest, weights = p, p, 0.0, 0.0
    for n, g in enumerate(grads, 1):
        lr, q = direction(n, g, lrs(n - 1))
        largest = max(largest, lr)
        weight = n**r * largest**lr_power
        weights += weight
        z = z - lr * (q + wd * p)
        x = x + (weight / weights if weights else 0) * (z - x)
        p = (1 - beta) * z + beta * x
    return p, x


def adam_cautious(p, grads, lr, beta1, beta2, eps, wd):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = m / (1 - beta1**n) / (np.sqrt(v / (1 - beta2**n)) + eps)
        agrees = u * g > 0
        p = p - lr * (u * agrees / max(agrees.mean(), 1e-3) + wd * p)
    return p


def lion_cautious_decay(p, grads, lr, beta1, beta2, wd):
    m = np.zeros_like(p)
    for g in grads:
        u = np.sign(beta1 * m + (1 - beta1) * g)
        p = p - lr * (u + wd * p * (u * p >= 0))
        m = beta2 * m + (1 - beta2) * g
    return p


def cautious(u, g):
    agrees = u * g > 0
    return u * agrees / max(agrees.mean(), 1e-3)


def amsgrad_cautious(p, grads, lr, beta1, beta2, eps, wd, corrected=False):
    m, v, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        before, after = (1 - beta2**n, 1) if corrected else (1, 1 - beta2**n)
        top = np.maximum(top, v / before)
        p = p - lr * (cautious(m / (1 - beta1**n) / (np.sqrt(top / after) + eps), g) + wd * p)
    return p


def amsgrad_of_optax(p, grads, **options):
    return amsgrad_cautious(p, grads, **options, corrected=True)


def adabelief_amsgrad(p, grads, lr, beta1, beta2, eps, wd):
    m, s, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        top = np.maximum(top, s)
        p = p - lr * (cautious(m / (1 - beta1**n) / (np.sqrt(top / (1 - beta2**n)) + eps), g) + wd * p)
    return p


def laprop_amsgrad(p, grads, lr, beta1, beta2, eps, wd):
    m, v, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        v = beta2 * v + (1 - beta2) * g**2
        top = np.maximum(top, v)
        m = beta1 * m + (1 - beta1) * g / (np.sqrt(top / (1 - beta2**n)) + eps)
        p = p - lr * (cautious(m / (1 - beta1**n), g) + wd * p)
    return p


def mars_amsgrad(p, grads, lr, beta1, beta2, eps, wd):
    m, v, top, before = (np.zeros_like(p) for _ in range(4))
    for n, g in enumerate(grads, 1):
        c = g + 0.025 * beta1 / (1 - beta1) * (g - before)
        c = c / max(1, np.linalg.norm(c))
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c**2
        top = np.maximum(top, v)
        u = m / (1 - beta1**n) / (np.sqrt(top / (1 - beta2**n)) + eps)
        p = p - lr * (u + wd * p * (u * p >= 0))
        before = g
    return p


def adan_cautious(p, grads, lr, beta1, beta2, beta3, eps, wd):
    m, t, v, before = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), grads[0]
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        t = beta2 * t + (1 - beta2) * (g - before)
        v = beta3 * v + (1 - beta3) * (g + beta2 * (g - before)) ** 2
        q = (m / (1 - beta1**n) + beta2 * t / (1 - beta2**n)) / (np.sqrt(v / (1 - beta3**n)) + eps)
        p = (p - lr * cautious(q, g)) / (1 + lr * wd)
        before = g
    return p


def adan_cautious_decay(p, grads, lr, beta1, beta2, beta3, eps, wd, proximal):
    m, t, v, before = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), grads[0]
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        t = beta2 * t + (1 - beta2) * (g - before)
        v = beta3 * v + (1 - beta3) * (g + beta2 * (g - before)) ** 2
        q = (m / (1 - beta1**n) + beta2 * t / (1 - beta2**n)) / (np.sqrt(v / (1 - beta3**n)) + eps)
        decays = wd * (q * p >= 0)
        p = (p - lr * q) / (1 + lr * decays) if proximal else p - lr * (q + decays * p)
        before = g
    return p


def momentum_cautious(p, grads, lr, momentum, nesterov, wd):
    b = np.zeros_like(p)
    for g in grads:
        b = momentum * b + g
        p = p - lr * (cautious(momentum * b + g if nesterov else b, g) + wd * p)
    return p


def momentum_cautious_decay(p, grads, lr, momentum, wd):
    b = np.zeros_like(p)
    for g in grads:
        b = momentum * b + g
        p = p - lr * (b + wd * p * (b * p >= 0))
    return p


def rmsprop_cautious(p, grads, lr, alpha, eps, momentum, wd):
    v, b = np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        v = alpha * v + (1 - alpha) * g**2
        b = momentum * b + g / (np.sqrt(v) + eps)
        p = p - lr * (cautious(b, g) + wd * p)
    return p


def rmsprop_cautious_decay(p, grads, lr, alpha, eps, wd):
    v, a = np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        u = g / (np.sqrt(v - a**2) + eps)
        p = p - lr * (u + wd * p * (u * p >= 0))
    return p


def adagrad_cautious_decay(p, grads, lr, eps, wd):
    v = np.zeros_like(p)
    for g in grads:
        v = v + g**2
        u = g / (np.sqrt(v) + eps)
        p = p - lr * (u + wd * p * (u * p >= 0))
    return p


def adadelta_cautious_decay(p, grads, lr, rho, eps, wd):
    v, a = np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        v = rho * v + (1 - rho) * g**2
        u = np.sqrt(a + eps) / np.sqrt(v + eps) * g
        a = rho * a + (1 - rho) * u**2
        p = p - lr * (u + wd * p * (u * p >= 0))
    return p


def asgd_cautious_decay(p, grads, lr, lambd, alpha, wd):
    eta = lr
    for n, g in enumerate(grads, 1):
        p = p - eta * (g + (lambd + wd * (g * p >= 0)) * p)
        eta = lr / (1 + lambd * lr * n) ** alpha
    return p


def lamb_of_keras(p, grads, lr, beta1, beta2, eps, wd):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        p = p * (1 - lr * wd)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = m / (1 - beta1**n) / (np.sqrt(v / (1 - beta2**n)) + eps)
        p = p - lr * np.linalg.norm(p) / np.linalg.norm(u) * u
    return p


ADAM = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
ADAN = {"lr": 1e-2, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8}
CASES = [
    (lk.NAdam, nadam, {**ADAM, "momentum_decay": 4e-3}, {"decoupled": True}),
    (lk.NAdam, nadam, {**ADAM, "momentum_decay": 1.0}, {"decoupled": True}),
    (lk.StableAdamW, stable_adamw, ADAM, {}),
    (lk.MARS, mars, {**ADAM, "gamma": 0.025}, {}),
    (lk.AdamW, adam_cautious, ADAM, {"cautious": "update"}),
    (lk.AdamW, amsgrad_cautious, ADAM, {"cautious": "update", "amsgrad": True}),
    (lk.AdamW, amsgrad_of_optax, ADAM, {"cautious": "update", "amsgrad": True, "convention": "optax"}),
    (lk.AdaBelief, adabelief_amsgrad, ADAM, {"cautious": "update", "amsgrad": True}),
    (lk.LaProp, laprop_amsgrad, ADAM, {"cautious": "update", "amsgrad": True}),
    (lk.MARS, mars_amsgrad, ADAM, {"cautious": "decay", "amsgrad": True}),
    (lk.Adan, adan_cautious, ADAN, {"cautious": "update"}),
    (lk.SGD, momentum_cautious, {"lr": 1e-2, "momentum": 0.9, "nesterov": False}, {"cautious": "update", "decoupled": True}),
    (lk.SGD, momentum_cautious, {"lr": 1e-2, "momentum": 0.9, "nesterov": True}, {"cautious": "update", "decoupled": True}),
    (lk.SGD, momentum_cautious_decay, {"lr": 1e-2, "momentum": 0.9}, {"cautious": "decay", "decoupled": True}),
    (lk.SGD, momentum_cautious_decay, {"lr": 1e-2, "momentum": 0.0}, {"cautious": "decay", "decoupled": True}),
    (
        lk.RMSprop,
        rmsprop_cautious,
        {"lr": 1e-2, "alpha": 0.9, "eps": 1e-3, "momentum": 0.5},
        {"cautious": "update", "decoupled": True},
    ),
    (
        lk.RMSprop,
        rmsprop_cautious_decay,
        {"lr": 1e-2, "alpha": 0.9, "eps": 1e-2},
        {"cautious": "decay", "decoupled": True, "centered": True},
    ),
    (lk.Adagrad, adagrad_cautious_decay, {"lr": 1e-2, "eps": 1e-8}, {"cautious": "decay", "decoupled": True}),
    (lk.Adadelta, adadelta_cautious_decay, {"lr": 0.5, "rho": 0.8, "eps": 1e-4}, {"cautious": "decay", "decoupled": True}),
    (lk.ASGD, asgd_cautious_decay, {"lr": 1e-2, "lambd": 0.1, "alpha": 0.75}, {"cautious": "decay", "decoupled": True}),
    (lk.LAMB, lamb_of_keras, ADAM, {"convention": "keras"}),
    (lk.Lion, lion_cautious_decay, {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99}, {"cautious": "decay"}),
]


@pytest.mark.parametrize(("cls", "paper", "options", "more"), CASES)
def test_as_the_paper_says(cls, paper, options, more):
    p, grads = data(1)
    assert_near(run(cls, p, grads, weight_decay=0.1, **options, **more), paper(p, grads, wd=0.1, **options))


@pytest.mark.parametrize("proximal", [False, True])
def test_adan_with_cautious_decay(proximal):
    p, grads = data(1)
    got = run(lk.Adan, p, grads, weight_decay=0.1, cautious="decay", proximal=proximal, **ADAN)
    assert_near(got, adan_cautious_decay(p, grads, wd=0.1, proximal=proximal, **ADAN))


@pytest.mark.parametrize("averaging", [False, True])
def test_novograd(averaging):
    p, grads = data(2)
    options = {"lr": 1e-2, "beta1": 0.95, "beta2": 0.9, "eps": 1e-8}
    got = run(lk.NovoGrad, p, grads, weight_decay=0.1, grad_averaging=averaging, **options)
    assert_near(got, novograd(p, grads, wd=0.1, averaging=averaging, **options))


@pytest.mark.parametrize("t0", [0.0, 20.0, 1e6])
def test_asgd(t0):
    p, grads = data(3)
    options = {"lr": 1e-2, "lambd": 0.01, "alpha": 0.75, "t0": t0}
    params = [p.copy()]
    opt = lk.ASGD(params, **options)
    for g in grads:
        opt.step([g])
    expected, average = asgd(p, grads, **options)
    assert_near(params[0], expected)
    assert_near(opt.averaged_params[0], average)


def rates(t):
    """A warm-up, then a fall."""
    return min(t + 1, 20) / 20 * (0.1 if t < 150 else 0.05)


def of_adam(beta2, eps):
    state = {"v": 0.0}

    def direction(n, g, lr):
        state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
        return lr, g / (np.sqrt(state["v"] / (1 - beta2**n)) + eps)

    return direction


def of_radam(beta2, eps, silent):
    adam = of_adam(beta2, eps)

    def direction(n, g, lr):
        _, q = adam(n, g, lr)
        longest = 2 / (1 - beta2) - 1
        rho = longest - 2 * n * beta2**n / (1 - beta2**n)
        if rho > 4:
            return lr * np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)), q
        return 0.0 if silent else lr, g

    return direction


@pytest.mark.parametrize(("r", "lr_power"), [(0.0, 2.0), (1.5, 0.7)])
@pytest.mark.parametrize("kind", ["SGD", "AdamW", "RAdam", "RAdam, loud"])
def test_schedule_free(kind, r, lr_power):
    p, grads = data(4)
    if kind == "SGD":
        opt, direction, beta = lk.ScheduleFreeSGD, lambda n, g, lr: (lr, g), {"beta": 0.8}
    else:
        opt, beta = getattr(lk, f"ScheduleFree{kind.partition(',')[0]}"), {"beta1": 0.8, "beta2": 0.99, "eps": 1e-8}
        direction = of_adam(0.99, 1e-8) if kind == "AdamW" else of_radam(0.99, 1e-8, kind == "RAdam")
    more = {"silent": False} if kind == "RAdam, loud" else {}
    params = [p.copy()]
    opt = opt(params, rates, weight_decay=0.1, r=r, lr_power=lr_power, decoupled=True, **beta, **more)
    for g in grads:
        opt.step([g])
    expected, average = schedule_free(p, grads, rates, 0.8, 0.1, r, lr_power, direction)
    assert_near(params[0], expected)
    assert_near(opt.averaged_params[0], average)
    with opt.averaged():
        assert params[0].tobytes() == opt.averaged_params[0].tobytes()
    assert_near(params[0], expected)


def test_decay_that_does_not_depend_on_lr():
    p, grads = data(5)
    lr = lk.cosine(0.1, 0.0, STEPS)
    params, expected = [p.copy()], p
    opt = lk.AdamW(params, lr, weight_decay=0.01, decay="independent")
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        opt.step([g])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        q = m / (1 - 0.9**n) / (np.sqrt(v / (1 - 0.999**n)) + 1e-8)
        expected = expected - lr(n - 1) * q - 0.01 * expected
    assert_near(params[0], expected)


def test_corrected_decay():
    p, grads = data(6)
    lr = lk.cosine(0.1, 0.0, STEPS).warmup(20)
    params, other = [p.copy()], [p.copy()]
    lk_opt = lk.AdamW(params, lr, weight_decay=0.5, decay="corrected")
    by_hand = lk.AdamW(other, lr, weight_decay=lambda step: 0.5 * lr(step) / 0.1)
    for g in grads:
        lk_opt.step([g])
        by_hand.step([g])
    assert_near(params[0], other[0])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cautious": "updates"}, "AdamW: cautious must be 'update' or 'decay'; got 'updates'"),
        ({"cautious": True}, "AdamW: cautious must be False, 'update' or 'decay'; got True"),
        ({"decay": "full"}, "AdamW: decay must be 'coupled', 'independent' or 'corrected'; got 'full'"),
        ({"decay": "corrected", "lr": lk.inverse_sqrt(0.1, 10)}, "AdamW: lr must be a schedule with an end"),
        ({"decay": "corrected", "lr": lambda step: 0.1}, "AdamW: lr and weight_decay must be numbers or schedules"),
        ({"decay": "independent", "lr": np.array([0.1, 0.2])}, "AdamW: decay must be 'coupled', because each row"),
        ({"cautious": "update", "lr": np.array([0.1, 0.2])}, "AdamW: lr must be one number, not one per row"),
    ],
)
def test_what_does_not_fit_is_refused(options, error):
    with pytest.raises((TypeError, ValueError)) as caught:
        lk.AdamW([np.ones((2, 3))], **{"lr": 0.1, **options})
    assert str(caught.value).startswith(error), caught.value


def test_coupled_decay_has_no_relation_to_lr():
    with pytest.raises(ValueError, match="decay must be 'coupled', because weight decay is not decoupled here"):
        lk.Adam([np.ones(2)], 0.1, weight_decay=0.1, decay="independent")
    with pytest.raises(ValueError, match="cautious must not be 'decay', because weight decay is not decoupled here"):
        lk.Adam([np.ones(2)], 0.1, weight_decay=0.1, cautious="decay")


def test_steps_along_the_gradient_cannot_be_cautious():
    for cls in (lk.SGD, lk.RMSprop):
        with pytest.raises(ValueError, match=f"^{cls.__name__}: cautious must not be 'update' without momentum"):
            cls([np.ones(2)], 0.1, cautious="update")
    with pytest.raises(ValueError, match=r"^Adagrad: cautious must be 'decay'; got 'update'"):
        lk.Adagrad([np.ones(2)], 0.1, cautious="update")
    with pytest.raises(TypeError, match=r"^Adagrad: cautious must be False or 'decay'; got True \(bool\)$"):
        lk.Adagrad([np.ones(2)], 0.1, cautious=True)


def test_cautious_updates_take_no_rows():
    opt = lk.AdamW([np.ones((3, 2))], 0.1, cautious="update")
    with pytest.raises((TypeError, ValueError), match="grads"):
        opt.step([(np.array([0]), np.ones((1, 2)))])


def test_nothing_is_averaged_before_the_first_step():
    opt = lk.ScheduleFreeSGD([np.ones(2)])
    with pytest.raises(ValueError, match=r"averaged: the optimizer must have done a step; got none"), opt.averaged():
        pass


def test_scalar_states_are_part_of_the_state(tmp_path):
    p, grads = data(7)

    def fresh(values):
        return lk.NAdam({"w": values}, 1e-2)

    params, others, third = p.copy(), p.copy(), p.copy()
    opt, other, by_file = fresh(params), fresh(others), fresh(third)
    for g in grads[:5]:
        opt.step({"w": g})
    state = opt.state_dict()
    assert set(state["scalars"]) == {"mu_product"}
    assert 0 < state["scalars"]["mu_product"]["w"] < 1
    others[...] = third[...] = params
    other.load_state_dict(state)
    opt.save(tmp_path / "state")
    by_file.load(tmp_path / "state")
    opt.add_group({"b": np.zeros(3)})
    for g in grads[5:10]:
        opt.step([{"w": g}, {"b": np.ones(3)}])
        other.step({"w": g})
        by_file.step({"w": g})
    assert params.tobytes() == others.tobytes() == third.tobytes()
    wrong = {**state, "scalars": {"mu_product": {"w": "1"}}}
    with pytest.raises(TypeError, match=r"load_state_dict: mu_product\['w'\] must be a number; got '1'"):
        other.load_state_dict(wrong)
    with pytest.raises(ValueError, match=r"the state has no mu_product\['w'\]"):
        other.load_state_dict({**state, "scalars": {}})
    del wrong["scalars"]
    with pytest.raises(ValueError, match="state must be what state_dict returned"):
        other.load_state_dict(wrong)


@pytest.mark.parametrize("cautious", ["update", "decay"])
def test_tiger_is_as_cautious_as_signum(cautious):
    p, grads = data(7)
    options = {"lr": 1e-2, "beta": 0.9, "weight_decay": 0.1}
    plain, own, other = (
        run(cls, p, grads, **options, **more)
        for cls, more in ((lk.Tiger, {}), (lk.Tiger, {"cautious": cautious}), (lk.Signum, {"cautious": cautious}))
    )
    assert own.tobytes() == other.tobytes() != plain.tobytes()
