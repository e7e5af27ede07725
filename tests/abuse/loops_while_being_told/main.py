"""Raise an error whose text is never finished."""

import time


class Endless(Exception):
    def __str__(self):
        while True:
            time.sleep(1)


def run():
    raise Endless
