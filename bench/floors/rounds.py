"""What the floors reach beside ours, in the same rounds: see `bench.floors` for what they are.

Each case has its baseline where its goal names one: a call that workers answer at once beside the
echo, a task beside B (a bare fork). Reused and without isolation, a page, and a result of 1 MB are
held to each other only. Beside the times stands the processor time of one task by process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from statistics import median
from typing import NamedTuple

from bench.bare import fork_rate, loops
from bench.edge import CALL, SLOT_COUNT, WORKER_COUNT, echo
from bench.floors.cluster import Floor, floor, instant
from bench.http import site
from bench.load import percentile
from bench.path import B_MODULES, Script, cluster
from bench.peers.scrapy_peers import LOOPBACK_ALLOWED, PAGE_SOURCE
from bench.stages import below, processes, used
from bench.store import gateway
from bench.workers import simulated

ROUND_COUNT = 5
ROUND_S = 0.5
CPU_IN_FLIGHT = 16
_BASES = {"edge": ("edge_echo", "echo"), "path": ("b", "b")}
_SETTLE_S = 0.3
_WARM_S = 0.5
_NOOP = "def run():\n    return None\n"
_LARGE = "def run():\n    return 'x' * 1_000_000\n"
# As ours is warmed: what a request loads and specialises, the template has done. By httpx, as ours
# is, and by what Python itself has: the difference is the library's.
_BY_HTTPX = """
import sys

sys.modules["httpx._main"] = None
import httpx
from selectolax.lexbor import LexborHTMLParser

tls = httpx.create_ssl_context()
client = httpx.Client(verify=tls, trust_env=False)

def page(url):
    return LexborHTMLParser(client.get(url).text)

for _ in range(30):
    page("{url}").css("p.row")[0].text()
client.close()
client = httpx.Client(verify=tls, trust_env=False)
"""
_BY_PYTHON = """
from http.client import HTTPConnection
from urllib.parse import urlsplit
from selectolax.lexbor import LexborHTMLParser

def page(url):
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port)
    connection.request("GET", "/")
    return LexborHTMLParser(connection.getresponse().read().decode())

for _ in range(30):
    page("{url}").css("p.row")[0].text()
"""
_PAGE = """
import warm

def run(url):
    page = warm.page(url)
    return {"title": page.css("title")[0].text(), "rows": len(page.css("p.row"))}
"""
PAGE_FLOORS = {"floor": _BY_HTTPX, "plain": _BY_PYTHON}


def page_floor(way: str, url: str) -> AbstractContextManager[Floor]:
    """Run a floor whose script fetches and parses a page; `way` is one of `PAGE_FLOORS`."""
    return floor("fork", _PAGE, PAGE_FLOORS[way].replace("{url}", url))


class Arm(NamedTuple):
    """One way to do the work of a case."""

    drive: Callable[..., list[float]]  # by `in_flight` and `seconds`
    roles: dict[str, int]  # its processes by what they do


class Case(NamedTuple):
    """The same work by several arms."""

    name: str
    arms: dict[str, Arm]
    flights: tuple[int, ...]  # besides one at a time


def arm_of(running: Floor, **parameters: str) -> Arm:
    return Arm(partial(running.drive, parameters=parameters), running.roles)


@contextmanager
def _cases() -> Iterator[list[Case]]:
    """Start everything."""
    scripts = {
        "reused": Script(_NOOP, {"kit": [], "reuse": 1000}),
        "large": Script(_LARGE, {"kit": []}),
        "page": Script(PAGE_SOURCE, {"kit": ["http"], "network": "any"}),
    }
    with ExitStack() as stack:
        enter = stack.enter_context
        url, ours = enter(site()), enter(cluster(scripts, LOOPBACK_ALLOWED))
        whole, bare = enter(gateway()), enter(echo())
        workers = enter(simulated(whole.folder / "home", WORKER_COUNT, slots=SLOT_COUNT))
        whole_roles = {"gateway": whole.process.pid, "worker": workers}

        def script(name: str, **parameters: str) -> Arm:
            ours.data(name, parameters)  # its template begins with it
            drive = partial(ours.drive, name, parameters=parameters)
            return Arm(drive, processes(ours))

        yield [
            Case(
                "edge",
                {
                    "echo": Arm(
                        partial(bare.drive, "/scrape", CALL), {"gateway": bare.process.pid}
                    ),
                    "floor": arm_of(enter(instant(WORKER_COUNT))),
                    "ours": Arm(partial(whole.drive, "/scrape", CALL), whole_roles),
                },
                (16, 64),
            ),
            Case(
                "path",
                {
                    "floor": arm_of(enter(floor("fork", _NOOP))),
                    "ours": script("noop_bare"),
                },
                (16, 64),
            ),
            Case(
                "reuse",
                {
                    "inside": arm_of(enter(floor("inside", _NOOP))),
                    "floor": arm_of(enter(floor("reuse", _NOOP))),
                    "ours": script("reused"),
                },
                (16,),
            ),
            Case(
                "page",
                {
                    **{way: arm_of(enter(page_floor(way, url)), url=url) for way in PAGE_FLOORS},
                    "ours": script("page", url=url),
                },
                (16,),
            ),
            Case(
                "large",
                {"floor": arm_of(enter(floor("fork", _LARGE))), "ours": script("large")},
                (),
            ),
        ]


def _each_used_us(pids: Iterable[int]) -> Iterator[float]:
    """Return what each has used that has not ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError, FileNotFoundError):
            yield used(pid).main_us


def _used_us(arm: Arm) -> dict[str, float]:
    """Return what an arm's processes, all below its template and this process have used so far."""
    found = {"caller": time.process_time() * 1e6}
    for name, pid in arm.roles.items():
        role, own = name.partition("_")[0], used(pid)
        found[role] = found.get(role, 0.0) + own.main_us + own.threads_us
        if role == "template":
            told_us = own.children_us + sum(_each_used_us(below(pid)))
            found["children"] = found.get("children", 0.0) + told_us
    return found


def many(arm: Arm, in_flight: int, seconds: float) -> dict[str, float]:
    """Return the rate with so many in flight, and for one of them the time of each process."""
    if in_flight != CPU_IN_FLIGHT:
        count = len(arm.drive(in_flight=in_flight, seconds=seconds))
        return {f"{in_flight}_per_s": count / seconds}
    before_us = _used_us(arm)
    count = len(arm.drive(in_flight=in_flight, seconds=seconds))
    told = {f"{in_flight}_per_s": count / seconds}
    time.sleep(_SETTLE_S)  # what has been asked last is over
    after_us, count = _used_us(arm), count + in_flight
    spent_us = {role: (after_us[role] - us) / count for role, us in before_us.items()}
    told |= {f"{role}_us": us for role, us in spent_us.items()}
    return told | {"total_us": sum(spent_us.values())}


def _ratios(result: dict[str, float], case: Case) -> Iterator[tuple[str, float]]:
    """Return what this case shows by ratios: ours to the floor, and both to its baseline."""
    names = {"p50": "p50_ms", "p99": "p99_ms"}
    names |= {f"rate_{count}": f"{count}_per_s" for count in case.flights}
    for name, figure in names.items():
        told = {arm: result[f"{case.name}_{arm}_{figure}"] for arm in case.arms}
        yield f"{case.name}_ours_{name}_ratio_to_floor", told["ours"] / told["floor"]
        if case.name in _BASES:
            base, word = _BASES[case.name]
            # B has one rate, of as many loops as there are cores.
            theirs = result.get(f"{base}_{figure}", result.get(f"{base}_per_s", 0.0))
            yield f"{case.name}_floor_{name}_ratio_to_{word}", told["floor"] / theirs
            yield f"{case.name}_ours_{name}_ratio_to_{word}", told["ours"] / theirs


def measure(round_count: int = ROUND_COUNT, seconds: float = ROUND_S) -> dict[str, float]:
    """Return medians over interleaved rounds, floors' and ours, and their ratios."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with _cases() as cases:
        for case in cases:
            for arm in case.arms.values():
                arm.drive(in_flight=4, seconds=min(_WARM_S, seconds))
        for _ in range(round_count):
            took_s = loops(B_MODULES, 1)[0]
            note("b_p50_ms", median(took_s) * 1e3)
            note("b_p99_ms", percentile(took_s, 99) * 1e3)
            note("b_per_s", fork_rate(B_MODULES))
            for case in cases:
                for name, arm in case.arms.items():
                    prefix = f"{case.name}_{name}"
                    latencies = arm.drive(in_flight=1, seconds=seconds)
                    note(f"{prefix}_p50_ms", median(latencies) * 1e3)
                    note(f"{prefix}_p99_ms", percentile(latencies, 99) * 1e3)
                    for in_flight in case.flights:
                        for figure, value in many(arm, in_flight, seconds).items():
                            note(f"{prefix}_{figure}", value)
    result = {name: median(values) for name, values in figures.items()}
    for case in cases:
        result |= dict(_ratios(result, case))
    return result
