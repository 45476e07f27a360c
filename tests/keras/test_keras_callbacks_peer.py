"""`lrkern.keras.LossDriven` and `Plateau` in real fits, on the backend of this process."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_keras_schedule_peer import data, keras, lkk, numbers, small_model

import lrkern as lk

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


class Logged(keras.callbacks.Callback):
    """Replaces a metric by given values, and notes the learning rate of every update."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values, self.rates = name, iter(values), []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(numbers(self.model.optimizer.learning_rate)))

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = next(self.values)


def fit(callback, name, values, model=None):
    """The learning rates of all updates, two per epoch, and what the history says."""
    model = small_model(keras.optimizers.SGD(0.125)) if model is None else model
    logged = Logged(name, values)
    x, y = data(np.random.default_rng(6), 16)
    history = model.fit(x, y, epochs=len(values), batch_size=8, verbose=0, callbacks=[logged, callback])
    return logged.rates, history.history["learning_rate"], model


LOSSES = [3.0, 2.0, 2.5, 1.0, 1.0, 1.0, 0.99, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_loss_driven():
    rates, history, model = fit(lkk.LossDriven(0.5), "loss", LOSSES[:4])
    assert rates == [0.125, 0.125, 0.125, 0.125, 0.0625, 0.0625, 0.0625, 0.0625]
    assert history == [0.125, 0.125, 0.0625, 0.0625]
    assert float(numbers(model.optimizer.learning_rate)) == lk.loss_driven(LOSSES[:4], 0.125, 0.5)[-1] == 0.015625


@pytest.mark.parametrize("options", [{}, {"factor": 0.5, "patience": 1}, {"factor": 0.5, "patience": 2, "cooldown": 1}])
def test_the_plateau_of_keras(options):
    """The same rates as those of Keras' own callback, which also changes the optimizer."""
    options = {"patience": 3, **options}
    theirs = fit(keras.callbacks.ReduceLROnPlateau("loss", min_delta=0.1, **options), "loss", LOSSES)
    ours = fit(lkk.Plateau("loss", threshold=0.1, **options), "loss", LOSSES)
    assert ours[0] == theirs[0]
    assert len(set(ours[0])) > 1
    assert ours[1] == pytest.approx(theirs[1], rel=1e-7)


@pytest.mark.parametrize("dialect", ["torch", "timm", "mmengine", "paddle", "transformers", "optax"])
def test_other_dialects(dialect):
    rates, _, _ = fit(lkk.Plateau("loss", dialect=dialect, factor=0.5, patience=1), "loss", LOSSES)
    expected = lk.plateau(LOSSES, 0.125, factor=0.5, patience=1, dialect=dialect).astype("f4")
    assert rates[::2] == [0.125, *expected[:-1].tolist()]
    assert rates[::2] == rates[1::2]


def test_a_plateau_times_a_schedule():
    s = lk.constant(0.5).warmup(4)
    rates, _, _ = fit(lkk.Plateau("loss", schedule=s, factor=0.5, patience=1), "loss", [1.0, 1.0, 1.0, 1.0])
    twin, expected = lk.Plateau(schedule=s, factor=0.5, patience=1, dialect="keras"), []
    for _ in range(4):
        expected += [twin.step(), twin.step()]
        twin.update(1.0)
    assert rates == expected == [0.0, 0.125, 0.25, 0.375, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="steps_per_execution must be 1 on torch")
def test_a_schedule_follows_several_updates_per_execution():
    class Noted(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(numbers(self.model.optimizer.learning_rate)))

    rates = []
    model = small_model(keras.optimizers.SGD(0.125))
    model.compile(model.optimizer, "mse", steps_per_execution=2)
    callback = lkk.Plateau("loss", schedule=lk.linear(1.0, 0.0, 16), patience=99)
    x, y = data(np.random.default_rng(6), 40)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[callback, Noted()])  # 5 updates per epoch
    assert callback.rate.steps == 10
    assert rates == [1 - t / 16 for t in (0, 2, 4, 5, 7, 9)]


def test_reset_across_fits():
    for reset in (True, False):
        callback = lkk.Plateau("loss", dialect="torch", factor=0.5, patience=0, start=0.25, reset=reset)
        first, _, model = fit(callback, "loss", [1.0, 1.0])
        state = callback.rate.state_dict()
        second, _, _ = fit(callback, "loss", [1.0, 1.0], model)
        assert first == [0.25] * 4
        assert second == ([0.25] * 4 if reset else [0.125, 0.125, 0.0625, 0.0625])
        assert callback.rate.count == (2 if reset else 4)
        assert state["count"] == 2
    callback = lkk.Plateau("loss", factor=0.5, patience=0)  # from the rate that the optimizer has, as Keras' own
    _, _, model = fit(callback, "loss", [1.0, 1.0])
    at_the_end = float(numbers(model.optimizer.learning_rate))
    assert at_the_end < 0.125
    assert fit(callback, "loss", [1.0], model)[0][0] == at_the_end


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda reset: lkk.LossDriven(0.5, reset=reset),
        lambda reset: lkk.Plateau("loss", factor=0.5, patience=1, reset=reset),
        lambda reset: lkk.Plateau("loss", factor=0.5, patience=1, start=0.25, dialect="torch", reset=reset),
        lambda reset: lkk.Plateau("loss", factor=0.5, patience=1, schedule=lk.constant(0.5).warmup(18), reset=reset),
    ],
    ids=["loss-driven", "plateau", "start", "schedule"],
)
def test_a_new_callback_resumes(make, reset):
    whole, _, _ = fit(make(reset), "loss", LOSSES)
    first = make(reset)
    begun, _, _ = fit(first, "loss", LOSSES[:7])
    state = json.loads(json.dumps(first.state_dict()))
    later = make(reset)
    later.load_state_dict(state)
    assert later.state_dict() == state
    resumed, _, model = fit(later, "loss", LOSSES[7:])
    assert begun + resumed == whole
    assert later.rate.count == 12
    fit(later, "loss", LOSSES[:1], model)
    assert later.rate.count == (1 if reset else 13)  # the state is for one fit


def test_states_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"^Plateau.state_dict: the Plateau must have begun a fit, or loaded a state; got none$"
    ):
        lkk.Plateau("loss").state_dict()
    first = lkk.Plateau("loss", factor=0.5)
    fit(first, "loss", [1.0])
    state, other = first.state_dict(), lkk.Plateau("loss", factor=0.25)
    with pytest.raises(
        ValueError, match=r"^Plateau.load_state_dict: factor must be 0.25, as in this Plateau; the state has 0.5"
    ):
        other.load_state_dict(state)
    with pytest.raises(
        ValueError, match=r"^Plateau.load_state_dict: start must be 0.5, as in this Plateau; the state has 0.125"
    ):
        lkk.Plateau("loss", factor=0.5, start=0.5).load_state_dict(state)
    for wrong in (None, {}, 3, {**state, "arguments": None}):
        with pytest.raises((TypeError, ValueError), match=r"^Plateau.load_state_dict: (state|arguments) must be "):
            other.load_state_dict(wrong)
    assert other.rate is None


@pytest.mark.parametrize("kind", [lkk.LossDriven, lkk.Plateau])
def test_epochs_without_validation_change_nothing(kind):
    x, y = data(np.random.default_rng(6), 16)
    rates = []
    for keywords in ({"epochs": 3}, {"epochs": 6, "validation_freq": 2}):
        callback = kind(0.5, monitor="val_loss") if kind is lkk.LossDriven else kind(factor=0.5, patience=0, threshold=1e9)
        model = small_model(keras.optimizers.SGD(0.125))
        options = {"batch_size": 8, "verbose": 0, "validation_data": (x, y), "callbacks": [callback], **keywords}
        if "validation_freq" in keywords:
            with pytest.warns(UserWarning, match=rf"^{kind.__name__}: epoch 0 had no validation, so there is no 'val_loss'"):
                rates.append(model.fit(x, y, **options).history["learning_rate"])
        else:
            rates.append(model.fit(x, y, **options).history["learning_rate"])
        assert callback.rate.count == 3
    assert len(rates[1]) == 6
    assert rates[1][::2] == rates[1][1::2]
    assert rates[1][::2] == rates[0] or kind is lkk.LossDriven  # which depends on the losses themselves
    assert len(set(rates[1])) > 1


def test_misuse():
    with pytest.raises(ValueError, match=r"^LossDriven: monitor must be one of loss; got 'los'$"):
        fit(lkk.LossDriven(0.5, monitor="los"), "loss", [1.0])
    x, y = data(np.random.default_rng(6), 16)
    with pytest.raises(ValueError, match=r"^LossDriven: monitor must be one of .*val_loss.*; got 'val_los'$"):
        small_model(keras.optimizers.SGD(0.125)).fit(
            x, y, verbose=0, validation_data=(x, y), callbacks=[lkk.LossDriven(0.5, monitor="val_los")]
        )
    for rate in (lkk.Schedule(lk.constant(0.1)), lambda: 0.1):
        model = small_model(keras.optimizers.SGD(rate))
        for callback in (lkk.LossDriven(0.5), lkk.Plateau("loss")):
            match = r"must have an optimizer whose learning rate is a number, .*; got a schedule or a function$"
            with pytest.raises(TypeError, match=match):
                fit(callback, "loss", [1.0], model)
    for make in (lkk.Plateau, lambda monitor: lkk.LossDriven(0.5, monitor=monitor)):
        with pytest.raises(TypeError, match=r": monitor must be a string, the key of a metric in the logs; got 3 \(int\)$"):
            make(3)
    with pytest.raises(ValueError, match=r"^LossDriven: decay must be a finite number > 0; got 0.0"):
        lkk.LossDriven(0.0)
    with pytest.raises(TypeError, match=r"^LossDriven: reset must be True or False"):
        lkk.LossDriven(0.5, reset="yes")
    with pytest.raises(ValueError, match=r"^Plateau: factor must be"):
        lkk.Plateau(factor=2.0)
    for name, hint in (("min_delta", "use threshold"), ("epsilon", "use threshold"), ("verbose", "omit it")):
        with pytest.raises(TypeError, match=rf"^Plateau: dialect 'keras' has no argument {name}: {hint}; it has factor, "):
            lkk.Plateau(**{name: 1})
    with pytest.raises(ValueError, match=r"^Plateau: mode must be 'min' or 'max'; got 'auto'"):
        lkk.Plateau(mode="auto")
