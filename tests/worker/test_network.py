from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, strategies as st

from tests.worker.conftest import Ran, Stage
from zscrape.config import Settings, load
from zscrape.errors import ConfigError
from zscrape.model import NETWORKS, Network, OutcomeCode
from zscrape.runtime.network import Rules
from zscrape.worker.addresses import Address, AddressPolicy
from zscrape.worker.cgroup_bpf import EgressCgroup, EgressUnavailable
from zscrape.worker.network import Egress, NetworkPolicy, _written, network_policy
from zscrape.worker.slots import SlotPolicy
from zscrape.worker.supervisor import support

# Ways to reach a service from a script: each is the body of `run(host, port, ctx)`.
WAYS = {
    "socket": "import socket; socket.create_connection((host, port), 5)",
    "name": "import socket; socket.create_connection(('localhost', port), 5)",
    "datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (host, port))",
    "message": (
        "import socket\n"
        "    socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, (host, port))"
    ),
    "urllib": "import urllib.request; urllib.request.urlopen(f'http://{host}:{port}/')",
    "http.client": (
        "import http.client; http.client.HTTPConnection(host, port).request('GET', '/')"
    ),
    "asyncio": "import asyncio; asyncio.run(asyncio.open_connection(host, port))",
    "asyncio, several addresses": (
        "import asyncio; asyncio.run(asyncio.open_connection('localhost', port))"
    ),
    "wrapped": (
        "import socket\n"
        "    try: socket.create_connection((host, port))\n"
        "    except OSError as error: raise RuntimeError('no page') from error"
    ),
}
# The same from a process that knows nothing of the runtime: only the kernel can refuse it.
BY_ANOTHER_PROGRAM = """
    import subprocess, sys
    code = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    done = subprocess.run([sys.executable, "-I", "-c", code, host, str(port)],
                          capture_output=True, text=True)
    return done.stderr.strip().rpartition("\\n")[2]
"""


class Service:
    """Answers every request on all addresses of this machine; counts those who came."""

    def __init__(self) -> None:
        service = self
        self.count = 0
        self.redirect = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.count += 1
                self.send_response(302 if service.redirect else 200)
                self.send_header("Content-Length", "0")
                if service.redirect:
                    self.send_header("Location", service.redirect)
                self.end_headers()

            def log_message(self, *_told: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def service() -> Iterator[Service]:
    """A service at 127.0.0.1, 127.0.0.2 and so on."""
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def own_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A worker of which 127.0.0.2 is allowed."""
    root = tmp_path_factory.mktemp("network")
    allow = (IPv4Network("127.0.0.2/32"),)
    policy = SlotPolicy(1, root / "scratch", (root,), network=NetworkPolicy("any", allow))
    made = Stage(root, policy)
    await made.slots.start()
    yield made
    await made.slots.close()


@pytest_asyncio.fixture(params=["fork", "exec"])
async def watched(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """A worker where nobody but the runtime holds the policy."""

    def open_none(_policy: AddressPolicy) -> EgressCgroup:
        raise EgressUnavailable("not in this test")

    monkeypatch.setattr(EgressCgroup, "open", open_none)
    monkeypatch.setattr(support, "is_supported", lambda: "nor this")
    tmp_path.chmod(0o755)  # noqa: ASYNC240 - attempts are other users
    made = Stage(
        tmp_path, SlotPolicy(1, tmp_path / "scratch", (tmp_path,), isolation=request.param)
    )
    await made.slots.start()
    assert made.slots.network_strength.name == "kit"
    yield made
    await made.slots.close()


async def reach(
    stage: Stage, body: str, port: int, host: str = "127.0.0.1", network: Network = "public"
) -> Ran:
    """Run a script that tries to reach a service."""
    source = f"def run(host, port, ctx):\n    {body}"
    kit = ("http",) if "ctx.http" in body else ()
    return await stage.run(source, {"host": host, "port": port}, network=network, kit=kit)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("way", list(WAYS))
async def test_what_the_policy_forbids_ends_as_network_denied(
    stage: Stage, service: Service, way: str
) -> None:
    """Whatever a script tries it with, the outcome names the address and the policy."""
    ran = await reach(stage, WAYS[way], service.port)

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert f":{service.port} (network policy: public)" in ran.outcome.error_message
    assert "main.py" in ran.outcome.traceback
    assert service.count == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_the_http_client_tells_what_is_refused(stage: Stage, service: Service) -> None:
    """`ctx.http` ends with the address and the policy, not with an error of its own."""
    ran = await reach(stage, "ctx.http.get(f'http://{host}:{port}/', robots=False)", service.port)

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert ran.outcome.error_message == f"127.0.0.1:{service.port} (network policy: public)"


@pytest.mark.asyncio(loop_scope="session")
async def test_a_redirect_to_a_denied_address_is_refused(
    own_stage: Stage, service: Service
) -> None:
    """The address is judged at each connection, not once for the first."""
    service.redirect = f"http://127.0.0.1:{service.port}/secret"
    body = "ctx.http.get(f'http://{host}:{port}/', robots=False)"
    ran = await reach(own_stage, body, service.port, "127.0.0.2")

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert service.count == 1


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("network", ["public", "any"])
async def test_what_is_allowed_works(own_stage: Stage, service: Service, network: Network) -> None:
    """An address of `network_allow` can be reached, and with `any` every one."""
    host = "127.0.0.2" if network == "public" else "127.0.0.1"
    body = "return ctx.http.get(f'http://{host}:{port}/', robots=False).status"
    ran = await reach(own_stage, body, service.port, host, network)

    assert ran.data == 200
    assert service.count == 1


@pytest.mark.asyncio(loop_scope="session")
async def test_a_script_can_live_with_a_refusal(stage: Stage, service: Service) -> None:
    """It is an ordinary PermissionError: one who expects it goes on."""
    body = (
        "import socket\n"
        "    try: socket.create_connection((host, port))\n"
        "    except PermissionError as error: return error.errno"
    )
    ran = await reach(stage, body, service.port)

    assert ran.data == 1


@pytest.mark.asyncio(loop_scope="session")
async def test_an_error_after_a_handled_refusal_is_the_scripts_own(
    stage: Stage, service: Service
) -> None:
    """Only what ends the attempt is told as its reason."""
    body = (
        "import socket\n"
        "    try: socket.create_connection((host, port))\n"
        "    except PermissionError: pass\n"
        "    open('missing')"
    )
    ran = await reach(stage, body, service.port)

    assert ran.outcome.code is OutcomeCode.SCRIPT_ERROR


@pytest.mark.asyncio(loop_scope="session")
async def test_another_program_is_refused_by_the_kernel(stage: Stage, service: Service) -> None:
    """What a script starts is held to the policy as well."""
    if stage.slots.network_strength.name == "kit":
        pytest.skip(stage.slots.network_strength.reason)
    ran = await reach(stage, BY_ANOTHER_PROGRAM, service.port)

    assert ran.data in (
        "PermissionError: [Errno 1] Operation not permitted",  # kernel
        "PermissionError: [Errno 13] Permission denied",  # supervised
    )
    assert service.count == 0


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("way", ["socket", "name", "urllib", "datagram"])
async def test_without_a_network_nothing_can_be_reached(
    own_stage: Stage, service: Service, way: str
) -> None:
    """With `none` not even what is allowed, and not by name."""
    ran = await reach(own_stage, WAYS[way], service.port, "127.0.0.2", "none")

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert "(network policy: none)" in ran.outcome.error_message
    assert service.count == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_without_a_network_another_program_has_none(
    own_stage: Stage, service: Service
) -> None:
    """The kernel refuses the socket itself."""
    ran = await reach(own_stage, BY_ANOTHER_PROGRAM, service.port, "127.0.0.2", "none")

    assert ran.data == "PermissionError: [Errno 13] Permission denied"


@pytest.mark.asyncio(loop_scope="session")
async def test_without_a_network_processes_of_this_machine_can_talk(own_stage: Stage) -> None:
    """Sockets of this machine stay: event loops and pools are built on them."""
    body = (
        "import asyncio, socket\n"
        "    async def wait(): return await asyncio.sleep(0, 'slept')\n"
        "    socket.socket(socket.AF_UNIX).close()\n"
        "    return asyncio.run(wait())"
    )
    ran = await reach(own_stage, body, 0, network="none")

    assert ran.data == "slept"


@pytest.mark.asyncio(loop_scope="session")
async def test_a_fresh_interpreter_is_held_to_the_policy(
    tmp_path_factory: pytest.TempPathFactory, service: Service
) -> None:
    """Isolation `exec` knows the policy too, and a script sees nothing of how it is told."""
    root = tmp_path_factory.mktemp("exec")
    stage = Stage(root, SlotPolicy(1, root / "scratch", (root,), isolation="exec"))
    await stage.slots.start()
    try:
        denied = await reach(stage, WAYS["socket"], service.port)
        seen = await reach(stage, "import os; return sorted(os.environ)", 0)
    finally:
        await stage.slots.close()

    assert denied.outcome.code is OutcomeCode.NETWORK_DENIED
    assert not [name for name in seen.data if name.startswith("ZSCRAPE_")]


# ---- the policy ----------------------------------------------------------------------


@pytest.mark.parametrize("most", NETWORKS)
@pytest.mark.parametrize("wanted", NETWORKS)
def test_the_stricter_one_of_worker_and_script_holds(most: Network, wanted: Network) -> None:
    """A script can ask for less than its worker allows, never for more."""
    got = Egress(NetworkPolicy(most)).cap(wanted)

    assert NETWORKS.index(got) == min(NETWORKS.index(most), NETWORKS.index(wanted))


@given(st.ip_addresses(), st.sampled_from([0, 53, 443]))
def test_the_runtime_reads_the_rules_as_they_are_meant(address: Address, port: int) -> None:
    """What a child is told of the policy comes to the same verdict as the policy."""
    policy = AddressPolicy([IPv4Network("10.0.0.0/9")], [ip_address("fd00::53")])
    rules = Rules(_written(policy))

    for each in (address, ip_address("fd00::53"), ip_address("::ffff:10.1.1.1")):
        assert rules.allow(each.packed, port) == policy.allows(each, port)


def settings_of(tmp_path_factory: pytest.TempPathFactory, **environ: str) -> Settings:
    """Load settings from an environment."""
    return load(environ={"HOME": str(tmp_path_factory.getbasetemp()), **environ})


def test_the_policy_is_read_from_the_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Networks may be given as addresses and, in the environment, separated by commas."""
    settings = settings_of(
        tmp_path_factory, ZSCRAPE_NETWORK="any", ZSCRAPE_NETWORK_ALLOW="10.20.0.0/16, 192.168.1.5"
    )

    allow = (IPv4Network("10.20.0.0/16"), IPv4Network("192.168.1.5/32"))
    assert network_policy(settings) == NetworkPolicy("any", allow)
    assert network_policy(settings_of(tmp_path_factory)) == NetworkPolicy("public", ())


@pytest.mark.parametrize(
    "value", ["10.0.0.1/8", "example.com", "10.0.0.0/40", "::ffff:127.0.0.1", "10.*"]
)
def test_a_network_that_is_none_is_refused(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """The error names the setting, the value and what it should look like."""
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path_factory, ZSCRAPE_NETWORK_ALLOW=value)

    assert "ZSCRAPE_NETWORK_ALLOW" in str(caught.value)
    assert value in str(caught.value)
    assert "10.20.0.0/16" in str(caught.value)


def test_an_ordinary_user_is_told_what_is_missing() -> None:
    """Where the kernel cannot be asked to hold the policy, the strength and its reason tell."""
    code = (
        "import encodings.ascii, os\n"
        "from zscrape.worker.network import network_strength\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "found = network_strength(); print(found.name, found.reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name, _, reason = done.stdout.strip().partition(" ")

    assert name in ("supervised", "kit")
    assert reason


@pytest.mark.parametrize("kit", [(), ("http",)])
@pytest.mark.parametrize("module", ["socket", "_socket"])
async def test_sockets_are_watched_where_nobody_else_holds_the_policy(
    watched: Stage, service: Service, module: str, kit: tuple[str, ...]
) -> None:
    """From before the script's first line, by whatever name it gets at them."""
    source = (
        f"import {module} as s\n"
        f"s.socket(s.AF_INET, s.SOCK_STREAM).connect(('127.0.0.1', {service.port}))\n"
        "def run(): pass"
    )
    ran = await watched.run(source, kit=kit)

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert service.count == 0


async def test_modules_loaded_ahead_are_watched_too(watched: Stage, service: Service) -> None:
    """What a manifest's `preload` names is not ours."""
    source = (
        "import sys, _socket, urllib.request\n"
        "def run(port):\n"
        "    return 'socket' in sys.modules and _socket.socket().connect(('127.0.0.1', port))"
    )
    ran = await watched.run(source, {"port": service.port}, preload=("urllib.request",))

    assert ran.outcome.code is OutcomeCode.NETWORK_DENIED
    assert service.count == 0
