"""The terminal that commands draw and print to, by rich."""

from rich.console import Console


class Terminal(Console):
    """rich's console, which leaves it to the command what happens when nobody reads any more."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Raise the error that has come up, instead of ending the program with an exit code of rich's own."""
        raise BrokenPipeError
