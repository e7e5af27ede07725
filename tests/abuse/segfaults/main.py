"""Read what is not there."""

import ctypes


def run():
    ctypes.string_at(8)
