"""The quick way of POST /scrape: its answers are those of the usual way, whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from tests.gateway.conftest import KEY, until
from tests.gateway.loop_router import hold
from zscrape.core.bucket import Rate
from zscrape.errors.requests import KeyRevoked
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.ratelimits import LocalLimiter
from zscrape.gateway.shield import ShieldPolicy

PAGE = {"script_name": "page", "parameters": {"url": "a"}}
USUAL = {"Prefer": "handling=lenient"}  # asks for nothing, and is no plain call's
# Of one call alone: ids, moments and what is measured.
_OF_BODY = {"date", "content-length"}
_OWN = {"request_id", "created_at", "finished_at", "queue_time", "execution_time"}


def told(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return what two answers must have in common, and the names of the rest."""
    body = {name: value for name, value in answer.json().items() if name not in _OWN}
    headers = {name: value for name, value in answer.headers.items() if name not in _OF_BODY}
    assert headers.pop("x-request-id") == answer.json()["request_id"]
    return answer.status_code, headers, {**body, "names": sorted(answer.json())}


@pytest.mark.parametrize(
    "call",
    [
        {"json": PAGE},
        {"json": {"script_name": "page", "parameters": {"url": 1}}},
        {"json": {"script_name": "nobody"}},
        {"json": {"script_name": "page", "version": "no version"}},
        {"content": b"{"},
        {"content": b"x" * 3_000},
        {"json": PAGE, "headers": {"Authorization": "Bearer wrong"}},
        {"json": PAGE, "headers": {"Host": "evil.example"}},
        {"json": PAGE, "headers": {"Connection": "close"}},
        {"json": PAGE, "headers": {"Accept-Language": "ko"}},
    ],
    ids=["ok", "params", "script", "version", "json", "long", "key", "host", "close", "ko"],
)
async def test_both_ways_tell_the_same(make, call):
    """A plain call is answered as one that goes the usual way: status, headers and body."""
    gateway = make(http=HttpPolicy(body_limit_bytes=2_000))
    gateway.worker()
    answers = []
    async with gateway.served() as served, served.client() as client:
        for more in ({}, USUAL):
            headers = {**call.get("headers", {}), **more}
            answers.append(await client.post("/scrape", **{**call, "headers": headers}))

    assert told(answers[0]) == told(answers[1])
    assert gateway.quiet()


async def test_rate_is_told_and_held(make):
    """A plain call counts, is told what is left, and is refused when that is nothing."""
    gateway = make()
    gateway.worker()
    gateway.state.limiter = LocalLimiter(Rate(0.001, 1), lambda: 0.0)
    async with gateway.served() as served, served.client() as client:
        first = await client.post("/scrape", json=PAGE)
        second = await client.post("/scrape", json=PAGE)

    assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "0")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limited")
    assert second.headers["ratelimit-remaining"] == "0"


async def test_what_waits_goes_on(make):
    """Calls for a script that has to be read first wait for that, and are all answered."""
    gateway = make()
    gateway.worker()
    async with gateway.served() as served, served.client() as client:
        answers = await asyncio.gather(*(client.post("/scrape", json=PAGE) for _ in range(5)))

    assert {answer.json()["status"] for answer in answers} == {"completed"}
    assert gateway.quiet()


async def test_pipelined_calls_are_answered_in_order(make):
    """Calls that come in one piece are answered one after the other, on one connection."""
    gateway = make()
    gateway.worker()
    bodies = [msgspec.json.encode({**PAGE, "parameters": {"url": str(n)}}) for n in range(20)]
    requests = [
        f"POST /scrape HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    async with gateway.served() as served:
        reader, writer = await served.raw(b"".join(requests))
        urls = []
        for _ in bodies:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            urls.append(msgspec.json.decode(await reader.readexactly(length))["data"]["url"])
        writer.close()

    assert urls == [str(n) for n in range(20)]


async def test_body_in_pieces(make):
    """A body that comes later than its head is waited for."""
    gateway = make()
    gateway.worker()
    body = msgspec.json.encode(PAGE)
    head = (
        f"POST /scrape HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with gateway.served() as served:
        reader, writer = await served.raw(head.encode() + body[:5])
        await asyncio.sleep(0)
        writer.write(body[5:])
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()

    assert b'"status":"completed"' in answer


async def test_client_that_goes_leaves_nothing(make):
    """When its client hangs up the task goes on, and nothing of the call stays."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        async with served.client() as client:
            await client.get("/health")
            call = asyncio.create_task(client.post("/scrape", json=PAGE))
            run = await worker.runs.get()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await until(lambda: not gateway.hub.ends.waiting_count)
        worker.ok(run)

    assert (await gateway.store.get(run.task_id)).status == "completed"
    assert gateway.quiet()


async def test_closing_gateway_tells_who_waits(make):
    """A call that is under way when the gateway ends is told so, with a way to its task."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served, served.client() as client:
        call = asyncio.create_task(client.post("/scrape", json=PAGE))
        run = await worker.runs.get()
        gateway.hub.close()
        answer = await call

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
    assert answer.headers["x-request-id"] == run.task_id


async def test_fault_of_ours_is_reported(make, monkeypatch):
    """What should not happen is answered 500 and told to the log, as on the usual way."""
    gateway = make()

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(gateway.state.access, "authenticate", fail)
    async with gateway.served() as served, served.client() as client:
        answer = await client.post("/scrape", json=PAGE)

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert [event for event, _, _ in gateway.reports] == ["request_failed"]


# ---- calls whose head is that of the call before --------------------------------------


def request(url: str, *, key: str = KEY, more: str = "", host: str = "g") -> bytes:
    """Return a whole call; of one key, and of addresses of one length, the heads are the same."""
    body = msgspec.json.encode({**PAGE, "parameters": {"url": url}})
    return (
        f"POST /scrape HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[bytes, Any]:
    """Return the head and the body of the next answer."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, msgspec.json.decode(await asyncio.wait_for(reader.readexactly(length), 20))


async def test_equal_heads_are_calls_of_their_own(make):
    """Calls with one head, others between them, each get their own answer, id and headers."""
    gateway = make()
    gateway.worker()
    calls = ["a", "b", "c", "longer", "d", "e", "longer", "f"]
    told = []
    async with gateway.served() as served:
        reader, writer = await served.raw(b"")
        for place, url in enumerate(calls):
            more = "Accept-Language: ko\r\n" if place == 5 else ""
            writer.write(request(url, more=more))
            head, body = await answer_of(reader)
            assert f"x-request-id: {body['request_id']}".encode() in head
            told.append(body)
        writer.close()

    assert [body["data"]["url"] for body in told] == calls
    assert len({body["request_id"] for body in told}) == len(calls)
    assert gateway.quiet()


async def test_equal_heads_in_one_piece(make):
    """Of calls with the head of the one before, two that come together are answered in order."""
    gateway = make()
    gateway.worker()
    async with gateway.served() as served:
        reader, writer = await served.raw(request("a"))
        urls = [(await answer_of(reader))[1]["data"]["url"]]
        writer.write(request("b") + request("c") + b"\r\n")
        urls += [(await answer_of(reader))[1]["data"]["url"] for _ in range(2)]
        writer.write(request("d"))
        urls.append((await answer_of(reader))[1]["data"]["url"])
        writer.close()

    assert urls == ["a", "b", "c", "d"]


async def test_equal_head_of_one_who_does_not_wait(make):
    """A call with the head of the one before, which is not answered yet, waits for its turn."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        reader, writer = await served.raw(request("a"))
        runs = [await worker.runs.get()]
        protocol = next(iter(served.server.server_state.connections))
        writer.write(request("b"))
        await until(lambda: protocol.pipeline)
        urls = []
        for url in ("b", "c", "d"):
            worker.ok(runs[-1], runs[-1].params)
            urls.append((await answer_of(reader))[1]["data"]["url"])
            if url != "b":
                writer.write(request(url))
            runs.append(await worker.runs.get())
        worker.ok(runs[-1], runs[-1].params)
        urls.append((await answer_of(reader))[1]["data"]["url"])
        writer.close()

    assert urls == ["a", "b", "c", "d"]
    assert gateway.quiet()


async def test_equal_head_inside_of_another(make):
    """Bytes of the head before that come in the middle of another head are part of that one."""
    gateway = make()
    gateway.worker()
    async with gateway.served() as served:
        reader, writer = await served.raw(request("a"))
        await answer_of(reader)
        writer.write(b"POST /nowhere HTTP/1.1\r\nX-More: ")
        await writer.drain()
        protocol = next(iter(served.server.server_state.connections))
        await until(lambda: protocol._is_begun)
        writer.write(request("b"))
        head, body = await answer_of(reader)
        writer.close()

    assert (head[:12], body["code"]) == (b"HTTP/1.1 404", "not_found")


async def test_equal_heads_for_another_host_are_refused(make):
    """A call for a host that is not ours is refused as often as it comes."""
    gateway = make(http=HttpPolicy(shield=ShieldPolicy(hosts=frozenset({"g"}))))
    gateway.worker()
    told = []
    async with gateway.served() as served:
        reader, writer = await served.raw(b"")
        for url, host in (("a", "g"), ("b", "evil"), ("c", "evil"), ("d", "g"), ("e", "g")):
            writer.write(request(url, host=host))
            _, body = await answer_of(reader)
            told.append((body["error"] or {}).get("code"))
        writer.close()

    assert told == [None, "host_unknown", "host_unknown", None, None]


async def test_equal_heads_are_looked_at_anew(make, monkeypatch):
    """What stands behind a head may have changed since the last call: it is asked every time."""
    gateway = make()
    gateway.worker()
    async with gateway.served() as served:
        reader, writer = await served.raw(request("a"))
        statuses = [(await answer_of(reader))[0][9:12]]

        def refuse(*_args: object, **_options: object) -> None:
            raise KeyRevoked

        with monkeypatch.context() as patch:
            patch.setattr(gateway.state.access, "authenticate", refuse)
            writer.write(request("b"))
            statuses.append((await answer_of(reader))[0][9:12])
        writer.write(request("c"))
        statuses.append((await answer_of(reader))[0][9:12])
        writer.close()

    assert statuses == [b"200", b"401", b"200"]
