"""Close everything, the channel to the worker included."""

import os
import time


def run():
    os.closerange(0, 65536)
    time.sleep(60)
