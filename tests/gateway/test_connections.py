"""Clients that never finish, come in crowds or leave in the middle."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.gateway.conftest import KEY, LIMIT_S, Gateway, until
from tests.gateway.loop_router import echo, hold
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.connections import ConnectionLimits, HttpConfig

PAGE = {"script_name": "page", "parameters": {"url": "u"}}
BODY = msgspec.json.encode(PAGE)
HEAD = f"POST {{path}} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
QUICK = ConnectionLimits(head_timeout_s=0.1, body_timeout_s=0.1)


def head(path: str, length: int) -> bytes:
    """Return the head of a request with a body of `length` bytes."""
    return (HEAD.format(path=path) + f"Content-Length: {length}\r\n\r\n").encode()


@pytest.fixture
def quick(make: Any) -> Any:
    """A gateway that gives bodies a tenth of a second."""
    return make(http=HttpPolicy(body_timeout_s=0.1, connection_limit=2))


@pytest.mark.parametrize("begun", [b"", b'{"script_'])
@pytest.mark.parametrize("path", ["/scrape", "/v1/tasks"])
async def test_body_that_never_ends_is_408(quick, path, begun):
    """A body that does not arrive in time is told so, and its connection is closed."""
    async with quick.served() as served:
        reader, writer = await served.raw(head(path, 100) + begun)

        answer = await asyncio.wait_for(reader.read(), LIMIT_S)

        writer.close()
    headers, _, body = answer.partition(b"\r\n\r\n")
    told = msgspec.json.decode(body)
    assert headers.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in headers.lower()
    assert (told["error"] if path == "/scrape" else told)["code"] == "body_timeout"


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: g\r\nX-Slow: ", b"\r\n\r\n"],
    ids=["nothing", "line", "header", "line ends"],
)
async def test_head_that_never_ends_is_cut(gateway, begun):
    """A connection that does not complete the head of a request is closed."""
    async with gateway.served(QUICK) as served:
        reader, writer = await served.raw(begun)

        answer = await asyncio.wait_for(reader.read(), LIMIT_S)

        writer.close()
    assert answer == b""


async def test_head_without_end_is_cut(gateway):
    """A head that goes on and on is refused before it fills the memory."""
    async with gateway.served(ConnectionLimits(head_limit_bytes=1_000)) as served:
        reader, writer = await served.raw(b"GET / HTTP/1.1\r\nX-More: " + b"x" * 2_000)

        answer = await asyncio.wait_for(reader.read(), LIMIT_S)

        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_body_that_nobody_reads_holds_no_connection(gateway, monkeypatch):
    """A refused call whose body trickles on is cut when the body's time has passed."""
    monkeypatch.setattr("zscrape.gateway.connections._BODY_GRACE_S", 0.0)
    config = HttpConfig(gateway.app, QUICK)
    config.timeout_keep_alive = 3_600  # uvicorn's own timer, which would cut it as well
    async with gateway.served(config=config) as served:
        reader, writer = await served.raw(
            b"GET /health HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n1"
        )

        answer = await asyncio.wait_for(reader.read(), LIMIT_S)

        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_slow_answer_is_no_slow_request(gateway):
    """The limits are on what a client sends: an answer may take as long as it takes."""
    worker = gateway.worker(hold)
    body = msgspec.json.encode(PAGE)
    async with gateway.served(QUICK) as served:
        # Line ends after the request start no clock while it is being answered.
        reader, writer = await served.raw(head("/scrape", len(body)) + body + b"\r\n")
        run = await worker.runs.get()
        await asyncio.sleep(0.3)
        worker.ok(run, 7)

        answer = await asyncio.wait_for(reader.readline(), LIMIT_S)

        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_crowd_is_told_to_come_again(quick):
    """A call over a connection beyond the limit is 503 with Retry-After; health still answers."""
    async with quick.served(ConnectionLimits(connection_count=2)) as served:
        held = [await served.raw(b"") for _ in range(2)]
        async with served.client() as client:
            scrape = await client.post("/scrape", json=PAGE)
        async with served.client() as client:
            tasks = await client.get("/v1/tasks")
        async with served.client() as client:
            health = await client.get("/health")
        for _, writer in held:
            writer.close()
        await until(lambda: not served.server.server_state.connections)
        async with served.client() as client:
            later = await client.get("/v1/tasks")

    assert (scrape.status_code, scrape.json()["error"]["code"]) == (503, "too_many_connections")
    assert (tasks.status_code, tasks.json()["code"]) == (503, "too_many_connections")
    assert scrape.headers["retry-after"] == tasks.headers["retry-after"] == "5"
    assert tasks.headers["content-type"] == "application/problem+json"
    assert health.status_code == later.status_code == 200


async def test_mob_is_cut(gateway):
    """Connections far beyond the limit are closed at once: descriptors are not endless."""
    async with gateway.served(ConnectionLimits(connection_count=1)) as served:
        held = [await served.raw(b"") for _ in range(80)]
        ends = [asyncio.ensure_future(reader.read()) for reader, _ in held]
        await until(lambda: sum(end.done() for end in ends) >= 10)
        count = len(served.server.server_state.connections)
        for _, writer in held:
            writer.close()
        await asyncio.gather(*ends, return_exceptions=True)

    assert count <= 1 + 64


@pytest.mark.parametrize(
    ("files", "told"), [("600, 600", "88 600"), ("600, 4000", "1024 1536"), ("64, 64", "1 64")]
)
def test_connections_are_no_more_than_files(files: str, told: str) -> None:
    """The limit of open files is raised as far as the system lets it; then it is the limit."""
    code = f"""
import resource
from zscrape.gateway.connections import room_for
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}))
print(room_for(1024), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == told.split()


# ---- answers -------------------------------------------------------------------------


async def test_answer_that_a_connection_takes_in_pieces(gateway):
    """What the system's buffer has no room for goes once the client has read."""
    data = "x" * 60_000
    gateway.worker(lambda worker, run: worker.ok(run, data))
    loop = asyncio.get_running_loop()
    async with gateway.served() as served:
        client = socket.socket()
        with client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", served.port))
            await until(lambda: served.server.server_state.connections)
            (connection,) = served.server.server_state.connections
            transport = connection.transport
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, 2_048
            )
            await loop.sock_sendall(client, head("/scrape", len(BODY)) + BODY)
            await until(lambda: transport.get_write_buffer_size() > 0)
            waiting_bytes = transport.get_write_buffer_size()
            read = b""
            while read.count(b"x") < len(data):
                read += await loop.sock_recv(client, 65_536)

    told = msgspec.json.decode(read.partition(b"\r\n\r\n")[2])
    assert 0 < waiting_bytes < len(data)
    assert told["data"] == data


# ---- leaving -------------------------------------------------------------------------


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off instead of closing it."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_client_that_leaves_two_calls_behind(folder: Path, caplog: Any) -> None:
    """Of two calls in one connection the first is being answered when its client goes.

    On uvloop, as gateways run: there a write to a closed transport is an error.
    """
    uvloop = pytest.importorskip("uvloop")
    caplog.set_level(logging.DEBUG)
    body = msgspec.json.encode(PAGE)

    async def leave() -> Gateway:
        gateway = Gateway(folder)
        worker = gateway.worker(hold)
        async with gateway.served() as served:
            _, writer = await served.raw((head("/scrape", len(body)) + body) * 2)
            run = await worker.runs.get()
            reset(writer)
            await until(lambda: not served.server.server_state.connections)
            worker.ok(run, "x" * 300_000)
            await until(lambda: not served.server.server_state.tasks)
        gateway.router.close()
        await gateway.catalogue.close()
        await gateway.cache.close()
        return gateway

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        gateway = runner.run(leave())

    assert gateway.reports == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_client_that_leaves_a_download(gateway, caplog):
    """A large answer whose reader goes in the middle ends without a word."""
    caplog.set_level(logging.DEBUG)
    gateway.worker(lambda worker, run: worker.ok(run, "x" * 20_000_000))
    async with gateway.served() as served:
        async with served.client() as client:
            task_id = (await client.post("/scrape", json=PAGE)).json()["request_id"]
        request = f"GET /v1/tasks/{task_id}/result HTTP/1.1\r\nHost: g\r\n"
        reader, writer = await served.raw(f"{request}X-Api-Key: {KEY}\r\n\r\n".encode())
        await reader.readexactly(1000)
        reset(writer)
        await until(lambda: not served.server.server_state.tasks)

    assert gateway.reports == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/scrape"), ("GET", "/v1/tasks"), ("GET", "/nope"), ("POST", "/v1/tasks")],
)
@pytest.mark.parametrize("fails_at", [0, 1])
async def test_server_that_says_that_the_client_has_gone(gateway, method, path, fails_at):
    """A send that fails since nobody is there any more (OSError) is the end, not an error."""
    gateway.worker(echo)
    sent = 0

    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def broken(message: Any) -> None:
            nonlocal sent
            sent += 1
            if sent > fails_at:
                raise BrokenPipeError
            await send(message)

        await gateway.app(scope, receive, broken)
        for kind in ("http.response.start", "http.response.body")[fails_at:]:
            await send({"type": kind, "status": 200, "headers": [], "body": b""})

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(call),
        base_url="http://gateway",
        headers={"Authorization": f"Bearer {KEY}"},
    ) as client:
        await client.request(method, path, json=PAGE)

    assert sent == fails_at + 1
    assert gateway.reports == []


async def test_connection_that_rests_is_closed(make):
    """One that asks nothing more is closed after its time; while a call is open it is not."""
    gateway = make()
    worker = gateway.worker(hold)
    config = HttpConfig(gateway.app, ConnectionLimits())
    config.timeout_keep_alive = 0.05  # type: ignore[assignment]
    health = b"GET /health HTTP/1.1\r\nHost: g\r\n\r\n"
    async with gateway.served(config=config) as served:
        reader, writer = await served.raw(health + head("/scrape", len(BODY)) + BODY)
        run = await worker.runs.get()
        (connection,) = served.server.server_state.connections
        await until(lambda: connection.timeout_keep_alive_task is None)  # it has looked
        worker.ok(run)
        answers = await asyncio.wait_for(reader.read(), LIMIT_S)  # to the end: it is closed
        writer.close()

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b'"status":"completed"' in answers
