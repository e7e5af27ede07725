"""Be a new process all the time: fork, end, in sessions of their own."""

import os
import time

from probe import name_me

SAFETY_S = 20


def run(mark):
    ends_at = time.monotonic() + SAFETY_S
    if os.fork() == 0:
        name_me(mark)
        while time.monotonic() < ends_at:
            if os.fork() != 0:
                os._exit(0)
            os.setsid()
        os._exit(0)
    return 1
