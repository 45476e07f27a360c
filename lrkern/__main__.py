"""`python -m lrkern`: the command line."""

from lrkern.cli import main

main()
