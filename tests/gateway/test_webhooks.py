"""Webhooks: who is told of a task's end, how that is signed, tried again, and kept in bounds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ending
from zscrape.gateway.deliveries import Deliveries, WebhookPolicy, signature
from zscrape.gateway.outbound import Outbound, PostFailed
from zscrape.log import get_logger
from zscrape.model import OutcomeCode, TaskState
from zscrape.scripts.redirects import is_public
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.tasks import TaskRow, WebhookDelivery

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
LOOPBACK = ("127.0.0.0/8", "::1/128")
QUICK = (0.01, 0.01, 0.01)


class Receiver:
    """An HTTP server that keeps what it is told and answers as the test says."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[bytes] = []  # status lines with headers, one for each call; then 204
        self.gate: asyncio.Event | None = None  # holds every answer back
        self.open_count = self.open_most_count = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one call."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        self.told.append(({**headers, ":line": head[0]}, body))
        self.open_count += 1
        self.open_most_count = max(self.open_most_count, self.open_count)
        if self.gate is not None:
            await self.gate.wait()
        self.open_count -= 1
        told = self.answers.pop(0) if self.answers else b"204 No Content"
        writer.write(b"HTTP/1.1 " + told + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Return a receiver that listens."""
    made = Receiver()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    if made.gate is not None:
        made.gate.set()
    server.close()


Open = Callable[..., Awaitable[Deliveries]]


@pytest.fixture
async def hooked(make: Any) -> AsyncIterator[Callable[..., Any]]:
    """Return what gives a gateway that tells webhooks."""
    opened: list[tuple[Deliveries, Outbound]] = []

    def build(*, allowed: tuple[str, ...] = LOOPBACK, **policy: Any) -> Any:
        gateway = make()
        outbound = Outbound(allowed=allowed, timeout_s=5)
        deliveries = deliver_by(outbound.post, gateway.store, **policy)
        gateway.service._ledger._on_end = gateway.service._acceptance._on_end = deliveries.offer
        opened.append((deliveries, outbound))
        gateway.deliveries = deliveries
        return gateway

    yield build
    for deliveries, outbound in opened:
        await deliveries.close()
        await outbound.close()


def deliver_by(post: Any, store: MemoryTaskStore, **policy: Any) -> Deliveries:
    """Return deliveries by `post`."""
    return Deliveries(
        store=store,
        post=post,
        policy=WebhookPolicy(**{"backoff_s": QUICK, **policy}),
        clock=lambda: 1_700_000_000.5,
        log=get_logger(),
        inline_limit_bytes=1_000_000,
    )


async def settled(gateway: Any) -> None:
    """Wait until nothing is owed any more."""
    await asyncio.sleep(0)
    await until(lambda: gateway.deliveries.owed_count == 0)


# ---- who is told, and what -----------------------------------------------------------


async def test_end_is_told_with_the_envelope(hooked, receiver):
    """The receiver gets the envelope, signed, and the task's document says that it did."""
    gateway = hooked(secret="geheim")
    gateway.worker()
    async with gateway.client() as client:
        answer = (await client.post("/scrape", json={**PAGE, "webhook_url": receiver.url})).json()
        await settled(gateway)
        task = (await client.get(f"/v1/tasks/{answer['request_id']}")).json()

    [(headers, body)] = receiver.told
    assert json.loads(body) == answer
    assert headers[":line"] == "POST /hook?x=1 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    assert headers["x-zscrape-event"] == "completed"
    digest = hmac.new(b"geheim", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-zscrape-signature"] == f"t=1700000000,v1={digest}"
    [webhook] = task["webhooks"]
    assert (webhook["status"], webhook["tries"], webhook["http_status"]) == ("delivered", 1, 204)


@pytest.mark.parametrize(
    ("events", "names"),
    [
        (["failed"], ["failed"]),
        (["completed"], []),
        ([], ["failed"]),
        (["blocked"], ["blocked"]),
        (["captcha_required", "empty_result"], []),
        (["blocked", "failed"], ["failed"]),
    ],
)
async def test_events_choose(hooked, receiver, events, names):
    """Only the ends that were asked for are told, by state or by code; none named means all."""
    gateway = hooked()
    gateway.worker(ending(OutcomeCode.BLOCKED))
    async with gateway.client() as client:
        webhook = {"url": receiver.url, "events": events}
        await client.post("/scrape", json={**PAGE, "webhook": webhook})
        await settled(gateway)

    assert [headers["x-zscrape-event"] for headers, _ in receiver.told] == names


async def test_cancelled_and_unresolved_tasks_are_told(hooked, receiver):
    """Tasks that end before they run are told as well."""
    gateway = hooked()
    async with gateway.client() as client:
        body = {"script_name": "korean", "webhook_url": receiver.url}
        task = (await client.post("/v1/tasks", json=body)).json()
        await client.delete(task["links"]["self"])
        await client.post("/scrape", json={"script_name": "no", "webhook_url": receiver.url})
        await settled(gateway)

    told = sorted(json.loads(body)["status"] for _, body in receiver.told)
    assert told == ["cancelled", "failed"]


async def test_setting_tells_of_every_task(hooked, receiver):
    """The gateway's own address is told of all, beside a request's own."""
    gateway = hooked(url=receiver.url + "&all", events=("completed",))
    gateway.worker()
    async with gateway.client() as client:
        await client.post("/scrape", json=PAGE)
        await client.post("/scrape", json={**PAGE, "webhook_url": receiver.url})
        await settled(gateway)

    lines = [headers[":line"].split()[1] for headers, _ in receiver.told]
    assert sorted(lines) == ["/hook?x=1", "/hook?x=1&all", "/hook?x=1&all"]
    assert all("x-zscrape-signature" not in headers for headers, _ in receiver.told)


async def test_retried_task_tells_the_same_receiver(hooked, receiver):
    """A task that is done again tells whom the first one told."""
    gateway = hooked()
    gateway.worker()
    async with gateway.client() as client:
        body = {**PAGE, "webhook": {"url": receiver.url, "events": ["completed"]}}
        task_id = (await client.post("/scrape", json=body)).json()["request_id"]
        await client.post(f"/v1/tasks/{task_id}/retry")
        await settled(gateway)

    assert len(receiver.told) == 2


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"webhook_url": "ftp://host/"}, "/webhook_url"),
        ({"webhook_url": "http://user:pass@host/"}, "/webhook_url"),
        ({"webhook_url": "http://host:99999/"}, "/webhook_url"),
        ({"webhook_url": "nonsense"}, "/webhook_url"),
        ({"webhook": {"url": "http://"}}, "/webhook/url"),
        ({"webhook": {"url": "http://host/", "events": ["ended"]}}, "/webhook/events/0"),
        ({"webhook": {"url": "http://a/"}, "webhook_url": "http://b/"}, "/webhook_url"),
    ],
)
async def test_addresses_that_are_none(client, asked, pointer):
    """What can never be told is refused with the request, and where it stands."""
    answer = await client.post("/v1/tasks", json={**PAGE, **asked})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == pointer


# ---- tries ---------------------------------------------------------------------------


async def test_failed_tries_come_again(hooked, receiver):
    """A receiver that is not ready is told again, with the same delivery id."""
    gateway = hooked()
    gateway.worker()
    receiver.answers = [b"503 Busy", b"429 Too Many\r\nRetry-After: 0"]
    async with gateway.client() as client:
        body = {**PAGE, "webhook_url": receiver.url}
        task_id = (await client.post("/scrape", json=body)).json()["request_id"]
        await settled(gateway)
        [webhook] = (await client.get(f"/v1/tasks/{task_id}")).json()["webhooks"]

    assert (webhook["status"], webhook["tries"]) == ("delivered", 3)
    assert {headers["x-zscrape-delivery"] for headers, _ in receiver.told} == {f"{task_id}:0"}


@pytest.mark.parametrize(
    ("answer", "tries", "reason"),
    [
        (b"500 Broken", 4, "HTTP 500"),
        (b"404 Gone", 1, "HTTP 404"),
        (b"302 Elsewhere\r\nLocation: http://127.0.0.1:1/", 1, "it redirects"),
    ],
)
async def test_given_up(hooked, receiver, answer, tries, reason):
    """What another try cannot change, or the last one has not, is on record and logged."""
    gateway = hooked()
    gateway.worker()
    receiver.answers = [answer] * 9
    async with gateway.client() as client:
        body = {**PAGE, "webhook_url": receiver.url}
        task_id = (await client.post("/scrape", json=body)).json()["request_id"]
        await settled(gateway)
        [webhook] = (await client.get(f"/v1/tasks/{task_id}")).json()["webhooks"]

    assert (webhook["status"], webhook["tries"], webhook["reason"]) == ("failed", tries, reason)
    assert len(receiver.told) == tries


async def test_owed_deliveries_go_on_after_a_restart(receiver):
    """What was still owed is told by the next gateway on the same store."""
    store = MemoryTaskStore()
    owed = WebhookDelivery(url=receiver.url, event="completed", tries=1)
    done = WebhookDelivery(url=receiver.url, event="completed", status="delivered")
    row = TaskRow(
        id="t",
        script_name="page",
        created_at=1.0,
        finished_at=2.0,
        status=TaskState.COMPLETED,
        webhooks=(done, owed),
    )
    await store.add(row)
    outbound = Outbound(allowed=LOOPBACK)
    deliveries = deliver_by(outbound.post, store)

    await deliveries.resume()
    await until(lambda: deliveries.owed_count == 0)

    await deliveries.close()
    await outbound.close()
    assert [each.status for each in row.webhooks] == ["delivered", "delivered"]
    assert [each.tries for each in row.webhooks] == [0, 2]
    assert len(receiver.told) == 1


# ---- bounds --------------------------------------------------------------------------


async def test_slow_receiver_delays_only_itself(hooked, receiver):
    """A receiver that does not answer holds a few calls; answers and others do not wait."""
    gateway = hooked(call_count_per_host=2)
    gateway.worker()
    receiver.gate = asyncio.Event()
    quick = Receiver()
    server = await asyncio.start_server(quick.answer, "127.0.0.1", 0)
    quick.port = server.sockets[0].getsockname()[1]
    async with gateway.client() as client:
        for _ in range(10):
            await client.post("/scrape", json={**PAGE, "webhook_url": receiver.url})
        await client.post("/scrape", json={**PAGE, "webhook_url": quick.url})
        await until(lambda: len(quick.told) == 1)
        held_count = len(receiver.told)
        receiver.gate.set()
        await settled(gateway)
    server.close()

    assert held_count <= 2
    assert receiver.open_most_count <= 2
    assert len(receiver.told) == 10


async def test_too_many_are_given_up(hooked, receiver):
    """Beyond the bound the newest are given up, on record."""
    gateway = hooked(call_count=1, waiting_count=3)
    gateway.worker()
    receiver.gate = asyncio.Event()
    async with gateway.client() as client:
        ids = [
            (await client.post("/scrape", json={**PAGE, "webhook_url": receiver.url})).json()[
                "request_id"
            ]
            for _ in range(5)
        ]
        await until(lambda: gateway.deliveries.owed_count == 3)
        receiver.gate.set()
        await settled(gateway)
        rows = [await gateway.store.get(task_id) for task_id in ids]

    statuses = [row.webhooks[0].status for row in rows]
    assert statuses == ["delivered"] * 3 + ["failed"] * 2
    assert rows[4].webhooks[0].reason == "too many are waiting"


async def test_close_ends_calls_under_way(hooked, receiver, monkeypatch):
    """A gateway that closes waits for no receiver; what is owed stays on record."""
    monkeypatch.setattr("zscrape.gateway.deliveries._LAST_WORDS_S", 0.05)
    gateway = hooked()
    gateway.worker()
    receiver.gate = asyncio.Event()
    async with gateway.client() as client:
        body = {**PAGE, "webhook_url": receiver.url}
        task_id = (await client.post("/scrape", json=body)).json()["request_id"]
        await until(lambda: len(receiver.told) == 1)

    await gateway.deliveries.close()

    row = await gateway.store.get(task_id)
    assert row.webhooks[0].status == "pending"
    assert [each.id for each in await gateway.store.unsent_webhooks()] == [task_id]


async def test_fault_of_ours_stops_no_other(hooked, receiver):
    """A delivery that breaks inside frees its place; the others are told."""
    gateway = hooked(call_count=1)
    gateway.worker()
    post, calls = gateway.deliveries._post, []

    async def break_once(url: str, body: bytes, headers: dict[str, str]) -> int:
        calls.append(url)
        if len(calls) == 1:
            raise RuntimeError("broken")
        return int(await post(url, body, headers))

    gateway.deliveries._post = break_once
    async with gateway.client() as client:
        for _ in range(3):
            await client.post("/scrape", json={**PAGE, "webhook_url": receiver.url})
        await until(lambda: len(receiver.told) == 2)

    assert len(calls) == 3


# ---- where they may lead -------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254", "0.0.0.0", "2130706433"],
)
async def test_private_addresses_are_refused(host):
    """Nothing inside is called unless the owner allows it; the record says how to."""
    outbound = Outbound()

    with pytest.raises(PostFailed) as caught:
        await outbound.post(f"http://{host}:1/", b"{}", {})

    await outbound.close()
    assert not caught.value.may_help
    assert "gateway.webhook_allow" in caught.value.reason


async def test_private_receiver_is_never_called(hooked, receiver):
    """A request cannot have the gateway call into its own network."""
    gateway = hooked(allowed=("10.0.0.0/8",))
    gateway.worker()
    async with gateway.client() as client:
        body = {**PAGE, "webhook_url": receiver.url}
        task_id = (await client.post("/scrape", json=body)).json()["request_id"]
        await settled(gateway)
        [webhook] = (await client.get(f"/v1/tasks/{task_id}")).json()["webhooks"]

    assert receiver.told == []
    assert (webhook["status"], webhook["tries"]) == ("failed", 1)
    assert "private address" in webhook["reason"]


async def test_one_private_address_among_public_ones_is_refused(monkeypatch):
    """A name with a public and a private address leads nowhere."""
    outbound = Outbound()
    loop = asyncio.get_running_loop()

    async def two(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, 0)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(loop, "getaddrinfo", two)

    with pytest.raises(PostFailed, match="private address"):
        await outbound.post("http://two.example/", b"{}", {})


async def test_name_is_looked_up_once(receiver, monkeypatch):
    """The call goes to the address that was judged, whatever the name leads to a moment later."""
    outbound = Outbound(allowed=LOOPBACK)
    loop = asyncio.get_running_loop()
    looked: list[str] = []

    async def once(host: str, *_: Any, **__: Any) -> list[Any]:
        looked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(loop, "getaddrinfo", once)
    status = await outbound.post(f"http://hooks.example:{receiver.port}/", b"{}", {})

    await outbound.close()
    assert (status, looked) == (204, ["hooks.example"])
    assert receiver.told[0][0]["host"] == f"hooks.example:{receiver.port}"


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/", "http://127.0.0.1:1/"])
async def test_receivers_that_are_not_there_may_be_back(url):
    """A name without an address and a closed port are tried again."""
    outbound = Outbound(allowed=LOOPBACK)

    with pytest.raises(PostFailed) as caught:
        await outbound.post(url, b"{}", {})

    await outbound.close()
    assert caught.value.may_help


async def test_silence_ends_in_time(receiver):
    """A receiver that says nothing is given up after the time for a call."""
    receiver.gate = asyncio.Event()
    outbound = Outbound(allowed=LOOPBACK, timeout_s=0.1)

    with pytest.raises(PostFailed, match=r"within 0\.1 s") as caught:
        await outbound.post(receiver.url, b"{}", {})

    await outbound.close()
    assert caught.value.may_help


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1", "fec0::1", "::ffff:127.0.0.1", "100.64.0.1"],
)
def test_disguised_private_addresses(address):
    """IPv6 forms that lead to private IPv4 addresses are private."""
    assert not is_public(address)


def test_signature_is_over_moment_and_body():
    """Neither the moment nor the body can be changed without the secret."""
    one = signature("s", b"{}", 1.9)

    assert one.startswith("t=1,v1=")
    assert len({one, signature("s", b"{}", 2), signature("t", b"{}", 1)}) == 3


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `hooks.example` that nobody has signed; its key stands beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the Debian package openssl")
    path = tmp_path / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=DNS:hooks.example"]
    places = ["-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(["openssl", *words.split(), *names, *places], check=True, capture_output=True)
    return path


@pytest.mark.system
@pytest.mark.parametrize(("name", "is_good"), [("hooks.example", True), ("other.example", False)])
async def test_certificate_must_be_that_of_the_name(certificate, monkeypatch, name, is_good):
    """Over TLS the receiver proves the name that was asked for, not the address it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    loop = asyncio.get_running_loop()

    async def here(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(loop, "getaddrinfo", here)
    secure = Receiver()
    server = await asyncio.start_server(secure.answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    outbound = Outbound(allowed=LOOPBACK)
    try:
        posting = outbound.post(f"https://{name}:{port}/", b"{}", {})
        if is_good:
            assert await posting == 204
        else:
            with pytest.raises(PostFailed, match="certificate"):
                await posting
    finally:
        await outbound.close()
        server.close()


# ---- tasks that wait for a person ----------------------------------------------------


def waiting(**values: Any) -> TaskRow:
    """Return a task that waits."""
    state = TaskState.WAITING
    return TaskRow(
        id="t", script_name="page", created_at=0.0, status=state, handoff="h-1", **values
    )


async def test_waiting_is_told_to_those_who_ask_for_it(hooked, receiver):
    """Who wants `waiting` is told of the question, each address once; others are not."""
    gateway = hooked(url=receiver.url, events=("waiting", "failed"))
    gateway.deliveries.announce(waiting(webhook_url=receiver.url, webhook_events=("waiting",)))
    await until(lambda: len(receiver.told) == 1)
    receiver.answers = [b"503 Busy"]
    gateway.deliveries.announce(waiting())
    await until(lambda: len(receiver.told) == 3)
    silent = hooked()
    silent.deliveries.announce(waiting(webhook_url=receiver.url))
    await silent.deliveries.close()

    (headers, body), *again = receiver.told
    assert (headers["x-zscrape-event"], headers["x-zscrape-delivery"]) == ("waiting", "t:h-1")
    assert (json.loads(body)["status"], json.loads(body)["handoff"]) == ("waiting", "h-1")
    assert len(again) == 2


async def test_waiting_is_given_up(hooked, receiver):
    """A receiver that will not listen is told of in the log, and nothing is owed."""
    gateway = hooked()
    receiver.answers = [b"404 Not Found"]
    gateway.deliveries.announce(waiting(webhook_url=receiver.url, webhook_events=("waiting",)))
    await until(lambda: len(receiver.told) == 1)
    await gateway.deliveries.close()

    assert gateway.deliveries.owed_count == 0
