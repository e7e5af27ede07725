"""The gate of `ctx.http` that asks the gateway: budgets of sites, and their robots.txt.

A request to a site that has a budget waits for a token of the whole cluster; for all other
sites nothing is asked. Which sites have one is learnt with the first request, and again every
`REFRESH_S`. Standard library only.

A token counts from when its request is on its way. That is told once the answer is there, or
`SENT_S` after the request was let go, by a thread of its own: a slow site is not asked less
than its budget allows, and nothing that is late pushes two requests together.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from zscrape.runtime.asking import AskRefused
from zscrape.runtime.gate import LocalGate, is_complaint, origin_of

REFRESH_S = 30.0
# A gateway that is out of reach stops only requests to sites that are known to have a budget.
_FIRST_LIMIT_S = 10.0
_LIMIT_S = 2.0
_ROBOTS_LIMIT_S = 15.0  # more than the gateway takes to find that a site does not answer
SENT_S = 0.1
_EVERY_SITE = "*"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# Fewer than may ask at once: the script has other questions.
_ASKING_LIMIT_COUNT = 48
_WORTH_TELLING_S = 1.0

Report = dict[str, Any]


class Budget:
    """Lets requests of one attempt go as the cluster's budgets of sites have it.

    Args:
        ask: Asks the gateway.
        say: Tells of a longer wait: `ctx.log.info`.
        ends_at: When the attempt ends, in monotonic seconds.
        known: What the gateway need not be asked at first: `sites`, the names of those that have
            a budget, and `robots`, what it says of a site's robots.txt, by origin.
        known_at: When that was told, in monotonic seconds.
    """

    def __init__(
        self,
        ask: Callable[..., Any],
        *,
        say: Callable[..., None],
        ends_at: float,
        known: dict[str, Any] | None = None,
        known_at: float = -inf,
    ) -> None:
        self._ask = ask
        self._say = say
        self._alone = LocalGate(ends_at)  # for a run that has no gateway
        self._is_alone = False
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._room = threading.BoundedSemaphore(_ASKING_LIMIT_COUNT)
        told = known or {}
        self._names: frozenset[str] = frozenset(told.get("sites", ()))
        self._names_at = known_at if "sites" in told else -inf
        self._robots: dict[str, Any] = told.get("robots", {})
        self._complained: set[str] = set()  # hosts that are asked with care from now on
        self._gaps_s: dict[str, float] = {}  # by host, from robots.txt
        self._open: dict[str, deque[tuple[str, str]]] = {}  # by address: token and host
        self._waited_s: dict[str, float] = {}  # by site
        self._told_s: dict[str, float] = {}
        self._teller = _Teller(ask)

    # ---- the gate --------------------------------------------------------------------

    def prepare(self) -> None:
        """Learn which sites have a budget; what goes wrong is told when one is asked."""
        with suppress(AskRefused, OSError, RuntimeError, ValueError):
            self._is_budgeted("")

    def before(self, url: str) -> None:
        """Wait until `url` may be asked."""
        host = _host_of(url)
        if not self._is_budgeted(host):
            return
        token = self._take(host, is_held=True)
        if not token:
            self._alone.before(url)
            return
        with self._lock:
            self._open.setdefault(url, deque()).append((token, host))
        self._teller.tell({"event": "used", "host": host, "token": token}, delay_s=SENT_S)

    def after(self, url: str, status: int, retry_after_s: float | None) -> None:
        """Tell how a request went that `before` has let go."""
        if self._is_alone:
            return
        has_complaint = is_complaint(status, retry_after_s)
        with self._lock:
            opened = self._open.get(url)
            token, host = opened.popleft() if opened else ("", "")
            if opened is not None and not opened:
                del self._open[url]
            if has_complaint and not token:
                host = _host_of(url)
                self._complained.add(host)
        if token or has_complaint:
            told = {"event": "over", "host": host, "token": token, "status": status}
            report = {**told, "retry_after_s": retry_after_s}
            # A complaint is told before the script goes on: it may be the last it does.
            self._teller.tell(report, is_urgent=has_complaint)

    def robots(self, origin: str) -> str | None:
        """Return a site's robots.txt as the cluster has it; None: the gateway cannot know."""
        if self._is_alone:
            return None
        told = self._robots.get(origin)
        if told is None:
            try:
                told = self._ask("robots", {"origin": origin}, timeout_s=_ROBOTS_LIMIT_S)
            except (AskRefused, TimeoutError):
                return None
        if told.get("deflated"):
            import base64
            import zlib

            return zlib.decompress(base64.b64decode(told["deflated"])).decode()
        text: str | None = told.get("text")
        return text

    def wants_gap(self, origin: str, gap_s: float) -> None:
        """Leave a gap between two requests of the whole cluster, as a site's robots.txt asks."""
        self._alone.wants_gap(origin, gap_s)
        with self._lock:
            self._gaps_s[_host_of(origin)] = gap_s

    # ---- by hand ---------------------------------------------------------------------

    def throttle(self, site: str) -> None:
        """Wait for one token of a site, given by its name or an address of it."""
        host = _host_of(site if "://" in site else f"http://{site}")
        if self._is_budgeted(host):
            token = self._take(host, is_held=False)
            if token:
                used = {"event": "used", "host": host, "token": token}
                self._teller.tell(used, delay_s=SENT_S)

    # ---- inside ----------------------------------------------------------------------

    def _is_budgeted(self, host: str) -> bool:
        if self._is_alone:
            return host in self._gaps_s
        if time.monotonic() - self._names_at >= REFRESH_S:
            self._refresh()
        if host in self._gaps_s or host in self._complained or _EVERY_SITE in self._names:
            return True
        return any(each in self._names for each in _names_of(host))

    def _refresh(self) -> None:
        with self._refreshing:
            if time.monotonic() - self._names_at < REFRESH_S:
                return  # another thread has just asked
            limit_s = _FIRST_LIMIT_S if self._names_at < 0 else _LIMIT_S
            try:
                self._names = frozenset(self._ask("site", {}, timeout_s=limit_s)["sites"])
            except TimeoutError:
                pass  # what was known still holds
            except AskRefused as error:
                if error.code != "unsupported":
                    raise
                self._is_alone = True
            self._names_at = time.monotonic()

    def _take(self, host: str, *, is_held: bool) -> str:
        """Return a token, empty where there is nobody to give one."""
        if self._is_alone:
            return ""
        question: dict[str, Any] = {"host": host, "is_held": is_held}
        if host in self._gaps_s:
            question["gap_s"] = self._gaps_s[host]
        with self._room:
            told = self._ask("site", question)
        self._note_wait(told["site"], told["waited_s"])
        token: str = told["token"]
        return token

    def _note_wait(self, site: str, waited_s: float) -> None:
        """Tell of waiting, less often the longer it gets."""
        with self._lock:
            sum_s = self._waited_s[site] = self._waited_s.get(site, 0.0) + waited_s
            if sum_s < max(_WORTH_TELLING_S, 2 * self._told_s.get(site, 0.0)):
                return
            self._told_s[site] = sum_s
        self._say(f"waited {sum_s:.1f} s for the budget of {site}", site=site, waited_s=sum_s)


class _Teller:
    """Tells the gateway how requests went, behind the script's back, many at once."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self._news = threading.Condition()
        self._due: dict[str, tuple[float, Report]] = {}  # by token, in order of their moments
        self._now: list[Report] = []
        self._thread: threading.Thread | None = None
        self._has_thread = True  # a script with one process has none to spare

    def tell(self, report: Report, *, delay_s: float = 0.0, is_urgent: bool = False) -> None:
        """Tell soon, or after a delay, which is the same for all that have one.

        What is urgent is told before this returns.
        """
        with self._news:
            if delay_s:
                self._due[report["token"]] = (time.monotonic() + delay_s, report)
            else:
                self._due.pop(report["token"], None)
                self._now.append(report)
            if self._thread is None and self._has_thread:
                self._start()
            is_own = is_urgent or not self._has_thread
            reports = self._take() if is_own else []
            self._news.notify()
        if reports:
            self._send(reports)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="site-reports", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._has_thread = False
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._news:
                reports = self._take()
                while not reports:
                    self._news.wait(self._rest_s())
                    reports = self._take()
            self._send(reports)

    def _send(self, reports: list[Report]) -> None:
        # What was asked in vain is asked again by the worker, until the attempt is over.
        with suppress(AskRefused, OSError, RuntimeError, ValueError):
            self._ask("seen", {"reports": reports}, timeout_s=_FIRST_LIMIT_S)

    def _take(self) -> list[Report]:
        now = time.monotonic()
        reports, self._now = self._now, []
        for token, (due_at, report) in list(self._due.items()):
            if due_at > now:
                break
            del self._due[token]
            reports.append(report)
        return reports

    def _rest_s(self) -> float | None:
        due_at = next((each[0] for each in self._due.values()), None)
        return None if due_at is None else max(due_at - time.monotonic(), 0.0)


def _host_of(url: str) -> str:
    """Return the host of an address as sites are named: with its port unless that is usual."""
    scheme, _, host = origin_of(url).partition("://")
    host = host.removesuffix(_DEFAULT_PORTS.get(scheme, "//"))
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _names_of(host: str) -> list[str]:
    """Return the names under which a host may have a budget."""
    bare, colon, port = host.rpartition(":")
    names = [host]
    name = bare if colon and port.isdigit() else host
    while name:
        names.append(name)
        name = name.partition(".")[2]
    return names
