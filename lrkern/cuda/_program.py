"""The launches of one step: which there are, in what order, on what arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrkern.cuda import _norms, _scalars
from lrkern.cuda._kernels import make_step
from lrkern.cuda._platform import THREADS, Launch
from lrkern.cuda._table import Table


class Program:
    """One step of a list of tensors, prepared: running it asks for nothing, neither memory nor an answer of the device.

    Whoever has captured it in a CUDA graph has to keep it: it holds the arrays whose addresses the graph knows.
    """

    def __init__(self, rule: str | None, table: Table, own: dict[str, Any], plans: tuple[Any, ...], wants_norm: bool) -> None:
        self.table, self.wants_norm = table, wants_norm
        norm = _norm_of_all(table, own) if wants_norm else []
        self._before = [*table.order.launches(table.tensors, own["control"]), *norm]
        self._advance = Launch(
            _scalars.advance, 1, own["control"], own["numbers"], own["random"], own["bins"], own["clips"], own["inputs"],
            own["options"],
            *plans, 1.0, 0, threads=min(THREADS, 64),
        )  # fmt: skip
        clips = own["clips"].shape[0] - 1
        arguments = own["numbers"], own["bins"], own["clips"], own["inputs"]
        self._after = [Launch(_scalars.set_factors, (clips - 1) // THREADS + 1, *arguments)] if clips > 0 else []
        self._after += [] if rule is None else _steps(rule, table, own)

    def __call__(self, stream: int, scale: float, scale_address: int) -> None:
        """Launch. `scale_address`: of a float32 on the device that gradients are divided by; 0: divide by `scale`."""
        for launch in self._before:
            launch(stream)
        self._advance(stream, scale, scale_address)
        for launch in self._after:
            launch(stream)


def _norm_of_all(table: Table, own: dict[str, Any]) -> list[Launch]:
    def squares(second: bool) -> list[Launch]:
        found = []
        for t, storage, sparse, chunks in table.norms:
            square, of_rows = _norms.make_square(t, storage, second, sparse), (table.order.entries,) if sparse else ()
            found.append(Launch(square, len(chunks), table.tensors, chunks, own["clips"], own["bins"], *of_rows))
        return found

    if not any(t is np.float64 for t, *_ in table.norms):
        return squares(False)
    judge = Launch(_norms.judge_scale, (own["clips"].shape[0] - 1) // THREADS + 1, own["clips"], own["bins"])
    return [*squares(False), judge, *squares(True)]


def _steps(rule: str, table: Table, own: dict[str, Any]) -> list[Launch]:
    """What follows when the schedules have been evaluated."""
    tensors, count = table.tensors, len(table.tensors)

    def coefs(layout: Any) -> Any:
        return own["coefs64" if layout.t is np.float64 else "coefs32"]

    def scalars(counts: int) -> Launch:
        return Launch(
            _scalars.make_scalars(rule), (count - 1) // THREADS + 1, tensors, own["inputs"], own["options"], own["control"],
            own["clips"], own["updates"], own["norms"], own["coefs32"], own["coefs64"], counts,
        )  # fmt: skip

    found = []
    if "tensor_bins" in own:  # scalars that follow from norms, in two turns
        found.append(scalars(0))
        for layout, chunks in table.measures:
            measure = _norms.make_measure(layout)
            found.append(Launch(measure, len(chunks), tensors, chunks, coefs(layout), own["tensor_bins"]))
        found.append(Launch(_norms.take_norms, (2 * count - 1) // THREADS + 1, own["tensor_bins"], own["norms"]))
    found.append(scalars(1))
    for layout, chunks in table.steps:
        of_rows = (own["inputs"], own["updates"], table.order.entries) if layout.row_lrs or layout.sparse else ()
        arguments = tensors, chunks, coefs(layout), own["control"], own["random"], *of_rows
        found.append(Launch(make_step(layout), len(chunks), *arguments))
    return found
