"""The benchmark: every performance target of lrkern, measured side by side with its rivals."""

import sys
from pathlib import Path

# Makes the tests' oracle and bit comparisons importable.
TESTS = str(Path(__file__).resolve().parent.parent / "tests" / "support")
if TESTS not in sys.path:
    sys.path.append(TESTS)
