"""What schedules cost: 10,000 of them while none is due, and 100 that are due in one second.

The same gateway process without schedules is the baseline of the processor's time; what a start
leaves to be done just after `ready` (20 to 40 ms) is over before it is looked at. A moment counts
as dispatched when its task is accepted and on the disk.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from statistics import median

from bench.edge import cpu_s
from bench.load import percentile
from bench.store import Gateway, gateway
from zscrape.gateway.plans import KeptSchedule, encode_kept
from zscrape.gateway.schedulebody import ScheduleRequest
from zscrape.store.schedules import ScheduleRecord, _insert

IDLE_COUNT = 10_000
DUE_COUNT = 100
SETTLE_S = 1.0
IDLE_S = 6.0
DUE_ROUND_COUNT = 5


def _records(count: int, **when: object) -> list[ScheduleRecord]:
    now = time.time()
    found: list[ScheduleRecord] = []
    for number in range(count):
        name = f"{next(iter(when))}-{number:05}"
        asked = ScheduleRequest(name=name, script_name="noop", overlap="allow", **when)  # type: ignore[arg-type]
        kept = KeptSchedule(asked=asked, anchor_at=float(int(now)), client="admin")
        found.append(
            ScheduleRecord(
                id=name,
                name=name,
                script_name="noop",
                body=encode_kept(kept),
                created_at=now,
                updated_at=now,
                cursor_at=now,
            )
        )
    return found


def _put(running: Gateway, records: list[ScheduleRecord]) -> float:
    """Put schedules into the database of a gateway and start it again; returns the start's time."""
    running.kill()
    with closing(sqlite3.connect(running.folder / "home" / "zscrape.db")) as connection:
        connection.execute("DELETE FROM schedules")
        for record in records:
            _insert(connection, record)
        connection.commit()
    return running.start()


def _cpu_percent(running: Gateway) -> float:
    time.sleep(SETTLE_S)
    before_s = cpu_s(running.process.pid)
    time.sleep(IDLE_S)
    return 100 * (cpu_s(running.process.pid) - before_s) / IDLE_S


def _lateness_ms(running: Gateway) -> list[float]:
    """Return how late each moment of a few seconds was dispatched.

    Not those that were due while the gateway began: they are made up for, and late.
    """
    ready_ms = time.time() * 1000
    time.sleep(DUE_ROUND_COUNT + 1.0)
    running.kill()
    with closing(sqlite3.connect(running.folder / "home" / "zscrape.db")) as connection:
        query = "SELECT at, due_ms FROM occurrences WHERE status = 'fired' AND due_ms > ?"
        rows = connection.execute(query, (ready_ms,))
        return [at * 1000 - due_ms for at, due_ms in rows]


def measure() -> dict[str, float]:
    """Measure both."""
    with gateway() as running:
        bare_start_s = median([_put(running, []) for _ in range(3)])
        bare = _cpu_percent(running)
        start_s = _put(running, _records(IDLE_COUNT, cron="0 0 1 1 *"))
        idle = _cpu_percent(running)
        _put(running, _records(DUE_COUNT, interval=1.0))
        late = _lateness_ms(running)
    return {
        "idle_cpu_percent_10000": idle,
        "idle_cpu_percent_none": bare,
        "start_added_s_10000": start_s - bare_start_s,
        "due_count": float(len(late)),
        "due_p50_ms_100": median(late),
        "due_p99_ms_100": percentile(late, 99),
    }
