"""Leave the process without a word."""

import os


def run():
    os._exit(0)
