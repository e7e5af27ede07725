"""Catch everything, the end included."""

import time


def run():
    while True:
        try:
            time.sleep(60)
        except:
            pass
