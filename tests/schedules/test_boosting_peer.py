"""docs/boosting.md with the real packages: its code runs, and each round has the rate that the page says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lrkern as lk

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
NO_DEPS = "lightgbm xgboost-cpu"

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
PAGE = Path(__file__).parents[2] / "docs" / "boosting.md"
ROUNDS = 20
CURVE = lk.cosine(0.5, 0.1, ROUNDS)
X, Y = np.arange(200.0).reshape(-1, 1), np.repeat([1.0, 0.0], 100)


def rates(predictions):
    """The rate of every round, from what is left of the error: trees fit it exactly."""
    left = [1.0, *(1.0 - value for value in predictions)]
    return [1.0 - after / before for before, after in zip(left[:-1], left[1:], strict=True)]


def lightgbm_rates(learning_rate):
    params = {"objective": "regression", "boost_from_average": False, "num_leaves": 2, "verbosity": -1, "num_threads": 1}
    callbacks = [lightgbm.reset_parameter(learning_rate=learning_rate)]
    model = lightgbm.train(params, lightgbm.Dataset(X, Y), ROUNDS, callbacks=callbacks)
    return rates([model.predict(X[:1], num_iteration=i)[0] for i in range(1, ROUNDS + 1)])


def xgboost_rates(learning_rates, first):
    params = {"objective": "reg:squarederror", "base_score": 0.0, "max_depth": 1, "lambda": 0.0, "learning_rate": first}
    data = xgboost.DMatrix(X, Y)
    callbacks = [xgboost.callback.LearningRateScheduler(learning_rates)]
    model = xgboost.train(params | {"nthread": 1}, data, ROUNDS, callbacks=callbacks)
    return rates([float(model.predict(data, iteration_range=(0, i))[0]) for i in range(1, ROUNDS + 1)])


@pytest.mark.parametrize("form", [CURVE, CURVE.table(ROUNDS).tolist()], ids=["function", "list"])
def test_lightgbm(form):
    assert lightgbm_rates(form) == pytest.approx(CURVE.table(ROUNDS).tolist(), rel=1e-3)


@pytest.mark.parametrize("form", [CURVE.shift(-1), CURVE.table(ROUNDS, start=1).tolist()], ids=["function", "list"])
def test_xgboost_one_step_ahead(form):
    assert xgboost_rates(form, CURVE(0)) == pytest.approx(CURVE.table(ROUNDS).tolist(), rel=1e-3)


def test_xgboost_without_that_is_a_round_late():
    late = xgboost_rates(CURVE, 0.01)
    assert late == pytest.approx([0.01, *CURVE.table(ROUNDS - 1)], rel=1e-3)


def test_the_page():
    namespace = {}
    for block in re.findall(r"^```\{code-block\} python\n(.*?)^```", PAGE.read_text(), re.S | re.M):
        exec(compile(block, PAGE.name, "exec"), namespace)
        np.testing.assert_array_equal(*(forest(namespace[name], namespace["x"]) for name in ("model", "same")))
        assert forest(namespace["model"], namespace["x"]).std() > 0.5


def forest(model, x):
    return model.predict(x if isinstance(model, lightgbm.Booster) else xgboost.DMatrix(x))
