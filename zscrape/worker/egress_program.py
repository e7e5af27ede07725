"""The rules of `addresses.py` as programs that the kernel asks at every connect and send.

Offsets are those of `struct bpf_sock_addr` and `struct bpf_sock` in linux/bpf.h. Registers:
1 what the program is told, 2 to 5 an IPv6 address in words, 6 an IPv4 address, 7 the port,
8 a word under a mask.
"""

from __future__ import annotations

import socket
from typing import Final

from zscrape.worker import bpf
from zscrape.worker.addresses import Ranges, Rule
from zscrape.worker.bpf import Hook, ProgramType

_IPV4_AT, _IPV6_AT, _PORT_AT = 4, 8, 24
_TYPE_AT, _PROTOCOL_AT = 8, 12
_WORDS: Final = (2, 3, 4, 5)
_IPV4, _PORT, _MASKED = 6, 7, 8
_WORD_BITS: Final = 32
_ALL_BITS: Final = 0xFFFFFFFF
_INSTRUCTION_SIZE_BYTES: Final = 8
# All else (raw packets, ICMP, SCTP, multipath TCP) is not asked about where it goes to.
_ALLOWED_SOCKETS: Final = (
    (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
)

Program = tuple[ProgramType, Hook, bytes]


def egress_programs(ranges: Ranges) -> tuple[Program, ...]:
    """Return the programs that hold everything in a cgroup to these rules."""
    ipv4, ipv6 = _ipv4_program(ranges), _ipv6_program(ranges)
    return (
        (ProgramType.CGROUP_SOCK, Hook.INET_SOCK_CREATE, _socket_program()),
        (ProgramType.CGROUP_SOCK_ADDR, Hook.INET4_CONNECT, ipv4),
        (ProgramType.CGROUP_SOCK_ADDR, Hook.UDP4_SENDMSG, ipv4),
        (ProgramType.CGROUP_SOCK_ADDR, Hook.INET6_CONNECT, ipv6),
        (ProgramType.CGROUP_SOCK_ADDR, Hook.UDP6_SENDMSG, ipv6),
    )


def _socket_program() -> bytes:
    made = bpf.load_word(2, _TYPE_AT) + bpf.load_word(3, _PROTOCOL_AT)
    for kind, protocol in _ALLOWED_SOCKETS:
        made += bpf.skip_unless(2, kind, 3) + bpf.skip_unless(3, protocol, 2) + bpf.answer(1)
    return made + bpf.answer(0)


def _ipv4_program(ranges: Ranges) -> bytes:
    head = bpf.load_word(_IPV4, _IPV4_AT) + bpf.to_big_endian(_IPV4, _WORD_BITS)
    return head + _port() + _ipv4_rules(ranges)


def _ipv6_program(ranges: Ranges) -> bytes:
    head = _port()
    for index, word in enumerate(_WORDS):
        head += bpf.load_word(word, _IPV6_AT + 4 * index) + bpf.to_big_endian(word, _WORD_BITS)
    # Backwards, since a rule that leaves the decision to the address inside jumps over all
    # rules that follow it, to those for IPv4.
    rules = b""
    for rule in reversed(ranges.ipv6):
        rules = _rule(rule, _WORDS, _ipv6_verdict(rule, _count(rules))) + rules
    return head + rules + _ipv4_rules(ranges)


def _ipv4_rules(ranges: Ranges) -> bytes:
    return b"".join(_rule(rule, (_IPV4,), _verdict(rule)) for rule in ranges.ipv4)


def _port() -> bytes:
    return bpf.load_word(_PORT, _PORT_AT) + bpf.to_big_endian(_PORT, 16)


def _verdict(rule: Rule) -> bytes:
    return bpf.answer(1 if rule.verdict == "allow" else 0)


def _ipv6_verdict(rule: Rule, following_count: int) -> bytes:
    if rule.verdict != "inside":
        return _verdict(rule)
    index, offset_bytes = divmod(rule.inside_at, 4)
    made = bpf.move(_IPV4, _WORDS[index])
    if offset_bytes:
        shift = 8 * offset_bytes
        made += bpf.shift_left(_IPV4, shift)
        made += bpf.move(_MASKED, _WORDS[index + 1])
        made += bpf.shift_right(_MASKED, _WORD_BITS - shift) + bpf.combine(_IPV4, _MASKED)
    return made + bpf.skip(following_count)


def _rule(rule: Rule, words: tuple[int, ...], verdict: bytes) -> bytes:
    """Return `verdict` behind everything that must hold for it."""
    made = verdict
    if rule.port:
        made = bpf.skip_unless(_PORT, rule.port, _count(made)) + made
    network = int(rule.network.network_address)
    netmask = int(rule.network.netmask)
    for word in reversed(words):
        made = _compare(word, network & _ALL_BITS, netmask & _ALL_BITS, _count(made)) + made
        network >>= _WORD_BITS
        netmask >>= _WORD_BITS
    return made


def _compare(word: int, value: int, bits: int, skipped_count: int) -> bytes:
    if bits == 0:
        return b""
    if bits == _ALL_BITS:
        return bpf.skip_unless(word, value, skipped_count)
    masked = bpf.move(_MASKED, word) + bpf.mask(_MASKED, bits)
    return masked + bpf.skip_unless(_MASKED, value, skipped_count)


def _count(program: bytes) -> int:
    return len(program) // _INSTRUCTION_SIZE_BYTES
