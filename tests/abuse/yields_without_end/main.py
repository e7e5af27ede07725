"""Yield, for ever."""


def run():
    while True:
        yield "x" * 1000
