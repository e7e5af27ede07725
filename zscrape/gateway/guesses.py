"""Wrong keys, counted for each address: who guesses has to wait, longer each time.

Only the address that guesses waits. A key that was good from there before still is, so that a
proxy or an office behind one address is not shut out by one of many.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

FREE_COUNT: Final = 10  # wrong keys that cost nothing: people mistype, and scripts have old keys
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 300.0
_FORGOTTEN_S: Final = 900.0  # after the last wrong key
_ADDRESS_LIMIT_COUNT: Final = 10_000
_NETWORK_BITS: Final = 64  # of IPv6: what one customer has, with 2^64 addresses in it


class _Guesser(Struct):
    count: int = 0
    last_at: float = 0.0
    free_at: float = 0.0


class Guesses:
    """Who has presented wrong keys of late."""

    def __init__(self) -> None:
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()  # the longest silent first

    def wait_s(self, peer: str, now: float) -> float:
        """Return how long an address has to wait yet."""
        guesser = self._guessers.get(source_of(peer)) if self._guessers else None
        return 0.0 if guesser is None else max(0.0, guesser.free_at - now)

    def note(self, peer: str, now: float) -> float:
        """Count a wrong key; return how long its address has to wait from now on."""
        source = source_of(peer)
        guesser = self._guessers.setdefault(source, _Guesser())
        self._guessers.move_to_end(source)
        if now - guesser.last_at > _FORGOTTEN_S:
            guesser.count = 0
        guesser.count += 1
        guesser.last_at = now
        beyond_count = guesser.count - FREE_COUNT
        if beyond_count > 0:
            # 2^9 s is beyond the longest wait already.
            wait_s = min(_FIRST_WAIT_S * 2 ** min(beyond_count - 1, 9), _LONGEST_WAIT_S)
            guesser.free_at = now + wait_s
        if len(self._guessers) > _ADDRESS_LIMIT_COUNT:
            self._guessers.popitem(last=False)
        return max(0.0, guesser.free_at - now)


def source_of(peer: str) -> str:
    """Return what stands for all addresses that one guesser has."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:  # a socket file, or nothing
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> (128 - _NETWORK_BITS):x}"
