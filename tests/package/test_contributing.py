"""CONTRIBUTING's walk-through for a new curve, followed literally in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
WALK = PAGE.read_text().partition("## Adding a curve\n")[2] if PAGE.exists() else ""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not WALK, reason="needs the source checkout")]


class Checkout:
    """A copy of the files that the walk-through edits and that the tests need, with the same build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unwanted = shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info", "cuda")
        for name in ("lrkern", "tests", "tools", "docs"):
            shutil.copytree(ROOT / name, folder / name, symlinks=name == "lrkern", ignore=unwanted)
        for name in ("README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile", "CHANGELOG.md"):
            shutil.copy2(ROOT / name, folder)
        (folder / "src_c").symlink_to(ROOT / "src_c")
        (folder / "examples").symlink_to(ROOT / "examples")
        shutil.copytree(ROOT / "lrkern" / "cuda", folder / "lrkern" / "cuda", ignore=unwanted)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in this copy, which precedes the installed package."""
        path = os.pathsep.join([str(self.folder), str(self.folder / "tests" / "support")])
        env = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    def tests(self, *arguments: str) -> tuple[int, int, str]:
        """The numbers of passed and failed tests, and the output."""
        said = self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments).stdout
        found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", said)}
        return found.get("passed", 0), found.get("failed", 0) + found.get("error", 0), said


def steps() -> dict[str, str]:
    """The file that each step names, with the text to write there."""
    found = re.findall(r"^\*\*\d\. `(\S+\.py)`\*\*.*?^```text\n(.*?)^```", WALK, re.S | re.M)
    assert len(found) == 2, found
    return dict(found)


def commands(target: str) -> list[list[str]]:
    """The commands of a Makefile target."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe
    lines = [line.split() for line in recipe[1].splitlines()]
    assert all(line[0] == "$(BIN)/python" for line in lines)
    return [line[1:] for line in lines]


@pytest.mark.exhaustive
def test_the_walk_through_for_a_new_curve(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    changed = steps()
    (name,) = {found for text in changed.values() for found in re.findall(r"^def (\w+)\(", text, re.M)}
    for path, text in changed.items():
        file = tmp_path / path
        source = file.read_text().rstrip() + "\n\n\n" + text
        if path.endswith("curves.py"):  # "name it in `__all__`"
            source = source.replace("__all__ = [\n", f'__all__ = [\n    "{name}",\n', 1)
        file.write_text(source)
    before = (tmp_path / "tests/golden/schedules.sha256").read_text()
    lists = ["tests/package/test_docs.py::test_every_curve_is_listed", "tests/schedules/test_bits.py::test_golden[1-scalar]"]
    _, failed, told = checkout.tests(*lists)
    assert failed >= 2, told
    assert "make record" in told, "the tests say what to do"

    assert "`make record`" in WALK
    for command in commands("record"):
        done = checkout.run(*command)
        assert done.returncode == 0, done.stderr
    after = (tmp_path / "tests/golden/schedules.sha256").read_text()
    assert after.startswith(before)
    assert f"| `{name}(" in (tmp_path / "docs" / "schedules.md").read_text()

    files = ["accuracy", "bits", "names", "records", "edges", "oracle", "tables"]
    paths = ["tests/package/test_docs.py", *[f"tests/schedules/test_{one}.py" for one in files]]
    passed, failed, told = checkout.tests("-k", f"{name} or test_every_curve_is_listed or (test_golden and 1-scalar)", *paths)
    assert (passed > 102, failed) == (True, 0), told


def test_the_copy_is_what_is_tested(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "lrkern" / "schedules" / "shapes.py").write_text("raise SystemExit('this one')\n")
    for command in (["-c", "import lrkern"], *commands("record")):
        assert "this one" in checkout.run(*command).stderr
