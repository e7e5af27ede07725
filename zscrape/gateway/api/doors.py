"""Which scope opens which endpoint: one decision for each, where the endpoint is defined.

    @needs("admin", act="keys.create")
    async def create(request: Request) -> Response: ...

`needs("read", "run")` opens to keys with either scope, and `admin` opens every door;
`needs("open")` asks for no key. `act` names what is written to the audit, with the target that
the endpoint gives by `acted_on(request, "...")`, else what the path names. An endpoint that
says nothing opens to admin keys alone, and fails a test: somebody forgot to decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import wraps
from inspect import isfunction
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors import ZscrapeError
from zscrape.gateway.api.exchange import (
    CLIENT,
    client_of,
    gateway_of,
    peer_of,
    request_id_of,
)
from zscrape.gateway.clients import Client, Scope

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_Call = Callable[[Request], Awaitable[Response]]
_TARGET: Final = "zscrape.target"
_ATTRIBUTE: Final = "zscrape_door"


class Door(Struct, frozen=True):
    """What a call must bring to come in. No scopes: nothing at all."""

    scopes: tuple[Scope, ...]
    act: str = ""  # as the audit calls it; empty: it changes nothing that is told there
    # A call that brings no key but a signature comes in, and the endpoint looks at that.
    is_signable: bool = False

    @property
    def is_open(self) -> bool:
        """True iff nobody is asked for a key."""
        return not self.scopes


_UNDECIDED: Final = Door(scopes=("admin",))


def needs(
    *scopes: Scope | Literal["open"], act: str = "", is_signable: bool = False
) -> Callable[[_Endpoint], _Endpoint]:
    """Declare which scopes open an endpoint, any one of them; `open` stands alone."""
    found = Door(
        scopes=tuple(scope for scope in scopes if scope != "open"),
        act=act,
        is_signable=is_signable,
    )
    if not scopes or ("open" in scopes and found.scopes):
        raise ValueError(f"needs{scopes}: name scopes, or `open` alone")

    def declare(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _ATTRIBUTE, found)
        return endpoint

    return declare


def door_of(route: BaseRoute) -> Door | None:
    """Return the decision of a route; None when there is none."""
    return getattr(getattr(route, "endpoint", None), _ATTRIBUTE, None)


def open_paths(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """Return the paths that nobody is asked for a key at."""
    return frozenset(
        route.path
        for route in routes
        if isinstance(route, Route) and (door := door_of(route)) is not None and door.is_open
    )


def guarded(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the routes with a door before each function; other endpoints look themselves."""
    return [_guarded(route) for route in routes]


def acted_on(request: Request, target: str) -> None:
    """Say what an act was about, where the path does not name it."""
    request.scope[_TARGET] = target


def _guarded(route: BaseRoute) -> BaseRoute:
    if not (isinstance(route, Route) and isfunction(route.endpoint)):
        return route
    door = door_of(route) or _UNDECIDED
    if door.is_open:
        return route
    # As what it stands before: with its words and its decision, or seen to have none.
    enter = wraps(route.endpoint)(_entrance(route.endpoint, door))
    return Route(
        route.path,
        enter,
        methods=sorted(route.methods or ()),
        name=route.name,
        include_in_schema=route.include_in_schema,
    )


def _entrance(endpoint: _Call, door: Door) -> _Call:
    async def enter(request: Request) -> Response:
        if not (door.is_signable and CLIENT not in request.scope):
            client_of(request).check_scopes(door.scopes)
        return await endpoint(request)

    async def enter_on_record(request: Request) -> Response:
        result = "aborted"
        try:
            response = await enter(request)
            result = "ok"
        except ZscrapeError as error:
            result = error.code
            raise
        else:
            return response
        finally:
            await _record(request, door.act, result)

    return enter_on_record if door.act else enter


async def _record(request: Request, act: str, result: str) -> None:
    scope = request.scope
    named = "/".join(str(value) for value in request.path_params.values())
    client: Client | None = scope.get(CLIENT)
    await gateway_of(request).audit.note(
        act,
        actor="signature" if client is None else client.id,
        target=scope.get(_TARGET) or named or request.url.query,
        address=peer_of(scope),
        result=result,
        request_id=request_id_of(scope),
    )
