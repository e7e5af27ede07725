"""Bad input at every door: a clear error in both languages, nothing queued, nothing kept."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from zscrape.gateway.requests import BATCH_LIMIT_COUNT

NAME = b'"script_name":"anything"'
KOREAN = re.compile(r"[가-힣]")


def _with(field: str) -> bytes:
    return b"{" + NAME + b"," + field.encode() + b"}"


def _nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


# Body, HTTP status, code, pointer of the first problem (None: the whole body is at fault).
BODIES: list[tuple[str, bytes, int, str, str | None]] = [
    ("empty", b"", 400, "malformed_json", None),
    ("white space", b"  \n ", 400, "malformed_json", None),
    ("cut", b'{"script_name":"any', 400, "malformed_json", None),
    ("python", b"{'script_name': 'anything'}", 400, "malformed_json", None),
    ("trailing comma", b"{" + NAME + b",}", 400, "malformed_json", None),
    ("two documents", b"{" + NAME + b"}{}", 400, "malformed_json", None),
    ("byte order mark", b"\xef\xbb\xbf{" + NAME + b"}", 400, "malformed_json", None),
    ("form", b"script_name=anything", 400, "malformed_json", None),
    ("not utf-8", b'{"script_name":"\xff\xfe"}', 400, "malformed_json", None),
    (
        "not utf-8 inside",
        _with('"parameters":{"a":"X"}').replace(b"X", b"\xff"),
        400,
        "malformed_json",
        None,
    ),
    ("raw NUL", b'{"script_name":"any\x00thing"}', 400, "malformed_json", None),
    ("half a surrogate pair", _with(r'"parameters":{"a":"\ud800"}'), 400, "malformed_json", None),
    ("NaN", _with('"timeout":NaN'), 400, "malformed_json", None),
    ("Infinity", _with('"timeout":Infinity'), 400, "malformed_json", None),
    ("-Infinity", _with('"timeout":-Infinity'), 400, "malformed_json", None),
    ("NaN inside", _with('"parameters":{"a":NaN}'), 400, "malformed_json", None),
    ("unclosed brackets", b"[" * 200_000, 422, "invalid_request", ""),
    ("unclosed braces", b'{"a":' * 100_000, 422, "invalid_request", "/a"),
    ("unclosed inside", _with('"parameters":' + "[" * 200_000), 400, "malformed_json", None),
    ("number", b"5", 422, "invalid_request", ""),
    ("text", b'"anything"', 422, "invalid_request", ""),
    ("null", b"null", 422, "invalid_request", ""),
    ("nothing in it", b"{}", 422, "invalid_request", "/script_name"),
    ("name is null", b'{"script_name":null}', 422, "invalid_request", "/script_name"),
    ("name is a number", b'{"script_name":1}', 422, "invalid_request", "/script_name"),
    ("name is empty", b'{"script_name":""}', 422, "invalid_request", "/script_name"),
    (
        "name is long",
        b'{"script_name":"%s"}' % (b"x" * 201),
        422,
        "invalid_request",
        "/script_name",
    ),
    (
        "NUL in the name",
        rb'{"script_name":"any\u0000thing"}',
        422,
        "invalid_request",
        "/script_name",
    ),
    (
        "line end in the name",
        rb'{"script_name":"any\nthing"}',
        422,
        "invalid_request",
        "/script_name",
    ),
    ("unknown field", _with('"tiemout":5'), 422, "invalid_request", "/tiemout"),
    ("unknown field, none near", _with('"zzz":5'), 422, "invalid_request", "/zzz"),
    ("unknown field, long", _with(f'"{"z" * 5000}":5'), 422, "invalid_request", "/" + "z" * 80),
    ("timeout 0", _with('"timeout":0'), 422, "invalid_request", "/timeout"),
    ("timeout -0.0", _with('"timeout":-0.0'), 422, "invalid_request", "/timeout"),
    ("timeout negative", _with('"timeout":-1'), 422, "invalid_request", "/timeout"),
    ("timeout 1e9", _with('"timeout":1e9'), 422, "invalid_request", "/timeout"),
    ("timeout 1e999", _with('"timeout":1e999'), 422, "invalid_request", "/timeout"),
    ("timeout of many digits", _with('"timeout":' + "9" * 400), 422, "invalid_request", "/timeout"),
    ("timeout text", _with('"timeout":"5"'), 422, "invalid_request", "/timeout"),
    ("timeout true", _with('"timeout":true'), 422, "invalid_request", "/timeout"),
    ("timeout array", _with('"timeout":[5]'), 422, "invalid_request", "/timeout"),
    ("priority 101", _with('"priority":101'), 422, "invalid_request", "/priority"),
    ("priority -101", _with('"priority":-101'), 422, "invalid_request", "/priority"),
    ("priority 1.5", _with('"priority":1.5'), 422, "invalid_request", "/priority"),
    ("priority text", _with('"priority":"high"'), 422, "invalid_request", "/priority"),
    ("priority huge", _with('"priority":' + "9" * 100), 422, "invalid_request", "/priority"),
    (
        "priority beyond digits",
        _with('"priority":' + "9" * 5000),
        422,
        "invalid_request",
        "/priority",
    ),
    ("parameters array", _with('"parameters":[]'), 422, "invalid_request", "/parameters"),
    ("parameters text", _with('"parameters":"url"'), 422, "invalid_request", "/parameters"),
    ("parameters number", _with('"parameters":1'), 422, "invalid_request", "/parameters"),
    ("parameters null", _with('"parameters":null'), 422, "invalid_request", "/parameters"),
    ("parameters too deep", _with('"parameters":' + _nested(33)), 422, "invalid_request", ""),
    ("parameters far too deep", _with('"parameters":' + _nested(5000)), 422, "invalid_request", ""),
    ("metadata too deep", _with('"metadata":' + _nested(33)), 422, "invalid_request", ""),
    (
        "metadata number too large",
        _with('"metadata":{"a":[18446744073709551616]}'),
        422,
        "invalid_request",
        "/metadata",
    ),
    (
        "metadata number too small",
        _with('"metadata":{"a":-9223372036854775809}'),
        422,
        "invalid_request",
        "/metadata",
    ),
    (
        "number too large inside",
        _with('"parameters":{"a":1e999}'),
        422,
        "invalid_request",
        "/parameters",
    ),
    ("version is a number", _with('"version":1.0'), 422, "invalid_request", "/version"),
    ("version is empty", _with('"version":""'), 422, "invalid_request", "/version"),
    ("version is nonsense", _with('"version":">=<1"'), 422, "version_not_found", None),
    ("tags text", _with('"tags":"kr"'), 422, "invalid_request", "/tags"),
    ("tags numbers", _with('"tags":["a",1]'), 422, "invalid_request", "/tags/1"),
    ("tags empty", _with('"tags":[""]'), 422, "invalid_request", "/tags/0"),
    ("tags many", _with(f'"tags":{["a"] * 33}'.replace("'", '"')), 422, "invalid_request", "/tags"),
    ("lock_key empty", _with('"lock_key":""'), 422, "invalid_request", "/lock_key"),
    ("lock_key number", _with('"lock_key":1'), 422, "invalid_request", "/lock_key"),
    (
        "overlap unknown",
        _with('"lock_key":"a","overlap":"maybe"'),
        422,
        "invalid_request",
        "/overlap",
    ),
    (
        "retry of a success",
        _with('"retry":{"max":1,"on":["blocked","ok"]}'),
        422,
        "invalid_request",
        "/retry/on",
    ),
    ("overlap without a lock", _with('"overlap":"skip"'), 422, "invalid_request", "/overlap"),
    ("retry number", _with('"retry":3'), 422, "invalid_request", "/retry"),
    ("retry unknown field", _with('"retry":{"maxx":3}'), 422, "invalid_request", "/retry/maxx"),
    ("retry negative", _with('"retry":{"max":-1}'), 422, "invalid_request", "/retry/max"),
    (
        "retry unknown code",
        _with('"retry":{"max":1,"on":["weather"]}'),
        422,
        "invalid_request",
        "/retry/on",
    ),
    (
        "retry back-off",
        _with('"retry":{"max":1,"backoff":[-1]}'),
        422,
        "invalid_request",
        "/retry/backoff/0",
    ),
    (
        "retry no back-off",
        _with('"retry":{"max":1,"backoff":[]}'),
        422,
        "invalid_request",
        "/retry/backoff",
    ),
    ("max_age negative", _with('"max_age":-1'), 422, "invalid_request", "/max_age"),
    ("max_age text", _with('"max_age":"1h"'), 422, "invalid_request", "/max_age"),
    ("webhook text", _with('"webhook":"http://a/"'), 422, "invalid_request", "/webhook"),
    ("webhook without url", _with('"webhook":{}'), 422, "invalid_request", "/webhook"),
    (
        "webhook of a space",
        _with('"webhook_url":"http://a/ b"'),
        422,
        "invalid_request",
        "/webhook_url",
    ),
    ("webhook of nothing", _with('"webhook_url":""'), 422, "invalid_request", "/webhook_url"),
    (
        "webhook of IPv6",
        _with('"webhook_url":"http://[::1"'),
        422,
        "invalid_request",
        "/webhook_url",
    ),
    ("metadata text", _with('"metadata":"x"'), 422, "invalid_request", "/metadata"),
]
IDS = [body[0] for body in BODIES]


def _error(answer: httpx.Response) -> dict[str, Any]:
    """Return code, words and problems of an answer, whichever form it has."""
    told = answer.json()
    if "error" in told:
        error: dict[str, Any] = told["error"]
        return error
    return {"code": told["code"], "message": told["detail"], "problems": told.get("problems", [])}


@pytest.mark.parametrize("path", ["/scrape", "/v1/tasks"])
@pytest.mark.parametrize(("name", "body", "status", "code", "pointer"), BODIES, ids=IDS)
async def test_bad_bodies(gateway, client, path, name, body, status, code, pointer):
    """Each bad body is refused with its code and place, in both languages, and leaves nothing."""
    gateway.worker()

    english = await client.post(path, content=body)
    korean = await client.post(path, content=body, headers={"Accept-Language": "ko"})

    told, told_korean = _error(english), _error(korean)
    assert (english.status_code, told["code"]) == (status, code), english.text
    assert (korean.status_code, told_korean["code"]) == (status, code)
    if pointer is not None:
        assert told["problems"][0]["pointer"].startswith(pointer)
        assert told["problems"][0]["reason"]
    assert not KOREAN.search(told["message"])
    assert KOREAN.search(told_korean["message"])
    assert "{" not in told["message"]  # no placeholder is left open
    assert len(english.content) < 2_000
    assert gateway.router.submitted_count == 0
    assert gateway.quiet()
    assert (await client.get("/v1/tasks")).json()["tasks"] == []


async def test_nearest_field_is_offered(client):
    """A mistyped field is answered with the one that was probably meant."""
    answer = await client.post("/scrape", content=_with('"tiemout":5'))

    assert answer.json()["error"]["message"] == (
        "/tiemout: there is no field tiemout. Did you mean timeout?"
    )
    assert answer.json()["error"]["problems"][0]["reason"] == (
        "there is no field tiemout. Did you mean timeout?"
    )


@pytest.mark.parametrize(
    "body",
    [
        _with('"parameters":' + _nested(32)),
        _with('"parameters":{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}'),
        _with(r'"parameters":{"a":"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}'),
        _with('"parameters":{"a":[' + "[],{}," * 1000 + "1]}"),
        _with(r'"parameters":{"a":"\u0000"}'),
        _with('"parameters":{"a":' + "9" * 400 + "}"),
        _with('"timeout":86400,"priority":-100'),
        _with('"timeout":0.5,"priority":100'),
        _with('"timeout":null,"version":null,"tags":[]'),
        b" \n{" + NAME + b"}\n",
    ],
)
async def test_unusual_but_good(gateway, client, body):
    """What is unusual and allowed is run."""
    gateway.worker()

    answer = await client.post("/scrape", content=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text


async def test_every_content_type_is_taken(gateway, client):
    """The body is JSON whatever its type says: `curl -d` says it is a form."""
    gateway.worker()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/scrape", content=b"{" + NAME + b"}", headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/scrape", "/v1/tasks", "/v1/tasks/batch", "/v1/scripts/page/run"]
)
async def test_oversized_body(gateway, client, path):
    """A body over the limit is 413, told by its length or not."""
    body = _with(f'"metadata":{{"a":"{"x" * 1_100_000}"}}')

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    told = await client.post(path, content=body)
    untold = await client.post(path, content=pieces())

    assert (told.status_code, _error(told)["code"]) == (413, "body_too_large")
    assert (untold.status_code, _error(untold)["code"]) == (413, "body_too_large")
    assert "1048576" in _error(told)["message"]
    assert gateway.router.submitted_count == 0


async def test_body_of_the_limit(gateway, client):
    """A body of exactly the limit is taken."""
    gateway.worker()
    frame = _with('"metadata":{"a":""}')
    body = frame.replace(b'""', b'"' + b"x" * (1024 * 1024 - len(frame)) + b'"')

    answer = await client.post("/scrape", content=body)

    assert len(body) == 1024 * 1024
    assert answer.status_code == 200


# ---- many tasks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""),
        (b'{"tasks":[]}', ""),
        (b'{"task":[]}', "/task"),
        (b'{"tasks":{}}', "/tasks"),
        (b"[1]", "/0"),
        (b'[{"script_name":"anything"},{"script_name":"anything","timeout":0}]', "/1/timeout"),
        (b'[{"script_name":"anything","prioritty":1}]', "/0/prioritty"),
        (b'[{"script_name":"anything","parameters":[]}]', "/0/parameters"),
        (b'[{"script_name":"anything","overlap":"skip"}]', "/0/overlap"),
    ],
)
async def test_bad_batches(gateway, client, body, pointer):
    """A batch with a fault anywhere is refused whole, with the place of the fault."""
    gateway.worker()

    answer = await client.post("/v1/tasks/batch", content=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert answer.json()["problems"][0]["pointer"].startswith(pointer)
    assert gateway.router.submitted_count == 0


async def test_batch_with_parameters_that_do_not_fit(gateway, client):
    """Every misfit of a batch is told at once, and nothing is queued."""
    good = {"script_name": "page", "parameters": {"url": "a"}}
    bad = {"script_name": "page", "parameters": {"url": 1}}

    answer = await client.post("/v1/tasks", json=[good, bad, good, {"script_name": "page"}])

    pointers = [problem["pointer"] for problem in answer.json()["problems"]]
    assert (answer.status_code, answer.json()["code"]) == (422, "params_invalid")
    assert pointers == ["/1/parameters/url", "/3/parameters/url"]
    assert gateway.router.submitted_count == 0


async def test_pointers_into_a_batch_in_an_object(gateway, client):
    """Pointers are into the body as it came: `/tasks/1/...` for an object with `tasks`."""
    good = {"script_name": "page", "parameters": {"url": "a"}}
    bad = {"script_name": "page", "parameters": {"url": 1}}
    lockless = {**good, "overlap": "skip"}

    misfit = await client.post("/v1/tasks/batch", json={"tasks": [good, bad]})
    fault = await client.post("/v1/tasks/batch", json={"tasks": [good, lockless]})

    assert misfit.json()["problems"][0]["pointer"] == "/tasks/1/parameters/url"
    assert fault.json()["problems"][0]["pointer"] == "/tasks/1/overlap"
    assert gateway.router.submitted_count == 0


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"script_name": "nope"}, "script_not_found"),
        ({"script_name": "page", "version": "9"}, "version_not_found"),
        ({"script_name": "broken"}, "manifest_invalid"),
    ],
)
async def test_batch_says_which_task_has_no_script(gateway, client, bad, code):
    """A script that cannot be resolved is told with the place of its task."""
    good = {"script_name": "page", "parameters": {"url": "a"}}

    alone = await client.post("/v1/tasks", json=bad)
    answer = await client.post("/v1/tasks", json=[good, good, bad])
    inside = await client.post("/v1/tasks/batch", json={"tasks": [bad]})

    told = answer.json()
    assert (answer.status_code, told["code"]) == (alone.status_code, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["problems"][0] == {"pointer": "/2/script_name", "reason": told["detail"]}
    assert told["problems"][1:] == alone.json().get("problems", [])
    assert inside.json()["problems"][0]["pointer"] == "/tasks/0/script_name"
    assert gateway.router.submitted_count == 0


async def test_malformed_json_tells_nothing_of_our_own_names(client):
    """Beside the words only the reason and the byte are told."""
    at_byte = (await client.post("/v1/tasks", content=b'{"script_name":?}')).json()
    too_early = (await client.post("/v1/tasks", content=b'{"script_name"')).json()

    assert at_byte["details"].keys() == {"reason", "byte"}
    assert at_byte["details"]["byte"] in at_byte["detail"]
    assert too_early["details"].keys() == {"reason"}


async def test_batch_of_too_many(gateway, client):
    """More tasks than a call takes are refused."""
    body = b"[" + b",".join([b"{" + NAME + b"}"] * (BATCH_LIMIT_COUNT + 1)) + b"]"

    answer = await client.post("/v1/tasks", content=body)

    assert answer.status_code == 422
    assert str(BATCH_LIMIT_COUNT) in answer.json()["detail"]
    assert gateway.router.submitted_count == 0


async def test_unknown_script_outside_scrape(gateway, client):
    """Outside `/scrape` an unknown script is a 404 problem, and nothing is kept."""
    one = await client.post("/v1/tasks", json={"script_name": "nope"})
    many = await client.post("/v1/tasks", json=[{"script_name": "nope"}])
    run = await client.post("/v1/scripts/nope/run", json={})

    for answer in (one, many, run):
        assert (answer.status_code, answer.json()["code"]) == (404, "script_not_found")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert (await client.get("/v1/tasks")).json()["tasks"] == []


# ---- queries and headers -------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=٣", "limit"),
        ("limit=" + "9" * 40, "limit"),
        ("limit=1&limit=2", "limit"),
        ("limt=1", "limt"),
        ("zzz=1", "zzz"),
        ("status=done", "status"),
        ("status=queued,done", "status"),
        ("since=yesterday", "since"),
        ("since=99999-01-01T00:00:00Z", "since"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=!!!", "cursor"),
        ("cursor=" + "QUFB" * 100, "cursor"),
        ("cursor=커서", "cursor"),
        ("cursor=dA", "cursor"),
        ("cursor=dC0x", "cursor"),
    ],
)
async def test_bad_queries(client, query, pointer):
    """A query that cannot be meant is 422 and names the parameter, in both languages."""
    english = await client.get(f"/v1/tasks?{query}")
    korean = await client.get(f"/v1/tasks?{query}", headers={"Accept-Language": "ko"})

    assert (english.status_code, english.json()["code"]) == (422, "invalid_request"), english.text
    assert english.json()["problems"][0]["pointer"] == pointer
    assert KOREAN.search(korean.json()["detail"])


@pytest.mark.parametrize("wait", ["x", "-1", "nan", "inf", "1_000", ""])
async def test_bad_wait(gateway, client, wait):
    """`?wait=` takes seconds and nothing else."""
    gateway.worker()
    task = (await client.post("/scrape", content=b"{" + NAME + b"}")).json()

    answer = await client.get(f"/v1/tasks/{task['request_id']}?wait={wait}")

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "wait"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "1e9", "x", "86401"])
async def test_bad_timeout_of_run(gateway, client, timeout):
    """`?timeout=` of a run has the limits that it has in a body."""
    answer = await client.post(f"/v1/scripts/anything/run?timeout={timeout}", json={})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "timeout"
    assert gateway.router.submitted_count == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"5", 422),
        (b'"a"', 422),
        (b'{"a":NaN}', 400),
        (b"\xff", 400),
        (b'{"a":' * 33 + b"1" + b"}" * 33, 422),
    ],
)
@pytest.mark.parametrize("call", ["run", "validate"])
async def test_bad_parameters_of_run(gateway, client, call, body, status):
    """The body of a run is a JSON object within the limits."""
    answer = await client.post(f"/v1/scripts/anything/{call}", content=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.router.submitted_count == 0


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "한글", "a\tb"])
async def test_bad_idempotency_key(gateway, client, key):
    """An Idempotency-Key is a short visible text."""
    gateway.worker()
    headers = {"Idempotency-Key": key.encode()}

    answer = await client.post("/scrape", content=b"{" + NAME + b"}", headers=headers)

    assert answer.status_code == 422
    assert gateway.router.submitted_count == 0


async def test_idempotency_key_of_a_batch(gateway, client):
    """An Idempotency-Key stands for one task."""
    answer = await client.post(
        "/v1/tasks", content=b"[{" + NAME + b"}]", headers={"Idempotency-Key": "a"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert gateway.router.submitted_count == 0


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tasks/nope",
        "/v1/tasks/" + "x" * 3000,
        "/v1/tasks/%00",
        "/v1/tasks/..%2f..",
        "/nope",
        "/v1/",
        "/scrape/",
        "/v1/tasks/",
        "/.//scrape",
        "/v1/scripts/a/b/c/d",
    ],
)
async def test_unknown_paths(client, path):
    """What does not exist is a 404 problem of bounded length."""
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert len(answer.content) < 1_500


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/scrape", "POST"),
        ("PUT", "/v1/tasks", "POST"),
        ("POST", "/health", "GET"),
        ("DELETE", "/v1/scripts/page", "GET"),
        ("BREW", "/v1/workers", "GET"),
    ],
)
async def test_wrong_method(client, method, path, allowed):
    """A wrong method is a 405 problem that names the right ones."""
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert allowed in answer.headers["allow"]


async def test_a_body_is_never_echoed_whole(client):
    """An error quotes what was given, but not without end."""
    long = "x" * 100_000
    answers = [
        await client.post("/scrape", json={"script_name": "anything", "overlap": long}),
        await client.post("/scrape", json={"script_name": "anything", long: 1}),
        await client.post("/v1/tasks", json={"script_name": "anything", "version": "^" * 200}),
        await client.get(f"/v1/tasks?status={long[:20_000]}"),
    ]

    for answer in answers:
        assert answer.status_code == 422
        assert len(answer.content) < 2_000


def test_table_covers_every_field():
    """The table above has a fault for every field of a request."""
    from zscrape.gateway.requests import TASK_FIELDS

    told = {pointer.split("/")[1] for _, _, _, _, pointer in BODIES if pointer}

    assert set(TASK_FIELDS) <= told
