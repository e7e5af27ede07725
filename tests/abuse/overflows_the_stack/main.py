"""Recurse in C, where no limit of the interpreter counts."""

import sys


def run():
    sys.setrecursionlimit(10**9)
    deep = []
    for _ in range(200_000):
        deep = [deep]
    return repr(deep)
