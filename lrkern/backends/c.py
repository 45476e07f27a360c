"""The C kernels, as a backend."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lrkern import _core, runtime
from lrkern._checks import table_output
from lrkern.backends import Backend
from lrkern.optimizers import arrays

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule


def _table(schedule: Schedule, n: int, start: int, dtype: Any, out: Any) -> NDArray[Any]:
    filled = table_output("table", (n,), dtype, out)
    schedule._fill(filled, start)
    return filled


def _tables(schedules: list[Schedule], n: int, start: int, dtype: Any, out: Any) -> NDArray[Any]:
    filled = table_output("tables", (len(schedules), n), dtype, out)
    _core.fill_rows(schedules, filled, start)
    return filled


_SCANS = {rule: partial(_core.scan, rule) for rule in _core.SCAN_RULES} | {"loss_driven": _core.loss_driven_scan}

BACKEND = Backend(_table, _tables, _core.StepList, arrays, _SCANS)

runtime.register_if_imported()  # threadpoolctl may have been imported after lrkern
