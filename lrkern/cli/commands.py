"""The command line: `lrkern demo | plot | table | compare | info | bench`."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import numpy as np

import lrkern as lk
from lrkern._optional import require
from lrkern.cli import streams, value_files

try:
    import click
    import rich as _rich  # noqa: F401  # so that its absence is reported here, not in the middle of a command
except ModuleNotFoundError as error:
    sys.exit(f"lrkern: the command line needs {error.name}: pip install 'lrkern[cli]'")

# Exit codes besides 0. The last two are the conventional ones for SIGINT and SIGPIPE.
DIFFERENT = 1
WRONG_USE = 2
FAULT = 3
INTERRUPTED = 130
READER_LEFT = 141


def main() -> NoReturn:
    """Run the command line; errors in arguments or files become one line on stderr and exit code 2."""
    streams.prepare()
    try:
        code = _run()
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        may_be_expr = isinstance(error, click.NoSuchOption) and not error.option_name.startswith("--")
        hint = " (an EXPR that begins with '-' goes after '--')" if may_be_expr else ""
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lrkern"
        code = _fail(f"{where}: {error.format_message().removesuffix('.')}{hint}")
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = READER_LEFT
    except (ValueError, TypeError, OverflowError, MemoryError, ImportError, OSError) as error:
        code = _fail(f"lrkern: {error}")
    except Exception:
        streams.complain(traceback.format_exc())
        code = FAULT
    streams.leave(code)


def _run() -> int:
    if "_LRKERN_COMPLETE" in os.environ:  # shell completion
        cli.main(prog_name="lrkern")
    # Not main(), which has its own exit codes for interrupts, ends of files and closed pipes.
    try:
        with cli.make_context("lrkern", sys.argv[1:]) as context:
            return cli.invoke(context) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help())
        return 0


def _fail(message: str) -> int:
    streams.complain(" ".join(message.split()))
    return WRONG_USE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(lk.__version__, prog_name="lrkern")
def cli() -> None:
    """Learning-rate schedules and optimizer steps as kernels.

    \b
    EXPR is a schedule as Python writes it: 'cosine(0.1, 0.0, 1000).warmup(100)'
    or as another library does, prefixed by its module in lrkern.dialects: 'torch.StepLR(0.1, 30)'
    One that begins with '-' goes after '--': lrkern plot -- '-1.0 * cosine(0.1, 0.0, 9)'

    \b
    Exit codes: 0 success, 1 `compare` or `demo` found a difference, 2 wrong arguments or files (one line on stderr
    says which), 3 a bug in lrkern, 130 interrupted, 141 the reader of the output has gone
    """


@cli.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of weights and batches.")
@click.option("--epochs", type=click.IntRange(min=1), default=50, show_default=True, help="Passes over the training set.")
@click.option("-o", "--out", default="lrkern-demo.png", show_default=True, help="Picture to write.")
def demo(seed: int, epochs: int, out: str) -> int:
    """Train a network on handwritten digits, by hand and with lrkern."""
    from lrkern.cli import digits
    from lrkern.cli.demo import main as run

    _check_picture(out)
    return 0 if run(digits, seed=seed, epochs=epochs, out=out) else 1


@cli.command()
@click.argument("expressions", metavar="EXPR...", nargs=-1, required=True)
@click.option("-n", "n", type=int, help="Steps to show. Default: a little more than the longest schedule.")
@click.option("-o", "--out", help="Picture to write (.png, .svg, .pdf). Default: draw in the terminal.")
@click.option("--log", is_flag=True, help="Logarithmic vertical axis.")
def plot(expressions: tuple[str, ...], n: int | None, out: str | None, log: bool) -> None:
    """Plot schedules in one picture.

    \b
    lrkern plot 'cosine(0.1, 0.0, 900).warmup(100)'
    lrkern plot 'wsd(0.1, 100, 600, 300)' 'linear(0.1, 0.0, 1000)' -o curves.png
    """
    from lrkern.pictures.terminal import print_picture

    schedules = [lk.parse(text) for text in expressions]
    if out is None:
        print_picture(schedules, n, log)
        return
    _check_picture(out)
    require("matplotlib", install="'lrkern[plot]'", what="plot -o").use("Agg")
    figure: Any = lk.plot(schedules, n, log=log).figure
    with np.errstate(over="ignore"):  # matplotlib searches for ticks beyond the values, which may overflow
        figure.savefig(out)
    streams.tell(out)


@cli.command()
@click.argument("expressions", metavar="EXPR...", nargs=-1, required=True)
@click.option("-n", "n", type=int, required=True, help="Number of steps.")
@click.option("--start", type=int, default=0, show_default=True, help="First step.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float64", show_default=True)
@click.option("-o", "--out", default="-", help="File to write, .npy, .csv or .txt. Default: csv to the standard output.")
def table(expressions: tuple[str, ...], n: int, start: int, dtype: str, out: str) -> None:
    """Write the values of schedules at every step.

    A csv has a line 'step,value' for each step, with a column for each of several schedules; a txt is the same with spaces, and
    its header begins with '#'. Every value reads back as the same float. An npy has shape (N,), or (number of schedules, N).
    `lrkern compare` reads all of them.

    \b
    lrkern table 'one_cycle(0.1, 1000)' -n 1000 -o lr.npy
    """
    if out != "-":
        _check_file(out, *value_files.WRITTEN)
    schedules = [lk.parse(text) for text in expressions]
    if len(schedules) == 1:
        values = schedules[0].table(n, start, dtype=dtype)
    else:
        values = lk.tables(schedules, n, start, dtype=dtype)
    if out == "-":
        value_files.write_text(schedules, values, start, ",", sys.stdout.write)
    else:
        value_files.write(out, schedules, values, start)
        streams.tell(out)


@cli.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("-n", "n", type=int, help="Number of steps. Default: the length of a file.")
@click.option("--start", type=int, help="First step. Default: that of a file, else 0.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Default: float64, or float32 if an array is float32.")
@click.option("--column", help="Column of a file, by its name or number.")
@click.option("--rtol", type=float, help="Tolerated difference, relative to the larger value; 0 tolerates nothing.")
@click.option("--atol", type=float, help="Tolerated absolute difference. Default of both: rounding errors.")
def compare(
    a: str,
    b: str,
    n: int | None,
    start: int | None,
    dtype: str | None,
    column: str | None,
    rtol: float | None,
    atol: float | None,
) -> int:
    """Show how far two schedules differ, and whether by more than rounding.

    The exit code is 0 if no step differs by more than the tolerance, 1 if one does, 2 if they cannot be compared.

    A and B are EXPRs, or files of values: what `lrkern table -o` writes, arrays of numpy.save (.npy), tables with or without a
    header (.csv, .txt), lists of numbers and records of schedules (.json).

    \b
    lrkern compare 'cosine(0.1, 0.0, 900)' 'linear(0.1, 0.0, 900)' -n 900
    lrkern compare 'cosine(0.1, 0.0, 900).warmup(100)' metrics.csv --column lr
    """
    operands = [_operand(text, column) for text in (a, b)]
    starts = {begin for begin in (start, *(begin for _, begin in operands)) if begin is not None}
    if len(starts) > 1:
        raise ValueError(f"compare: both must have the same first step; got {' and '.join(map(str, sorted(starts)))}")
    found = lk.compare(operands[0][0], operands[1][0], n, starts.pop() if starts else 0, dtype, rtol=rtol, atol=atol)
    print("\n".join(found.lines()))
    return 0 if found.close else DIFFERENT


@cli.command()
def info() -> None:
    """Show versions, instruction sets, threads and backends."""
    from rich.markup import escape
    from rich.table import Table

    from lrkern.pictures.console import Terminal

    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")  # paths are shown whole
    found = lk.info()
    for name, (usable, about) in found.pop("backends").items():
        found[f"backend {name}"] = about if usable else f"not usable: {about}"
    for key, value in found.items():
        grid.add_row(f"[bold]{key}[/bold]", escape(", ".join(value) if isinstance(value, list) else str(value)))
    Terminal().print(grid)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """Measure lrkern against its rivals and this machine's limits; `lrkern bench -h` lists the options."""
    from lrkern.bench.command import main as run

    return run(list(arguments))


def _operand(text: str, column: str | None) -> tuple[Any, int | None]:
    """A schedule or the values in a file, and the first step if the file has it."""
    kinds = value_files.READ
    if value_files.kind_of(text) in kinds:
        return value_files.read(text, column)
    try:
        return lk.parse(text), None
    except ValueError:
        if not os.path.isfile(text):
            raise
        raise ValueError(f"compare: {text} must end in {', '.join(kinds[:-1])} or {kinds[-1]} to be read as a file") from None


def _check_picture(out: str) -> None:
    _check_file(out, ".png", ".svg", ".pdf")


def _check_file(out: str, *kinds: str) -> None:
    if value_files.kind_of(out) not in kinds:
        raise ValueError(f"out must end in {', '.join(kinds[:-1])} or {kinds[-1]}; got {out}")
    if not os.path.isdir(os.path.dirname(os.path.realpath(out))):
        raise ValueError(f"out must be in a folder that exists; got {out}")
