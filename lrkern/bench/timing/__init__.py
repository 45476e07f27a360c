"""Timing: races within a process and between processes, and the checks before them."""
