"""The filter of the supervised network: what it refuses by itself, in a real process."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap

import pytest

from zscrape.runtime import notify

PREPARE = """
import ctypes, errno, os, socket, sys
from zscrape.runtime import notify
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
def number(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
"""


def run(source: str) -> str:
    """Run a source after the common beginning; return what it prints."""
    command = [sys.executable, "-c", PREPARE + textwrap.dedent(source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def test_fast_open_is_refused_in_every_form() -> None:
    """Data and address in one TCP call end with EPERM before anybody is asked."""
    told = run("""
        near = socket.create_server(("127.0.0.1", 0))
        notify.install()
        one = socket.socket()
        flag = socket.MSG_FASTOPEN
        print(number(one.sendto, b"x", flag, near.getsockname()),
              number(one.sendmsg, [b"x"], [], flag, near.getsockname()),
              number(one.send, b"x", flag))
    """)

    assert told == "EPERM EPERM EPERM"


def test_only_sockets_that_can_be_judged_are_given() -> None:
    """TCP, UDP and Unix sockets are had; other families, protocols and raw sockets are not."""
    told = run("""
        notify.install()
        kinds = [(socket.AF_INET, socket.SOCK_STREAM, 0), (socket.AF_INET6, socket.SOCK_DGRAM, 17),
                 (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0), (socket.AF_VSOCK, 1, 0),
                 (socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_INET, socket.SOCK_STREAM, 132),
                 (socket.AF_INET, socket.SOCK_SEQPACKET, 132), (socket.AF_PACKET, 3, 0)]
        print(*(number(socket.socket, *kind) for kind in kinds))
    """)

    assert told == "ok ok ok EACCES EACCES EACCES EACCES EACCES"


def test_source_routes_are_refused() -> None:
    """A socket cannot be told another first hop; its other options stay free."""
    told = run("""
        notify.install()
        four, six = socket.socket(), socket.socket(socket.AF_INET6)
        print(number(four.setsockopt, 0, socket.IP_OPTIONS, b""),
              number(six.setsockopt, 41, socket.IPV6_RTHDR, b"x" * 24),
              number(four.setsockopt, 6, socket.TCP_NODELAY, 1),
              number(six.setsockopt, 41, socket.IPV6_V6ONLY, 1))
    """)

    assert told == "EPERM EPERM ok ok"


def test_ways_around_a_filter_are_closed() -> None:
    """There is no io_uring, no taking of descriptors, and no second listener."""
    told = run("""
        fd = notify.install()
        def call(*arguments):
            if libc.syscall(*arguments) < 0:
                raise OSError(ctypes.get_errno(), "")
        print(number(call, 425, 8, ctypes.create_string_buffer(120)),
              number(call, 438, os.pidfd_open(os.getpid()), 0, 0),
              number(notify.install))
    """)

    assert told == "ENOSYS EPERM EBUSY"


def test_calls_without_an_address_need_no_supervisor() -> None:
    """Writes, plain sends and socket pairs work with nobody listening."""
    told = run("""
        one, other = socket.socketpair()
        notify.install()
        one.send(b"a")
        one.sendall(b"b")
        os.write(one.fileno(), b"c")
        print(other.recv(10).decode())
    """)

    assert told == "abc"


def test_call_without_a_listener_says_that_it_is_not_there() -> None:
    """When nobody holds the listener any more, what would have been asked fails with ENOSYS."""
    told = run("""
        os.close(notify.install())
        print(number(socket.socket().connect, ("127.0.0.1", 1)))
    """)

    assert told == "ENOSYS"


def test_filter_for_browsers_leaves_messages_alone() -> None:
    """Without `has_messages`, `sendmsg` is not stopped and `connect` still is."""
    told = run("""
        one, other = socket.socketpair()
        os.close(notify.install(has_messages=False))
        one.sendmsg([b"a"])
        print(other.recv(10).decode(), number(socket.socket().connect, ("127.0.0.1", 1)))
    """)

    assert told == "a ENOSYS"


def test_hand_over_fails_when_nobody_takes_the_listener() -> None:
    """A process whose listener stays with it does not go on."""
    told = run("""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answer, question = os.pipe()
        os.close(question)
        print(number(notify.hand_over, theirs.fileno(), answer), ours.recv(10)[:1].decode())
    """)

    assert told == "ECHILD L"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_stays_inside(machine: str) -> None:
    """Both architectures have a filter whose jumps end inside and whose last line answers."""
    lines = list(struct.iter_unpack("=HBBI", notify.build_filter(machine)))

    assert lines[-1][0] == 0x06
    for at, (code, then, otherwise, _value) in enumerate(lines):
        if code & 0x07 == 0x05:
            assert max(at + 1 + then, at + 1 + otherwise) < len(lines)


def test_unknown_architecture_is_named() -> None:
    """There is no filter for a machine whose numbers are not known."""
    with pytest.raises(OSError, match="sparc"):
        notify.build_filter("sparc")
    assert os.uname().machine in ("x86_64", "aarch64")
