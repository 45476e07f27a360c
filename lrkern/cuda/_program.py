"""The launches of one step: their order and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrkern.cuda import _norms, _step_norms, _step_scalars
from lrkern.cuda._kernels import make_step
from lrkern.cuda._platform import THREADS, Launch
from lrkern.cuda._table import Table


class Program:
    """A prepared step of a list of tensors: running it allocates nothing and never synchronizes.

    It must be kept while a CUDA graph that captured it is in use: it owns the arrays whose addresses are in the graph.
    """

    def __init__(self, rules: list[str], table: Table, own: dict[str, Any], plans: tuple[Any, ...], wants_norm: bool) -> None:
        self.table, self.wants_norm = table, wants_norm
        norm = _norm_of_all(table, own) if wants_norm else []
        self._before = [*table.order.launches(table.tensors, own["control"]), *norm]
        self._advance = Launch(
            _step_scalars.advance, 1, own["control"], own["numbers"], own["random"], own["bins"], own["clips"], own["inputs"],
            own["options"], own["recent"],
            *plans, 1.0, 0, threads=min(THREADS, 64),
        )  # fmt: skip
        clips = own["clips"].shape[0] - 1
        arguments = own["numbers"], own["bins"], own["clips"], own["inputs"]
        self._after = [Launch(_step_scalars.set_factors, (clips - 1) // THREADS + 1, *arguments)] if clips > 0 else []
        self._after += _steps(rules, table, own) if rules else []

    def __call__(self, stream: int, scale: float, scale_address: int) -> None:
        """Launch. Gradients are divided by the float32 at `scale_address` on the device; if that is 0, by `scale`."""
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


def _steps(rules: list[str], table: Table, own: dict[str, Any]) -> list[Launch]:
    """The launches after the evaluation of schedules."""
    tensors, count = table.tensors, len(table.tensors)

    def coefs(layout: Any) -> Any:
        return own["coefs64" if layout.t is np.float64 else "coefs32"]

    def scalars(counts: int) -> list[Launch]:
        return [
            Launch(
                _step_scalars.make_scalars(rule), (count - 1) // THREADS + 1, tensors, own["inputs"], own["options"],
                own["control"], own["clips"], own["updates"], own["scalar_states"], own["norms"],
                own["coefs32"], own["coefs64"], counts, k,
            )
            for k, rule in enumerate(rules)
        ]  # fmt: skip

    found = []
    if "tensor_bins" in own:  # scalars that depend on norms, in two rounds
        found += scalars(0)
        for layout, chunks in table.measures:
            measure = _norms.make_measure(layout)
            found.append(Launch(measure, len(chunks), tensors, chunks, coefs(layout), own["tensor_bins"]))
        found.append(Launch(_norms.take_norms, (2 * count - 1) // THREADS + 1, own["tensor_bins"], own["norms"]))
    found += scalars(1)
    for layout, chunks in table.steps:
        of_rows = own["inputs"], own["updates"], own["scalar_states"], table.order.entries
        arguments = tensors, chunks, coefs(layout), own["control"], own["random"]
        if layout.norms:
            found.append(Launch(_step_norms.make_step(layout), len(chunks), *arguments, *of_rows, own["norm_bins"]))
        else:
            more = of_rows if layout.row_lrs or layout.sparse else ()
            found.append(Launch(make_step(layout), len(chunks), *arguments, *more))
    if "lengths" in own:
        blocks = (_step_norms.NORMS * count - 1) // THREADS + 1
        arguments = tensors, own["control"], own["numbers"], own["norm_bins"], own["lengths"]
        found.append(Launch(_step_norms.take_lengths, blocks, *arguments))
    return found
