"""Arrays that are resized, replaced or closed after lrkern has taken them; callables that do so while it asks them.

The next step notices, says which array it was, and writes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlpack
import numpy as np
import pytest
from hostile import GUARD, Memory, in_bytearray, in_file, in_mapping, shared, view_of_owner

import lrkern as lk

BACKENDS = ["c", "numba"]
SIX = np.linspace(1.0, 2.0, 6)
TABLE = np.arange(1.0, 9.0).reshape(4, 2)


class Movable(dlpack.Stranger):
    """A tensor whose memory can be another one later, as torch's."""

    def data_ptr(self) -> int:
        return int(self.array.ctypes.data)


def owner(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array = values.copy()
    return array, lambda: array.resize((1000, *array.shape[1:]), refcheck=False)


def smaller(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array = values.copy()
    return array, lambda: array.resize((1, *array.shape[1:]), refcheck=False)


def view(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array, whole = view_of_owner(values)
    return array, lambda: whole.resize((1000, *whole.shape[1:]), refcheck=False)


def view_of_memoryview(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    whole = values.copy()
    return np.frombuffer(whole).reshape(values.shape), lambda: whole.resize((1000, *whole.shape[1:]), refcheck=False)


def closed_file(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array = in_file(values, folder)
    return array, array._mmap.close


def closed_mapping(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array, mapping = in_mapping(values)
    return array, mapping.close


def closed_shared(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array, memory = shared(values)
    return array, memory.close


def grown(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    array, buffer = in_bytearray(values)
    return array, lambda: buffer.extend(bytes(1 << 20))


def replaced(values: np.ndarray, folder: Path) -> tuple[Any, Callable[[], None]]:
    tensor = Movable(values.copy())
    kept = tensor.array  # both are there at the same time

    def replace() -> None:
        tensor.array = kept.copy()

    return tensor, replace


MOVES = {one.__name__: one for one in (
    owner, smaller, view, view_of_memoryview, closed_file, closed_mapping, closed_shared, grown, replaced,
)}  # fmt: skip


def make_optimizer(place: str, array: Any, memory: Memory, backend: str) -> tuple[lk.Optimizer, str]:
    """One that has stepped once, with an array in some place; and how errors name it."""
    param = array if place == "param" else memory.place(SIX)
    copy = array if place == "copy_to" else memory.place(SIX)
    options = {"momentum": 0.9, "ema": 0.5, "backend": backend}
    if place in ("values", "bound values"):
        opt = lk.SGD([memory.place(SIX), memory.place(TABLE)], 0.1, **options)
        grads = [memory.place(SIX), (np.array([1, 3]), array)]
    else:
        opt = lk.SGD([memory.place(SIX), param], 0.1, copy_to=[None, copy], **options)
        grads = [memory.place(SIX), array if place == "grad" else memory.place(SIX)]
    opt.bind(grads)
    opt.step()
    name = {"param": "params[1]", "copy_to": "copy_to[1]"}.get(place, "grads[1]")
    return opt, name


def state_of(opt: lk.Optimizer, memory: Memory) -> Any:
    kept = [*opt.momentum_buffers, *(opt.ema_params or [])]
    return opt.count, opt.skipped, [one.tobytes() for one in kept], [raw.tobytes() for raw, _ in memory.made]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", ["param", "copy_to", "grad", "values"])
@pytest.mark.parametrize("move", MOVES)
def test_arrays_that_move(move: str, place: str, backend: str, tmp_path: Path) -> None:
    memory = Memory()
    values = TABLE[:2] if place == "values" else SIX
    array, go = MOVES[move](values, tmp_path)
    opt, name = make_optimizer(place, array, memory, backend)
    before = state_of(opt, memory)
    go()
    for attempt in range(2):
        with pytest.raises(ValueError, match="must stay in its memory") as raised:
            opt.step()
        assert str(raised.value).startswith(f"SGD: {name} must stay"), str(raised.value)
        assert state_of(opt, memory) == before, attempt
    if name == "grads[1]":  # another gradient, and all is well
        opt.step([memory.place(SIX), memory.place(SIX) if place == "grad" else (np.array([1, 3]), memory.place(values))])
        assert opt.count == 2
    else:
        with pytest.raises(ValueError, match="must stay in its memory") as raised:
            opt.step([memory.place(SIX), np.ones((1000,))])
        assert str(raised.value).startswith(f"SGD: {name} must stay"), str(raised.value)
        with pytest.raises(ValueError, match="must stay in its memory"):
            opt.load_state_dict(opt.state_dict())
        assert state_of(opt, memory)[:3] == before[:3]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["momentum_buffers", "ema_params"])
def test_states_that_move(kind: str, backend: str) -> None:
    """They are lrkern's, and NumPy does not let them."""
    memory = Memory()
    opt, _ = make_optimizer("", None, memory, backend)
    with pytest.raises(ValueError, match="cannot resize"):
        getattr(opt, kind)[1].resize(10**5, refcheck=False)
    opt.step()
    memory.check(unchanged=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rates_of_rows_are_out_of_reach(backend: str) -> None:
    memory = Memory()
    opt = lk.SGD([memory.place(TABLE)], np.array([0.1, 0.2, 0.3, 0.4]), backend=backend)
    rates = opt.lr
    rates[:] = np.nan
    rates.resize(1, refcheck=False)
    opt.step([np.ones((4, 2))])
    assert opt.lr.tolist() == [0.1, 0.2, 0.3, 0.4]
    memory.check(unchanged=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lenders_are_free_between_steps(backend: str, tmp_path: Path) -> None:
    """A file can be closed while an optimizer is there, and a buffer can grow again."""
    array, mapping = in_mapping(SIX)
    opt = lk.SGD([array], 0.1, backend=backend)
    opt.bind([SIX])
    opt.step()
    opt.step([in_file(SIX, tmp_path)])
    mapping.close()
    assert mapping.closed


@pytest.mark.parametrize("backend", BACKENDS)
def test_indices_that_change_after_bind(backend: str) -> None:
    """They were read then, and are not read again."""
    memory = Memory()
    param, indices = memory.place(TABLE), np.array([3, 1])
    opt = lk.SGD([param], 0.5, backend=backend)
    opt.bind([(indices, memory.place(np.ones((2, 2))))])
    indices[:] = 10**9
    opt.step()
    indices.resize(1000, refcheck=False)
    opt.step()
    assert (param - TABLE).tolist() == [[0, 0], [-1, -1], [0, 0], [-1, -1]]
    memory.check(unchanged=False)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("ignore:Setting the shape")
def test_shapes_that_change(backend: str) -> None:
    """What a user makes of the shape of a parameter later does not make rows of another length."""
    memory = Memory()
    param = memory.place(TABLE)
    opt = lk.SGD([param], 0.5, backend=backend)
    opt.step([(np.array([3]), np.ones((1, 2)))])
    param.shape = (8, 1)
    for rows, values in (([7], np.ones((1, 1))), ([3], np.ones((1, 1)))):
        with pytest.raises(ValueError, match=r"^SGD: grads\[0\] must be rows in 0..3 and C-contiguous values of 2 elements"):
            opt.step([(np.array(rows), values)])
    assert opt.count == 1
    opt.step([np.ones((8, 1))])
    param.shape = (4, 2)
    assert (param - TABLE).tolist() == [[-0.5] * 2] * 3 + [[-1.0] * 2]
    memory.check(unchanged=False)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("ignore:Setting the strides")
def test_strides_that_change(backend: str) -> None:
    """A parameter of one element again and again does not make gradients of one element."""
    memory = Memory()
    param = memory.place(SIX)
    opt = lk.SGD([param], 0.5, backend=backend)
    param.strides = (0,)
    with pytest.raises(ValueError, match=r"^SGD: grads\[0\] must be contiguous"):
        opt.step([np.broadcast_to(np.ones(1), 6)])
    memory.check(unchanged=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_indices_that_another_thread_writes(backend: str) -> None:
    """What is checked is what is used: rows of the parameter, or an error."""
    memory = Memory()
    param, indices, values = memory.place(np.zeros((4, 2))), np.zeros(2000, np.int64), np.ones((2000, 2))
    opt = lk.SGD([param], 1e-3, backend=backend)
    opt.step([(indices, values)])
    stop, outcomes = threading.Event(), set()

    def spoil() -> None:
        while not stop.is_set():
            indices[1000:] = 10**6
            indices[1000:] = 3

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        for _ in range(300):
            try:
                opt.step([(indices, values)])
                outcomes.add("stepped")
            except ValueError as error:
                assert str(error).startswith("SGD: grads[0][0] must be a 1-D array of rows in 0..3; got ")
                outcomes.add("refused")
    finally:
        stop.set()
        thread.join()
    assert outcomes
    memory.check(unchanged=False)


# ------------------------------------------------------------------------------------------------------------ callables

CALLS: dict[str, Callable[[lk.Optimizer, Path], Any]] = {
    "step": lambda opt, _: opt.step([SIX]),
    "bound step": lambda opt, _: opt.step(),
    "bind": lambda opt, _: opt.bind([SIX]),
    "set": lambda opt, _: opt.set("momentum", 0.5),
    "state_dict": lambda opt, _: opt.state_dict(),
    "save": lambda opt, folder: opt.save(folder / "state"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("call", CALLS)
def test_schedules_that_call_the_optimizer(call: str, backend: str, tmp_path: Path) -> None:
    memory, calls = Memory(), [call]

    def lr(step: int) -> float:
        if calls:
            CALLS[calls.pop()](opt, tmp_path)
        return 0.1

    opt = lk.SGD([memory.place(SIX)], lr, momentum=0.9, backend=backend)
    opt.bind([memory.place(SIX)])
    with pytest.raises(RuntimeError, match=r"^SGD: what a step of an optimizer calls must not call the optimizer itself$"):
        opt.step()
    memory.check(unchanged=True)
    assert opt.count == 0
    opt.step()
    assert opt.count == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", ["step", "bind"])
def test_schedules_that_raise(way: str, backend: str) -> None:
    memory, fails = Memory(), [True]

    def momentum(step: int) -> float:
        if fails:
            fails.pop()
            raise ZeroDivisionError("not today")
        return 0.5

    opt = lk.SGD([memory.place(SIX)], lambda step: 0.1 * (step + 1), momentum=momentum, backend=backend)
    grads = [memory.place(SIX)]
    if way == "bind":
        opt.bind(grads)
    with pytest.raises(ZeroDivisionError, match="not today"):
        opt.step(None if way == "bind" else grads)
    memory.check(unchanged=True)
    assert opt.count == 0
    opt.step(None if way == "bind" else grads)
    other = [SIX.copy()]
    lk.SGD(other, 0.1, momentum=0.5).step([SIX])
    assert memory.made[0][0][GUARD:-GUARD].tobytes() == other[0].tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("which", ["param", "grad"])
def test_schedules_that_resize(which: str, backend: str) -> None:
    memory, param, grad, todo = Memory(), SIX.copy(), SIX.copy(), []

    def lr(step: int) -> float:
        if todo:
            todo.pop().resize(10**5, refcheck=False)
        return 0.1

    opt = lk.SGD([memory.place(SIX), param], lr, momentum=0.9, backend=backend)
    opt.bind([memory.place(SIX), grad])
    opt.step()
    before = state_of(opt, memory)
    todo.append({"param": param, "grad": grad}[which])
    with pytest.raises(ValueError, match=rf"^SGD: {which}s\[1\] must stay in its memory"):
        opt.step()
    after = state_of(opt, memory)
    assert (after[0], after[3]) == (before[0], before[3])


@pytest.mark.parametrize("backend", BACKENDS)
def test_schedules_that_write(backend: str) -> None:
    """The step is made of what the arrays hold when all callables are through."""
    param, grad = SIX.copy(), SIX.copy()

    def lr(step: int) -> float:
        grad[:] = 1.0
        return 0.5

    lk.SGD([param], lr, backend=backend).step([grad])
    assert (param == SIX - 0.5).all()


class Acting(dlpack.Stranger):
    """Does something when it is asked for its capsule."""

    act: Callable[[], Any] = staticmethod(lambda: None)

    def __dlpack__(self, **options: Any) -> Any:
        self.act()
        return super().__dlpack__(**options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", ["step", "bind"])
@pytest.mark.parametrize("which", ["param", "grad"])
def test_gradients_that_resize_others(which: str, way: str, backend: str) -> None:
    """A capsule is made after another gradient has been looked at."""
    memory, param, grad = Memory(), SIX.copy(), SIX.copy()
    acting = Acting(memory.place(SIX))
    acting.act = lambda: {"param": param, "grad": grad}[which].resize(10**5, refcheck=False)
    opt = lk.SGD([param, memory.place(SIX)], 0.1, momentum=0.9, backend=backend)
    message = r"^SGD: params\[0\] must stay in its memory" if which == "param" else r"^SGD: grads\[0\] must "

    def step() -> None:
        if way == "bind":
            opt.bind([grad, acting])
        opt.step(None if way == "bind" else [grad, acting])

    with pytest.raises(ValueError, match=message):
        step()
    memory.check(unchanged=True)
    assert opt.count == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_that_step(backend: str) -> None:
    memory = Memory()
    acting = Acting(memory.place(SIX))
    opt = lk.SGD([memory.place(SIX)], 0.1, backend=backend)
    acting.act = lambda: opt.step([SIX])
    with pytest.raises(TypeError, match=r"^SGD: grads\[0\] must be .*: SGD: what a step of an optimizer calls must not"):
        opt.step([acting])
    memory.check(unchanged=True)
    assert opt.count == 0


def test_functions_whose_arrays_act() -> None:
    """A step by a function: the parameter is resized while its gradient, or a number, is read."""
    param, acting = SIX.copy(), Acting(SIX.copy())

    def resize() -> None:
        param.resize(param.size + 10**5, refcheck=False)

    class Number(float):
        def __float__(self) -> float:
            resize()
            return 0.1

    acting.act = resize
    for grad, lr in ((acting, 0.1), (SIX, Number(0.1))):
        with pytest.raises(ValueError, match=r"^sgd_step: (param must stay in its memory|grad must be .* like param)"):
            lk.sgd_step(param, grad, lr=lr)
        assert (param[6:] == 0).all()
        assert (param[:6] == SIX).all()


def test_scans_whose_numbers_act() -> None:
    """A metric's memory goes away while another argument is read."""
    whole = np.ones(10**5)

    class Number(float):
        def __float__(self) -> float:
            whole.resize(1, refcheck=False)
            return 0.1

    with pytest.raises(ValueError, match=r"^plateau: metrics must be in memory that is there"):
        lk.plateau(whole[:99_999], Number(0.1))


def test_functions_of_steps_that_act() -> None:
    """Callables are asked for their values once, and what is made of these stays."""
    seen: list[lk.Schedule] = []

    def f(step: int) -> float:
        if step < 2:
            seen.append(lk.from_function(lambda t: 2.0 * t, 3))
            if step == 1:
                seen[0](np.arange(3))
        return float(step)

    assert lk.from_function(f, 4).table(5).tolist() == [0, 1, 2, 3, 3]
    with pytest.raises(ZeroDivisionError):
        lk.from_function(lambda step: 1 / (2 - step), 4)
    assert seen[1].table(3).tolist() == [0, 2, 4]
