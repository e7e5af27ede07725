"""A network namespace with stand-ins for what no script may reach, and a cluster inside it.

Run as a process of its own: `python -m tests.abuse.island ROOT NETWORK`, where NETWORK is the
namespace that it must not be in when it begins. It has a loopback interface and nothing else,
so no packet leaves it, whatever address it carries. One JSON line per case comes in by
standard input, one with what came of it goes out.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.abuse.arena import Arena
from tests.abuse.cases import all_cases

PORT = 8079
PUBLIC = "93.184.215.14"
NAMESERVER = "93.184.215.53"
FOUR = (
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "198.18.0.1"),
    *(PUBLIC, NAMESERVER),
)
SIX = ("fd00:ec2::254", "fe80::1", "2606:2800:21f::14")
NAMES = {
    "loopback.example": ("127.0.0.1",),
    "private.example": ("10.0.0.1",),
    "metadata.example": ("169.254.169.254",),
    "public.example": (PUBLIC,),
    "rebound.example": (PUBLIC, "127.0.0.1"),  # in turn
}
_NEW_USER, _NEW_NETWORK, _NEW_MOUNTS = 0x10000000, 0x40000000, 0x00020000
_SET_ADDRESS, _SET_MASK, _GET_FLAGS, _SET_FLAGS = 0x8916, 0x891C, 0x8913, 0x8914
_UP = 1
_PRIVATE, _RECURSIVE, _BIND = 1 << 18, 1 << 14, 1 << 12
_SETTLE_S = 30.0
_CALLERS = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class NoIsland(Exception):
    """Raised when this user or this kernel cannot have a network namespace; says why."""


# ---- the namespace --------------------------------------------------------------------


def leave_the_network(known: str) -> None:
    """Enter a network namespace of our own, certainly another than `known`."""
    user, group = os.geteuid(), os.getegid()
    kinds = _NEW_NETWORK | _NEW_MOUNTS | (_NEW_USER if user else 0)
    if _libc.unshare(kinds) != 0:
        raise NoIsland(f"unshare: {os.strerror(ctypes.get_errno())}")
    try:
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError as error:
        raise NoIsland(f"{error}") from error
    if _libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None) != 0:
        raise NoIsland(f"mounts stay shared: {os.strerror(ctypes.get_errno())}")
    if Path("/proc/self/ns/net").readlink() == Path(known):
        raise NoIsland("still in the machine's own network")


def set_up_loopback() -> None:
    """Give the loopback interface every address that a stand-in is to have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(control, _GET_FLAGS, request))
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))
        for number, address in enumerate(FOUR):
            name = f"lo:{number}".encode()
            for code, value in ((_SET_ADDRESS, address), (_SET_MASK, "255.255.255.255")):
                raw = struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(value))
                fcntl.ioctl(control, code, struct.pack("16s16s", name, raw))
    index = socket.if_nametoindex("lo")
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        for address in SIX:  # a kernel without IPv6 has fewer addresses to protect
            raw = socket.inet_pton(socket.AF_INET6, address)
            fcntl.ioctl(control, _SET_ADDRESS, struct.pack("=16sIi", raw, 128, index))


def name_the_names(root: Path) -> None:
    """Have this namespace's names resolved by the stand-in server."""
    told = root / "resolv.conf"
    told.write_text(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:2\n")
    place = str(Path("/etc/resolv.conf").resolve()).encode()
    if _libc.mount(str(told).encode(), place, None, _BIND, None) != 0:
        raise NoIsland(f"resolv.conf: {os.strerror(ctypes.get_errno())}")


# ---- the stand-ins --------------------------------------------------------------------


class StandIns:
    """Listeners at every address, which note who came and answer as services do."""

    def __init__(self, root: Path) -> None:
        self.reached: list[str] = []
        self._callers: dict[Any, threading.Event] = {}  # our own, by address
        self._doors: list[tuple[socket.socket, Any]] = []  # who noted what, and where to call
        self._turns: dict[str, int] = {}
        self.abstract = f"zscrape-abuse-{os.getpid()}"
        self.path = str(root / "open.sock")
        for address in ("127.0.0.1", "127.0.0.2", *FOUR):
            self._serve_datagrams(socket.AF_INET, address, PORT, self._note_datagram)
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            with contextlib.suppress(OSError):  # no IPv6
                self._serve_streams(family, (address, PORT))
        self._serve_streams(socket.AF_UNIX, f"\0{self.abstract}")
        self._serve_streams(socket.AF_UNIX, self.path)
        Path(self.path).chmod(0o777)
        self._serve_datagrams(socket.AF_INET, NAMESERVER, 53, self._resolve)

    def _serve_streams(self, family: int, address: Any) -> None:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        self._doors.append((listener, _near(family, address)))

        def accept() -> None:
            while True:
                connection, caller = listener.accept()
                if self._is_ours(caller):
                    connection.close()
                    continue
                name = connection.getsockname()
                self.reached.append(name[0] if family != socket.AF_UNIX else "unix")
                threading.Thread(target=_answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _serve_datagrams(
        self, family: int, address: str, port: int, handle: Callable[..., None]
    ) -> None:
        listener = socket.socket(family, socket.SOCK_DGRAM)
        listener.bind((address, port))
        self._doors.append((listener, (address, port)))

        def receive() -> None:
            while True:
                data, sender = listener.recvfrom(4096)
                if self._is_ours(sender):
                    continue
                handle(listener, address, data, sender)

        threading.Thread(target=receive, daemon=True).start()

    def settle(self) -> None:
        """Wait until everybody who has come so far is noted: callers are served in turn."""
        for listener, place in self._doors:
            with socket.socket(listener.family, listener.type) as caller:
                caller.bind(_anywhere(listener.family))
                heard = self._callers[caller.getsockname()] = threading.Event()
                caller.connect(place)
                if listener.type == socket.SOCK_DGRAM:
                    caller.send(b"")
                if not heard.wait(_SETTLE_S):
                    raise TimeoutError(f"the stand-in at {place} is stuck")

    def _is_ours(self, caller: Any) -> bool:
        heard = self._callers.pop(caller, None)
        if heard is not None:
            heard.set()
        return heard is not None

    def _note_datagram(self, _listener: Any, address: str, _data: bytes, _sender: Any) -> None:
        self.reached.append(f"datagram {address}")

    def _resolve(self, listener: socket.socket, _address: str, data: bytes, sender: Any) -> None:
        """Answer a question for an address: one of the name's, in turn."""
        if len(data) < 17:  # no question
            return
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        name = b".".join(labels).decode().lower()
        question = data[12 : at + 5]
        (kind,) = struct.unpack(">H", data[at + 1 : at + 3])
        records = b""
        if name in NAMES and kind == 1:
            turn = self._turns[name] = self._turns.get(name, -1) + 1
            address = NAMES[name][turn % len(NAMES[name])]
            records = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
        code = 0x8180 if name in NAMES else 0x8183
        head = data[:2] + struct.pack(">HHHHH", code, 1, 1 if records else 0, 0, 0)
        listener.sendto(head + question + records, sender)


def _near(family: int, address: Any) -> Any:
    """Return where somebody in this namespace finds a listener."""
    if family == socket.AF_UNIX:
        return address
    return ("127.0.0.1" if family == socket.AF_INET else "::1", address[1])


def _anywhere(family: int) -> Any:
    """Return what a caller binds to so that it has an address before it calls."""
    if family == socket.AF_UNIX:
        return f"\0caller-{os.getpid()}-{next(_CALLERS)}"
    return ("127.0.0.1" if family == socket.AF_INET else "::1", 0)


def _answer(connection: socket.socket) -> None:
    """Answer any request by sending it on to the loopback service."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(5)
        asked = connection.recv(4096)
        if asked.startswith(b"GET /redirect"):
            head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n" % PORT
        else:
            head = b"HTTP/1.1 200 OK\r\n"
        connection.sendall(head + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")


# ---- the cluster ----------------------------------------------------------------------


def main() -> None:
    """Make the island, then run what is asked for until nothing more is asked."""
    root, known = Path(sys.argv[1]), sys.argv[2]
    try:
        leave_the_network(known)
        set_up_loopback()
        name_the_names(root)
    except (NoIsland, OSError) as error:
        _say({"lacking": str(error)})
        return
    stand_ins = StandIns(root)
    cases = {case.name: case for case in all_cases() if case.place == "island"}
    arena = Arena(root, tuple(cases.values()), {})
    arena.extra = {"port": PORT, "abstract": stand_ins.abstract, "path": stand_ins.path}
    try:
        _say({"layers": sorted(arena.layers), "canary": arena.canary})
        for line in sys.stdin:
            stand_ins.settle()
            stand_ins.reached.clear()
            ran = arena.run(cases[json.loads(line)])
            stand_ins.settle()
            _say({"ran": msgspec.to_builtins(ran), "reached": sorted(set(stand_ins.reached))})
    finally:
        arena.close()


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
