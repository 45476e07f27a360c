"""timm's noise: PyTorch's random number generator, reseeded at every step.

The generator is the Mersenne Twister, seeded the way NumPy's legacy seeding does; a normal number takes two 53-bit uniforms
through the Box-Muller transform and is rounded to float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np


def _normals(seed: int) -> Iterator[float]:
    """The results of repeated torch.randn(1, generator=g).item(), with g seeded by `seed`."""
    twister = np.random.MT19937()
    twister._legacy_seeding(seed % 2**32)
    while True:
        uniforms = []
        for _ in range(2):
            high, low = (int(word) for word in twister.random_raw(2))
            uniforms.append(((high << 32 | low) & (2**53 - 1)) * 2.0**-53)
        radius, angle = math.sqrt(-2.0 * math.log1p(-uniforms[1])), 2.0 * math.pi * uniforms[0]
        yield float(np.float32(radius * math.cos(angle)))
        yield float(np.float32(radius * math.sin(angle)))


def noise(seed: int, limit: float, spread: float) -> float:
    """The first of the seed's normal numbers times `spread` whose magnitude is below `limit`."""
    return next(x * spread for x in _normals(seed) if abs(x * spread) < limit)
