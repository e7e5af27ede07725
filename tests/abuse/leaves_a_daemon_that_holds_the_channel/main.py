"""Leave a process that keeps every descriptor open and goes on writing to them."""

import os
import time

from probe import name_me


def run(mark):
    if os.fork() == 0:
        os.setsid()
        name_me(mark)
        while True:
            for number in (1, 2):
                try:
                    os.write(number, b"still here\n")
                except OSError:
                    pass
            time.sleep(0.01)
    return 1
