"""The random words defined in docs/steps.md, in Python."""

from __future__ import annotations

MASK64 = 2**64 - 1


def mix(z: int) -> int:
    """A mix of 64 bits."""
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 & MASK64
    z ^= z >> 27
    z = z * 0x94D049BB133111EB & MASK64
    return z ^ z >> 31


def word(seed: int, step: int, place: int) -> int:
    """64 random bits for a seed, a step and a position."""
    return mix(mix(mix(seed + 0x9E3779B97F4A7C15 & MASK64) + step & MASK64) + place & MASK64)
