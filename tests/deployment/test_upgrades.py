"""Upgrades: a home, and an end of the link, of before go on with the gateway of today.

`earlier/home_s0007.tar.xz` is the home of a gateway that was killed at work, five schema
revisions ago: tasks in every state, a schedule, a secret, keys, a worker that has joined, a
result in a file. `earlier/wire_zs1.json` is every message of the link as it was then.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import zmq

from tests.cli.conftest import clean_environ
from tests.link_keys import home_token, join_by_hand, show
from zscrape import wire
from zscrape.client import Client, find_gateway
from zscrape.config import parse_token
from zscrape.model import Outcome, OutcomeCode
from zscrape.ops.role import Role

EARLIER = Path(__file__).parent / "earlier"
RECORDED = json.loads((EARLIER / "wire_zs1.json").read_text())
SCRIPTS = {
    "steps": "def run(count=3, pause_s=0.0):\n    return count\n",
    "sec": "def run(*, ctx):\n    return len(ctx.secret('password'))\n",
}
FINAL = {"completed", "failed", "timed_out", "cancelled"}


class Upgraded(NamedTuple):
    """A gateway of today on the home of before, and its client."""

    home: Path
    link: str
    client: Client


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """The gateway, started on a copy of that home."""
    folder = tmp_path_factory.mktemp("upgraded")
    home = folder / "home"
    with tarfile.open(EARLIER / "home_s0007.tar.xz") as archive:
        archive.extractall(home, filter="data")
    for name, source in SCRIPTS.items():
        (folder / "scripts" / name).mkdir(parents=True)
        manifest: dict[str, Any] = {"name": name, "version": "1.0.1", "kit": []}
        manifest |= {"secrets": ["password"]} if name == "sec" else {}
        (folder / "scripts" / name / "metadata.json").write_text(json.dumps(manifest))
        (folder / "scripts" / name / "main.py").write_text(source)
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    # What was kept then is too old to be kept, whenever this runs.
    kept = {"ZSCRAPE_TASK_KEPT_DAYS": "36500", "ZSCRAPE_OUTPUT_KEPT_DAYS": "36500"}
    role = Role(
        "gateway",
        ["--home", str(home), *listen, "--scripts", str(folder / "scripts")],
        environ=clean_environ(**kept),
    )
    try:
        ready = role.wait_ready()
        with Client(find_gateway(home=home, environ={})) as client:
            yield Upgraded(home, ready["link"], client)
    finally:
        role.stop()


def test_what_was_kept_is_there(upgraded: Upgraded) -> None:
    """Tasks with their data, items and large results, the schedule and the keys are as before."""
    tasks = {each["request_id"]: each for each in upgraded.client.tasks(limit=50)["tasks"]}
    by_script = {each["script_name"]: key for key, each in tasks.items()}
    items = [
        list(upgraded.client.items(key))
        for key, each in tasks.items()
        if (each["script_name"], each["status"]) == ("steps", "completed")
    ]

    assert {"steps", "big", "sec", "bad"} <= set(by_script)
    assert tasks[by_script["bad"]]["status"] == "failed"
    assert [{"number": 0}, {"number": 1}, {"number": 2}] in items
    assert len(upgraded.client.result(by_script["big"])) == 1_500_002
    assert [each["name"] for each in upgraded.client.schedules()["schedules"]] == ["nightly"]
    assert {"admin", "reader"} <= {each["name"] for each in upgraded.client.keys()["keys"]}


def test_worker_of_before_joins_by_its_key_and_gets_its_secret(upgraded: Upgraded) -> None:
    """A worker's id and key, and secrets sealed then, still serve; unfinished tasks end."""
    arguments = ["--home", str(upgraded.home), "--join", upgraded.link, "--slots", "1"]
    worker = Role("worker", arguments, environ=clean_environ())
    try:
        worker_id = worker.wait_ready()["worker_id"]
        answer = upgraded.client.run("sec", timeout=60)
        unfinished = [
            each["request_id"]
            for each in upgraded.client.tasks(limit=50)["tasks"]
            if each["status"] not in FINAL
        ]
        ended = [upgraded.client.task(each, wait_s=60)["status"] for each in unfinished]
    finally:
        worker.stop()

    assert worker_id == (upgraded.home / "workers" / "1.id").read_text().strip()
    assert answer["data"] == len("hunter2-long-secret")
    assert set(ended) <= FINAL


def as_before(message: Any) -> bytes:
    """Return a message as an end of before sends it: without what came since."""
    fields = msgspec.msgpack.decode(wire.encode(message))
    then = msgspec.msgpack.decode(bytes.fromhex(RECORDED["worker"][fields[0]]))
    return msgspec.msgpack.encode(fields[: len(then)])


def test_worker_that_speaks_as_before_does_a_task(upgraded: Upgraded) -> None:
    """Frames of then, sent over a real link, bring a task of today to its end."""
    pair = join_by_hand(home_token(upgraded.home, upgraded.link), "old-worker")
    token = parse_token(home_token(upgraded.home))
    context: zmq.Context[Any] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    try:
        show(dealer, pair, token.server_keys[0])
        dealer.setsockopt(zmq.RCVTIMEO, 30_000)
        dealer.connect(upgraded.link)
        dealer.send(as_before(wire.Hello(wire.PROTOCOL, "old-worker", "s1", 1, 1, ("then",))))
        assert isinstance(wire.decode_gateway(dealer.recv_multipart()[0]), wire.Welcome)
        task_id = upgraded.client.submit("steps", tags=["then"])["request_id"]
        sequence = 0
        while True:
            match wire.decode_gateway(dealer.recv_multipart()[0]):
                case wire.Run(task_id=given, attempt=attempt) if given == task_id:
                    done = wire.Done(given, attempt, Outcome(OutcomeCode.OK, data=b'"then"'))
                    dealer.send(as_before(wire.Started(given, attempt)))
                    dealer.send(as_before(done))
                    break
                case wire.GatewayHeartbeat():
                    sequence += 1
                    dealer.send(as_before(wire.Heartbeat("s1", sequence, 1)))
        task = upgraded.client.task(task_id, wait_s=30)
        dealer.send(as_before(wire.Goodbye("s1")))
    finally:
        context.destroy(linger=1000)

    assert (task["status"], task["data"], task["worker_id"]) == ("completed", "then", "old-worker")


@pytest.mark.parametrize("side", ["worker", "gateway"])
def test_messages_only_grow_at_their_ends(side: str) -> None:
    """What either end said then is read today, and today's words begin with those of then."""
    decode = wire.decode_worker if side == "worker" else wire.decode_gateway
    for name, recorded in RECORDED[side].items():
        frame = bytes.fromhex(recorded)
        then = msgspec.msgpack.decode(frame)

        now = msgspec.msgpack.decode(wire.encode(decode(frame)))

        assert starts_with(now, then), name


def starts_with(now: Any, then: Any) -> bool:
    """True iff a value begins with another, at every depth."""
    if isinstance(then, list):
        return len(now) >= len(then) and all(map(starts_with, now, then))
    if isinstance(then, dict):
        return all(starts_with(now[name], value) for name, value in then.items())
    return bool(now == then)
