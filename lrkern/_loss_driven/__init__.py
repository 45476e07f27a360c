"""Schedules that follow a metric: plateaus, loss-driven rates, range tests. Public as `lrkern.plateau` and so on.

The folder's name begins with an underscore because `lrkern.loss_driven` is a function.
"""
