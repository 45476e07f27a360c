"""The rich console that commands draw and print to."""

from rich.console import Console


class Terminal(Console):
    """rich's console, except that a broken pipe is left to the command."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Raise the error instead of exiting with rich's own exit code."""
        raise BrokenPipeError
