"""The instruction set in use, the number of threads, and information about this build."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lrkern import _core, backends
from lrkern._checks import choice, count
from lrkern._optional import require

__version__ = "0.1.0"


def isas() -> tuple[str, ...]:
    """The instruction sets that this build has and this machine supports, narrowest first.

    >>> import lrkern as lk
    >>> lk.isas()[0]
    'scalar'
    """
    names: tuple[str, ...] = _core.isas()
    return names


def use_isa(name: str) -> AbstractContextManager[None]:
    """Use the kernels of one instruction set within a `with` block, for the whole process. Results are bit-identical.

    The default is the widest; the environment variable LRKERN_ISA sets another at import.

    >>> import lrkern as lk
    >>> with lk.use_isa("scalar"):
    ...     lk.info()["isa"]
    'scalar'
    """
    return _using(choice("use_isa", "name", name, isas()))


@contextmanager
def _using(name: str) -> Iterator[None]:
    before: str = _core.active_isa()
    _core.set_isa(name)
    try:
        yield
    finally:
        _core.set_isa(before)


def set_threads(n: int) -> None:
    """Use up to `n` threads per job, the caller included; small jobs use one anyway. Results are bit-identical.

    The default is LRKERN_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that this process may use: those it may run on, or
    the quota of its control groups (cgroups), rounded up, if that is less. Where jobs run on the threads of an OpenMP runtime
    (see `info`), its own limit for the calling thread holds as well: `torch.set_num_threads(1)` means one thread here, too.
    In another Python thread it does so only once torch has worked there.

    >>> import lrkern as lk
    >>> lk.set_threads(lk.get_threads())
    """
    _core.set_threads(count("set_threads", "n", n, low=1, high=_core.MAX_THREADS))


def get_threads() -> int:
    """The number of threads that a job may use."""
    n: int = _core.get_threads()
    return n


_controlled = False  # by threadpoolctl


def register_with_threadpoolctl() -> None:
    """Let threadpoolctl control the number of threads: `threadpool_limits(1)` then limits this library to one as well.

    Not needed if threadpoolctl, or what imports it (scikit-learn), is imported before lrkern is. If it is imported before the
    first table or optimizer, these register it, for blocks that are entered later. Further calls do nothing. In
    `threadpool_info()` the library is "lrkern", as `user_api` and `internal_api`.

    >>> import lrkern as lk
    >>> import threadpoolctl  # doctest: +SKIP
    >>> lk.runtime.register_with_threadpoolctl()  # doctest: +SKIP
    >>> with threadpoolctl.threadpool_limits(1, user_api="lrkern"):  # doctest: +SKIP
    ...     lk.get_threads()
    1
    """
    global _controlled
    if _controlled:
        return
    threadpoolctl = require("threadpoolctl", install="threadpoolctl", what="register_with_threadpoolctl")
    base: Any = threadpoolctl.LibController

    class Controller(base):  # type: ignore[misc]
        """Of the extension module, which is a library for this purpose."""

        user_api = internal_api = "lrkern"
        filename_prefixes = ("_core.",)
        check_symbols = ("lrk_get_threads", "lrk_set_threads")

        def get_num_threads(self) -> int:
            return get_threads()

        def set_num_threads(self, num_threads: int) -> None:
            _core.set_threads(min(max(num_threads, 1), _core.MAX_THREADS))

        def get_version(self) -> str:
            return __version__

    threadpoolctl.register(Controller)
    _controlled = True


def register_if_imported() -> None:
    """The same if threadpoolctl has been imported, and if its version can do it."""
    if not _controlled and hasattr(sys.modules.get("threadpoolctl"), "register"):
        register_with_threadpoolctl()


def get_include() -> str:
    """The folder of the C headers: lrkern.h, lrkern_optimizers.h, lrkern_plan.h, lrkern_rule.h, lrkern_steps.h.

    >>> import lrkern as lk
    >>> from pathlib import Path
    >>> (Path(lk.get_include()) / "lrkern.h").is_file()
    True
    """
    return str(Path(__file__).parent / "include")


def info() -> dict[str, Any]:
    """Versions, instruction sets, threads and backends, for bug reports.

    `backends` has a pair (usable, about) for each: `about` is its version, or why it cannot be used here and how to fix it.
    Usable backends are imported by the call. `pool` says whose threads large jobs of the calling thread use: "own", the
    library's, or the file of the OpenMP runtime.

    >>> import lrkern as lk
    >>> sorted(lk.info())
    ['backends', 'isa', 'isas', 'numpy', 'platform', 'pool', 'python', 'threads', 'version']
    >>> lk.info()["backends"]["c"].usable
    True
    """
    return {
        "version": __version__,
        "isa": _core.active_isa(),
        "isas": list(isas()),
        "threads": get_threads(),
        "pool": _core.active_pool(),
        "backends": {name: backends.status(name) for name in backends.NAMES},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


register_if_imported()
