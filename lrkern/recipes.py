"""Schedules of several phases: the documented name of `lrkern.schedules.recipes`."""

from lrkern.schedules.recipes import *  # noqa: F403
from lrkern.schedules.recipes import __all__ as __all__
