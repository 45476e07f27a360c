"""The benchmark: every bar that lrkern sets itself, measured side by side with what it is compared with."""

import sys
from pathlib import Path

# The tests' exact twins of schedules and their comparisons of bits are used here, too.
TESTS = str(Path(__file__).resolve().parent.parent / "tests" / "support")
if TESTS not in sys.path:
    sys.path.append(TESTS)
