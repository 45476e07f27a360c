"""Which version of lrkern was measured, row by row: files may hold rows of several."""

from __future__ import annotations

import subprocess
from collections import Counter

import lrkern as lk
from lrkern.bench.settings import CHECKOUT, ROOT
from lrkern.bench.timing.result import Result


def current() -> str:
    """The commit of the checkout, "-dirty" with changes; elsewhere the version of the package."""
    if CHECKOUT and (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:  # there is no git
            return lk.__version__
        if done.returncode == 0:
            return done.stdout.strip()
    return lk.__version__


def sentence(results: list[Result]) -> str:
    """Nothing if all rows are of one version."""
    found = Counter(result.version or "unknown" for result in results)
    if len(found) < 2:
        return ""
    return f"Rows by version of lrkern: {', '.join(f'{count} of {name}' for name, count in found.most_common())}."
