"""A script that sits in the other slot, with something to steal, for a while."""

import ctypes
import os
import signal
import time

KEPT = "a secret of the victim"


def run(mark, seconds, *, ctx):
    heard = []
    for number in (signal.SIGUSR1, signal.SIGCONT, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _frame: heard.append(number))
    ctypes.CDLL(None).prctl(15, mark.encode(), 0, 0, 0)
    with open("secret.txt", "w") as file:
        file.write(KEPT)
    secret = bytearray(KEPT.encode())
    ctx.emit({"home": os.getcwd(), "address": id(secret)})
    ends_at = time.monotonic() + seconds
    longest = 0.0
    while not ctx.cancelled and (now := time.monotonic()) < ends_at:
        time.sleep(0.01)
        longest = max(longest, time.monotonic() - now)
    with open("secret.txt") as file:
        kept = file.read()
    return {
        "heard": heard,
        "file": kept,
        "memory": secret.decode(),
        "folder": sorted(os.listdir(".")),
        "longest": longest,
    }
