"""Checks of a running installation, as named cases with a diagnosis of each failure."""
