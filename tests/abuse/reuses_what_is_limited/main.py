"""Ask for reuse, and make the process one in which nothing else could run."""

import resource
import signal

runs = 0


def run():
    global runs
    runs += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.5)
    return runs
