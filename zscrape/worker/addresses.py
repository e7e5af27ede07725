"""Which addresses a script with the network policy `public` may speak to.

The decision is made on the address that is about to be connected to, so a redirect or a name
that resolves to something else at the second look changes nothing. It is a list of rules: the
first whose network holds the address decides. What enforces it in the kernel is made from the
same list (`AddressPolicy.ranges`), so the two cannot differ.

Sources: the IANA special-purpose registries of IPv4 and IPv6 (RFC 6890), RFC 6052 (NAT64),
RFC 3056 (6to4), RFC 4291 2.5.5 (IPv4 inside IPv6), RFC 2765 2.1 (IPv4-translated).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Final, Literal, NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLV_CONF: Final = Path("/etc/resolv.conf")
DNS_PORT: Final = 53

# What no packet of a script may go to: the host itself, its neighbours, the services that a
# cloud gives its machines (169.254.169.254), and everybody at once.
_HIDDEN_IPV4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
# IANA gives out addresses below this one only. All the rest (::1, fc00::/7, fe80::/10,
# fec0::/10, ff00::/8, what nobody has yet) is not public.
_PUBLIC_IPV6: Final = "2000::/3"
# Protocols that have addresses here: Teredo with IPv4 addresses inside, benchmarks, anycast
# addresses of the network's own services. Nobody serves pages from it.
_HIDDEN_IPV6: Final = ("2001::/23",)
# Where IPv6 carries an IPv4 address, and at which byte. What a packet to it reaches is that
# address, so that one decides.
_MAPPED: Final = ("::ffff:0:0/96", 12)
_CARRIERS: Final = (
    ("::/96", 12),
    ("::ffff:0:0:0/96", 12),
    ("64:ff9b::/96", 12),
    ("2002::/16", 2),
)
# Without a line in resolv.conf the C library asks this one: resolv.conf(5).
_DEFAULT_NAMESERVER: Final = IPv4Address("127.0.0.1")
_NAMESERVER: Final = re.compile(r"^nameserver[ \t]+([^\s%]+)", re.MULTILINE)


class Rule(NamedTuple):
    """What holds for a network. With a `port`, only for that one (0: for all)."""

    network: Network
    verdict: Literal["allow", "deny", "inside"]
    port: int = 0
    inside_at: int = 0  # the first of the four bytes that decide instead, for `inside`


class Ranges(NamedTuple):
    """The rules for each family, in order; the last one of each holds for every address."""

    ipv4: tuple[Rule, ...]
    ipv6: tuple[Rule, ...]


class AddressPolicy:
    """What the policy `public` allows on this worker.

    policy = AddressPolicy(settings.network_allow, nameservers())
    """

    def __init__(self, allow: Iterable[Network] = (), nameservers: Iterable[Address] = ()) -> None:
        allowed = [Rule(network, "allow") for network in allow]
        asked = [Rule(_alone(each), "allow", DNS_PORT) for each in nameservers]
        wide = [*asked, *allowed]
        self._ipv4 = (
            *(rule for rule in wide if rule.network.version == 4),
            *(Rule(IPv4Network(each), "deny") for each in _HIDDEN_IPV4),
            Rule(IPv4Network("0.0.0.0/0"), "allow"),
        )
        self._ipv6 = (
            # Before what is allowed: `::/0` shall not open the IPv4 addresses below it.
            Rule(IPv6Network(_MAPPED[0]), "inside", inside_at=_MAPPED[1]),
            *(rule for rule in wide if rule.network.version == 6),
            *(Rule(IPv6Network(each), "inside", inside_at=at) for each, at in _CARRIERS),
            *(Rule(IPv6Network(each), "deny") for each in _HIDDEN_IPV6),
            Rule(IPv6Network(_PUBLIC_IPV6), "allow"),
            Rule(IPv6Network("::/0"), "deny"),
        )

    def allows(self, address: Address, port: int) -> bool:
        """True iff a script may send to `address` at `port`."""
        rules = self._ipv4 if address.version == 4 else self._ipv6
        rule = next(rule for rule in rules if rule.port in (0, port) and address in rule.network)
        if rule.verdict == "inside":
            inside = address.packed[rule.inside_at : rule.inside_at + 4]
            return self.allows(IPv4Address(inside), port)
        return rule.verdict == "allow"

    def ranges(self) -> Ranges:
        """Return the rules, for what applies them elsewhere than here."""
        return Ranges(self._ipv4, self._ipv6)


def nameservers(path: Path = RESOLV_CONF) -> tuple[Address, ...]:
    """Return the servers that this machine asks for names; without a list, the C library's."""
    try:
        content = path.read_text("ascii", "replace")
    except OSError:  # then the C library asks its default, too
        content = ""
    found = []
    for word in _NAMESERVER.findall(content):
        try:
            found.append(ip_address(word))
        except ValueError:  # the C library skips it, too
            continue
    return tuple(found) or (_DEFAULT_NAMESERVER,)


def _alone(address: Address) -> Network:
    if isinstance(address, IPv4Address):
        return IPv4Network(int(address))
    return IPv6Network(int(address))  # without its scope: the kernel's rules know none
