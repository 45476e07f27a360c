"""Resuming from a saved state: matching its arrays to parameters by path, and finding what does not match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lrkern import _checks, _core
from lrkern.optimizers.groups import unique

_NESTED = 2  # levels of nested lists and dicts: groups, and their arrays
_SHOWN = 3  # names of each kind in an error


class Unloaded(NamedTuple):
    """Names of what was not loaded: `params['w']` for everything of a parameter, `exp_avgs['w']` for a single array."""

    missing: list[str]
    """In the optimizer, but not in the state."""
    unknown: list[str]
    """In the state, but not in the optimizer."""
    misshapen: list[str]
    """In both, with different dtypes or shapes."""
    left: list[str]
    """Matching, but not loaded, because another state of the same parameter does not match."""


@dataclass
class Saved:
    """A saved state by path: `['w']`, `[0]`, in groups `[1]['w']`."""

    count: int
    skipped: int
    updates: dict[str, Any]
    arrays: dict[str, dict[str, Any]]
    """For each kind of array, those in the state."""
    params: dict[str, Any] | None = None
    hypers: list[dict[str, Any]] | None = field(default=None)
    """Hyper-parameters of each group, if they are to be loaded."""
    of_all: dict[str, Any] = field(default_factory=dict)
    """Hyper-parameters common to all groups."""
    recent: Any = ()
    """Norms of the last steps."""
    scalars: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The scalar states, by name and path."""


@dataclass
class Kept:
    """The state that an optimizer keeps."""

    label: Any
    """label(kind, index) names an array."""
    places: list[str]
    arrays: Mapping[str, Sequence[Any]]
    """For each kind, the array of each parameter or None."""
    states: Sequence[str]
    """The kinds that its rule reads: for each parameter, either all or none of them are loaded."""
    params: Sequence[Any]
    updates: Sequence[int]
    scalars: Mapping[str, Sequence[float]]
    """The scalar states of each parameter, by name; loaded along with `states`."""


@dataclass
class Loaded:
    """What to load: pairs of arrays, the second to be copied into the first; the numbers of updates; the scalar states."""

    pairs: list[tuple[Any, Any]]
    updates: list[int]
    scalars: dict[str, list[float]]
    begun: list[tuple[str, int]]
    """(kind, parameter) of the averages that start now."""
    unloaded: Unloaded


def norms(where: str, name: str, values: Any) -> list[float]:
    """Checked norms of a state."""
    if not isinstance(values, list | tuple):
        raise TypeError(f"{where}: {name} must be a list of numbers; got {_checks.describe(values)}")
    return [_checks.real(where, f"{name}[{i}]", one, low=0.0) for i, one in enumerate(values)]


def by_place(where: str, name: str, values: Any) -> dict[str, Any]:
    """Values in lists and dicts, by path."""
    found = list(_entries(where, name, values, "", 1))
    return dict(zip(unique(place for place, _ in found), (one for _, one in found), strict=True))


def _entries(where: str, name: str, values: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        items = [(f"{path}[{key!r}]", one) for key, one in values.items()]
    elif isinstance(values, list | tuple):
        items = [(f"{path}[{i}]", one) for i, one in enumerate(values)]
    else:
        raise TypeError(f"{where}: {name} must be a list or dict like params; got {_checks.describe(values)}")
    for place, one in items:
        if isinstance(one, Mapping | list | tuple):
            if depth == _NESTED:
                raise TypeError(f"{where}: {_checks.cut(name + place)} must be an array; got {_checks.describe(one)}")
            yield from _entries(where, name, one, place, depth + 1)
        else:
            yield place, one


def fit(where: str, kept: Kept, saved: Saved, strict: bool) -> Loaded:
    """The part of a state that matches. With `strict`, raise an error that names what does not."""
    out = Loaded([], list(kept.updates), {name: list(own) for name, own in kept.scalars.items()}, [], Unloaded([], [], [], []))
    messages: list[tuple[type[Exception], str]] = []  # about what does not match
    here = set(kept.places)
    out.unloaded.unknown.extend(f"params{place}" for place in saved.updates if place not in here)
    for kind, found in saved.arrays.items():
        own = kept.arrays.get(kind, ())
        has = {place for place, one in zip(kept.places, own, strict=False) if one is not None}
        out.unloaded.unknown.extend(f"{kind}s{place}" for place in found if place not in saved.updates or place in here - has)
    for i, place in enumerate(kept.places):
        if place not in saved.updates:
            out.unloaded.missing.append(kept.label("param", i))
            continue
        updates = _checks.count(where, f"updates{place}", saved.updates[place])
        fitting, whole = _arrays_of(where, kept, saved, i, out, messages)
        scalars = {name: saved.scalars.get(name, {}).get(place) for name in kept.scalars}
        out.unloaded.missing.extend(f"{name}{place}" for name, value in scalars.items() if value is None)
        whole = whole and None not in scalars.values()
        rule = [one for one in fitting if one[0] in kept.states]
        if whole:
            out.updates[i] = updates
            for name, value in scalars.items():
                out.scalars[name][i] = _number(where, f"{name}{place}", value)
        else:
            out.unloaded.left.extend(kept.label(kind, i) for kind, *_ in rule)
        out.pairs.extend((own, one) for kind, own, one in fitting if whole or kind not in kept.states)
    if strict:
        _refuse(where, out.unloaded, messages)
    return out


def _number(where: str, name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{where}: {_checks.cut(name)} must be a number; got {_checks.describe(value)}")
    return float(value)


def _arrays_of(
    where: str, kept: Kept, saved: Saved, index: int, out: Loaded, messages: list[tuple[type[Exception], str]]
) -> tuple[list[tuple[str, Any, Any]], bool]:
    """(kind, own array, loaded one) of a parameter's matching arrays; whether all that its rule reads match."""
    fitting, whole, place = [], True, kept.places[index]
    wanted = [(kind, own[index], saved.arrays.get(kind, {})) for kind, own in kept.arrays.items()]
    if saved.params is not None:
        wanted.append(("param", kept.params[index], saved.params))
    for kind, own, found in wanted:
        if own is None:
            continue
        name = kept.label(kind, index)
        one = _checks.unmasked(where, name, found.get(place))
        if one is None and kind in _core.AVERAGES and not found:
            out.begun.append((kind, index))
        elif one is None:
            out.unloaded.missing.append(name)
            whole = whole and kind not in kept.states
        elif (error := _misfit(where, name, own, one, kept.label("param", index))) is not None:
            out.unloaded.misshapen.append(name)
            messages.append(error)
            whole = whole and kind not in kept.states
        else:
            with _core.hold(where, name, one):
                pass  # an error names the array if its memory is gone
            fitting.append((kind, own, one))
    return fitting, whole


def _misfit(where: str, name: str, own: Any, one: Any, param: str) -> tuple[type[Exception], str] | None:
    """The error for a loaded array that does not match; None if it does."""
    if _checks.is_array(one) and one.dtype == own.dtype and one.shape == own.shape:
        return None
    of_dtype = _checks.is_array(one) and one.dtype == own.dtype
    wanted = f"{own.dtype} of shape {own.shape} like {param}"
    return ValueError if of_dtype else TypeError, f"{name} must be {wanted}; got {_checks.describe(one)}"


def _refuse(where: str, unloaded: Unloaded, messages: list[tuple[type[Exception], str]]) -> None:
    parts = [message for _, message in messages[:_SHOWN]]
    if unloaded.missing:
        parts.append(f"the state has no {_listed(unloaded.missing)}")
    if unloaded.unknown:
        parts.append(f"the optimizer has no {_listed(unloaded.unknown)}")
    if parts:
        kind = messages[0][0] if messages and not unloaded.missing and not unloaded.unknown else ValueError
        raise kind(f"{where}: {'; '.join(parts)} (strict=False loads what matches)")


def _listed(names: list[str]) -> str:
    shown = ", ".join(_checks.cut(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
