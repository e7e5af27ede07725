"""Handle the soft end by looping."""

import signal
import time


def forever(_number, _frame):
    while True:
        pass


def run():
    signal.signal(signal.SIGTERM, forever)
    while True:
        time.sleep(60)
