"""What stands around every call: its host, its origin, and what its answer carries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import until
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.connections import ConnectionLimits
from zscrape.gateway.shield import LOOPBACK_HOSTS, ShieldPolicy, hosts_for

PAGE = {"script_name": "page", "parameters": {"url": "u"}}
ORIGIN = "https://dashboard.example.com"


@pytest.fixture
def shielded(make: Any) -> Any:
    """A gateway that listens on loopback, and lets pages of one origin read."""
    shield = ShieldPolicy(hosts=LOOPBACK_HOSTS | {"zs.local"}, origins=frozenset({ORIGIN}))
    return make(http=HttpPolicy(shield=shield))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]", "[::1]:8000", "zs.local"]
)
async def test_our_own_names_are_answered(shielded, host):
    """A call by a name of ours goes through, with a port or without."""
    async with shielded.client(Host=host) as client:
        answer = await client.get("/v1/workers")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "", "a:b:c", "[::2]"],
)
@pytest.mark.parametrize("path", ["/v1/workers", "/health", "/scrape"])
async def test_a_rebound_name_is_refused(shielded, host, path):
    """A page whose name was made to lead here reads nothing, not even with a key."""
    async with shielded.client(Host=host) as client:
        call = client.post(path, json=PAGE) if path == "/scrape" else client.get(path)
        answer = await call

    told = answer.json()
    assert answer.status_code == 421
    assert (told["error"] if path == "/scrape" else told)["code"] == "host_unknown"


async def test_hosts_are_known_on_loopback_alone():
    """Beyond loopback only names that are set are held to; `*` allows any."""
    assert hosts_for("127.0.0.1", is_loopback=True, named=()) == LOOPBACK_HOSTS
    assert hosts_for("0.0.0.0", is_loopback=False, named=()) is None
    assert set(hosts_for("0.0.0.0", is_loopback=False, named=("A.example",)) or ()) == {
        *LOOPBACK_HOSTS,
        "0.0.0.0",
        "a.example",
    }
    assert hosts_for("127.0.0.1", is_loopback=True, named=("*",)) is None


@pytest.mark.parametrize("path", ["/v1/workers", "/health", "/no/such/path", "/v1/tasks/none"])
async def test_every_answer_is_shielded(client, path):
    """Answers, errors included, are not to be guessed at, framed, or kept."""
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


async def test_the_main_call_is_shielded(gateway, client):
    """`POST /scrape` goes another way and carries the same."""
    gateway.worker()
    answer = await client.post("/scrape", json=PAGE)

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_other_origins_read_nothing_by_default(client):
    """Without a setting no page of another origin may read, or ask whether it may."""
    read = await client.get("/v1/workers", headers={"Origin": ORIGIN})
    asked = await client.options(
        "/v1/tasks", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    )

    assert not [name for name in (*read.headers, *asked.headers) if name.startswith("access-")]
    assert asked.status_code == 405


async def test_an_allowed_origin_reads(shielded):
    """A page of the origin that is set may call and read; another may not."""
    async with shielded.client(Host="localhost") as client:
        asking = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        asked = await client.options("/scrape", headers=asking)
        read = await client.get("/v1/workers", headers={"Origin": ORIGIN})
        other = await client.get("/v1/workers", headers={"Origin": "https://evil.example"})

    assert asked.status_code == 204
    assert "authorization" in asked.headers["access-control-allow-headers"]
    assert read.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in read.headers
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "origin"


async def test_a_stranger_learns_nothing_of_our_code(gateway, client, monkeypatch):
    """A fault of ours is an id and a few words outside; the log has the rest."""

    def fail() -> None:
        raise RuntimeError("/opt/zscrape/private.py: database password is hunter2")

    monkeypatch.setattr(gateway.router, "snapshot", fail)
    answer = await client.get("/v1/workers")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] == gateway.reports[0][1]


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..\\..\\windows",
        "page.html%00.txt",
        'a"%0d%0aSet-Cookie:%20a=b',
        "%c0%ae%c0%ae%2fetc",
        "." * 300,
    ],
)
async def test_artifact_names_are_no_paths(gateway, client, name):
    """Whatever stands in the place of a file's name: it is looked for among names only."""
    gateway.worker()
    task = (await client.post("/scrape", json=PAGE)).json()["request_id"]
    answer = await client.get(f"/v1/tasks/{task}/artifacts/{name}")

    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    assert "root:" not in answer.text


async def test_a_reader_that_stops_is_cut(make, gateway):
    """A client that asks for much and takes nothing is let go, with what was held for it."""
    schema = "x" * 4_000_000

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": schema.encode()})

    gateway.app = large
    async with gateway.served(ConnectionLimits(stall_timeout_s=0.2)) as served:
        reader, writer = await served.raw(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
        connections = served.server.server_state.connections
        await until(lambda: bool(connections))
        await until(lambda: not connections)

        writer.transport.abort()
    assert not reader.at_eof()


async def test_thousands_of_idle_and_slow_connections(gateway):
    """Connections that say nothing, or a letter at a time, leave the others their answers."""
    limits = ConnectionLimits(connection_count=2_200, head_timeout_s=30.0)
    async with gateway.served(limits) as served:
        idle = [await served.raw(b"") for _ in range(1_000)]
        slow = [await served.raw(b"GET /health HT") for _ in range(1_000)]
        async with served.client() as client:
            answers = [await client.get("/health") for _ in range(20)]
        for _, writer in slow:
            writer.write(b"T")
        async with served.client() as client:
            answers += [await client.get("/health") for _ in range(20)]
        for _, writer in (*idle, *slow):
            writer.transport.abort()

    assert {answer.status_code for answer in answers} == {200}
