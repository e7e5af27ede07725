"""Fork twice, leave session, folder, environment and descriptors behind, hear no signal."""

import os
import signal
import time

from probe import name_me


def run(mark):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            name_me(mark)
            os.chdir("/")
            os.environ.clear()
            os.closerange(0, 65536)
            for number in signal.valid_signals():
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                time.sleep(60)
        os._exit(0)
    os.wait()
    return 1
