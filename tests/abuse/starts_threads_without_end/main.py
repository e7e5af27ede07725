"""Start threads and keep them, as far as it goes."""

import threading
import time

SAFETY_COUNT = 300


def run():
    for _ in range(SAFETY_COUNT):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
    time.sleep(3)
