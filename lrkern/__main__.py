"""`python -m lrkern`: the command line."""

from lrkern.cli.commands import main

main()
