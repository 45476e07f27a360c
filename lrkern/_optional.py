"""Optional packages: imported only when used, with an error that says what to install."""

from importlib import import_module
from types import ModuleType

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # packages whose name differs from the module's


def require(module: str, *, install: str, what: str) -> ModuleType:
    """Import and return `module`; if its package is missing, the error says what to install.

    >>> require("math", install="'lrkern[plot]'", what="this example").pi
    3.141592653589793
    >>> require("no_such_package", install="'lrkern[plot]'", what="Schedule.plot")
    Traceback (most recent call last):
    ...
    ImportError: Schedule.plot needs no_such_package: pip install 'lrkern[plot]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is installed, but one of its dependencies is missing
        name = _DISTRIBUTIONS.get(package, package)
        raise ImportError(f"{what} needs {name}: pip install {install}", name=package) from None


def installed(package: str) -> str | None:
    """The version of an installed package, without importing it, or None.

    >>> installed("no-such-package") is None
    True
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
