"""Schedules that follow a metric: plateaus, loss-driven rates, range tests. Public as `lrkern.plateau` etc.

The underscore in the folder's name is there because `lrkern.loss_driven` is a function.
"""
