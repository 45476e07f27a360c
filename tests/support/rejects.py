"""`Rejects`: a call must raise the right error, with a clear message, quickly, and without much memory."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest

PATIENCE = 1.0  # maximum seconds for one rejected call
MEMORY = 64 << 20  # maximum bytes that one rejected call may allocate


class Rejects:
    """pytest.raises with limits on time and memory; the message must start with the function and name the argument."""

    def __init__(self, exception, function=None, argument=None, patience=PATIENCE):
        self.expected, self.function, self.argument, self.patience = exception, function, argument, patience

    def __enter__(self):
        tracemalloc.start()
        self.begin = time.thread_time()
        self.raises = pytest.raises(self.expected)
        self.raises.__enter__()
        return self

    def __exit__(self, kind, error, trace):
        seconds, (_, peak) = time.thread_time() - self.begin, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if not self.raises.__exit__(kind, error, trace):
            return False
        assert type(error) in (self.expected if isinstance(self.expected, tuple) else (self.expected,))
        message = str(error)
        assert seconds < self.patience, f"{seconds:.2f} s to reject"
        assert peak < MEMORY, f"{peak} bytes to reject"
        assert len(message) < 1000, message[:200]
        if self.function:
            assert message.startswith(f"{self.function}: "), message
        if self.argument:
            assert re.search(rf"\b{re.escape(self.argument)}s?\b", message), f"{self.argument!r} not named: {message}"
        return True
