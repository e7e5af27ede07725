"""Which scope opens which endpoint: nothing is left undecided."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from zscrape.errors.requests import Forbidden, ScriptForbidden
from zscrape.gateway.api.doors import door_of, guarded, needs
from zscrape.gateway.api.exchange import CLIENT
from zscrape.gateway.clients import Client
from zscrape.store.tasks import TaskQuery, TaskRow


def test_every_endpoint_has_a_decision(gateway):
    """Whoever adds an endpoint says which scope opens it."""
    undecided = [route.path for route in gateway.app.routes if door_of(route) is None]

    assert undecided == []


async def test_what_nobody_decided_is_for_admins():
    """An endpoint that was forgotten is closed, not open."""

    async def forgotten(_request: Request) -> Response:
        return PlainTextResponse("in")

    (route,) = guarded([Route("/x", forgotten, methods=["POST"])])
    assert isinstance(route, Route)

    def call(*scopes: str) -> Request:
        client = Client("c", frozenset(scopes))
        return Request({"type": "http", "headers": [], "method": "POST", CLIENT: client})

    with pytest.raises(Forbidden) as refused:
        await route.endpoint(call("run", "read"))

    assert refused.value.scope == "admin"
    assert (await route.endpoint(call("admin"))).body == b"in"
    assert route.methods == {"POST"}


@pytest.mark.parametrize("scopes", [(), ("open", "read")])
def test_a_decision_says_one_thing(scopes):
    """No scopes at all, or an open door with a key to it, is a slip of the pen."""
    with pytest.raises(ValueError, match="needs"):
        needs(*scopes)


def test_scopes_and_scripts_of_a_client():
    """`run` alone sees its own tasks; scripts narrow all that a key may do."""
    runner = Client("key_1", frozenset({"run"}), scripts=("price_*",))
    reader = Client("key_2", frozenset({"read"}))
    own = TaskRow(id="1", script_name="price_watch", created_at=0, client="key_1")
    foreign = TaskRow(id="2", script_name="price_watch", created_at=0, client="key_2")
    other = TaskRow(id="3", script_name="news", created_at=0, client="key_1")

    assert [runner.sees(row) for row in (own, foreign, other)] == [True, False, False]
    assert all(reader.sees(row) for row in (own, foreign, other))
    assert runner.within(TaskQuery()).client == "key_1"
    assert reader.within(TaskQuery()) == TaskQuery()
    with pytest.raises(ScriptForbidden) as refused:
        runner.check_script("news")
    assert (refused.value.name, refused.value.allowed) == ("news", "price_*")


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "ab", True),
        ("*b", "ab", True),
        ("a*c*", "abcd", True),
        ("a.b", "axb", False),
        ("*", "Anything\n", True),
    ],
)
def test_patterns_of_scripts(glob, name, fits):
    """`*` stands for any part, and nothing else means more than itself."""
    assert Client("k", scripts=(glob,)).may_use(name) is fits
