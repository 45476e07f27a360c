"""Pictures are drawn without a screen, and figures are closed after each test."""

import matplotlib as mpl
import pytest

mpl.use("Agg")
from matplotlib import pyplot


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")
