"""Sleep, and clean up when told to end."""

import time


def run():
    try:
        time.sleep(10**6)
    finally:
        print("cleaned")
