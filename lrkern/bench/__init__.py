"""The benchmark: every performance target of lrkern, measured side by side with its rivals. `lrkern bench` runs it."""
