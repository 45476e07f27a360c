"""Shares of the exhaustive tests, of which `.ci/run` runs one: see tests/conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOME = "tests/steps/test_constants_in_rules.py"


def collect(share: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Let pytest collect tests."""
    pytest.importorskip("numba")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments, SOME]
    env = {**os.environ, "LRKERN_SHARE": share}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def collected(share: str, marks: str) -> list[str]:
    """The tests that pytest collects."""
    done = collect(share, "-m", marks)
    assert done.returncode in (0, 5), done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("tests/")]


def test_shares_have_each_exhaustive_test_once() -> None:
    every = collected("", "exhaustive")
    shares = [collected(f"{k}/2", "exhaustive") for k in (1, 2)]
    assert sorted(shares[0] + shares[1]) == sorted(every)
    assert all(len(one) < len(every) for one in shares)


def test_other_tests_are_in_every_share() -> None:
    assert collected("1/2", "not exhaustive") == collected("", "not exhaustive")


@pytest.mark.parametrize("share", ["0/4", "5/4"])
def test_a_share_that_is_none(share: str) -> None:
    done = collect(share)
    assert done.returncode == 4, done.stdout
    assert "must be like 2/4" in done.stderr
