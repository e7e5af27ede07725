"""Leave a daemon, then never end."""

import os
import time

from probe import name_me


def run(mark):
    if os.fork() == 0:
        os.setsid()
        name_me(mark)
    while True:
        time.sleep(60)
