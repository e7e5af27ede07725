"""Have a timer fire as fast as it can."""

import signal


def run():
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.00001, 0.00001)
    while True:
        pass
