"""A function that workers import."""


def noop():
    """Do nothing."""
