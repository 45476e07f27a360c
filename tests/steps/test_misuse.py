"""Invalid arrays for every array argument of lrkern: refused by name, or handled correctly; no access out of bounds.

`hostile` has the arrays. What happens to arrays later is in `test_misuse_later`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hostile import ARRAYS, CAPSULES, REFUSED, RIGHT, Memory, as_of, lying, raising
from numba.core.errors import TypingError
from representative import diagonals

import lrkern as lk

BACKENDS = ["c", "numba"]
WRITTEN, READ, CONVERTED, ROWS = "written", "read", "converted", "rows"

SIX = np.linspace(1.0, 2.0, 6)
TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
PAIR = np.array([[0.5, 0.25], [0.125, 2.0]])
SCHEDULE = lk.cosine(1.0, 0.1, 50)


class Place(NamedTuple):
    """Somewhere that takes an array."""

    function: str
    """As errors begin."""
    argument: str
    """As errors name it."""
    kind: str
    values: Any
    """What the array may hold."""
    run: Callable[[Any, Memory, str], Any]
    """run(array, memory, backend): does it, with other arrays in this memory. Returns what comes out besides."""
    backends: list[str] = BACKENDS


def sgd_step(array: Any, memory: Memory, backend: str, **which: Any) -> None:
    arrays = {"param": SIX, "grad": SIX / 8, "momentum_buffer": SIX / 4}
    for name, values in arrays.items():
        arrays[name] = array if name in which else memory.place(values)
    lk.sgd_step(**arrays, lr=0.1, momentum=0.9, backend=backend)


def adamw_step(array: Any, memory: Memory, backend: str) -> None:
    lk.adamw_step(memory.place(SIX), memory.place(SIX / 8), memory.place(SIX / 4), array, count=3, lr=0.1, backend=backend)


def stepped(array: Any, memory: Memory, backend: str) -> Any:
    opt = lk.SGD({"w": array, "v": memory.place(SIX)}, 0.1, momentum=0.9, ema=0.5, backend=backend)
    opt.step({"w": memory.place(SIX / 8), "v": memory.place(SIX / 4)})
    return opt.momentum_buffers, opt.ema_params


def copied_to(array: Any, memory: Memory, backend: str) -> Any:
    opt = lk.SGD([memory.place(SIX)], 0.1, momentum=0.9, copy_to=[array], backend=backend)
    opt.step([memory.place(SIX / 8)])
    return opt.momentum_buffers


def gradient(array: Any, memory: Memory, backend: str, way: str, zero: bool = False) -> Any:
    opt = lk.SGD([memory.place(SIX), memory.place(SIX)], 0.1, momentum=0.9, clip_norm=1.0, zero_grad=zero, backend=backend)
    grads = [memory.place(SIX / 8), array]
    if way == "bind":
        opt.bind(grads)
        opt.step()
    else:
        opt.step(grads)
    return opt.momentum_buffers, opt.grad_norm


def rows(indices: Any, values: Any, memory: Memory, backend: str, way: str) -> Any:
    opt = lk.SGD([memory.place(TABLE)], 0.1, momentum=0.9, backend=backend)
    if way == "bind":
        opt.bind([(indices, values)])
        opt.step()
    else:
        opt.step([(indices, values)])
    return opt.momentum_buffers


def row_rates(array: Any, memory: Memory, backend: str) -> Any:
    opt = lk.SGD([memory.place(TABLE)], array, momentum=0.9, backend=backend)
    opt.step([memory.place(TABLE / 8)])
    return opt.momentum_buffers


def loaded(array: Any, memory: Memory, backend: str) -> Any:
    opt = lk.SGD([memory.place(SIX), memory.place(SIX)], 0.1, momentum=0.9, backend=backend)
    opt.step([memory.place(SIX), memory.place(SIX)])
    state = opt.state_dict()
    before = [one.tobytes() for one in opt.momentum_buffers]
    state["momentum_buffers"][1] = array
    try:
        opt.load_state_dict(state)
    except (TypeError, ValueError):
        assert [one.tobytes() for one in opt.momentum_buffers] == before
        memory.made = [(raw, raw.tobytes()) for raw, _ in memory.made]  # the step before was meant to write
        raise
    opt.step([memory.place(SIX), memory.place(SIX)])
    return opt.momentum_buffers


def plateau_state(array: Any, memory: Memory, backend: str) -> Any:
    plateau = lk.Plateau(np.full(6, 0.1), factor=0.5, patience=0)
    state = plateau.state_dict()
    state["state"]["best"] = array
    plateau.load_state_dict(state)
    return plateau.update(np.full(6, 1.5))


LOSSES = np.array([[3.0, 2.0, 2.0, 1.0], [3.0, 4.0, 1.0, 0.5], [1.0, 1.0, 1.0, 1.0]])
STEPS, REALS = np.array([0, 3, 40, 7, 10**9]), np.array([0.0, 2.5, 40.0, 7.75, 1e9])

PLACES = {
    "param of a function": Place("sgd_step", "param", WRITTEN, SIX, lambda *given: sgd_step(*given, param=True)),
    "grad of a function": Place("sgd_step", "grad", READ, SIX / 8, lambda *given: sgd_step(*given, grad=True)),
    "state of a function": Place(
        "sgd_step", "momentum_buffer", WRITTEN, SIX / 4, lambda *given: sgd_step(*given, momentum_buffer=True)
    ),
    "other state of a function": Place("adamw_step", "exp_avg_sq", WRITTEN, SIX, adamw_step),
    "params": Place("SGD", "params['w']", WRITTEN, SIX, stepped),
    "copy_to": Place("SGD", "copy_to[0]", WRITTEN, SIX, copied_to),
    "grads of a step": Place("SGD", "grads[1]", READ, SIX, lambda *given: gradient(*given, "step")),
    "grads that are bound": Place("SGD", "grads[1]", READ, SIX, lambda *given: gradient(*given, "bind")),
    "grads that are zeroed": Place("SGD", "grads[1]", WRITTEN, SIX, lambda *given: gradient(*given, "step", True)),
    "indices of a step": Place(
        "SGD", "grads[0][0]", ROWS, np.array([3, 1]), lambda a, m, b: rows(a, m.place(PAIR), m, b, "step")
    ),
    "indices that are bound": Place(
        "SGD", "grads[0][0]", ROWS, np.array([3, 1], np.uint8), lambda a, m, b: rows(a, m.place(PAIR), m, b, "bind")
    ),
    "values of a step": Place("SGD", "grads[0]", READ, PAIR, lambda a, m, b: rows(np.array([3, 1]), a, m, b, "step")),
    "values that are bound": Place("SGD", "grads[0]", READ, PAIR, lambda a, m, b: rows(np.array([3, 1]), a, m, b, "bind")),
    "lr of rows": Place("SGD", "lr", CONVERTED, np.array([0.1, 0.2, 0.3, 0.4]), row_rates),
    "a loaded state": Place("SGD", "momentum_buffers[1]", CONVERTED, SIX, loaded),
    "out of table": Place("table", "out", WRITTEN, np.zeros(100), lambda a, m, b: SCHEDULE.table(100, out=a, backend=b) is a),
    "float32 out of table": Place(
        "table", "out", WRITTEN, np.zeros(100, "f4"), lambda a, m, b: SCHEDULE.table(100, out=a, backend=b) is a
    ),
    "out of tables": Place(
        "tables", "out", WRITTEN, np.zeros((2, 40)), lambda a, m, b: lk.tables([SCHEDULE] * 2, 40, out=a, backend=b) is a
    ),
    "steps": Place("schedule", "step", CONVERTED, STEPS, lambda a, m, b: SCHEDULE(a), ["c"]),
    "steps of 32 bits": Place("schedule", "step", CONVERTED, STEPS.astype("i4"), lambda a, m, b: SCHEDULE(a), ["c"]),
    "real steps": Place("schedule", "step", CONVERTED, REALS, lambda a, m, b: SCHEDULE(a), ["c"]),
    "values of a table": Place("from_table", "values", CONVERTED, SIX, lambda a, m, b: lk.from_table(a).table(9), ["c"]),
    "boundaries": Place(
        "join", "boundaries", CONVERTED, np.array([1, 5]), lambda a, m, b: lk.join([SCHEDULE] * 3, a).table(9), ["c"]
    ),
    "metrics": Place("plateau", "metrics", CONVERTED, LOSSES, lambda a, m, b: lk.plateau(a, 0.1, patience=0, backend=b)),
    "float32 metrics": Place(
        "plateau", "metrics", CONVERTED, LOSSES.astype("f4"), lambda a, m, b: lk.plateau(a, 0.1, patience=0, backend=b)
    ),
    "out of plateau": Place(
        "plateau", "out", WRITTEN, LOSSES, lambda a, m, b: lk.plateau(m.place(LOSSES), 0.1, patience=0, out=a, backend=b) is a
    ),
    "start of plateau": Place(
        "plateau", "start", CONVERTED, np.array([0.1, 0.2, 0.3]), lambda a, m, b: lk.plateau(LOSSES, a, patience=0, backend=b)
    ),
    "losses": Place("loss_driven", "losses", CONVERTED, LOSSES, lambda a, m, b: lk.loss_driven(a, 0.1, 0.5, backend=b)),
    "out of loss_driven": Place(
        "loss_driven", "out", WRITTEN, LOSSES, lambda a, m, b: lk.loss_driven(m.place(LOSSES), 0.1, 0.5, out=a, backend=b) is a
    ),
    "a metric": Place("Plateau.update", "metric", CONVERTED, SIX, lambda a, m, b: lk.Plateau([0.1] * 6).update(a), ["c"]),
    "a state of Plateau": Place("Plateau.load_state_dict", "best", CONVERTED, SIX, plateau_state, ["c"]),
    "gradient norms": Place("refine", "grad_norms", CONVERTED, SIX, lambda a, m, b: lk.refine(a, smoothing=0).table(6), ["c"]),
}

TABLED = [(place, backend) for place, one in PLACES.items() for backend in one.backends]

EXCEPTIONS = {
    # Bytes are not numbers for rates; a loaded state must have the dtype of the optimizer's.
    ("a loaded state", "in the other byte order"): REFUSED,
    # Arguments read number by number may be in any container.
    ("lr of rows", "of objects"): RIGHT,
    ("values of a table", "of objects"): RIGHT,
    ("boundaries", "of objects"): RIGHT,
    # A byte has no order.
    ("indices that are bound", "in the other byte order"): RIGHT,
}


def as_bytes(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [as_bytes(one) for one in value]
    if isinstance(value, dict):
        return [as_bytes(one) for one in value.values()]
    return value.tobytes() if isinstance(value, np.ndarray) else value


def result_of(place: Place, array: Any, memory: Memory, backend: str) -> Any:
    found = as_bytes(place.run(array, memory, backend))
    memory.check(unchanged=False)
    return found, memory.contents()


def expect_refusal(place: Place, array: Any, memory: Memory, backend: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        place.run(array, memory, backend)
    message = str(raised.value)
    assert message.startswith(place.function), message
    assert place.argument in message, message
    assert len(message) < 500, message
    memory.check(unchanged=True)


@diagonals(3, ("where,backend", TABLED, "{0[0]}-{0[1]}".format), ("name", ARRAYS, ARRAYS))
def test_arrays(where: str, backend: str, name: str, tmp_path: Path) -> None:
    place, hostile, memory = PLACES[where], ARRAYS[name], Memory()
    array = hostile.make(memory.place(place.values), tmp_path)
    outcome = {WRITTEN: hostile.written, READ: hostile.read}.get(place.kind, hostile.converted)
    if EXCEPTIONS.get((where, name), outcome) == REFUSED:
        expect_refusal(place, array, memory, backend)
        return
    same = Memory()
    plain = same.place(hostile.look(array))
    found, expected = result_of(place, array, memory, backend), result_of(place, plain, same, backend)
    assert found == expected
    if place.kind in (WRITTEN, READ):
        assert hostile.look(array).tobytes() == plain.tobytes()
    else:
        memory.check(unchanged=False)


DLPACK_PLACES = [(where, backend) for where, backend in TABLED if PLACES[where].function in ("SGD", "sgd_step", "adamw_step")]
NO_DLPACK = {"lr of rows", "a loaded state"}


@pytest.mark.parametrize("name", CAPSULES)
@pytest.mark.parametrize(("where", "backend"), [one for one in DLPACK_PLACES if one[0] not in NO_DLPACK])
def test_capsules(where: str, backend: str, name: str) -> None:
    place, memory = PLACES[where], Memory()
    expect_refusal(place, CAPSULES[name](memory.place(place.values)), memory, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", ["step", "bind"])
@pytest.mark.parametrize("row", [50, 4, -1, -(2**63), 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("name", [name for name, one in ARRAYS.items() if one.converted == RIGHT and name != "of one element"])
def test_rows_that_there_are_not(name: str, row: int, way: str, backend: str, tmp_path: Path) -> None:
    """However an array of indices compares, wherever it lies."""
    memory = Memory()
    indices = ARRAYS[name].make(memory.place(np.array([1, row], np.uint64 if row >= 2**63 else np.int64)), tmp_path)
    opt = lk.SGD([memory.place(TABLE)], 0.1, backend=backend)
    with pytest.raises(ValueError, match=rf"SGD: grads\[0\]\[0\] must be a 1-D array of rows in 0..3; got .*{row}"):
        getattr(opt, way)([(indices, memory.place(PAIR))])
    memory.check(unchanged=True)
    assert opt.count == 0


def test_compiled_functions() -> None:
    """Nothing is compiled for what an array says of its layout, or of being writable."""
    import lrkern.numba as ln

    memory = Memory()
    for array in (memory.place(np.zeros(12))[::2], memory.place(np.zeros(6))):
        array.flags.writeable = not array.flags.c_contiguous
        liar = lying("Liar", lambda _: as_of(np.zeros(6), "flags"))(array)
        with pytest.raises(TypingError, match=r"arrays must be contiguous|must be writable"):
            ln.sgd_step(liar, memory.place(SIX), lr=0.5)
    memory.check(unchanged=True)
    liar = lying("Raises", raising)(memory.place(np.zeros(6)))
    ln.sgd_step(liar, memory.place(SIX), lr=0.5)
    assert np.ndarray.view(liar, np.ndarray).tolist() == (-SIX / 2).tolist()
