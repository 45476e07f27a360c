"""Schedules drawn: with matplotlib, as SVG in notebooks, in terminals."""
