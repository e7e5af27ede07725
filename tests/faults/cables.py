"""A worker in a network namespace of its own, and the one cable to it, which can be cut."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Interface, IPv4Network
from itertools import count

import pytest

_NUMBERS = count()
# For documentation and for benchmarks (RFC 5737, RFC 2544): nobody on earth has them. But this
# machine may stand in a network that somebody has made of one of them.
_NETWORKS = ("198.51.100.0/24", "203.0.113.0/24", "198.18.7.0/24")


def missing() -> str:
    """Return why there can be no cables here, naming the Debian package, or an empty text."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            return f"needs the Debian package {package}"
    tried = subprocess.run(
        ["unshare", "--net", "nft", "list", "tables"], check=False, capture_output=True
    )
    return "" if tried.returncode == 0 else "this kernel lets nobody make network namespaces"


needs_cables = pytest.mark.skipif(bool(missing()), reason=missing())


class Cable:
    """Two ends of one cable: `near` on this machine, `far` inside the namespace."""

    def __init__(self) -> None:
        name = f"zsf{os.getpid() % 100_000}x{next(_NUMBERS) % 100}"
        self.name = name
        network, self._claim = claim_network()
        self.near, self.far = (str(host) for host in list(network.hosts())[:2])
        length = network.prefixlen
        self.launcher = ("ip", "netns", "exec", name)
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", f"{name}h", "type", "veth", "peer", "name", "up0", "netns", name)
        _run("ip", "addr", "add", f"{self.near}/{length}", "dev", f"{name}h")
        _run("ip", "link", "set", f"{name}h", "up")
        for words in (f"addr add {self.far}/{length} dev up0", "link set up0 up", "link set lo up"):
            _run("ip", "-netns", name, *words.split())
        self._nft("add table inet fault")
        for hook in ("input", "output"):
            self._nft(f"add chain inet fault {hook} {{ type filter hook {hook} priority 0; }}")

    def cut(self, *ways: str) -> None:
        """Drop what comes `in`, what goes `out`, or both, without a word to anybody."""
        for way in ways:
            side, hook = {"in": ("iifname", "input"), "out": ("oifname", "output")}[way]
            self._nft(f"add rule inet fault {hook} {side} up0 drop")

    def lose(self, percent: int) -> None:
        """Lose this share of what comes in."""
        self._nft(f"add rule inet fault input iifname up0 numgen random mod 100 < {percent} drop")

    def heal(self) -> None:
        """Let everything through again."""
        for hook in ("input", "output"):
            self._nft(f"flush chain inet fault {hook}")

    def close(self) -> None:
        """Take it all down; the cable goes with the namespace."""
        _run("ip", "netns", "delete", self.name)
        self._claim.close()

    def _nft(self, command: str) -> None:
        _run(*self.launcher, "nft", command)


def claim_network() -> tuple[IPv4Network, socket.socket]:
    """Return a network for a dozen hosts that no interface of this machine stands in.

    Nobody else is given it until the socket is closed: other processes look for some, too, and
    perhaps at the same time.
    """
    told = subprocess.run(["ip", "-4", "-json", "addr"], capture_output=True, check=True)
    used = [
        IPv4Interface(f"{address['local']}/{address['prefixlen']}").network
        for interface in json.loads(told.stdout)
        for address in interface["addr_info"]
    ]
    for network in map(IPv4Network, _NETWORKS):
        for part in network.subnets(new_prefix=28):
            if not any(part.overlaps(each) for each in used):
                claim = socket.socket(socket.AF_UNIX)
                with suppress(OSError):
                    claim.bind(f"\0zscrape tests use {part}")
                    return part, claim
                claim.close()
    pytest.skip("every network for tests is in use on this machine")


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@contextmanager
def cable() -> Iterator[Cable]:
    """Lay a cable, and take it away at the end."""
    laid = Cable()
    try:
        yield laid
    finally:
        laid.close()
