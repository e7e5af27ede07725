"""Return while threads that are no daemons still run."""

import threading


def run():
    for _ in range(5):
        threading.Thread(target=threading.Event().wait).start()
    return 1
