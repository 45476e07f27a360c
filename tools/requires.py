"""Prints the requirements of the build (`build`) or of extras of pyproject.toml, without the package itself."""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())


def requirements(extra: str) -> list[str]:
    """The requirements of an extra and of the extras it refers to, or of the build for \"build\"."""
    if extra == "build":
        return [*PYPROJECT["build-system"]["requires"], *PYPROJECT["project"]["dependencies"]]
    found = []
    for requirement in PYPROJECT["project"]["optional-dependencies"][extra]:
        own = re.fullmatch(r"lrkern\[([\w,]+)\]", requirement)
        found += [r for e in own[1].split(",") for r in requirements(e)] if own else [requirement]
    return found


if __name__ == "__main__":
    print(*(r for extra in sys.argv[1:] for r in requirements(extra)), sep="\n")
