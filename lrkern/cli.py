"""The command line: `lrkern demo | plot | table | compare | info | bench`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import lrkern as lk
from lrkern._optional import require

try:
    import click
    import rich as _rich  # noqa: F401  # so that its absence is told here, not in the middle of a command
except ModuleNotFoundError as error:
    sys.exit(f"lrkern: the command line needs {error.name}: pip install 'lrkern[cli]'")

WRONG_USE = 2


def main() -> NoReturn:
    """Run the command line; whatever is wrong with its arguments ends in one line on stderr and exit code 2."""
    try:
        sys.exit(cli.main(prog_name="lrkern", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help())
        sys.exit(0)
    except click.ClickException as error:
        may_be_expr = isinstance(error, click.NoSuchOption) and not error.option_name.startswith("--")
        hint = " (an EXPR that begins with '-' goes after '--')" if may_be_expr else ""
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lrkern"
        _fail(f"{where}: {error.format_message().removesuffix('.')}{hint}")
    except click.Abort:
        sys.exit(130)
    except (ValueError, TypeError, OverflowError, MemoryError, ImportError, OSError) as error:
        _fail(f"lrkern: {error}")


def _fail(message: str) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(WRONG_USE)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(lk.__version__, prog_name="lrkern")
def cli() -> None:
    """Learning-rate schedules and optimizer steps as kernels.

    \b
    EXPR is a schedule as Python writes it: 'cosine(0.1, 0.0, 1000).warmup(100)'
    One that begins with '-' goes after '--': lrkern plot -- '-1.0 * cosine(0.1, 0.0, 9)'
    """


@cli.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights and batches.")
@click.option("--epochs", type=click.IntRange(min=1), default=50, show_default=True, help="Times to see every picture.")
@click.option("-o", "--out", default="lrkern-demo.png", show_default=True, help="Picture to write.")
def demo(seed: int, epochs: int, out: str) -> int:
    """Train a network on handwritten digits, by hand and with lrkern."""
    from lrkern import _digits
    from lrkern.demo import main as run

    _check_picture(out)
    return 0 if run(_digits, seed=seed, epochs=epochs, out=out) else 1


@cli.command()
@click.argument("expressions", metavar="EXPR...", nargs=-1, required=True)
@click.option("-n", "n", type=int, help="Steps to show. Default: the longest schedule and a little more.")
@click.option("-o", "--out", help="Picture to write (.png, .svg, .pdf). Default: draw in the terminal.")
@click.option("--log", is_flag=True, help="Logarithmic vertical axis.")
def plot(expressions: tuple[str, ...], n: int | None, out: str | None, log: bool) -> None:
    """Draw schedules over each other.

    \b
    lrkern plot 'cosine(0.1, 0.0, 900).warmup(100)'
    lrkern plot 'wsd(0.1, 100, 600, 300)' 'linear(0.1, 0.0, 1000)' -o curves.png
    """
    from lrkern._terminal import print_picture

    schedules = [lk.parse(text) for text in expressions]
    if out is None:
        print_picture(schedules, n, log)
        return
    _check_picture(out)
    require("matplotlib", install="'lrkern[plot]'", what="plot -o").use("Agg")
    figure: Any = lk.plot(schedules, n, log=log).figure
    with np.errstate(over="ignore"):  # matplotlib looks for ticks beyond values near the end of float64
        figure.savefig(out)
    print(out)


@cli.command()
@click.argument("expressions", metavar="EXPR...", nargs=-1, required=True)
@click.option("-n", "n", type=int, required=True, help="Number of steps.")
@click.option("--start", type=int, default=0, show_default=True, help="First step.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float64", show_default=True)
@click.option("-o", "--out", default="-", help="File to write, .npy, .csv or .txt. Default: csv to the standard output.")
def table(expressions: tuple[str, ...], n: int, start: int, dtype: str, out: str) -> None:
    """Write the values of schedules at every step.

    A csv has a line 'step,value' for each step, with a column for each of several schedules; a txt is the same with spaces, its
    head behind '#'. Every value reads back as the same float. An npy has shape (N,), or (number of schedules, N).

    \b
    lrkern table 'one_cycle(0.1, 1000)' -n 1000 -o lr.npy
    """
    if out != "-":
        _check_file(out, ".npy", ".csv", ".txt")
    schedules = [lk.parse(text) for text in expressions]
    if len(schedules) == 1:
        values = schedules[0].table(n, start, dtype=dtype)
    else:
        values = lk.tables(schedules, n, start, dtype=dtype)
    if Path(out).suffix.lower() == ".npy":
        with open(out, "wb") as file:
            np.save(file, values)
    elif out == "-":
        _write_text(schedules, values, start, ",", sys.stdout.write)
    else:
        with open(out, "w", encoding="utf-8") as text_file:
            _write_text(schedules, values, start, " " if Path(out).suffix.lower() == ".txt" else ",", text_file.write)
    if out != "-":
        print(out)


@cli.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("-n", "n", type=int, help="Number of steps. Default: the length of an array.")
@click.option("--start", type=int, default=0, show_default=True, help="First step.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Default: float64, or float32 if an array is.")
def compare(a: str, b: str, n: int | None, start: int, dtype: str | None) -> int:
    """Tell how far two schedules are apart; the exit code is 0 where all values are equal, else 1.

    A and B are EXPRs, or .npy files with the values from the first step on.

    \b
    lrkern compare 'cosine(0.1, 0.0, 900)' 'linear(0.1, 0.0, 900)' -n 900
    """
    found = lk.compare(_schedule_or_array(a), _schedule_or_array(b), n, start, dtype)
    print("\n".join(found.lines()))
    return 0 if found.equal else 1


@cli.command()
def info() -> None:
    """Show versions, instruction sets, threads and backends."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    found = lk.info()
    for name, (usable, about) in found.pop("backends").items():
        found[f"backend {name}"] = about if usable else f"not usable: {about}"
    for key, value in found.items():
        grid.add_row(f"[bold]{key}[/bold]", escape(", ".join(value) if isinstance(value, list) else str(value)))
    Console(highlight=False).print(grid)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """Run the benchmark (in a source checkout); takes its arguments."""
    root = Path(lk.__file__).resolve().parent.parent
    if not (root / "bench" / "__main__.py").is_file():
        raise ValueError("bench: the benchmark is part of the source checkout, not of the installed package")
    return subprocess.call([sys.executable, "-m", "bench", *arguments], cwd=root)


def _schedule_or_array(text: str) -> Any:
    if not text.lower().endswith(".npy"):
        return lk.parse(text)
    try:
        return np.load(text, allow_pickle=False)
    except (EOFError, ValueError) as error:  # click takes an EOFError for Ctrl-D
        raise ValueError(f"compare: {text} must be an array as numpy.save writes it: {error}") from error


def _write_text(schedules: list[lk.Schedule], values: Any, start: int, between: str, write: Callable[[str], object]) -> None:
    """A line for each step; above them what the columns are, the schedules in quotes."""
    names = ["value"] if len(schedules) == 1 else ['"{}"'.format(repr(s).replace('"', '""')) for s in schedules]
    write(("" if between == "," else "# ") + between.join(["step", *names]) + "\n")
    columns = np.atleast_2d(values)
    for begin in range(0, columns.shape[1], 100_000):
        rows = zip(*columns[:, begin : begin + 100_000], strict=True)
        write("".join(between.join([str(start + begin + i), *map(str, row)]) + "\n" for i, row in enumerate(rows)))


def _check_picture(out: str) -> None:
    _check_file(out, ".png", ".svg", ".pdf")


def _check_file(out: str, *kinds: str) -> None:
    if Path(out).suffix.lower() not in kinds:
        raise ValueError(f"out must end in {', '.join(kinds[:-1])} or {kinds[-1]}; got {out}")
    if not Path(out).resolve().parent.is_dir():
        raise ValueError(f"out must be in a folder that exists; got {out}")
