"""Register whatever might run at the end, and hang in it."""

import atexit
import threading
import weakref


class Sticky:
    def __del__(self):
        threading.Event().wait()


kept = Sticky()


def run():
    atexit.register(threading.Event().wait)
    threading._register_atexit(threading.Event().wait)
    weakref.finalize(kept, threading.Event().wait)
    return 1
