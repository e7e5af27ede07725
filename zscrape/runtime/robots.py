"""robots.txt: what a site asks robots to leave alone, by RFC 9309.

The gate is asked first: it may know the file for the whole cluster. Otherwise it is fetched
once per site and attempt. No such file (4xx) allows everything; a site that fails to give it
(5xx) allows nothing; one that cannot be reached says so when its page is asked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from protego import Protego

from zscrape.runtime.gate import origin_of
from zscrape.runtime.httperrors import RobotsDisallowed

if TYPE_CHECKING:
    from zscrape.runtime.gate import Gate

PATH = "/robots.txt"
LIMIT_BYTES = 500 * 1024  # RFC 9309, section 2.5
# A site that wants more is not crawled by waiting but by asking it less.
_GAP_LIMIT_S = 60.0
# Misspelt as people do it, too: the parser is as lenient.
_FORBIDS = re.compile(r"di\w*l+[ao]w", re.IGNORECASE)
_DELAYS = re.compile(r"crawl\W?delay", re.IGNORECASE)
_NOTHING_ALLOWED = "User-agent: *\nDisallow: /\n"


class Found(NamedTuple):
    """What fetching robots.txt came to; status 0: there was no answer."""

    status: int
    text: str


class _Rules(NamedTuple):
    rules: Protego | None  # None: everything is allowed
    reason: str


class Robots:
    """The rules of every site that this attempt has asked; for several threads."""

    def __init__(self, gate: Gate, fetch: Callable[[str], Found], agent: Callable[[], str]) -> None:
        self._gate = gate
        self._fetch = fetch
        self._agent = agent  # what we call ourselves at the moment
        self._by_origin: dict[str, _Rules] = {}
        self._lock = threading.Lock()

    def check(self, url: str) -> None:
        """Let an address pass that robots may ask.

        Raises:
            RobotsDisallowed: They may not.
        """
        origin = origin_of(url)
        found = self._by_origin.get(origin)
        if found is None:
            with self._lock:
                found = self._by_origin.get(origin)
                if found is None:
                    found = self._by_origin[origin] = self._learn(origin)
        if found.rules is None or url == origin + PATH:
            return
        if not found.rules.can_fetch(url, self._agent().partition("/")[0]):
            reason = f"{origin}{PATH} {found.reason}; robots=False in the request leaves it unread"
            raise RobotsDisallowed(url, 0, reason)

    def _learn(self, origin: str) -> _Rules:
        text = self._gate.robots(origin)
        if text is None:
            status, text = self._fetch(origin + PATH)
            if status >= 500:
                return _Rules(
                    Protego.parse(_NOTHING_ALLOWED),
                    f"answers HTTP {status}, which means that nothing may be asked",
                )
            if status != 200:
                return _Rules(None, "")
        is_forbidding = _FORBIDS.search(text) is not None
        if not is_forbidding and _DELAYS.search(text) is None:  # many say less: it is not read
            return _Rules(None, "")
        rules = Protego.parse(text)
        gap_s = rules.crawl_delay(self._agent().partition("/")[0])
        if gap_s:
            self._gate.wants_gap(origin, min(float(gap_s), _GAP_LIMIT_S))
        if not is_forbidding:  # nothing to look up at each request
            return _Rules(None, "")
        return _Rules(rules, "forbids this address to robots")
