"""`python -m lrkern.bench`: the benchmark without the command `lrkern`, and so without click."""

import sys

from lrkern.bench.command import main

sys.exit(main(sys.argv[1:]))
