"""POST /scrape: one envelope for every end, with the contract's statuses."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ScriptedWorker, ending, hold
from zscrape import wire
from zscrape.config.settings import ScriptDefaults
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.tasks import TaskPolicy
from zscrape.model import OutcomeCode, QueuePolicy

ENVELOPE_FIELDS = {
    "request_id",
    "status",
    "data",
    "error",
    "execution_time",
    "script_name",
    "version",
    "digest",
    "worker_id",
    "attempts",
    "item_count",
    "artifacts",
    "created_at",
    "finished_at",
    "queue_time",
}
PAGE = {"script_name": "page", "parameters": {"url": "https://example.com/"}}


async def test_completed(gateway, client):
    """A script that ends well is answered 200 with its data and all facts of the contract."""
    gateway.worker()

    answer = await client.post("/scrape", json=PAGE)

    envelope = answer.json()
    assert answer.status_code == 200
    assert set(envelope) == ENVELOPE_FIELDS
    assert envelope["status"] == "completed"
    assert envelope["data"] == {"url": "https://example.com/"}
    assert envelope["error"] is None
    assert envelope["version"] == "1.4.2"
    assert envelope["digest"].startswith("sha256:")
    assert (envelope["worker_id"], envelope["attempts"]) == ("w1", 1)
    assert envelope["execution_time"] == 0.01
    assert envelope["queue_time"] >= 0
    assert answer.headers["x-request-id"] == envelope["request_id"]
    assert gateway.quiet()


async def test_data_is_untouched(gateway, client):
    """The script's own bytes stand in the answer, number by number."""
    raw = b'{"big": 123456789012345678901234567890, "exact": 1.10, "text": "\\ud55c"}'
    gateway.worker(lambda worker, run: worker.ok(run, raw))

    answer = await client.post("/scrape", json=PAGE)

    assert b'"data":' + raw in answer.content


async def test_script_error(gateway, client):
    """What a script raises is 200 `failed` with its type, message and traceback."""
    script = ending(
        OutcomeCode.SCRIPT_ERROR, error_type="ValueError", error_message="no", traceback="main.py:1"
    )
    gateway.worker(script)

    answer = await client.post("/scrape", json=PAGE)

    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert error["code"] == "script_error"
    assert error["message"] == "The script raised ValueError: no"
    assert (error["type"], error["traceback"]) == ("ValueError", "main.py:1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"script_name": "pagee"}, "script_not_found"),
        ({"script_name": "No Such Script!"}, "script_not_found"),
        ({"script_name": "../../etc/passwd"}, "script_not_found"),
        ({**PAGE, "version": "9.9.9"}, "version_not_found"),
        ({**PAGE, "version": "canary"}, "version_not_found"),
        ({"script_name": "broken"}, "manifest_invalid"),
    ],
)
async def test_script_cannot_be_resolved(gateway, client, body, code):
    """A script that cannot be resolved is a task that has failed: 200, kept, never queued."""
    gateway.worker()

    answer = await client.post("/scrape", json=body)
    kept = await client.get(f"/v1/tasks/{answer.json()['request_id']}")

    assert answer.status_code == 200
    assert answer.json()["status"] == "failed"
    assert answer.json()["error"]["code"] == code
    assert kept.json()["error"]["code"] == code
    assert gateway.router.submitted_count == 0


async def test_nearest_name_is_offered(client):
    """A mistyped script name is answered with the nearest known one, in the reader's language."""
    english = await client.post("/scrape", json={"script_name": "pagee"})
    korean = await client.post(
        "/scrape", json={"script_name": "pagee"}, headers={"Accept-Language": "ko-KR,ko;q=0.9"}
    )

    assert "Did you mean page?" in english.json()["error"]["message"]
    assert "혹시 page입니까?" in korean.json()["error"]["message"]


async def test_parameters_that_do_not_fit(gateway, client):
    """Parameters that do not fit are 422 with a pointer each, and nothing is queued or kept."""
    body = {"script_name": "page", "parameters": {"url": 5, "pagess": 1}}

    answer = await client.post("/scrape", json=body)
    history = await client.get("/v1/tasks")

    pointers = {problem["pointer"] for problem in answer.json()["error"]["problems"]}
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "params_invalid"
    assert pointers == {"/parameters/url", "/parameters/pagess"}
    assert history.json()["tasks"] == []
    assert gateway.router.submitted_count == 0


async def test_timeout(gateway, client):
    """When `timeout` passes the answer is 504 with the envelope, and the worker is told to stop."""
    worker = gateway.worker(hold)

    answer = await client.post("/scrape", json={**PAGE, "timeout": 0.05})

    assert answer.status_code == 504
    assert answer.json()["status"] == "timed_out"
    assert answer.json()["error"]["code"] == "timeout"
    assert answer.json()["error"]["details"]["limit_s"] == 0.05
    assert any(isinstance(message, wire.Cancel) for message in worker.received)


async def test_timeout_while_queued(gateway, client):
    """Time spent waiting for a slot counts too."""
    gateway.worker(hold, slots=1)
    first = asyncio.create_task(client.post("/scrape", json={**PAGE, "timeout": 5}))
    await gateway.router.workers[b"w1"].runs.get()

    answer = await client.post("/scrape", json={**PAGE, "timeout": 0.05})

    assert answer.status_code == 504
    first.cancel()


async def test_expired(make):
    """A task that gets no slot in time is 504 `expired`."""
    gateway = make(tasks=TaskPolicy(schedule_timeout_s=0.05, match_timeout_s=5))
    worker = gateway.worker(hold, slots=1)
    async with gateway.client() as client:
        first = asyncio.create_task(client.post("/scrape", json=PAGE))
        run = await worker.runs.get()
        answer = await client.post("/scrape", json=PAGE)
        worker.ok(run)
        await first

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "expired")


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (3, 3), (100, 7)])
async def test_reuse_of_processes_is_capped(make, folder, limit, count):
    """A worker hears how many attempts may share a process, and whose they are."""
    home = folder / "scripts" / "again"
    home.mkdir()
    (home / "main.py").write_text("def run():\n    return 1")
    (home / "metadata.json").write_text('{"name": "again", "version": "1.0.0", "reuse": 7}')
    gateway = make(tasks=TaskPolicy(reuse_limit=limit))
    worker = gateway.worker(hold)
    async with gateway.client() as client:
        asked = asyncio.create_task(client.post("/scrape", json={"script_name": "again"}))
        run = await worker.runs.get()
        worker.ok(run)
        await asked

    assert run.run.reuse_count == count
    assert bool(run.client) == (count > 1)


async def test_no_matching_worker(gateway, client):
    """With no worker that could run it the answer is soon 503 with Retry-After."""
    gateway.worker(tags=("us",))

    answer = await client.post("/scrape", json={"script_name": "korean"})

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_matching_worker"
    assert "kr" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) > 0


async def test_request_tags_choose_workers(gateway, client):
    """`tags` of a request are required of the worker beside those of the script."""
    gateway.worker(worker_id="plain")
    gateway.worker(worker_id="tagged", tags=("gpu",))

    answer = await client.post("/scrape", json={**PAGE, "tags": ["gpu"]})

    assert answer.json()["worker_id"] == "tagged"


async def test_queue_full(make):
    """A full queue is 503 `queue_full` with Retry-After; the task is not kept."""
    gateway = make(queue=QueuePolicy(limit_count=1))
    worker = gateway.worker(hold, slots=1)
    async with gateway.client() as client:
        tasks = [asyncio.create_task(client.post("/scrape", json=PAGE)) for _ in range(2)]
        run = await worker.runs.get()
        await until(lambda: gateway.router.snapshot().queued_count >= 1)
        answer = await client.post("/scrape", json=PAGE)
        history = await client.get("/v1/tasks")
        worker.ok(run)
        worker.ok(await worker.runs.get())
        await asyncio.gather(*tasks)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "queue_full"
    assert answer.json()["status"] == "failed"
    assert int(answer.headers["retry-after"]) > 0
    assert len(history.json()["tasks"]) == 2
    assert gateway.quiet()


async def test_draining(gateway, client):
    """A gateway that drains answers 503 `draining`."""
    gateway.worker()
    gateway.router.dispatcher.refuse_new(now=0.0)

    answer = await client.post("/scrape", json=PAGE)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")


async def test_closing_wakes_waiting_calls(gateway, client):
    """Calls that wait when the gateway closes are answered 503 at once."""
    worker = gateway.worker(hold)
    call = asyncio.create_task(client.post("/scrape", json=PAGE))
    await worker.runs.get()
    gateway.hub.close()

    answer = await call

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")


async def test_lock_held(gateway, client):
    """A held lock is 409, naming the key, its holder and since when."""
    worker = gateway.worker(hold)
    body = {"script_name": "locked", "parameters": {"url": "a"}}
    first = asyncio.create_task(client.post("/scrape", json=body))
    run = await worker.runs.get()

    answer = await client.post("/scrape", json=body)
    other = asyncio.create_task(
        client.post("/scrape", json={"script_name": "locked", "parameters": {"url": "b"}})
    )
    worker.ok(await worker.runs.get())
    worker.ok(run)

    error = answer.json()["error"]
    assert answer.status_code == 409
    assert error["code"] == "lock_held"
    assert error["details"]["key"] == "page:a"
    assert error["details"]["holder"] == run.task_id
    assert error["details"]["age_s"] >= 0
    assert (await other).status_code == 200
    assert (await first).status_code == 200


async def test_lock_of_the_request(gateway, client):
    """`lock_key` locks without a manifest's lock, and `overlap` says what to do."""
    worker = gateway.worker(hold)
    body = {**PAGE, "lock_key": "mine"}
    first = asyncio.create_task(client.post("/scrape", json=body))
    run = await worker.runs.get()

    refused = await client.post("/scrape", json=body)
    second = asyncio.create_task(client.post("/scrape", json={**body, "overlap": "queue_all"}))
    worker.ok(run)
    worker.ok(await worker.runs.get())

    assert refused.status_code == 409
    assert (await first).json()["status"] == (await second).json()["status"] == "completed"


async def test_overlap_replaces(gateway, client):
    """`overlap: replace` cancels the holder, whose caller is told so."""
    worker = gateway.worker(hold)
    body = {"script_name": "locked", "parameters": {"url": "a"}}
    first = asyncio.create_task(client.post("/scrape", json=body))
    await worker.runs.get()

    second = asyncio.create_task(client.post("/scrape", json={**body, "overlap": "replace"}))
    worker.ok(await worker.runs.get())

    assert (await first).json()["status"] == "cancelled"
    assert (await second).json()["status"] == "completed"


async def test_prefer_wait(gateway, client):
    """`Prefer: wait=N` ends the call with 202 and where the task is; the task goes on."""
    worker = gateway.worker(hold)

    answer = await client.post("/scrape", json=PAGE, headers={"Prefer": "wait=0.05"})
    run = await worker.runs.get()
    worker.ok(run, {"late": True})
    task = await client.get(answer.headers["location"])

    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    assert answer.headers["location"] == f"/v1/tasks/{answer.json()['request_id']}"
    assert answer.json()["links"]["self"] == answer.headers["location"]
    assert task.json()["data"] == {"late": True}
    assert gateway.quiet()


@pytest.mark.parametrize("prefer", ["wait=nan", "wait=-1", "wait=x", "respond-async", "wait"])
async def test_prefer_that_says_nothing(gateway, client, prefer):
    """A preference that cannot be read is no preference (RFC 7240)."""
    gateway.worker()

    answer = await client.post("/scrape", json=PAGE, headers={"Prefer": prefer})

    assert answer.status_code == 200


async def test_prefer_of_a_finished_task(gateway, client):
    """A task that ends within the wait is answered as always."""
    gateway.worker()

    answer = await client.post("/scrape", json=PAGE, headers={"Prefer": "wait=10"})

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_large_data_is_linked(make):
    """Data over the inline limit is linked instead, and served whole at the link."""
    gateway = make(http=HttpPolicy(inline_limit_bytes=100))
    raw = b'"' + b"x" * 700_000 + b'"'
    gateway.worker(lambda worker, run: worker.ok(run, raw))
    async with gateway.client() as client:
        answer = await client.post("/scrape", json=PAGE)
        data = await client.get(answer.json()["links"]["result"])

    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert data.content == raw
    assert data.headers["content-type"] == "application/json"


async def test_retry(gateway, client):
    """`retry` of a request tries again, and the answer tells of the last attempt."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        if run.attempt == 1:
            worker.say(run, ("item", 1), ("progress", {"fraction": 0.5, "text": "half"}))
            worker.fail(run, OutcomeCode.BLOCKED, error_message="403")
        else:
            worker.say(run, ("item", 2))
            worker.ok(run, "second", item_count=1)

    gateway.worker(script)
    body = {**PAGE, "retry": {"max": 2, "backoff": [0.01]}}

    answer = await client.post("/scrape", json=body)
    items = await client.get(f"/v1/tasks/{answer.json()['request_id']}/items")

    assert answer.json()["data"] == "second"
    assert (answer.json()["attempts"], answer.json()["item_count"]) == (2, 1)
    assert items.json() == [2]


async def test_retry_exhausted(gateway, client):
    """When no try is left the last failure is the answer."""
    gateway.worker(ending(OutcomeCode.BLOCKED, error_message="403"))
    body = {**PAGE, "retry": {"max": 1, "backoff": [0.01], "on": ["blocked"]}}

    answer = await client.post("/scrape", json=body)

    assert answer.json()["status"] == "failed"
    assert answer.json()["error"]["code"] == "blocked"
    assert answer.json()["attempts"] == 2


async def test_max_age(gateway, client):
    """`max_age` takes an earlier answer to the same question instead of asking again."""
    gateway.worker()
    first = await client.post("/scrape", json=PAGE)

    same = await client.post("/scrape", json={**PAGE, "max_age": 60})
    fresh = await client.post("/scrape", json={**PAGE, "max_age": 0})
    other = await client.post(
        "/scrape", json={"script_name": "page", "parameters": {"url": "b"}, "max_age": 60}
    )

    assert same.json()["request_id"] == first.json()["request_id"]
    assert fresh.json()["request_id"] != first.json()["request_id"]
    assert other.json()["data"] == {"url": "b"}


async def test_idempotency_key(gateway, client):
    """The same key and body are one task, also while it runs; another body is 409."""
    worker = gateway.worker(hold)
    headers = {"Idempotency-Key": "order-1"}
    calls = [
        asyncio.create_task(client.post("/scrape", json=PAGE, headers=headers)) for _ in range(20)
    ]
    worker.ok(await worker.runs.get(), "once")

    answers = await asyncio.gather(*calls)
    again = await client.post("/scrape", json=PAGE, headers=headers)
    conflict = await client.post("/scrape", json={**PAGE, "priority": 1}, headers=headers)

    assert {answer.json()["request_id"] for answer in answers} == {again.json()["request_id"]}
    assert gateway.router.submitted_count == 1
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert conflict.json()["error"]["details"]["holder"] == again.json()["request_id"]


async def test_settings_give_a_script_defaults(make):
    """`[scripts.NAME]` fills in what a request leaves open, and the request has the last word."""
    default = ScriptDefaults(
        parameters={"url": "default", "pages": 3}, timeout_s=7.0, tags=("gpu",), version="1.x"
    )
    gateway = make(defaults={"page": default})
    worker = gateway.worker(tags=("gpu",))
    async with gateway.client() as client:
        filled = await client.post("/scrape", json={"script_name": "page"})
        given = await client.post(
            "/scrape", json={"script_name": "page", "parameters": {"url": "mine"}}
        )
        task = await client.get(f"/v1/tasks/{given.json()['request_id']}")

    assert filled.json()["data"] == {"url": "default", "pages": 3}
    assert given.json()["data"] == {"url": "mine", "pages": 3}
    assert (task.json()["timeout"], task.json()["tags"]) == (7.0, ["gpu"])
    assert worker.id == "w1"


async def test_client_that_goes_leaves_its_task(make):
    """When the client hangs up the task goes on, and nothing of the call stays behind."""
    gateway = make()
    worker = gateway.worker(hold)
    async with gateway.served() as served:
        async with served.client() as client:
            call = asyncio.create_task(client.post("/scrape", json=PAGE))
            run = await worker.runs.get()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        await until(lambda: not gateway.hub.ends.waiting_count)
        worker.ok(run, "kept")
        async with served.client() as client:
            task = await client.get(f"/v1/tasks/{run.task_id}")

    assert task.json()["data"] == "kept"
    assert gateway.quiet()


async def test_internal_fault_is_an_envelope(gateway, client, monkeypatch):
    """A fault of our own is a 500 envelope without its inside, and is reported with its id."""

    async def fall(*_args, **_options):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(gateway.catalogue, "resolve", fall)

    answer = await client.post("/scrape", json=PAGE)

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text
    event, request_id, error = gateway.reports[0]
    assert (event, request_id) == ("request_failed", answer.json()["request_id"])
    assert isinstance(error, RuntimeError)


async def test_many_at_once(gateway, client):
    """Each of many calls gets its own answer."""
    gateway.worker()
    bodies = [{"script_name": "page", "parameters": {"url": str(n)}} for n in range(200)]

    answers = await asyncio.gather(*(client.post("/scrape", json=body) for body in bodies))

    assert [answer.json()["data"]["url"] for answer in answers] == [str(n) for n in range(200)]
    assert gateway.quiet()


async def test_broken_records_harm_nobody(gateway, client):
    """Records of an unknown kind or without sense are passed over."""

    def script(worker: ScriptedWorker, run: wire.Run) -> None:
        worker.started(run)
        worker.say(
            run,
            ("progress", {"fraction": "x"}),
            ("artifact", [1]),
            ("fancy", {"new": 1}),
            ("log", 5),
            ("item", 1),
        )
        worker.ok(run, "fine")

    gateway.worker(script)

    answer = await client.post("/scrape", json=PAGE)

    assert answer.json()["data"] == "fine"
    assert answer.json()["artifacts"] == []


async def test_outcome_fields_of_a_wrong_type(gateway, client):
    """Fields that do not fit the words' placeholders do not break the answer."""
    gateway.worker(ending(OutcomeCode.TIMEOUT, fields={"limit_s": "soon"}))

    answer = await client.post("/scrape", json=PAGE)

    assert answer.status_code == 504
    assert answer.json()["error"]["details"] == {"limit_s": "soon"}
