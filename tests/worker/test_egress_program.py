from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given, settings, strategies as st

from zscrape.worker.addresses import Address, AddressPolicy, Network
from zscrape.worker.bpf import Hook
from zscrape.worker.egress_program import egress_programs

WORD = 0xFFFFFFFF


CALCULATIONS: dict[int, Callable[[int, int, int], int]] = {
    0xDC: lambda own, _other, bits: int.from_bytes(struct.pack("=I", own)[: bits // 8], "big"),
    0xBC: lambda _own, other, _value: other & WORD,
    0x54: lambda own, _other, value: own & value,
    0x4C: lambda own, other, _value: own | other,
    0x64: lambda own, _other, value: own << value & WORD,
    0x74: lambda own, _other, value: own >> value,
    0xB7: lambda _own, _other, value: value,
}


def execute(program: bytes, told: bytes) -> int:
    """Run a program as the kernel would, told this structure; return its answer."""
    registers = [0] * 11
    at = 0
    while True:
        code, both, jump, value = struct.unpack_from("=BBhI", program, at * 8)
        to, source = both & 15, both >> 4
        at += 1
        if code == 0x61:
            assert source == 1
            registers[to] = struct.unpack_from("=I", told, jump)[0]
        elif code == 0x56:
            at += jump if registers[to] & WORD != value else 0
        elif code == 0x05:
            at += jump
        elif code == 0x95:
            return registers[0]
        else:
            registers[to] = CALCULATIONS[code](registers[to], registers[source], value)


def verdict(policy: AddressPolicy, address: Address, port: int) -> bool:
    """Return what the program for this family answers."""
    hook = Hook.INET4_CONNECT if isinstance(address, IPv4Address) else Hook.INET6_CONNECT
    program = next(code for _, each, code in egress_programs(policy.ranges()) if each == hook)
    ipv4 = address.packed if isinstance(address, IPv4Address) else bytes(4)
    ipv6 = address.packed if isinstance(address, IPv6Address) else bytes(16)
    told = struct.pack("=I", 0) + ipv4 + ipv6 + port.to_bytes(2, "big") + bytes(2)
    return execute(program, told) == 1


CARRIERS = ("::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "2002:{}::1")


@st.composite
def interesting(draw: st.DrawFn) -> Address:
    """Addresses of both families, many of them with an IPv4 address inside or in a denied net."""
    inside = draw(st.ip_addresses(v=4) | st.sampled_from(SOME_IPV4))
    carrier = draw(st.sampled_from(("", *CARRIERS)))
    if not carrier:
        return draw(st.sampled_from([inside, *SOME_IPV6]) | st.ip_addresses(v=6))
    packed = inside.packed
    return ip_address(carrier.format(f"{packed[:2].hex()}:{packed[2:].hex()}"))


SOME_IPV4 = [
    IPv4Address(each)
    for each in ("10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.0.1", "172.31.0.9", "9.9.9.9")
]
SOME_IPV6 = [
    IPv6Address(each)
    for each in ("::1", "::", "fe80::1", "fd00::2", "2600::", "2001::1", "ff02::1")
]
NETWORKS: list[Network] = [
    IPv4Network("127.0.0.0/8"),
    IPv4Network("10.0.0.1/32"),
    IPv6Network("::1/128"),
    IPv6Network("fd00::/12"),
    IPv6Network("::/0"),
    ip_network("0.0.0.0/0"),
]


@settings(max_examples=400)
@given(
    address=interesting(),
    port=st.sampled_from([0, 53, 80, 8080, 65535]),
    allow=st.lists(st.sampled_from(NETWORKS), max_size=3),
    nameservers=st.lists(st.sampled_from([*SOME_IPV4, *SOME_IPV6]), max_size=2),
)
def test_the_programs_answer_what_the_policy_answers(
    address: Address, port: int, allow: list[Network], nameservers: list[Address]
) -> None:
    """For every address, port and list of exceptions both come to the same verdict."""
    policy = AddressPolicy(allow, nameservers)

    assert verdict(policy, address, port) == policy.allows(address, port)


def test_only_sockets_whose_way_is_asked_about_can_be_made() -> None:
    """TCP and UDP can; raw packets, ICMP, SCTP and multipath TCP cannot."""
    program = egress_programs(AddressPolicy().ranges())[0][2]
    asked = [(1, 6), (2, 17), (3, 255), (2, 1), (2, 58), (1, 132), (1, 262), (2, 136)]

    answers = [
        execute(program, struct.pack("=IIII", 0, 2, kind, protocol)) for kind, protocol in asked
    ]

    assert answers == [1, 1, 0, 0, 0, 0, 0, 0]
