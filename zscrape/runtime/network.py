"""What a script is told when its network policy forbids an address.

The kernel decides (`zscrape.worker.network`); all that it says is "Operation not permitted".
Here the same rules are looked at just before Python's own sockets are used, so that the error
names the address and the policy. Where the kernel cannot be had this is all there is: it
holds for Python's sockets, and for nothing that a script does by other means.

A process that is looked at pays for every call that Python audits, not only for sockets. So where
the kernel holds the policy a template is not, and a child only from when a script may have sockets
(see `prepare`).
"""

from __future__ import annotations

import _socket
import builtins
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# The policy, who holds it, and for `public` the rules: see `Rules`.
VARIABLE = "ZSCRAPE_NETWORK_RULES"
# The kernel, or a supervisor that it asks; or nobody but us.
HELD, UNHELD = "held", "unheld"
ALLOW, DENY, INSIDE = "a", "d", "i"

_EPERM, _EACCES = 1, 13
_INET = (_socket.AF_INET, _socket.AF_INET6)
_CHAIN_LIMIT_COUNT = 50
_family_of = vars(_socket.socket)["family"].__get__
_cause_of = vars(BaseException)["__cause__"].__get__
_context_of = vars(BaseException)["__context__"].__get__
_args_of = vars(BaseException)["args"].__get__
_GROUP = getattr(builtins, "BaseExceptionGroup", None)  # since Python 3.11
_said: list[str] = []  # what was forbidden last, as it was told
_policies: list[str] = []  # the policy that holds here, if one does
_checks: dict[str, Callable[[Any], None]] = {}  # by event; empty once they are made


class NetworkDenied(PermissionError):
    """Raised in a script that tries to reach what its network policy forbids."""


class Rules:
    """The rules of an address policy, as its worker has written them.

    For IPv4, `|`, for IPv6; each `verdict:port:place:network/length` with the network in
    hexadecimal digits, separated by commas. The first that holds an address decides; with
    `INSIDE` the IPv4 address at that place decides.
    """

    def __init__(self, told: str) -> None:
        families = (part.split(",") for part in told.split("|"))
        self._ipv4, self._ipv6 = (tuple(map(_rule, each)) for each in families)

    def allow(self, packed: bytes, port: int) -> bool:
        """True iff an address, packed as `inet_pton` does, may be reached at this port."""
        number, bits = int.from_bytes(packed, "big"), len(packed) * 8
        for verdict, only_port, place, network, length in self._ipv4 if bits == 32 else self._ipv6:
            if only_port not in (0, port) or number >> (bits - length) != network:
                continue
            if verdict == INSIDE:
                return self.allow(packed[place : place + 4], port)
            return verdict == ALLOW
        return False


def _rule(told: str) -> tuple[str, int, int, int, int]:
    verdict, port, place, network = told.split(":")
    address, _, length = network.partition("/")
    bits = len(address) * 4
    return verdict, int(port), int(place), int(address, 16) >> (bits - int(length)), int(length)


def learn() -> None:
    """Learn of the policy, and watch at once if nobody else holds it: before any other code."""
    policy, _, told = os.environ.pop(VARIABLE, "").partition(" ")
    holder, _, rules = told.partition(" ")
    if policy == "none":
        _checks["socket.__new__"] = _refuse_socket
        _checks["socket.getaddrinfo"] = _checks["socket.gethostbyname"] = _refuse_name
    elif rules:
        check = _check_of(Rules(rules))
        for event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            _checks[event] = check
    else:
        return
    _policies[:] = [policy]
    if holder != HELD:
        watch()


def prepare() -> Callable[[], None] | None:
    """Return what must be called before a script runs, if anything must.

    Where the kernel holds the policy all that is missing is the name of what was refused. Then
    the first import of `socket` is early enough, unless that has been imported before.
    """
    if not _checks:
        return None
    if "socket" in sys.modules:
        return watch
    sys.meta_path.insert(0, _Importing)
    return None


class _Importing:
    """A finder that finds nothing: it only hears what is imported."""

    @staticmethod
    def find_spec(name: str, _path: object, _target: object = None) -> None:
        """Look at sockets from when there are any."""
        if name == "socket":
            watch()


def watch() -> None:
    """Look at this process's sockets from now on; once is enough."""
    checks = _checks.copy()
    _checks.clear()
    if not checks:
        return

    def on_event(event: str, arguments: Any) -> None:
        if event in checks:
            checks[event](arguments)

    sys.addaudithook(on_event)


def _check_of(rules: Rules) -> Callable[[Any], None]:
    def check(arguments: Any) -> None:
        made, address = arguments[0], arguments[1]
        family = _family_of(made)
        if family not in _INET or type(address) is not tuple or len(address) < 2:
            return  # of this machine; or connected before; or wrong, and the call says so
        host, port = address[0], address[1]
        if type(port) is int:
            for packed in _addresses(host, family):
                if not rules.allow(packed, port):
                    _refuse(_EPERM, "public", host, port)

    return check


def _addresses(host: Any, family: int) -> list[bytes]:
    """Return what the call will resolve `host` to; nothing if that fails."""
    try:
        name = host if type(host) is str else bytes(host).decode()
        if name in ("", "<broadcast>"):  # Python's own names
            return [b"\xff" * 4 if name else bytes(4 if family == _socket.AF_INET else 16)]
        found = _socket.getaddrinfo(name, None, family, _socket.SOCK_STREAM)
        return [
            _socket.inet_pton(family, each[4][0].partition("%")[0])  # type: ignore[union-attr]
            for each in found
        ]
    except (OSError, ValueError, TypeError):  # the call fails in its own words
        return []


def _refuse_socket(arguments: Any) -> None:
    if arguments[1] in _INET:
        _refuse(_EACCES, "none", "", None)


def _refuse_name(arguments: Any) -> None:
    port = arguments[1] if len(arguments) > 1 else None
    _refuse(_EACCES, "none", arguments[0], port)


def _refuse(number: int, policy: str, host: Any, port: Any) -> None:
    place = host if type(host) is str else ""
    if ":" in place:
        place = f"[{place}]"
    if place and type(port) in (int, str) and port:
        place = f"{place}:{port}"
    told = f"{place or 'a socket'} (network policy: {policy})"
    _said[:] = [told]
    raise NetworkDenied(number, told)


def denial_of(place: str) -> NetworkDenied | None:
    """Return what to raise where the kernel has refused `place` to a program of the script.

    None where no policy holds, so that somebody else has refused it.
    """
    if not _policies:
        return None
    return NetworkDenied(_EPERM, f"{place} (network policy: {_policies[0]})")


def refused(error: BaseException) -> str:
    """Return what the policy has forbidden if that is at the bottom of `error`, or nothing."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _CHAIN_LIMIT_COUNT:
        current = waiting.pop()
        if not issubclass(type(current), BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        arguments = _args_of(current)
        if issubclass(type(current), NetworkDenied):
            return str(arguments[-1])
        # asyncio tries one address after the other and keeps only their texts.
        if _said and issubclass(type(current), OSError) and _is_told_in(arguments):
            return _said[0]
        waiting += (_cause_of(current), _context_of(current))
        if _GROUP is not None and issubclass(type(current), _GROUP):
            waiting += vars(_GROUP)["exceptions"].__get__(current)
    return ""


def _is_told_in(arguments: tuple[Any, ...]) -> bool:
    return any(type(each) is str and _said[0] in each for each in arguments)
