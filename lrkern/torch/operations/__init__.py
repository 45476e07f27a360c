"""The backend "torch": steps by plain operations of torch, for devices that lrkern's kernels do not reach.

The updates are made from the formulas of the rules (`lrkern.rules.array_update`). The bits are not those of the kernels: torch
rounds after every operation, and sums in its own order.
"""

from __future__ import annotations

from lrkern.backends import c
from lrkern.torch.operations import arrays
from lrkern.torch.operations.engine import StepList

BACKEND = c.BACKEND._replace(StepList=StepList, arrays=arrays)
