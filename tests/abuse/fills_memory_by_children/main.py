"""Have several children use a little less than the limit each."""

import os
import time

from probe import name_me

CHILDREN_COUNT = 4
ONE_BYTES = 60_000_000


def run(mark):
    for _ in range(CHILDREN_COUNT):
        if os.fork() == 0:
            os.setsid()
            name_me(mark)
            kept = b"x" * ONE_BYTES
            time.sleep(8)
            os._exit(len(kept) % 2)
    time.sleep(8)
