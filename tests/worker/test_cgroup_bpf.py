from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.cgroup_bpf import EgressCgroup, EgressUnavailable

# Joins a cgroup, then tries each target and says how it went.
CLIENT = """
import os, socket, sys
open(sys.argv[1], "w").write("0")
def attempt(kind, host, port):
    if kind == "name":
        socket.create_connection((host, port), 2).close()
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    protocols = {"raw": socket.IPPROTO_ICMP, "mptcp": 262}
    types = {"tcp": socket.SOCK_STREAM, "mptcp": socket.SOCK_STREAM, "raw": socket.SOCK_RAW}
    made = socket.socket(family, types.get(kind, socket.SOCK_DGRAM), protocols.get(kind, 0))
    made.settimeout(2)
    if kind == "sendto":
        made.sendto(b"x", (host, port))
    elif kind == "sendmsg":
        made.sendmsg([b"x"], [], 0, (host, port))
    elif kind == "fastopen":
        made = socket.socket(family)
        made.sendto(b"x", socket.MSG_FASTOPEN, (host, port))
    else:
        made.connect((host, port))
for target in sys.argv[2:]:
    kind, port, host = target.split(":", 2)
    try:
        attempt(kind, host, int(port))
    except OSError as error:
        print(target, error.errno or error)
    else:
        print(target, "ok")
"""
# Addresses of a network that exists only inside the namespace that a test makes.
PLACES = {
    "10.0.0.1": False,
    "169.254.169.254": False,
    "192.168.7.1": False,
    "100.64.0.1": False,
    "93.184.216.34": True,
    "fd00:ec2::254": False,
    "2606:2800::1": True,
}


@pytest.fixture(scope="module")
def cgroup() -> Iterator[EgressCgroup]:
    """A cgroup that allows what is public, and 127.0.0.2."""
    with opened(AddressPolicy([IPv4Network("127.0.0.2/32")])) as made:
        folder = made.procs.parent
        yield made
    assert not folder.exists()


def opened(policy: AddressPolicy) -> EgressCgroup:
    """Return the cgroup, or skip where there can be none."""
    try:
        return EgressCgroup.open(policy)
    except EgressUnavailable as error:
        pytest.skip(f"cgroup-BPF needs root and cgroup v2: {error}")


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The ports of services at all addresses of this machine: `tcp` and `udp`."""
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as tcp,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
    ):
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", 0))
        yield {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}


def results(cgroup: EgressCgroup, targets: list[str], *before: str) -> dict[str, str]:
    """Return what a process in the cgroup gets for each target."""
    command = [*before, sys.executable, "-I", "-c", CLIENT, str(cgroup.procs), *targets]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "kind", ["tcp", "fastopen", "name", "udp", "sendto", "sendmsg", "mptcp", "raw"]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_a_denied_address_cannot_be_reached_by_any_call(
    cgroup: EgressCgroup, ports: dict[str, int], kind: str, host: str
) -> None:
    """Connecting, sending and every family and spelling end in EPERM."""
    port = ports["tcp" if kind in ("tcp", "fastopen", "name", "mptcp", "raw") else "udp"]
    target = f"{kind}:{port}:{host}"

    assert results(cgroup, [target]) == {target: "1"}


def test_a_name_is_judged_by_what_it_resolves_to(
    cgroup: EgressCgroup, ports: dict[str, int]
) -> None:
    """`localhost` is no way around: the decision is made on the address."""
    target = f"name:{ports['tcp']}:localhost"

    assert results(cgroup, [target]) == {target: "1"}


@pytest.mark.parametrize("kind", ["tcp", "udp", "sendto", "sendmsg"])
@pytest.mark.parametrize("host", ["127.0.0.2", "::ffff:127.0.0.2"])
def test_an_allowed_address_can_be_reached(
    cgroup: EgressCgroup, ports: dict[str, int], kind: str, host: str
) -> None:
    """What `network_allow` names works as if there were no policy."""
    target = f"{kind}:{ports['tcp' if kind == 'tcp' else 'udp']}:{host}"

    assert results(cgroup, [target]) == {target: "ok"}


def test_two_cgroups_have_their_own_exceptions(ports: dict[str, int]) -> None:
    """One worker's list does not touch another's."""
    target = f"tcp:{ports['tcp']}:::1"
    with (
        opened(AddressPolicy([IPv6Network("::1/128")])) as wide,
        opened(AddressPolicy()) as narrow,
    ):
        told = [results(each, [target])[target] for each in (wide, narrow)]

    assert told == ["ok", "1"]


def test_many_exceptions_fit() -> None:
    """A list of 256 networks of each family is a program that the kernel takes."""
    networks = [IPv4Network((i << 8, 24)) for i in range(256)]
    networks6 = [IPv6Network((0xFD << 120 | i << 64, 64)) for i in range(256)]

    with opened(AddressPolicy([*networks, *networks6])) as made:
        assert made.procs.exists()


def test_what_a_dead_worker_left_is_removed(cgroup: EgressCgroup) -> None:
    """A folder whose process has gone is swept away; one of a living process stays."""
    parent = cgroup.procs.parent.parent
    left = parent / "zscrape-4194305-1-public-00"
    recycled = parent / f"zscrape-{os.getpid()}-1-public-00"
    for folder in (left, recycled):
        folder.mkdir()

    with opened(AddressPolicy()):
        assert not left.exists()
        assert not recycled.exists()
        assert cgroup.procs.exists()


def test_without_rights_it_says_why(cgroup: EgressCgroup) -> None:
    """An ordinary user is told what stands in the way, and nothing is left behind."""
    code = (
        "import os; os.setgid(65534); os.setuid(65534); print(os.getpid());"
        "from zscrape.worker.cgroup_bpf import *; from zscrape.worker.addresses import *\n"
        "try: EgressCgroup.open(AddressPolicy())\n"
        "except EgressUnavailable as error: print(error)\n"
    )
    import_first = "import zscrape.worker.cgroup_bpf;"
    done = subprocess.run(
        [sys.executable, "-c", import_first + code], capture_output=True, text=True, check=True
    )
    pid, told = done.stdout.split("\n", 1)

    assert "Permission denied" in told
    # Of its own: processes beside this one have theirs in the same folder.
    assert not list(cgroup.procs.parent.parent.glob(f"zscrape-{pid}-*"))


# ---- addresses that no test may send to, in a namespace of their own -----------------


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A network namespace in which this machine itself is at every one of `PLACES`."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None:
        pytest.skip("needs root, and ip and nsenter of the packages iproute2 and util-linux")
    name = f"zscrape-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"network namespaces cannot be made here: {made.stderr.strip()}")
    try:
        run_ip(name, "link", "set", "lo", "up")
        for place in PLACES:
            length = "128" if ":" in place else "32"
            more = ("nodad",) if ":" in place else ()
            run_ip(name, "addr", "add", f"{place}/{length}", "dev", "lo", *more)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def run_ip(namespace: str, *arguments: str) -> None:
    """Run `ip` inside a namespace."""
    subprocess.run(["ip", "-n", namespace, *arguments], check=True, capture_output=True)


def inside(namespace: str) -> list[str]:
    """Return what starts a command there; `ip netns exec` would hide the cgroups from it."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def listen_in(namespace: str) -> tuple[subprocess.Popen[str], int]:
    """Start a service at every address inside a namespace; return it and its port."""
    code = (
        "import socket, sys\n"
        "made = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True)\n"
        "print(made.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [*inside(namespace), sys.executable, "-I", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.system
def test_private_and_metadata_addresses_are_refused_and_public_ones_are_not(
    cgroup: EgressCgroup, namespace: str
) -> None:
    """With a service at each, only the public ones answer."""
    process, port = listen_in(namespace)
    targets = {f"tcp:{port}:{place}": is_public for place, is_public in PLACES.items()}
    try:
        told = results(cgroup, list(targets), *inside(namespace))
    finally:
        process.communicate(timeout=10)

    assert told == {target: "ok" if is_public else "1" for target, is_public in targets.items()}


def test_the_proof_does_not_wait_for_a_neighbour() -> None:
    """Several workers of one machine can start at the same time."""
    made: list[EgressCgroup] = []
    opened(AddressPolicy()).close()

    def start() -> None:
        made.append(EgressCgroup.open(AddressPolicy()))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = {each.procs.parent for each in made}
    for each in made:
        each.close()

    assert len(folders) == 3
    assert not [folder for folder in folders if Path(folder).exists()]
