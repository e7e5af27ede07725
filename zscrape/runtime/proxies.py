"""Which way a request goes out: a pool of proxies that learns which of them work.

Lower tiers are tried first, datacentre addresses before dear residential ones say; within a
tier those that have failed least, then the one that has rested longest. A proxy that fails
rests for a while, longer each time; one that a site has refused rests for that site alone.

    ctx.http.proxies.add("http://user:password@proxy.example:8080")
    ctx.http.proxies.add("http://home.example:8080", tier=1, sites=["shop.example"])

A script whose manifest lists the secret `proxies` has its lines in the pool from the start:
each an address, and behind it, if need be, `tier=1` and `sites=shop.example,other.example`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

_SCHEMES = ("http", "https")
_REST_S = 30.0  # doubled with every further failure
_REST_LIMIT_S = 600.0
_REFUSED_S = 300.0


class ProxyError(ValueError):
    """Raised when what is to be a proxy is none; it never tells the password."""


class Proxy:
    """One way out. Its address, with name and password in it, is kept to itself."""

    __slots__ = ("failure_count", "name", "rests_until", "sites", "tier", "url", "used_at")

    def __init__(self, url: str, tier: int, sites: tuple[str, ...]) -> None:
        self.url = url
        parts = urlsplit(url)
        self.name = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
        self.tier = tier
        self.sites = sites
        self.failure_count = 0
        self.used_at = 0.0  # monotonic seconds
        self.rests_until: dict[str, float] = {}  # by host; "" is every one

    def __repr__(self) -> str:
        return f"Proxy({self.name}, tier={self.tier})"


class Proxies:
    """The pool of one attempt; for several threads. Empty: requests go out directly."""

    def __init__(self) -> None:
        self._all: list[Proxy] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, url: str, *, tier: int = 0, sites: Iterable[str] = ()) -> None:
        """Add a proxy.

        Args:
            url: `http` or `https`, host, port; name and password if needed.
            tier: Those with a lower number are tried first.
            sites: Hosts that it is for, those below them included; none: every one.

        Raises:
            ProxyError: The address is none of a proxy.
        """
        made = Proxy(address_of(url), tier, tuple(each.lower() for each in sites))
        with self._lock:
            self._all.append(made)

    def add_lines(self, text: str) -> None:
        """Add what a secret says, a proxy in each line; `#` begins a remark.

        Raises:
            ProxyError: A line cannot be read; its number is told, not its text.
        """
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            options = dict(word.partition("=")[::2] for word in words[1:])
            tier = options.pop("tier", "0")
            sites = tuple(filter(None, options.pop("sites", "").split(",")))
            if options or not tier.isdecimal():
                raise ProxyError(
                    f"line {number} of the proxies: behind the address may stand "
                    "tier=NUMBER and sites=HOST,HOST"
                )
            try:
                self.add(words[0], tier=int(tier), sites=sites)
            except ProxyError as error:
                raise ProxyError(f"line {number} of the proxies: {error}") from None

    def choose(self, host: str) -> Proxy | None:
        """Return the way to a host, None if there is no pool for it.

        When all of them rest, the one whose rest ends first is taken: it is that or nothing.
        """
        now = time.monotonic()
        with self._lock:
            fitting = [each for each in self._all if _is_for(each, host)]
            if not fitting:
                return None
            awake = [each for each in fitting if _rest_ends_at(each, host) <= now]
            if awake:
                chosen = min(awake, key=lambda each: (each.tier, each.failure_count, each.used_at))
            else:
                chosen = min(fitting, key=lambda each: _rest_ends_at(each, host))
            chosen.used_at = now
            return chosen

    def worked(self, proxy: Proxy) -> None:
        """Hear that an answer came through it."""
        proxy.failure_count = 0
        proxy.rests_until.pop("", None)

    def failed(self, proxy: Proxy) -> None:
        """Hear that nothing came through it: it rests."""
        with self._lock:
            rest_s = min(_REST_S * 2**proxy.failure_count, _REST_LIMIT_S)
            proxy.failure_count += 1
            proxy.rests_until[""] = time.monotonic() + rest_s

    def refused(self, proxy: Proxy, host: str) -> bool:
        """Hear that a site refused it; return whether there is another way to that site."""
        now = time.monotonic()
        with self._lock:
            proxy.rests_until[host] = now + _REFUSED_S
            return any(
                _is_for(each, host) and _rest_ends_at(each, host) <= now for each in self._all
            )


def address_of(url: str) -> str:
    """Return the address of a proxy if it is one.

    Raises:
        ProxyError: It is none.
    """
    known = url.strip()
    try:
        parts = urlsplit(known)
        is_fine = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ProxyError(
            "that is no address of a proxy: write scheme://host:port or "
            f"scheme://name:password@host:port, the scheme {' or '.join(_SCHEMES)}"
        )
    return known


def _is_for(proxy: Proxy, host: str) -> bool:
    return not proxy.sites or any(host == site or host.endswith(f".{site}") for site in proxy.sites)


def _rest_ends_at(proxy: Proxy, host: str) -> float:
    return max(proxy.rests_until.get("", 0.0), proxy.rests_until.get(host, 0.0))
