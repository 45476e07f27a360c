"""The package as installed: cost and contents of `import lrkern`, versions, extras, licence."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lrkern as lk

ROOT = Path(__file__).parents[2]
IMPORT_BUDGET = 0.040  # seconds beyond NumPy, of processor time: others on the machine count less than by the clock

checkout = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the source checkout")


def python(code, **kwargs):
    """The output of `code` in a new interpreter."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, **kwargs).stdout.strip()


def test_import_is_quick(tmp_path):
    # With byte code, as installed by pip; not every environment lets Python write it next to the sources.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    code = "import time, numpy; t = time.process_time(); import lrkern; print(time.process_time() - t)"
    python(code, env=env)
    times = []
    for _ in range(15):
        times.append(float(python(code, env=env)))
        if times[-1] <= IMPORT_BUDGET:
            break
    assert min(times) <= IMPORT_BUDGET


def test_import_brings_nothing_optional():
    before, after = (set(python(f"import sys, numpy{more}; print(*sys.modules)").split()) for more in ("", ", lrkern"))
    new = {name.partition(".")[0] for name in after - before}
    foreign = {name for name in new if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert foreign - {"numpy", "cython_runtime"} == {"lrkern"}
    heavy = {"asyncio", "email", "http", "importlib.metadata", "multiprocessing", "unittest", "subprocess"}
    assert not heavy & (after - before)
    for name in ("cli", "pictures.plotting", "pictures.svg", "schedules.comparison", "schedules.records", "_loss_driven"):
        assert f"lrkern.{name}" not in after


def test_names_that_are_shown():
    """dir, and so completion, lists all public names, imported yet or not, and nothing else."""
    shown = python("import lrkern; print(*dir(lrkern))").split()
    assert set(shown) == {*lk.__all__, "dialects"}
    assert shown == sorted(shown)
    python("import lrkern; assert all(hasattr(lrkern, name) for name in dir(lrkern))")
    shown = python("import lrkern, lrkern.numba; print(*dir(lrkern)); print(*dir(lrkern.numba))").splitlines()
    assert "numba" in shown[0].split()
    assert not {"alike", "fine", "share", "np", "annotations"} & set(shown[1].split())
    assert {"at", "fill", "adamw_step", "c", "plateau"} <= set(shown[1].split())


def test_version_agrees_everywhere():
    assert importlib.metadata.version("lrkern") == lk.__version__ == lk.info()["version"]


@checkout
def test_version_in_the_sources_agrees():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project.get("version", lk.__version__) == lk.__version__
    assert re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)


@checkout
def test_licence_agrees():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {"BSD-3-Clause": "BSD 3-Clause License", "MIT": "MIT License", "Apache-2.0": "Apache License"}
    assert (ROOT / "LICENSE").read_text().strip().startswith(names[project["license"]])


@checkout
def test_extras_that_the_package_names_exist():
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    named = set()
    for path in [*(ROOT / "lrkern").rglob("*.py"), *(ROOT / "examples").glob("*.py"), *ROOT.glob("*.md")]:
        for found in re.findall(r"(?:lrkern|'\.)\[([a-z,]+)\]", path.read_text()):
            named |= set(found.split(","))
    assert {"cli", "plot", "test"} <= named <= extras


def test_only_numpy_is_required():
    requirements = [r for r in importlib.metadata.requires("lrkern") or [] if "extra ==" not in r]
    assert [re.match(r"[\w-]+", r).group() for r in requirements] == ["numpy"]


def test_the_command_is_installed():
    (script,) = [s for s in importlib.metadata.entry_points(group="console_scripts") if s.name == "lrkern"]
    assert script.value == "lrkern.cli.commands:main"


def test_types_are_shipped():
    folder = Path(lk.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_core.pyi").exists()


@checkout
def test_folders_are_small():
    """The number of entries in the top folders is limited, build products not included."""
    for folder, most in (("lrkern", 28), ("src_c", 12), ("tests", 17)):
        ignored = ("__pycache__", "_core.c")
        entries = [one.name for one in (ROOT / folder).iterdir() if one.name not in ignored and one.suffix != ".so"]
        assert len(entries) <= most, sorted(entries)
