"""Python threads: work done by several at once, and whether others go on meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor


def at_once(n, work):
    """Runs work(0) .. work(n-1) in threads that start together; results in order."""
    barrier = threading.Barrier(n)

    def begin(i):
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


def ticks_during(function, *arguments):
    """How many times this thread wakes up, a millisecond after the last, while another one is in the function."""
    work = threading.Thread(target=function, args=arguments)
    work.start()
    ticks = 0
    while work.is_alive():
        time.sleep(0.001)
        ticks += 1
    return ticks
