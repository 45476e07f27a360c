"""The sides of boundaries: one belongs to the part that begins there ("from"), or to the part that ends there ("after")."""

from __future__ import annotations

from collections.abc import Sequence

from lrkern._checks import choice

SIDES = ("from", "after")


def sides(where: str, side: object, at: Sequence[float]) -> tuple[str | tuple[str, ...], list[bool] | None]:
    """The sides as printed, and for each boundary whether its side is "after"."""
    if isinstance(side, str) or not isinstance(side, Sequence):
        return choice(where, "side", side, SIDES), [True] * len(at) if side == "after" else None
    chosen = tuple(choice(where, f"side[{i}]", one, SIDES) for i, one in enumerate(side))
    if len(chosen) != len(at):
        raise ValueError(f"{where}: side must be one for all or one for each of the {len(at)} boundaries; got {len(chosen)}")
    for i in range(1, len(at)):
        if at[i] == at[i - 1] and chosen[i - 1] == "after" and chosen[i] == "from":
            raise ValueError(f"{where}: boundaries must not decrease; got 'after' {at[i]} before 'from' {at[i]}")
    if len(set(chosen)) <= 1:
        return sides(where, chosen[0] if chosen else "from", at)
    return chosen, [one == "after" for one in chosen]
