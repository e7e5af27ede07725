import time


def run(seconds: float = 1.0):
    for _ in range(9):
        yield {"at": time.monotonic()}
        time.sleep(seconds / 9)
    yield {"at": time.monotonic()}
