"""A site's robots.txt is asked of the gateway once for many attempts of a worker."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.worker.conftest import Ran, Stage
from zscrape.core.effects import Assignment
from zscrape.model import Pin, RunSpec
from zscrape.wire import Ask, Tell
from zscrape.worker import attempt, robotsfiles
from zscrape.worker.robotsfiles import RobotsFiles, RobotsOf

TOLD = b'{"text":""}'
A, B = "http://a.example", "http://b.example"


class Clock:
    """Seconds, as the test has them."""

    now = 0.0

    def __call__(self) -> float:
        """Tell them."""
        return self.now


def asked(origin: str, request: int = 1) -> Ask:
    """Return a question of an attempt."""
    return Ask("t", 1, request, "robots", json.dumps({"origin": origin}).encode())


def test_answer_is_known_until_it_is_old() -> None:
    """What one script was told is told the next one, not for ever, and another site is not."""
    clock = Clock()
    files = RobotsFiles(clock)
    first = RobotsOf(files, "one")
    has_asked = first.answer(asked(A)) is None
    first.hear(Tell("t", 1, 1, TOLD))
    found = RobotsOf(files, "two").answer(asked("HTTP://A.example", 7))
    other = RobotsOf(files, "two").answer(asked(B))
    clock.now = robotsfiles.KEPT_S

    assert has_asked
    assert found == Tell("t", 1, 7, TOLD)
    assert other is None
    assert RobotsOf(files, "two").answer(asked(A)) is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"origin":1}'])
def test_question_that_is_none_is_left_to_the_gateway(body: bytes) -> None:
    """Whoever answers says what is wrong with it."""
    assert RobotsOf(RobotsFiles(), "one").answer(Ask("t", 1, 1, "robots", body)) is None


def test_refusals_and_other_answers_are_not_kept() -> None:
    """Only what was asked about robots.txt, and told, goes to others."""
    files = RobotsFiles()
    one = RobotsOf(files, "one")
    one.answer(asked(A))
    one.hear(Tell("t", 1, 1, TOLD, "internal"))
    one.answer(Ask("t", 1, 2, "state", b'{"origin":"http://a.example"}'))
    one.hear(Tell("t", 1, 2, TOLD))

    assert files.find(A, digest="one") is None


def test_sites_of_a_script_go_along_with_it() -> None:
    """The last few that it has asked do, and those of other scripts do not."""
    files = RobotsFiles()
    for number in range(6):
        files.keep(f"http://{number}.example", TOLD, digest="one")
    files.keep(A, TOLD, digest="two")

    assert list(RobotsOf(files, "one").known()) == [f"http://{n}.example" for n in (2, 3, 4, 5)]
    assert RobotsOf(files, "two").known() == {A: msgspec.Raw(TOLD)}
    assert RobotsOf(files, "three").known() == {}


def test_what_is_kept_and_sent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many sites or large files push the oldest out; a large one does not go along."""
    monkeypatch.setattr(robotsfiles, "KEPT_LIMIT_BYTES", 100_000)
    monkeypatch.setattr(robotsfiles, "_SCRIPTS_COUNT", 3)
    files = RobotsFiles()
    large = b'"%b"' % bytes(30_000)
    for number in range(8):
        files.keep(f"http://{number}.example", large, digest=str(number))
    kept = [n for n in range(8) if files.find(f"http://{n}.example", digest="7") is not None]

    assert kept == [5, 6, 7]
    assert files.known_to("7") == files.known_to("0") == {}


@pytest.mark.asyncio(loop_scope="session")
async def test_second_attempt_asks_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which sites have budgets comes with it, and what another attempt was told of robots."""
    asks: list[str] = []

    def answer(ask: Ask) -> None:
        asks.append(ask.kind)
        body = b'{"text":"Disallow: /x"}' if ask.kind == "robots" else b"{}"
        stage.slots.tell(Tell(ask.task_id, ask.attempt, ask.request, body))

    monkeypatch.setattr(stage, "on_ask", answer)
    name = stage.write("""
        def run(origins, ctx):
            budget = ctx._budget()
            budget.before("http://free.example/")
            return [sorted(budget._names), [budget.robots(each) for each in origins]]
    """)
    ran = [await begun(stage, name, origins) for origins in ([A], [A], [B, A], [A])]

    assert [each.data for each in ran] == [
        [["shop.example"], ["Disallow: /x"] * count] for count in (1, 1, 2, 1)
    ]
    assert asks == ["robots", "robots"]


@pytest.mark.asyncio(loop_scope="session")
async def test_script_cannot_answer_for_a_site(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that comes again is not that to a later question under the script's same number."""
    asks: list[Ask] = []

    def tell(ask: Ask, name: str) -> None:
        body = json.dumps({"text": name}).encode()
        stage.slots.tell(Tell(ask.task_id, ask.attempt, ask.request, body))

    def answer(ask: Ask) -> None:
        asks.append(ask)
        tell(asks[0], "own")
        if len(asks) == 2:
            tell(ask, "shop")

    monkeypatch.setattr(stage, "on_ask", answer)
    name = stage.write("""
        import json, os
        def run(origins):
            told = []
            for origin in origins:
                asked = {"request": 7, "kind": "robots", "body": {"origin": origin}}
                frame = b"k" + json.dumps(asked).encode()
                os.write(3, len(frame).to_bytes(4, "big") + frame)
                told.append(json.loads(os.read(3, 65536)[5:]))
            return [[each["request"], each["body"]["text"]] for each in told]
    """)
    ran = await begun(stage, name, ["http://own.example", "http://twice.example"])

    assert ran.data == [[7, "own"], [7, "shop"]]
    found = stage.slots._robots.find("http://twice.example", digest="other")
    assert found == b'{"text": "shop"}'


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("kept_s", "told"), [(60.0, True), (-1.0, False)])
async def test_budgets_are_told_while_they_are_new(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kept_s: float, told: bool
) -> None:
    """An attempt that waited for long asks itself; one that did not knows since it has begun."""
    monkeypatch.setattr(attempt, "_BUDGETED_KEPT_S", kept_s)
    name = stage.write("""
        import time
        imported_at = time.monotonic()
        def run(origins, ctx):
            budget = ctx._budget()
            return [sorted(budget._names), 0 < budget._names_at < imported_at]
    """)
    ran = await begun(stage, name, [])

    assert ran.data == [["shop.example"] if told else [], told]


async def begun(stage: Stage, name: str, origins: list[str]) -> Ran:
    """Run a script as a gateway has it run that knows of one budget."""
    params: dict[str, Any] = {"origins": origins}
    run = RunSpec(Pin("test", name, "1.0.0", "sha256:robots"), kit=("http",))
    task_id = f"robots-{len(stage._ran)}"
    raw = msgspec.json.encode(params)
    ran = Ran(Assignment(task_id, 1, run, raw, budgeted=("shop.example",)))
    stage._ran[task_id] = ran
    stage.slots.begin(ran.assignment, stage)
    await ran.finished.wait()
    return ran
