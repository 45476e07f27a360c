"""`lrkern demo`: a network trained on handwritten digits, with a hand-written update and with lrkern, side by side.

The training itself is `examples/numpy_digits.py`; `lrkern/cli/digits.py` is a link to it.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lrkern._optional import require

TOLERANCE = 1e-12  # the hand-written update rounds twice where a fused multiply-add rounds once
_LOOKS: dict[str, dict[str, Any]] = {
    "by hand": {"color": "#fdba74", "lw": 5.0},
    "lrkern": {"color": "#2563eb", "lw": 1.6},
}


def main(example: ModuleType, *, seed: int = 0, epochs: int = 50, out: str | Path | None = "lrkern-demo.png") -> bool:
    """Train both ways with a progress bar, print the results, draw a picture.

    Args:
        example: the module with `load_digits`, `train`, `schedule`, `learning_rate` and `OPTIMIZERS`.
        seed: seed of the initial weights and of the batches, >= 0.
        epochs: passes over the training set, >= 1.
        out: file to write the picture to (.png, .svg, .pdf); None: no picture.

    Returns:
        Whether the two runs agree.
    """
    for module in ("rich", "matplotlib", "sklearn"):
        require(module, install="'lrkern[demo]'", what="the demo")
    from rich.markup import escape

    from lrkern.pictures.console import Terminal

    console = Terminal()
    digits = example.load_digits()
    n_steps = epochs * (len(digits.train_images) // example.BATCH)
    console.print(
        f"A 64-{example.HIDDEN}-10 network learns to read {len(digits.train_images)} handwritten digits; "
        f"{len(digits.test_images)} are for the test.\n"
        f"{epochs} epochs, {n_steps} steps. Learning rate: [cyan]{example.schedule(n_steps)!r}[/cyan]\n"
    )
    histories = {how: _train(example, how, digits, epochs, seed, console) for how in example.OPTIMIZERS}
    difference = _largest_difference(histories)
    agree = difference <= TOLERANCE
    console.print(_table(histories))
    console.print(
        f"{'[green]Both runs agree' if agree else '[bold red]The runs do not agree'}[/]: "
        f"their parameters differ by {difference:.1e} at most (allowed: {TOLERANCE:.0e})."
    )
    if out is not None:
        _draw(example, histories, n_steps, out)
        console.print(f"Picture: [cyan]{escape(str(out))}[/cyan]")
    return agree


def _train(example: ModuleType, how: str, digits: Any, epochs: int, seed: int, console: Any) -> list[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(bar_width=32, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  test {task.fields[accuracy]:.1%}"),
        TimeElapsedColumn(),
    )
    history = []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(how, total=epochs, loss=float("nan"), accuracy=0.0)
        for epoch in example.train(how, digits, epochs, seed):
            history.append(epoch)
            progress.update(bar, advance=1, loss=epoch.loss, accuracy=epoch.accuracy)
    return history


def _largest_difference(histories: dict[str, list[Any]]) -> float:
    a, b = (history[-1].params for history in histories.values())
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def _table(histories: dict[str, list[Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column()
    for how in histories:
        table.add_column(how, justify="right")
    table.add_column("ratio", justify="right")
    last = [history[-1] for history in histories.values()]
    table.add_row("training loss", *(f"{epoch.loss:.6f}" for epoch in last), "")
    table.add_row("test accuracy", *(f"{epoch.accuracy:.2%}" for epoch in last), "")
    for label, field in (("update, median", "update_seconds"), ("whole step, median", "step_seconds")):
        times = [1e6 * float(np.median([t for e in h for t in getattr(e, field)])) for h in histories.values()]
        table.add_row(label, *(f"{us:.1f} µs" for us in times), f"{times[0] / times[1]:.1f}x")
    return table


def _draw(example: ModuleType, histories: dict[str, list[Any]], n_steps: int, out: str | Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from lrkern.pictures.plotting import style
    from lrkern.pictures.sampling import even_steps

    figure = Figure(figsize=(12.0, 3.7), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    rate, loss, accuracy = figure.subplots(1, 3)
    steps = even_steps(n_steps, 4096)
    rate.plot(steps, [example.learning_rate(int(t), n_steps) for t in steps], label="by hand", **_LOOKS["by hand"])
    rate.plot(steps, example.schedule(n_steps)(steps), label="lrkern", **_LOOKS["lrkern"])
    for how, history in histories.items():
        epochs = range(1, len(history) + 1)
        loss.plot(epochs, [epoch.loss for epoch in history], label=how, **_LOOKS[how])
        accuracy.plot(epochs, [100 * epoch.accuracy for epoch in history], label=how, **_LOOKS[how])
    loss.set_yscale("log")
    accuracy.axhline(97.0, color="#94a3b8", lw=1.0, ls=(0, (4, 3)), zorder=0)
    for axes, title, xlabel, ylabel in (
        (rate, "Learning rate", "step", "learning rate"),
        (loss, "Training loss", "epoch", "cross-entropy"),
        (accuracy, "Test accuracy", "epoch", "% read correctly"),
    ):
        style(axes, xlabel, ylabel)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color="#334155")
        axes.legend(frameon=False, fontsize=9)
    last = histories["lrkern"][-1]
    accuracy.annotate(
        f"{last.accuracy:.1%}",
        (len(histories["lrkern"]), 100 * last.accuracy),
        xytext=(0, 7),
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color=_LOOKS["lrkern"]["color"],
    )
    figure.savefig(out)
