"""Steps from several threads at once, and after a fork."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from concurrency import Pause, assert_locked
from step_arrays import assert_same_bits, values

import lrkern as lk


class TestThreadsAndForks:
    def test_many_python_threads_at_once(self) -> None:
        n, rounds = 40_000, 30
        g = values("f4", n, 1)
        expected = np.zeros(n, "f4")
        expected_b = np.zeros(n, "f4")
        for i in range(rounds):
            lk.sgd_step(expected, g, expected_b, lr=0.1, momentum=0.9, first=i == 0)
        results: list[np.ndarray] = []

        def work() -> None:
            p = np.zeros(n, "f4")
            opt = lk.SGD([p], 0.1, momentum=0.9)
            opt.bind([g])
            for _ in range(rounds):
                opt.step()
            results.append(p)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(results) == 6
        for p in results:
            assert_same_bits(p, expected)

    def test_one_optimizer_from_two_threads(self) -> None:
        """A clash is an error, never a torn step."""
        p = np.zeros(3_000_000, "f4")
        opt = lk.SGD([p], 1.0)
        opt.bind([np.ones_like(p)])
        clashes = []

        def work() -> None:
            for _ in range(20):
                try:
                    opt.step()
                except RuntimeError as error:
                    clashes.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        done = -p[0]
        assert np.all(p == -done)
        assert done + len(clashes) == 60
        assert all("another thread is in the middle of a step" in one for one in clashes)

    @pytest.mark.parametrize("backend", ["c", "numba"])
    def test_nothing_else_while_a_step_is_in_the_middle(self, backend: str, tmp_path: Path) -> None:
        """A schedule is evaluated as a part of its step; a state that another thread took then would be half old, half new."""
        if backend == "numba":
            pytest.importorskip("numba")
        pause = Pause()

        def lr(step: int) -> float:
            pause.here()
            return 0.5

        p = np.zeros(3)
        opt = lk.SGD([p], lr, momentum=0.5, backend=backend)
        state = opt.state_dict()
        with pause.during(lambda: opt.step([np.ones(3)])):
            assert_locked(opt, [np.ones(3)], state, tmp_path / "state")
        opt.step([np.ones(3)])
        assert opt.count == 2
        assert p.tolist() == [-0.5 - 0.75] * 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_fork(self) -> None:
        n = 300_000
        before = lk.get_threads()
        lk.set_threads(2)
        p, g = np.zeros(n), np.ones(n)
        opt = lk.SGD([p], 1.0)
        opt.bind([g])
        opt.step()  # the pool is there now
        child = os.fork()
        if child == 0:
            for _ in range(3):
                opt.step()
            os._exit(0 if np.all(p == -4) else 1)
        deadline = time.monotonic() + 30
        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                pytest.fail("the child hangs")
            time.sleep(0.01)
        assert found[1] == 0
        opt.step()
        assert np.all(p == -2)
        lk.set_threads(before)
