from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from zscrape.worker.addresses import AddressPolicy, nameservers

PUBLIC = AddressPolicy()
# `ipaddress` calls these private. Nobody has them, so that nothing can be reached there.
DOCUMENTS = [
    ip_network(each)
    for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
]
HIDDEN_IPV4 = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
OPEN_IPV4 = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1"]


def carriers(address: str) -> list[str]:
    """Return the addresses of IPv6 that carry `address`."""
    packed = IPv4Address(address).packed
    high, low = packed[:2].hex(), packed[2:].hex()
    return [
        f"::ffff:{high}:{low}",
        f"::{high}:{low}",
        f"::ffff:0:{high}:{low}",
        f"64:ff9b::{high}:{low}",
        f"2002:{high}:{low}::1",
    ]


@pytest.mark.parametrize("address", HIDDEN_IPV4)
def test_an_ipv4_address_of_the_neighbourhood_is_denied_in_every_spelling(address: str) -> None:
    """Private, loopback, metadata and group addresses are denied, inside IPv6 as well."""
    spellings = [address, *carriers(address)]

    assert not [each for each in spellings if PUBLIC.allows(ip_address(each), 80)]


@pytest.mark.parametrize("address", OPEN_IPV4)
def test_a_public_ipv4_address_is_allowed_in_every_spelling(address: str) -> None:
    """The address inside decides, so a public one is reached through NAT64 and 6to4 as well."""
    spellings = [address, *carriers(address)]

    assert all(PUBLIC.allows(ip_address(each), 443) for each in spellings)


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "64:ff9b:1::1",
        "2001::1",
        "100::1",
        "4000::1",
    ],
)
def test_an_ipv6_address_that_is_not_public_is_denied(address: str) -> None:
    """Loopback, unique local, link-local, site-local, multicast and what nobody has are denied."""
    assert not PUBLIC.allows(IPv6Address(address), 443)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_what_is_allowed_is_global_by_the_standard_library(
    address: IPv4Address | IPv6Address, port: int
) -> None:
    """No address is allowed that `ipaddress` knows as private, reserved or for a group."""
    inside = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    decisive = inside or address
    is_document = any(decisive in network for network in DOCUMENTS)
    is_inside_elsewhere = address.version == 6 and int(address) >> 125 == 0 and inside is None

    if PUBLIC.allows(address, port) and not is_document and not is_inside_elsewhere:
        assert decisive.is_global
        assert not decisive.is_multicast


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_the_carriers_follow_the_address_inside(address: IPv4Address, port: int) -> None:
    """An IPv4 address and everything that carries it get the same answer."""
    answers = {PUBLIC.allows(ip_address(each), port) for each in carriers(str(address))}

    assert answers == {PUBLIC.allows(address, port)}


@given(st.ip_addresses(), st.integers(8, 32), st.integers(1, 65535))
def test_what_is_listed_is_allowed(
    address: IPv4Address | IPv6Address, length: int, port: int
) -> None:
    """A network of `network_allow` is allowed whole, except IPv4 addresses spelled as IPv6."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return
    network = ip_network(f"{address}/{length}", strict=False)
    policy = AddressPolicy([network])

    assert policy.allows(network[0], port) or network[0] == IPv6Address("::ffff:0:0")
    assert policy.allows(address, port)


def test_all_of_ipv6_does_not_open_ipv4() -> None:
    """`::/0` in the list leaves the mapped addresses to the rules for IPv4."""
    policy = AddressPolicy([IPv6Network("::/0")])

    assert policy.allows(IPv6Address("::1"), 80)
    assert not policy.allows(IPv6Address("::ffff:169.254.169.254"), 80)


def test_a_listed_ipv4_network_opens_its_mapped_spelling() -> None:
    """`127.0.0.0/8` lets a socket of IPv6 reach the same service."""
    policy = AddressPolicy([IPv4Network("127.0.0.0/8")])

    assert policy.allows(IPv6Address("::ffff:127.0.0.1"), 80)
    assert not policy.allows(IPv6Address("::1"), 80)


def test_a_nameserver_is_allowed_for_names_only() -> None:
    """A private name server can be asked for names, and for nothing else."""
    policy = AddressPolicy([], [ip_address("10.0.0.2"), ip_address("fe80::1%eth0")])

    assert policy.allows(IPv4Address("10.0.0.2"), 53)
    assert policy.allows(IPv6Address("::ffff:10.0.0.2"), 53)
    assert policy.allows(IPv6Address("fe80::1"), 53)
    assert not policy.allows(IPv4Address("10.0.0.2"), 80)
    assert not policy.allows(IPv4Address("10.0.0.3"), 53)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_the_last_rule_of_each_family_decides_what_is_left(
    address: IPv4Address | IPv6Address, port: int
) -> None:
    """The rules are whole: whoever applies them in order always comes to a verdict."""
    rules = PUBLIC.ranges()[0 if address.version == 4 else 1]

    assert rules[-1].network.prefixlen == 0
    assert any(address in rule.network and rule.port in (0, port) for rule in rules)


def test_nameservers_are_read_as_the_c_library_does(tmp_path: Path) -> None:
    """Scopes are left out, other lines and words that are no address are skipped."""
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# nameserver 9.9.9.9\nsearch lan\nnameserver 10.0.0.2\n"
        "nameserver\tfe80::1%eth0\nnameserver nonsense\n"
    )

    assert nameservers(path) == (IPv4Address("10.0.0.2"), IPv6Address("fe80::1"))


def test_without_a_list_the_local_nameserver_is_asked(tmp_path: Path) -> None:
    """No file and no line mean 127.0.0.1, as resolv.conf(5) says."""
    assert nameservers(tmp_path / "missing") == (IPv4Address("127.0.0.1"),)
