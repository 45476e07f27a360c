"""Going on from a saved state: what of it belongs where, by name, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lrkern import _checks, _core
from lrkern.optimizers.groups import unique

_NESTED = 2  # how deep lists and dicts may be nested: groups, and their arrays
_SHOWN = 3  # names in an error, of each sort


class Unloaded(NamedTuple):
    """What was not loaded, as names: `params['w']` is all that belongs to a parameter, `exp_avgs['w']` one array of its."""

    missing: list[str]
    """Kept here, and not in the state."""
    unknown: list[str]
    """In the state, and not kept here."""
    misshapen: list[str]
    """Of another dtype or shape there than here."""
    left: list[str]
    """They would fit; but other arrays of the same rule and parameter do not, so that it keeps its own ones."""


@dataclass
class Saved:
    """A state that was saved, by names of places: `['w']`, `[0]`, in groups `[1]['w']`."""

    count: int
    skipped: int
    updates: dict[str, Any]
    arrays: dict[str, dict[str, Any]]
    """For each kind of array those that there are."""
    params: dict[str, Any] | None = None
    hypers: list[dict[str, Any]] | None = field(default=None)
    """Of each group, where they are to be loaded."""
    of_all: dict[str, Any] = field(default_factory=dict)
    """Those of all groups together."""


@dataclass
class Kept:
    """What an optimizer keeps."""

    label: Any
    """label(kind, index) names an array."""
    places: list[str]
    arrays: Mapping[str, Sequence[Any]]
    """For each kind the array of each parameter, or None."""
    states: Sequence[str]
    """The kinds that its rule reads: of a parameter all are loaded, or none."""
    params: Sequence[Any]
    updates: Sequence[int]


@dataclass
class Loaded:
    """What is to be done: pairs of arrays, the second to be copied into the first; the numbers of updates."""

    pairs: list[tuple[Any, Any]]
    updates: list[int]
    begun: list[int]
    """The parameters whose averages begin."""
    unloaded: Unloaded


def by_place(where: str, name: str, values: Any) -> dict[str, Any]:
    """Things in lists and dicts by the names of their places."""
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
    """What of a state fits. Where something does not, `strict` raises an error that names it."""
    out = Loaded([], list(kept.updates), [], Unloaded([], [], [], []))
    messages: list[tuple[type[Exception], str]] = []  # of what does not fit, in words
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
        rule = [one for one in fitting if one[0] in kept.states]
        if whole:
            out.updates[i] = updates
        else:
            out.unloaded.left.extend(kept.label(kind, i) for kind, *_ in rule)
        out.pairs.extend((own, one) for kind, own, one in fitting if whole or kind not in kept.states)
    if strict:
        _refuse(where, out.unloaded, messages)
    return out


def _arrays_of(
    where: str, kept: Kept, saved: Saved, index: int, out: Loaded, messages: list[tuple[type[Exception], str]]
) -> tuple[list[tuple[str, Any, Any]], bool]:
    """(kind, own array, loaded one) of what fits of a parameter; whether that is all that its rule reads."""
    fitting, whole, place = [], True, kept.places[index]
    wanted = [(kind, own[index], saved.arrays.get(kind, {})) for kind, own in kept.arrays.items()]
    if saved.params is not None:
        wanted.append(("param", kept.params[index], saved.params))
    for kind, own, found in wanted:
        if own is None:
            continue
        name = kept.label(kind, index)
        one = _checks.unmasked(where, name, found.get(place))
        if one is None and kind == "ema_param" and not found:
            out.begun.append(index)
        elif one is None:
            out.unloaded.missing.append(name)
            whole = whole and kind not in kept.states
        elif (error := _misfit(where, name, own, one, kept.label("param", index))) is not None:
            out.unloaded.misshapen.append(name)
            messages.append(error)
            whole = whole and kind not in kept.states
        else:
            with _core.hold(where, name, one):
                pass  # it says which one is not there
            fitting.append((kind, own, one))
    return fitting, whole


def _misfit(where: str, name: str, own: Any, one: Any, param: str) -> tuple[type[Exception], str] | None:
    """What is wrong with a loaded array."""
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
        parts.append(f"it has {_listed(unloaded.unknown)}, which {'is' if len(unloaded.unknown) == 1 else 'are'} not kept here")
    if parts:
        kind = messages[0][0] if messages and not unloaded.missing and not unloaded.unknown else ValueError
        raise kind(f"{where}: {'; '.join(parts)} (strict=False loads what fits)")


def _listed(names: list[str]) -> str:
    shown = ", ".join(_checks.cut(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
