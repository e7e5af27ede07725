"""Where a repository's web server may send us: never further in than it stands itself.

A redirect is an order from outside. One that leads from a public host to a private address
would let a repository look into our network, one to `http:` would give its traffic away.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

REDIRECT_LIMIT_COUNT = 5

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RedirectRefused(Exception):
    """Raised when an address is not one that we follow; the text says why."""


class RedirectGuard:
    """Judges the addresses that a repository redirects to. Resolving blocks: use a thread."""

    def __init__(self, base_url: str, allowed: tuple[str, ...] = ()) -> None:
        parts = urlsplit(base_url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._allowed = [ipaddress.ip_network(each) for each in allowed]
        self._is_private: bool | None = None  # not looked up yet

    def check(self, url: str) -> None:
        """Let `url` pass.

        Raises:
            RedirectRefused: It may not be followed.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise RedirectRefused(f"it redirects to a {parts.scheme or 'strange'}: address")
        if self._scheme == "https" and parts.scheme == "http":
            raise RedirectRefused("it redirects from https to http")
        host = parts.hostname or ""
        if host == self._host or self._stands_inside():
            return
        if not all(self._may_ask(address) for address in resolve(host)):
            raise _private(host)

    def check_peer(self, host: str, address: str) -> None:
        """Let an answer from `address` pass: a name may have got another one since `check`.

        Raises:
            RedirectRefused: It is not one that we would have followed.
        """
        if not self._stands_inside() and not self._may_ask(address):
            raise _private(host)

    def _may_ask(self, address: str) -> bool:
        return is_public(address) or is_within(address, self._allowed)

    def _stands_inside(self) -> bool:
        if self._is_private is None:
            try:
                found = resolve(self._host)
            except RedirectRefused:
                found = []
            self._is_private = any(not is_public(address) for address in found)
        return self._is_private


def _private(host: str) -> RedirectRefused:
    told = f"it redirects to {host}, which is a private address"
    return RedirectRefused(f"{told} (`redirect_allow` of the repository lets it)")


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """True iff an address, or the IPv4 address that it is another spelling of, is in one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)


def resolve(host: str) -> list[str]:
    """Return the addresses of a host.

    Raises:
        RedirectRefused: It has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RedirectRefused(f"it redirects to {host}, which cannot be resolved") from error
    return sorted({str(each[4][0]) for each in found})


def is_public(address: str) -> bool:
    """True iff an address belongs to the public internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.is_site_local:
            return False
        inner = _carried(found)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


# Translators carry IPv4 addresses in the last four bytes of these: RFC 6052, RFC 4291.
_CARRIERS = tuple(ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "::/96"))


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address may lead to, or None."""
    told = address.ipv4_mapped or address.sixtofour
    if told is None and any(address in network for network in _CARRIERS):
        told = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return told
