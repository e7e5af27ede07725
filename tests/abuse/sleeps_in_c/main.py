"""Sleep by the C library, again and again."""

from probe import libc


def run():
    while True:
        libc.sleep(1000)
