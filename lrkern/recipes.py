"""Schedules of several phases, under the name by which the documentation knows them: see `lrkern.schedules.recipes`."""

from lrkern.schedules.recipes import *  # noqa: F403
from lrkern.schedules.recipes import __all__ as __all__
