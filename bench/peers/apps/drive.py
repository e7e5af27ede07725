"""Calls one system from its own environment: `python drive.py APP SECONDS`, figures as JSON.

One at a time first, then 16 in flight: the oldest is waited for, then another one is asked for.
"""

import asyncio
import importlib
import json
import resource
import sys
import time
from collections import deque

IN_FLIGHT_COUNT = 16
WARM_COUNT = 20


def used_s():
    """Return the processor time of this process and of those that it has waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def drive(app, seconds):
    """Call an application that blocks."""
    for _ in range(WARM_COUNT):
        app.wait(app.submit())
    latencies = []
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        began = time.perf_counter()
        app.wait(app.submit())
        latencies.append(time.perf_counter() - began)
    count, used_before_s, began = 0, used_s(), time.perf_counter()
    asked = deque(app.submit() for _ in range(IN_FLIGHT_COUNT))
    while time.perf_counter() < began + seconds:
        app.wait(asked.popleft())
        count += 1
        asked.append(app.submit())
    took_s, cpu_s = time.perf_counter() - began, used_s() - used_before_s
    for each in asked:
        app.wait(each)
    return latencies, count, took_s, cpu_s


async def drive_async(app, seconds):
    """Call an application that has an event loop."""
    for _ in range(WARM_COUNT):
        await app.call()
    latencies = []
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        began = time.perf_counter()
        await app.call()
        latencies.append(time.perf_counter() - began)
    count, used_before_s, began = 0, used_s(), time.perf_counter()

    async def keep_calling():
        nonlocal count
        while time.perf_counter() < began + seconds:
            await app.call()
            count += 1

    await asyncio.gather(*(keep_calling() for _ in range(IN_FLIGHT_COUNT)))
    return latencies, count, time.perf_counter() - began, used_s() - used_before_s


def main():
    """Do it, and tell."""
    app = importlib.import_module(sys.argv[1])
    if hasattr(app, "open_up"):
        app.open_up()
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = float(sys.argv[2])
    is_async = hasattr(app, "call")
    told = asyncio.run(drive_async(app, seconds)) if is_async else drive(app, seconds)
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
    if hasattr(app, "close"):
        app.close()


if __name__ == "__main__":
    main()
