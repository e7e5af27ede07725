"""Nest folders and take their permissions away."""

import os


def run():
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    for _ in range(3000):
        os.chdir("..")
        os.chmod("d", 0)
    return 1
