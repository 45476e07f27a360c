"""The command line: `lrkern`, or `python -m lrkern`."""
