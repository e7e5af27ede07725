"""Fork and keep the forks, as far as it goes."""

import os
import time

from probe import name_me, tried

SAFETY_COUNT = 200


def bomb():
    for _ in range(SAFETY_COUNT):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
    time.sleep(3)  # long enough for whoever counts from outside


def run(mark):
    name_me(mark)
    return {"bomb": tried(bomb)}
