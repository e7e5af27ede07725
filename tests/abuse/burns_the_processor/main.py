"""Use more processor time than allowed, deaf for its signal, in a process with a raised limit."""

import resource
import signal


def run():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (100, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    except (OSError, ValueError):
        pass
    while True:
        pass
