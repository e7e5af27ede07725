"""/v1/workers, /v1/pressure, /health, /ready, /status; and the edge that all calls pass."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.conftest import KEY, until
from tests.gateway.loop_router import hold

PAGE = {"script_name": "page", "parameters": {"url": "a"}}


async def test_workers(gateway, client):
    """Workers are shown with their tags, load and running attempts."""
    worker = gateway.worker(hold, worker_id="w1", slots=2, tags=("kr",))
    await client.post("/v1/tasks", json=PAGE)
    run = await worker.runs.get()

    (shown,) = (await client.get("/v1/workers")).json()["workers"]

    assert (shown["id"], shown["status"], shown["slots"]) == ("w1", "live", 2)
    assert shown["tags"] == ["kr"]
    assert shown["in_flight_count"] == 1
    assert shown["running"] == [{"request_id": run.task_id, "attempt": 1}]


async def test_drain_and_resume(gateway, client):
    """A drained worker takes nothing new until it is resumed."""
    worker = gateway.worker(hold)

    drained = await client.post("/v1/workers/w1/drain")
    task = (await client.post("/v1/tasks", json=PAGE)).json()
    waiting = await client.get(task["links"]["self"])
    resumed = await client.post("/v1/workers/w1/resume")
    worker.ok(await worker.runs.get())
    done = await client.get(task["links"]["self"])

    assert drained.json()["status"] == "draining"
    assert waiting.json()["status"] == "queued"
    assert resumed.json()["status"] == "live"
    assert done.json()["status"] == "completed"


@pytest.mark.parametrize("verb", ["drain", "resume"])
async def test_unknown_worker(client, verb):
    """A worker that is not known is 404."""
    answer = await client.post(f"/v1/workers/nobody/{verb}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_pressure(gateway, client):
    """Pressure says in one word whether there is room; as text it is a status for balancers."""
    text = {"Accept": "text/plain"}

    async def both() -> tuple[str, bool, int]:
        told = (await client.get("/v1/pressure")).json()
        plain = await client.get("/v1/pressure", headers=text)
        assert plain.text == told["reason"] + "\n"
        return told["reason"], told["has_room"], plain.status_code

    empty = await both()
    worker = gateway.worker(hold, slots=1)
    idle = await both()
    for _ in range(2):
        await client.post("/v1/tasks", json=PAGE)
    busy = await both()
    gateway.state.is_draining = True
    draining = await both()
    for _ in range(2):
        worker.ok(await worker.runs.get())

    assert empty == ("no_worker", False, 503)
    assert idle == ("ok", True, 200)
    assert busy == ("busy", False, 503)
    assert draining == ("draining", False, 503)


async def test_open_doors(gateway):
    """Health, readiness and status need no key."""
    gateway.worker()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway.app), base_url="http://gateway"
    ) as stranger:
        health = await stranger.get("/health")
        ready = await stranger.get("/ready")
        status = await stranger.get("/status")
        gateway.state.is_draining = True
        ending = await stranger.get("/ready")
        ill = await stranger.get("/health")

    assert health.json()["status"] == "ok"
    assert set(health.json()["components"]) == {"router", "store", "catalogue", "workers"}
    assert (ready.status_code, ready.json()["active_workers"]) == (200, 1)
    assert {"status", "queue_length", "active_workers", "memory_usage", "cpu_usage"} <= set(
        status.json()
    )
    assert (ending.status_code, ending.json()["status"]) == (503, "draining")
    assert (ill.status_code, ill.json()["status"]) == (200, "draining")


async def test_health_is_that_of_the_parts(gateway, client, folder):
    """Each part answers for itself; without the link the gateway is failing."""
    well = (await client.get("/health")).json()
    gateway.store.size_bytes += 10**12
    full = (await client.get("/health")).json()
    gateway.store.size_bytes -= 10**12
    (folder / "scripts").rename(folder / "elsewhere")
    gone = (await client.get("/health")).json()
    gateway.router.link_fault = "closed"
    failing = await client.get("/health")

    assert well == {
        "status": "ok",
        "components": {"router": "ok", "store": "ok", "catalogue": "ok", "workers": "none"},
    }
    assert (full["status"], full["components"]["store"]) == ("degraded", "full")
    assert (gone["status"], gone["components"]["catalogue"]) == ("degraded", "unreadable")
    assert (failing.status_code, failing.json()["status"]) == (503, "failing")
    assert failing.json()["components"]["router"] == "closed"


async def test_status_counts_garbage(gateway, client):
    """Frames that were no message are counted, also those that the log held back."""
    gateway.router.garbage_count = 7

    assert (await client.get("/status")).json()["garbage_count"] == 7


# ---- keys ----------------------------------------------------------------------------

CLOSED = [
    ("POST", "/scrape"),
    ("POST", "/v1/tasks"),
    ("GET", "/v1/tasks"),
    ("GET", "/v1/tasks/x"),
    ("GET", "/v1/scripts"),
    ("POST", "/v1/scripts/page/run"),
    ("GET", "/v1/workers"),
    ("POST", "/v1/workers/w1/drain"),
    ("GET", "/v1/pressure"),
    ("GET", "/nope"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer "},
        {"X-Api-Key": "wrong"},
        {"X-Api-Key": "x" * 10_000},
        {"Authorization": "Bearer ÿ"},
    ],
)
async def test_no_call_without_a_key(gateway, method, path, headers):
    """Without a known key every other call is 401, whatever its body, and nothing is done."""
    gateway.worker()
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway.app), base_url="http://gateway"
    ) as stranger:
        answer = await stranger.request(method, path, headers=raw, content=b"{")

    told = answer.json()
    code = told["error"]["code"] if path == "/scrape" else told["code"]
    assert (answer.status_code, code) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert KEY not in answer.text
    assert gateway.router.submitted_count == 0


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY} "}, {"X-Api-Key": KEY}],
)
async def test_both_ways_to_bring_a_key(gateway, headers):
    """A key comes as a bearer token or as X-Api-Key."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway.app), base_url="http://gateway"
    ) as caller:
        answer = await caller.get("/v1/workers", headers=headers)

    assert answer.status_code == 200


# ---- the edge ------------------------------------------------------------------------


async def test_internal_fault(gateway, client, monkeypatch):
    """A fault of our own is a 500 problem without its inside, and is reported with its id."""

    def fall():
        raise RuntimeError("secret inside")

    monkeypatch.setattr(gateway.router, "snapshot", fall)

    answer = await client.get("/v1/workers", headers={"Accept-Language": "ko"})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "내부 오류" in answer.json()["detail"]
    assert "secret" not in answer.text
    assert gateway.reports[0][:2] == ("request_failed", answer.json()["request_id"])


async def test_every_call_has_an_id(client):
    """Each answer carries an id of its own."""
    ids = {(await client.get(path)).headers["x-request-id"] for path in ("/health", "/v1/workers")}

    assert len(ids) == 2


async def test_websockets_are_not_served(gateway):
    """A WebSocket is closed, and breaks nothing."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/scrape", "headers": [], "query_string": b""}
    await gateway.app(scope, receive, send)

    assert sent[0]["type"] == "websocket.close"


async def test_raw_sockets(make):
    """Requests cut short, garbage and slow bodies cost a connection and nothing else."""
    gateway = make()
    gateway.worker()
    head = f"POST /scrape HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()
    body = b'{"script_name":"anything"}'
    async with gateway.served() as served:
        for request in (
            b"garbage\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
            head + b"Content-Length: 100\r\n\r\n{",
            head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
            head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            head + b"Content-Length: -5\r\n\r\n",
        ):
            _, writer = await served.raw(request)
            writer.close()
            await writer.wait_closed()
        reader, writer = await served.raw(head + b"Content-Length: 26\r\n\r\n")
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
        answer = await reader.readuntil(b"\r\n")
        writer.close()
        reader, writer = await served.raw(head + b"Content-Length: 99999999999999999999\r\n\r\n")
        oversized = await reader.read()  # the connection is closed: the body is not waited for
        writer.close()
        await until(gateway.quiet)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"413" in oversized.split(b"\r\n")[0] or oversized.startswith(b"HTTP/1.1 400")
    assert gateway.router.submitted_count == 1
    assert gateway.reports == []


async def test_keep_alive_after_errors(make):
    """An error leaves the connection fit for the next call."""
    gateway = make()
    gateway.worker()
    async with gateway.served() as served, served.client() as client:
        statuses = []
        for body in (b"{", b"[" * 100_000, b'{"script_name":"anything"}', b"", b"{}"):
            statuses.append((await client.post("/scrape", content=body)).status_code)
            statuses.append((await client.get("/nope")).status_code)

    assert statuses == [400, 404, 422, 404, 200, 404, 400, 404, 422, 404]
