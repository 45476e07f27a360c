"""`python -m lrkern.bench`: the benchmark without the command `lrkern`, and so without click."""

import sys

from lrkern.bench.command import WRONG_USE, main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, TypeError, OverflowError, MemoryError, ImportError, OSError) as error:
        print(f"lrkern: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(WRONG_USE)
