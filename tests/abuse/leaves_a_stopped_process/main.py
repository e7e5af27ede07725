"""Leave a process in a session of its own that has stopped itself."""

import os
import signal

from probe import name_me


def run(mark):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        name_me(mark)
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    return 1
