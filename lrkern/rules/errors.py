"""The error of rules."""


class RuleError(ValueError):
    """A rule says something that the language does not have."""
