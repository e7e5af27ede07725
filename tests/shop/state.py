"""What the shop remembers: who asked for what and when, who is logged in, what a test has set."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import Scope

ROBOTS = """\
User-agent: *
Disallow: /private/
Disallow: /*.secret$
Disallow: /search?*sort=
Allow: /private/open

User-agent: badbot
Disallow: /

Sitemap: /sitemap.xml
"""


@dataclass
class Asked:
    """One request; `at` is in monotonic seconds, the same clock as the test's."""

    at: float
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    status: int = 0  # 0: there was no answer


@dataclass
class State:
    """Shared by all pages of one shop; a test may set what it likes."""

    log: deque[Asked] = field(default_factory=lambda: deque(maxlen=100_000))
    robots: str = ROBOTS
    robots_status: int = 200
    user: str = "mina"
    password: str = "tea-and-cake"
    is_closing: bool = False
    sessions: dict[str, str] = field(default_factory=dict)  # cookie to user; clear it: all expire
    csrf: dict[str, str] = field(default_factory=dict)  # cookie to token
    passed: set[str] = field(default_factory=set)  # tokens of challenges that were solved
    riddles: dict[str, str] = field(default_factory=dict)  # id of a picture to its answer
    lock: threading.Lock = field(default_factory=threading.Lock)
    _windows: dict[str, deque[float]] = field(default_factory=dict)
    _counts: dict[str, itertools.count[int]] = field(default_factory=dict)

    def note(self, scope: Scope) -> Asked:
        """Keep one request."""
        headers = {
            name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        asked = Asked(
            time.monotonic(),
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            headers,
        )
        self.log.append(asked)
        return asked

    def count(self, name: str) -> int:
        """Return how often this was asked about `name`: 1, 2, 3, ..."""
        with self.lock:
            return next(self._counts.setdefault(name, itertools.count(1)))

    def is_within(self, name: str, count: int, window_s: float) -> bool:
        """True iff this is at most the `count`-th time within the last `window_s` seconds."""
        now = time.monotonic()
        with self.lock:
            times = self._windows.setdefault(name, deque())
            while times and times[0] <= now - window_s:
                times.popleft()
            if len(times) >= count:
                return False
            times.append(now)
            return True

    def new_session(self) -> str:
        """Log the user in; return the cookie."""
        name = secrets.token_hex(8)
        self.sessions[name] = self.user
        return name


def state_of(request: Request) -> State:
    """Return the state of the shop that is asked."""
    found: State = request.app.state.shop
    return found
