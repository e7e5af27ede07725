"""The client against a small real server: what it sends, and what it makes of any answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zscrape.client import (
    NO_RETRY,
    Client,
    ClientError,
    Event,
    Gateway,
    Retry,
    find_gateway,
    read_events,
)

Answer = Callable[[Request], Response]
KEY = "zs_test"


class StandIn:
    """A server on a free port that remembers its requests and answers as a test says."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        app = Starlette(
            routes=[Route("/{path:path}", self._handle, methods=["GET", "POST", "DELETE"])]
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http="h11")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def _handle(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = await request.body()
        self.requests.append((request.method, target, dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def shared_stand_in() -> Iterator[StandIn]:
    """One server for all tests of this file."""
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def stand_in(shared_stand_in: StandIn) -> StandIn:
    """The server, with nothing remembered."""
    shared_stand_in.requests.clear()
    shared_stand_in.answers = [lambda _: JSONResponse({})]
    return shared_stand_in


@pytest.fixture
def client(stand_in: StandIn) -> Iterator[Client]:
    """A client of the stand-in, speaking Korean."""
    gateway, soon = Gateway(stand_in.url, KEY, "test"), Retry(first_s=0.001)
    with Client(gateway, lang="ko", retry=NO_RETRY, reconnect=soon) as client:
        yield client


def answering(status: int, content: Any, **headers: str) -> Answer:
    """Return an answer with this JSON content."""
    return lambda _: JSONResponse(content, status, headers)


# ---- finding the gateway -------------------------------------------------------------


def write_client_file(home: Path, content: str) -> Path:
    """Write the file that a gateway leaves in its home folder."""
    home.mkdir(exist_ok=True)
    (home / "client.toml").write_text(content, encoding="utf-8")
    return home


def test_gateway_is_found_by_option_then_environment_then_home(tmp_path: Path) -> None:
    """What is given beats the environment, which beats the home folder."""
    home = write_client_file(tmp_path, 'url = "http://c"\nkey = "kc"\n')
    environ = {"ZSCRAPE_URL": "http://b/", "ZSCRAPE_API_KEY": "kb"}

    by_option = find_gateway(url="http://a", key="ka", home=home, environ=environ)
    by_environment = find_gateway(home=home, environ=environ)
    by_home = find_gateway(home=home, environ={})
    by_home_variable = find_gateway(environ={"ZSCRAPE_HOME": str(home)})

    assert (by_option.url, by_option.key, by_option.source) == ("http://a", "ka", "--url")
    assert (by_environment.url, by_environment.key) == ("http://b", "kb")
    assert by_environment.source == "ZSCRAPE_URL"
    assert (by_home.url, by_home.key) == ("http://c", "kc")
    assert by_home.source == str(home / "client.toml")
    assert by_home_variable == by_home


def test_key_of_the_home_goes_only_to_its_own_address(tmp_path: Path) -> None:
    """The kept key is never sent to another address."""
    home = write_client_file(tmp_path, 'url = "http://c"\nkey = "kc"\n')

    same = find_gateway(url="http://c/", home=home, environ={})
    other = find_gateway(url="http://evil", home=home, environ={})

    assert same.key == "kc"
    assert other.key == ""


def test_unknown_gateway_says_how_to_start_one(tmp_path: Path) -> None:
    """Without any address the error names the file looked for and the next step."""
    with pytest.raises(ClientError) as caught:
        find_gateway(home=tmp_path, environ={}, lang="en")

    assert caught.value.code == "gateway_unknown"
    assert str(tmp_path / "client.toml") in str(caught.value)
    assert "zscrape up" in str(caught.value)


@pytest.mark.parametrize("content", ["nonsense", 'url = "x"\n'])
def test_broken_client_file_is_told(tmp_path: Path, content: str) -> None:
    """A file that cannot be used is an error, not an absent gateway."""
    home = write_client_file(tmp_path, content)

    with pytest.raises(ClientError) as caught:
        find_gateway(home=home, environ={})

    assert caught.value.code == "config_invalid"


# ---- calls ---------------------------------------------------------------------------


def test_call_carries_key_language_and_body(stand_in: StandIn, client: Client) -> None:
    """A task is posted with the key, the language, and only the fields that were given."""
    stand_in.answers = [answering(202, {"request_id": "t", "status": "queued"})]

    document = client.submit("watch", {"pages": 2}, version="^1", timeout=None)

    method, target, headers, body = stand_in.requests[0]
    assert document["request_id"] == "t"
    assert (method, target) == ("POST", "/v1/tasks")
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-language"] == "ko"
    assert json.loads(body) == {
        "script_name": "watch",
        "parameters": {"pages": 2},
        "version": "^1",
    }


def test_no_key_sends_no_header(stand_in: StandIn) -> None:
    """Without a key nothing is sent in its place."""
    with Client(Gateway(stand_in.url, "", "test")) as client:
        client.status()

    assert "authorization" not in stand_in.requests[0][2]


@pytest.mark.parametrize(
    ("call", "method", "target"),
    [
        (lambda c: c.task("a/b"), "GET", "/v1/tasks/a/b"),
        (lambda c: c.task("t", wait_s=1.5), "GET", "/v1/tasks/t?wait=1.5"),
        (lambda c: c.tasks(status="failed", script=None), "GET", "/v1/tasks?status=failed"),
        (lambda c: c.cancel("t"), "POST", "/v1/tasks/t/cancel"),
        (lambda c: c.explain("t"), "GET", "/v1/tasks/t/explain"),
        (lambda c: c.result("t"), "GET", "/v1/tasks/t/result"),
        (lambda c: c.artifact("t", "a.csv"), "GET", "/v1/tasks/t/artifacts/a.csv"),
        (lambda c: c.scripts(), "GET", "/v1/scripts"),
        (lambda c: c.schema("s"), "GET", "/v1/scripts/s/schema"),
        (lambda c: c.workers(), "GET", "/v1/workers"),
        (lambda c: c.drain("w"), "POST", "/v1/workers/w/drain"),
        (lambda c: c.resume("w"), "POST", "/v1/workers/w/resume"),
        (lambda c: c.status(), "GET", "/status"),
    ],
)
def test_each_call_has_its_place(
    stand_in: StandIn, client: Client, call: Callable[[Client], object], method: str, target: str
) -> None:
    """Every method calls the path of the contract; names cannot leave their segment."""
    call(client)

    assert stand_in.requests[0][:2] == (method, target)


def test_lines_are_documents(stand_in: StandIn, client: Client) -> None:
    """Logs and items come line by line, each a JSON document; a line that is none stays text."""
    stand_in.answers = [lambda _: PlainTextResponse('{"message":"a"}\n\n{"message":"b"}\nodd')]

    assert list(client.logs("t")) == [{"message": "a"}, {"message": "b"}, "odd"]
    assert next(iter(client.items("t"))) == {"message": "a"}


@pytest.mark.parametrize("status", [200, 409, 422, 504])
def test_run_returns_the_envelope_whatever_the_outcome(
    stand_in: StandIn, client: Client, status: int
) -> None:
    """`POST /scrape` always answers with an envelope, and that is what the caller gets."""
    envelope = {"request_id": "t", "status": "failed", "error": {"code": "lock_held"}}
    stand_in.answers = [answering(status, envelope)]

    assert client.run("watch", timeout=5) == envelope


# ---- errors --------------------------------------------------------------------------


def test_problem_becomes_an_error_with_code_words_and_faults(
    stand_in: StandIn, client: Client
) -> None:
    """A problem document keeps its code, its words, its status and every fault."""
    problems = [{"pointer": "/parameters/url", "reason": "required"}]
    document = {"code": "params_invalid", "detail": "맞지 않습니다", "problems": problems}
    stand_in.answers = [answering(422, document | {"request_id": "r"})]

    with pytest.raises(ClientError) as caught:
        client.submit("watch")

    error = caught.value
    assert (error.code, error.status, error.request_id) == ("params_invalid", 422, "r")
    assert str(error) == "맞지 않습니다"
    assert error.problems == problems


def test_refused_stream_is_an_error(stand_in: StandIn, client: Client) -> None:
    """An error in place of lines is told as any other."""
    stand_in.answers = [answering(404, {"code": "not_found", "detail": "none"})]

    with pytest.raises(ClientError, match="none"):
        list(client.logs("t"))
    with pytest.raises(ClientError, match="none"):
        list(client.events("t"))

    assert len(stand_in.requests) == 2  # an answer is not asked for again


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: PlainTextResponse("<html>", 200),
        lambda _: PlainTextResponse("<html>", 502),
        lambda _: JSONResponse([1]),
        lambda _: PlainTextResponse("[" * 100_000, 200),
    ],
)
def test_answer_of_a_stranger_is_told(stand_in: StandIn, client: Client, answer: Answer) -> None:
    """What is no gateway's answer is said to be none, with the address to check."""
    stand_in.answers = [answer]

    with pytest.raises(ClientError) as caught:
        client.status()

    assert caught.value.code == "answer_invalid"
    assert stand_in.url in str(caught.value)


def test_silent_address_is_unreachable() -> None:
    """An address where nothing listens is told with the next step."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, KEY, retry=NO_RETRY) as client, pytest.raises(ClientError) as caught:
        client.status()

    assert caught.value.code == "gateway_unreachable"
    assert caught.value.status == 0
    assert "zscrape up" in str(caught.value)


# ---- events --------------------------------------------------------------------------


def stream(*events: str) -> Answer:
    """Return an answer that streams these events and closes."""
    return lambda _: StreamingResponse(iter(events), media_type="text/event-stream")


def test_events_end_with_the_result(stand_in: StandIn, client: Client) -> None:
    """A task is followed until its `result`."""
    stand_in.answers = [
        stream(
            'id: 1\nevent: state\ndata: {"status":"running"}\n\n',
            ": ping\n\n",
            'id: 2\nevent: item\ndata: {"n":1}\n\n',
            'id: 3\nevent: result\ndata: {"status":"completed"}\n\n',
            "id: 4\nevent: item\ndata: never read\n\n",
        )
    ]

    events = list(client.events("t"))

    assert events == [
        Event("state", "1", {"status": "running"}),
        Event("item", "2", {"n": 1}),
        Event("result", "3", {"status": "completed"}),
    ]


def test_broken_stream_is_taken_up_after_the_last_event(stand_in: StandIn, client: Client) -> None:
    """A connection that breaks costs nothing: the next one goes on behind the last event."""
    stand_in.answers = [
        stream("id: 7\nevent: item\ndata: 1\n\n"),
        stream(),
        stream("id: 8\nevent: result\ndata: {}\n\n"),
    ]

    kinds = [event.kind for event in client.events("t")]

    assert kinds == ["item", "result"]
    assert [headers.get("last-event-id") for _, _, headers, _ in stand_in.requests] == [
        None,
        "7",
        "7",
    ]


def test_stream_that_never_comes_back_is_an_error(stand_in: StandIn, client: Client) -> None:
    """After a few tries in vain the error is told instead of waiting for ever."""
    stand_in.answers = [stream()]

    with pytest.raises(ClientError) as caught:
        list(client.events("t"))

    assert caught.value.code == "gateway_unreachable"
    assert len(stand_in.requests) == 6


def test_event_format_is_the_standard_s() -> None:
    """Comments, several data lines, absent kinds and absent spaces are read by the standard."""
    lines = [
        "data:a",
        "data: b",
        "",
        ": comment",
        "retry: 5",
        "event",
        "",
        "event: x",
        "data: 1",
        "",
    ]

    events = list(read_events(iter(lines)))

    assert events == [Event("message", "", "a\nb"), Event("x", "", 1)]


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "gateway", "ftp://x", "http://", "http://[::1"])
def test_what_is_no_address_is_told_at_once(url: str) -> None:
    """A slip in an address is not tried again and again, and the right form is shown."""
    with pytest.raises(ClientError, match="http://HOST:PORT") as caught:
        Client(url, KEY)

    assert caught.value.code == "config_invalid"
