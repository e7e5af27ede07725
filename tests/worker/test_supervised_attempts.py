"""Attempts on a worker whose network is supervised: any kit, fork or exec, to the end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

import pytest
import pytest_asyncio

from tests.worker.conftest import Stage, until
from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.cgroup_bpf import EgressCgroup, EgressUnavailable
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import SlotPolicy

GOOD, BAD = "127.0.0.2", "127.0.0.1"
# By the C library: the runtime, which would name the address in its refusal, does not see it.
CONNECT = """
import ctypes, errno, socket, struct
def run(port):
    found, libc = {}, ctypes.CDLL(None, use_errno=True)
    for host in ("127.0.0.2", "127.0.0.1"):
        head = struct.pack("=H", socket.AF_INET) + struct.pack(">H", port)
        address = head + socket.inet_aton(host) + bytes(8)
        with socket.socket() as made:
            is_refused = libc.connect(made.fileno(), address, len(address))
        found[host] = errno.errorcode[ctypes.get_errno()] if is_refused else "ok"
    return found
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A port that something listens on at every loopback address."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


@pytest_asyncio.fixture(params=["fork", "exec"])
async def supervised(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    """Slots without a control group, whose scripts may reach 127.0.0.2 besides the internet."""

    def open_none(_policy: AddressPolicy) -> EgressCgroup:
        raise EgressUnavailable("not in this test")

    monkeypatch.setattr(EgressCgroup, "open", open_none)
    root = tmp_path_factory.mktemp("supervised")
    policy = SlotPolicy(
        slot_count=2,
        scratch_dir=root / "scratch",
        script_roots=(root,),
        grace_s=0.2,
        isolation=request.param,
        network=NetworkPolicy(allow=(ip_network(GOOD),)),
    )
    stage = Stage(root, policy)
    await stage.slots.start()
    if stage.slots.network_strength.name != "supervised":
        await stage.slots.close()
        pytest.skip(stage.slots.network_strength.reason)
    yield stage
    await stage.slots.close()


@pytest.mark.parametrize("kit", [(), ("http",), ("browser",)])
async def test_attempt_reaches_what_it_may(
    supervised: Stage, port: int, kit: tuple[str, ...]
) -> None:
    """A script of any kit connects where the policy lets it, and is refused elsewhere."""
    ran = await supervised.run(CONNECT, {"port": port}, kit=kit)

    assert ran.data == {GOOD: "ok", BAD: "EACCES"}


async def test_template_that_starts_again_is_supervised_again(supervised: Stage, port: int) -> None:
    """A template that was killed is replaced by one under the same policy."""
    await supervised.run(CONNECT, {"port": port})
    before = supervised.slots.template_pids[""]
    os.kill(before, signal.SIGKILL)
    await until(lambda: supervised.slots.template_pids.get("", before) != before)
    ran = await supervised.run(CONNECT, {"port": port})

    assert ran.data == {GOOD: "ok", BAD: "EACCES"}


async def test_script_cannot_take_the_supervisors_place(supervised: Stage) -> None:
    """No template keeps the listener, so a script that could look into one finds none."""
    ran = await supervised.run("""
        import os
        def run():
            found = []
            for entry in os.listdir("/proc"):
                try:
                    fds = os.listdir(f"/proc/{entry}/fd") if entry.isdigit() else ()
                    command = open(f"/proc/{entry}/cmdline").read()
                    links = [os.readlink(f"/proc/{entry}/fd/{fd}") for fd in fds]
                except OSError:
                    continue
                if "launch.py" in command:
                    found += [link for link in links if "seccomp" in link]
            return found
    """)

    assert ran.data == []


async def test_http_kit_fetches_and_is_refused(supervised: Stage, port: int) -> None:
    """`ctx.http` works through the supervisor's connects, by name and by address."""
    ran = await supervised.run(
        """
        import asyncio, threading, http.server
        def run(ctx):
            server = http.server.HTTPServer(("127.0.0.2", 0), Handler)
            threading.Thread(target=server.handle_request, daemon=True).start()
            address = f"http://127.0.0.2:{server.server_port}/"
            return ctx.http.get(address, robots=False).text
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")
            def log_message(self, *_):
                pass
        """,
        kit=("http",),
    )

    assert ran.data == "hello"
