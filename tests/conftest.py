"""LRKERN_SHARE=2/4 leaves the second of four shares of the exhaustive tests, so that four runs have all of them."""

from __future__ import annotations

import os
import zlib

import pytest


def in_share(subject: str, share: str) -> bool:
    """Whether tests of this are in a share, given as "2/4"."""
    number, _, shares = share.partition("/")
    if not 1 <= int(number) <= int(shares):
        raise pytest.UsageError(f"LRKERN_SHARE must be like 2/4, from 1/4 to 4/4; got {share!r}")
    return zlib.crc32(subject.encode()) % int(shares) == int(number) - 1


def subject(item):
    """What a test is about: tests of the same kernel, rule or dialect are in one share, for they compile the same."""
    found = item.callspec.params.get("name") if hasattr(item, "callspec") else None
    return str(found or item.nodeid)


def pytest_collection_modifyitems(config, items):
    """Leave out the exhaustive tests of other shares."""
    share = os.environ.get("LRKERN_SHARE")
    if share:
        out = [one for one in items if one.get_closest_marker("exhaustive") and not in_share(subject(one), share)]
        config.hook.pytest_deselected(items=out)
        left_out = set(out)
        items[:] = [one for one in items if one not in left_out]
