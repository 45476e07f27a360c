"""Pictures of schedules: with matplotlib, as SVG in notebooks, in terminals. Drawing code is imported on first use."""

from __future__ import annotations

from typing import Any

from lrkern.schedules.drawing import HOOKS


def _plot(*args: Any, **options: Any) -> Any:
    from lrkern.pictures.plotting import plot

    return plot(*args, **options)


def _suggestion(*args: Any) -> Any:
    from lrkern.pictures.plotting import plot_suggestion

    return plot_suggestion(*args)


def _html(schedule: Any) -> str:
    from lrkern.pictures.svg import html_picture

    return html_picture(schedule)


def _svg(schedule: Any) -> str:
    from lrkern.pictures.svg import svg_picture

    return svg_picture(schedule)


HOOKS.update(plot=_plot, suggestion=_suggestion, html=_html, svg=_svg)
