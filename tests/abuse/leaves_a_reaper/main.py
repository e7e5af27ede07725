"""Become a subreaper in a session of its own, with orphans below."""

import os
import time

from probe import libc, name_me


def run(mark):
    if os.fork() == 0:
        os.setsid()
        name_me(mark)
        libc.prctl(36, 1, 0, 0, 0)
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(60)
                os._exit(0)
        time.sleep(60)
    return 1
