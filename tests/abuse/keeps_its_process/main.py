"""Take away the way in which the process ends."""

import os


def run():
    os._exit = lambda status: None
    return 1
