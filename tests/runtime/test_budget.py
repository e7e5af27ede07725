"""The gate that asks the gateway: when it asks, what it tells, and what it does alone."""

from __future__ import annotations

import base64
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from zscrape.runtime import budget
from zscrape.runtime.asking import AskRefused
from zscrape.runtime.budget import REFRESH_S, Budget
from zscrape.runtime.gate import is_complaint

LIMIT_S = 20.0


class Gateway:
    """Answers as the gateway would, and notes what it was asked."""

    def __init__(self, *sites: str) -> None:
        self.sites = sites
        self.waited_s = 0.0
        self.is_old = False
        self.is_away = False
        self.asked: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.robots: dict[str, Any] = {"text": "User-agent: *"}
        self._news = threading.Condition()

    def ask(self, kind: str, body: dict[str, Any], *, timeout_s: float | None = None) -> Any:
        """Answer one question."""
        if self.is_away:
            assert timeout_s is not None
            raise TimeoutError
        if self.is_old:
            raise AskRefused("unsupported", kind)
        with self._news:
            if kind == "seen":
                self.told += body["reports"]
                self._news.notify_all()
                return {}
            self.asked.append({"kind": kind, **body})
            if kind == "robots":
                return self.robots
            if "host" not in body:
                return {"sites": list(self.sites)}
            token = f"t/1/{len(self.asked)}"
            return {"token": token, "site": body["host"], "waited_s": self.waited_s}

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait until reports make this true."""
        with self._news:
            assert self._news.wait_for(is_there, LIMIT_S)

    @property
    def hosts(self) -> list[str]:
        """The hosts that tokens were asked for."""
        return [each["host"] for each in self.asked if each.get("host")]


class Log:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, message: object, **fields: Any) -> None:
        """Keep a record."""
        self.said.append(str(message))


def gate_of(gateway: Gateway, log: Log | None = None) -> Budget:
    """Return the gate of an attempt."""
    return Budget(gateway.ask, say=(log or Log()).info, ends_at=1e12)


def test_what_was_learnt_ahead_is_not_asked_again() -> None:
    """Which sites have a budget may be asked before there is a site to ask."""
    gateway = Gateway("shop.example")
    gate = gate_of(gateway)
    gate.prepare()
    gate.prepare()
    gate.before("http://other.example/")

    assert gateway.asked == [{"kind": "site"}]


def test_what_came_with_the_attempt_is_not_asked() -> None:
    """Names of sites and files of robots that are told with the attempt cost no question."""
    gateway = Gateway("shop.example")
    known = {"sites": ["shop.example"], "robots": {"http://a.example": {"text": "Disallow: /"}}}
    known_at = time.monotonic()
    gate = Budget(gateway.ask, say=Log().info, ends_at=1e12, known=known, known_at=known_at)
    gate.before("http://a.example/")
    gate.before("http://shop.example/")
    told = [gate.robots(f"http://{name}.example") for name in "ab"]

    assert told == ["Disallow: /", "User-agent: *"]
    assert [each.get("host") or each.get("origin") for each in gateway.asked] == [
        "shop.example",
        "http://b.example",
    ]


def test_what_came_with_the_attempt_is_as_old_as_that() -> None:
    """A script that takes its time before its first request asks which sites have a budget."""
    gateway = Gateway("shop.example")
    known_at = time.monotonic() - REFRESH_S
    known: dict[str, Any] = {"sites": []}
    gate = Budget(gateway.ask, say=Log().info, ends_at=1e12, known=known, known_at=known_at)
    gate.before("http://shop.example/")

    assert [each.get("host") for each in gateway.asked] == [None, "shop.example"]


def test_refusal_is_left_for_the_first_request() -> None:
    """Whatever the gateway refuses ahead of time is raised where a site is really asked."""

    def refuse(kind: str, body: Any, *, timeout_s: float | None = None) -> Any:
        raise AskRefused("forbidden", kind)

    gate = Budget(refuse, say=Log().info, ends_at=1e12)
    gate.prepare()

    with pytest.raises(AskRefused):
        gate.before("http://shop.example/")


@pytest.mark.parametrize(
    ("status", "retry_after", "is_one"),
    [
        (200, None, False),
        (429, None, True),
        (503, None, True),
        (500, None, False),
        (200, "1", True),
    ],
)
def test_complaint_is_a_status_or_a_wish(
    status: int, retry_after: str | None, is_one: bool
) -> None:
    """A site that answers 429 or 503, or says when to come again, is asked too much."""
    assert is_complaint(status, retry_after) is is_one


def test_a_site_without_a_budget_costs_one_question_for_all() -> None:
    """The first request learns which sites have budgets; no other one asks anything."""
    gateway = Gateway("other.example")
    gate = gate_of(gateway)
    for number in range(100):
        gate.before(f"https://shop.example/{number}")
        gate.after(f"https://shop.example/{number}", 200, None)

    assert gateway.asked == [{"kind": "site"}]
    assert gateway.told == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://shop.example/a?b#c", "shop.example"),
        ("https://www.Shop.example:443/", "www.shop.example"),
        ("http://user:secret@a.b.shop.example:8080", "a.b.shop.example:8080"),
        ("http://port.example:81/", "port.example:81"),
        ("http://백.example/", "xn--3h3b.example"),
    ],
)
def test_a_budget_is_asked_for_by_host(url: str, host: str) -> None:
    """A host below the name of a budget asks for it, under the name as sites are compared."""
    gateway = Gateway("shop.example", "port.example:81", "xn--3h3b.example")
    gate_of(gateway).before(url)

    assert gateway.hosts == [host]


def test_the_end_of_a_request_is_told() -> None:
    """With its token and its status, whichever of two requests for one address it was."""
    gateway = Gateway("*")
    gate = gate_of(gateway)
    for _ in range(2):
        gate.before("http://a.example/")
    gate.after("http://a.example/", 200, None)
    gate.after("http://a.example/", 429, 7.0)
    gateway.wait_for(lambda: sum(each["event"] == "over" for each in gateway.told) == 2)

    over = [each for each in gateway.told if each["event"] == "over"]
    assert [(each["token"], each["status"], each["retry_after_s"]) for each in over] == [
        ("t/1/2", 200, None),
        ("t/1/3", 429, 7.0),
    ]


def test_a_request_that_takes_long_is_told_to_be_on_its_way() -> None:
    """A slow site is not asked less because its answers are late."""
    gateway = Gateway("a.example")
    gate_of(gateway).before("http://a.example/")
    gateway.wait_for(lambda: bool(gateway.told))

    assert gateway.told == [{"event": "used", "host": "a.example", "token": "t/1/2"}]


def test_a_complaint_of_any_site_is_told_and_heeded() -> None:
    """A site without a budget that answers 429 is asked with care from then on."""
    gateway = Gateway()
    gate = gate_of(gateway)
    gate.before("http://a.example/")
    gate.after("http://a.example/", 503, None)
    told_count = len(gateway.told)
    gate.before("http://a.example/")

    assert told_count == 1
    assert gateway.told[0]["host"] == "a.example"
    assert (gateway.told[0]["token"], gateway.told[0]["status"]) == ("", 503)
    assert gateway.hosts == ["a.example"]


def test_budgets_are_learnt_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that is set while a script runs holds for it soon."""
    gateway = Gateway()
    gate = gate_of(gateway)
    gate.before("http://a.example/")
    gateway.sites = ("a.example",)
    monkeypatch.setattr(budget, "REFRESH_S", 0.0)
    gate.before("http://a.example/")

    assert gateway.hosts == ["a.example"]


def test_waiting_is_said_less_often_the_longer_it_gets() -> None:
    """The log of a task says how long it has waited for which site."""
    gateway, log = Gateway("a.example"), Log()
    gate = gate_of(gateway, log)
    gateway.waited_s = 0.6
    for _ in range(10):
        gate.before("http://a.example/")

    assert log.said == [
        f"waited {seconds} s for the budget of a.example" for seconds in (1.2, 2.4, 4.8)
    ]


def test_by_hand_a_token_is_taken_by_name_or_address() -> None:
    """`ctx.throttle` waits for sites with a budget alone, and holds no place."""
    gateway = Gateway("a.example")
    gate = gate_of(gateway)
    for site in ("a.example", "https://www.a.example/x", "b.example"):
        gate.throttle(site)

    assert gateway.hosts == ["a.example", "www.a.example"]
    assert not any(each["is_held"] for each in gateway.asked if "host" in each)


def test_the_gap_of_robots_is_asked_for_with_each_request() -> None:
    """`Crawl-delay` is kept by the whole cluster, also where there is no other budget."""
    gateway = Gateway()
    gate = gate_of(gateway)
    gate.wants_gap("http://a.example", 2.5)
    gate.before("http://a.example/x")

    assert gateway.asked[-1]["gap_s"] == 2.5


def test_robots_come_from_the_cluster() -> None:
    """As text, or deflated where it is long; nothing where the gateway cannot know."""
    gateway = Gateway()
    gate = gate_of(gateway)
    plain = gate.robots("http://a.example")
    long = "Disallow: /가\n" * 10_000
    gateway.robots = {"deflated": base64.b64encode(zlib.compress(long.encode())).decode()}
    unpacked = gate.robots("http://a.example")
    gateway.robots = {"text": None}
    unknown = gate.robots("http://a.example")

    assert (plain, unpacked == long, unknown) == ("User-agent: *", True, None)


def test_without_a_gateway_nobody_is_asked() -> None:
    """A run on this machine alone has no budgets, and leaves gaps by itself."""
    gateway = Gateway()
    gateway.is_old = True
    gate = gate_of(gateway)
    gate.before("http://a.example/")
    gate.after("http://a.example/", 429, 5.0)
    gate.wants_gap("http://a.example", 0.01)
    for _ in range(2):
        gate.before("http://a.example/")

    assert gate.robots("http://a.example") is None
    assert gateway.told == []


def test_a_gateway_out_of_reach_stops_no_other_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to sites without a budget go on; what was known of budgets still holds."""
    gateway = Gateway("a.example")
    gate = gate_of(gateway)
    gate.before("http://b.example/")
    monkeypatch.setattr(budget, "REFRESH_S", 0.0)
    gateway.is_away = True
    gate.before("http://b.example/")
    robots = gate.robots("http://b.example")
    monkeypatch.setattr(budget, "REFRESH_S", 30.0)
    gateway.is_away = False
    gate.before("http://a.example/")

    assert robots is None
    assert gateway.hosts == ["a.example"]


def test_a_script_without_threads_tells_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the end of a request is told in its own time."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    gateway = Gateway("a.example")
    gate = gate_of(gateway)
    gate.before("http://a.example/")
    gate.after("http://a.example/", 200, None)

    assert [each["event"] for each in gateway.told] == ["over"]


def test_a_gateway_in_trouble_is_the_scripts_to_hear_of() -> None:
    """A refusal is not passed over: the budget could not be kept."""

    def refuse(kind: str, body: dict[str, Any], *, timeout_s: float | None = None) -> Any:
        raise AskRefused("internal", "in trouble")

    gate = Budget(refuse, say=Log().info, ends_at=1e12)

    with pytest.raises(AskRefused, match="in trouble"):
        gate.before("http://a.example/")
