"""Ask for reuse, and leave a daemon outside the session each time."""

import os
import time

from probe import name_me

runs = 0


def run(mark):
    global runs
    runs += 1
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            name_me(mark)
            os.closerange(0, 65536)
            while True:
                time.sleep(60)
        os._exit(0)
    os.wait()
    return runs
