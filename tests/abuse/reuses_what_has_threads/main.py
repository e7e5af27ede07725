"""Ask for reuse, and leave a thread at work each time."""

import threading

runs = 0


def run():
    global runs
    runs += 1
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return runs
