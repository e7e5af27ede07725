"""Print one line, without end."""

import sys


def run():
    while True:
        sys.stdout.write("x" * 65536)
