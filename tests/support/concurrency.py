"""Python threads: concurrent work, and whether other threads keep running."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest


def run_concurrently(n, work):
    """Run work(0) .. work(n-1) in threads that start together; return the results in order."""
    barrier = threading.Barrier(n)

    def begin(i):
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


def ticks_during(function, *arguments):
    """How often this thread wakes up, once per millisecond, while another one runs the function."""
    work = threading.Thread(target=function, args=arguments)
    work.start()
    ticks = 0
    while work.is_alive():
        time.sleep(0.001)
        ticks += 1
    return ticks


class Pause:
    """A point, `here()`, in another thread's work, at which it waits while this thread is in the context `during(work)`."""

    def __init__(self):
        self._inside, self._go_on = threading.Event(), threading.Event()

    def here(self):
        self._inside.set()
        assert self._go_on.wait(30)

    @contextmanager
    def during(self, work):
        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert self._inside.wait(30)
            yield
        finally:
            self._go_on.set()
            thread.join()


def assert_locked(optimizer, grads, state, path):
    """Check that no method of an optimizer works, and no file appears, while another thread is in the middle of a step."""
    name = type(optimizer).__name__
    message = f"^{name}: another thread is in the middle of a step of this optimizer, or copies its state$"
    for work in (
        lambda: optimizer.step(grads),
        lambda: optimizer.bind(grads),
        lambda: optimizer.set("momentum", 0.25),
        optimizer.state_dict,
        lambda: optimizer.save(path),
        lambda: optimizer.load_state_dict(state),
    ):
        with pytest.raises(RuntimeError, match=message):
            work()
    assert not path.exists()
