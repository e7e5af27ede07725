"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from zscrape.client import (
    batching,
    clustercalls,
    saving,
    schedulecalls,
    scriptcalls,
    streaming,
    submitting,
    taskcalls,
)
from zscrape.client.calls import Answer, Broken, Call
from zscrape.client.finding import Gateway, connection_options
from zscrape.client.manner import PATIENT, RECONNECTING, Manner, Retry
from zscrape.client.talk import Flow, Give, Left, Open, Pause, Piece, Send, Talk, patiently
from zscrape.client.transport import (
    CALL_TIMEOUT_S,
    broken,
    gateway_of,
    head_of,
    named,
    request_options,
)

P = ParamSpec("P")
T = TypeVar("T")


def _asks(
    describe: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncClient, /, *given: P.args, **options: P.kwargs) -> T:
        return await self._hold(patiently(self._manner, describe(*given, **options)))

    return named(method, describe)


def _talks(
    begin: Callable[Concatenate[Manner, P], Talk[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncClient, /, *given: P.args, **options: P.kwargs) -> T:
        return await self._hold(begin(self._manner, *given, **options))

    return named(method, begin)


def _streams(
    begin: Callable[Concatenate[Manner, P], Flow[T]],
) -> Callable[Concatenate[AsyncClient, P], AsyncGenerator[T, None]]:
    def method(
        self: AsyncClient, /, *given: P.args, **options: P.kwargs
    ) -> AsyncGenerator[T, None]:
        return self._iterate(begin(self._manner, *given, **options))

    return named(method, begin)


class AsyncClient:
    """Calls to one gateway from an event loop. Use it in an `async with`.

        async with AsyncClient() as client:
            task = await client.run("price_watch", {"url": "https://example.com"})
            async for row in client.stream("price_watch", {"url": "https://example.com"}):
                print(row)

    It has the verbs of `Client` and takes what that takes; several calls may be under way at
    once. Whoever leaves a stream before its end closes it (`contextlib.aclosing`), so that a
    task that it runs is ended at once.

    Raises:
        ClientError: No gateway is known.
    """

    def __init__(
        self,
        gateway: Gateway | str | None = None,
        key: str | None = None,
        *,
        home: Path | None = None,
        lang: str = "en",
        retry: Retry = PATIENT,
        reconnect: Retry = RECONNECTING,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self.gateway = gateway_of(gateway, key, home, lang)
        self._timeout_s = timeout_s
        self._manner = Manner(self.gateway.url, lang, retry, reconnect)
        self._http = httpx.AsyncClient(timeout=timeout_s, **connection_options(self.gateway, lang))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def __repr__(self) -> str:
        """Return which gateway it calls; never the key."""
        return f"AsyncClient({self.gateway.url!r})"

    # ---- verbs: what each does is written where it is described ----------------------

    run = _asks(submitting.run)
    submit = _asks(submitting.submission)
    submit_many = _asks(submitting.submit_many)
    retry = _asks(submitting.retry)

    task = _asks(taskcalls.task)
    tasks = _asks(taskcalls.tasks)
    wait_many = _asks(taskcalls.wait_many)
    cancel = _asks(taskcalls.cancel)
    cancel_many = _asks(taskcalls.cancel_many)
    explain = _asks(taskcalls.explain)
    result = _asks(taskcalls.result)
    data = _asks(taskcalls.data)
    artifacts = _asks(taskcalls.artifacts)
    artifact = _asks(taskcalls.artifact)
    capsule = _asks(taskcalls.capsule)
    dead_letters = _asks(taskcalls.dead_letters)
    retry_dead_letters = _asks(taskcalls.retry_dead_letters)
    drop_dead_letters = _asks(taskcalls.drop_dead_letters)

    scripts = _asks(scriptcalls.scripts)
    schema = _asks(scriptcalls.schema)
    script = _asks(scriptcalls.script)
    refresh_scripts = _asks(scriptcalls.refresh_scripts)
    prefetch = _asks(scriptcalls.prefetch)
    promote = _asks(scriptcalls.promote)
    roll_back = _asks(scriptcalls.roll_back)
    secrets = _asks(scriptcalls.secrets)
    set_secret = _asks(scriptcalls.set_secret)
    remove_secret = _asks(scriptcalls.remove_secret)
    script_state = _asks(scriptcalls.script_state)
    state_value = _asks(scriptcalls.state_value)
    set_state = _asks(scriptcalls.set_state)
    remove_state = _asks(scriptcalls.remove_state)
    clear_state = _asks(scriptcalls.clear_state)
    item_keys = _asks(scriptcalls.item_keys)
    item_key = _asks(scriptcalls.item_key)
    forget_item_keys = _asks(scriptcalls.forget_item_keys)

    schedules = _asks(schedulecalls.schedules)
    schedule = _asks(schedulecalls.schedule)
    preview_schedule = _asks(schedulecalls.preview_schedule)
    add_schedule = _asks(schedulecalls.add_schedule)
    change_schedule = _asks(schedulecalls.change_schedule)
    remove_schedule = _asks(schedulecalls.remove_schedule)
    act_on_schedule = _asks(schedulecalls.act_on_schedule)
    occurrences = _asks(schedulecalls.occurrences)
    locks = _asks(schedulecalls.locks)
    break_lock = _asks(schedulecalls.break_lock)
    handoffs = _asks(schedulecalls.handoffs)
    handoff = _asks(schedulecalls.handoff)
    answer_handoff = _asks(schedulecalls.answer_handoff)
    dismiss_handoff = _asks(schedulecalls.dismiss_handoff)

    overview = _asks(clustercalls.overview)
    workers = _asks(clustercalls.workers)
    drain = _asks(clustercalls.drain)
    resume = _asks(clustercalls.resume)
    remove_worker = _asks(clustercalls.remove_worker)
    revoke_worker = _asks(clustercalls.revoke_worker)
    keys = _asks(clustercalls.keys)
    create_key = _asks(clustercalls.create_key)
    revoke_key = _asks(clustercalls.revoke_key)
    audit = _asks(clustercalls.audit)
    tokens = _asks(clustercalls.tokens)
    create_token = _asks(clustercalls.create_token)
    revoke_token = _asks(clustercalls.revoke_token)
    rotate_link_key = _asks(clustercalls.rotate_link_key)
    login_link = _asks(clustercalls.login_link)
    sites = _asks(clustercalls.sites)
    set_site = _asks(clustercalls.set_site)
    remove_site = _asks(clustercalls.remove_site)
    sessions = _asks(clustercalls.sessions)
    session = _asks(clustercalls.session)
    put_session = _asks(clustercalls.put_session)
    remove_session = _asks(clustercalls.remove_session)
    status = _asks(clustercalls.status)

    wait = _talks(batching.wait)
    download = _talks(saving.download)

    batch = _streams(batching.batch)
    all_tasks = _streams(streaming.all_tasks)
    stream = _streams(streaming.stream)
    follow = _streams(streaming.follow)
    events = _streams(streaming.events)
    items = _streams(streaming.items)
    logs = _streams(streaming.logs)
    artifact_stream = _streams(streaming.artifact_stream)
    export = _streams(streaming.export)
    export_audit = _streams(streaming.export_audit)

    # ---- doing what a conversation says ----------------------------------------------

    async def _hold(self, talk: Talk[T]) -> T:
        async with _Line(self._http, self._timeout_s) as line:
            came: Any = None
            while True:
                try:
                    effect = talk.send(came)
                except StopIteration as end:
                    value: T = end.value
                    return value
                came = await line.perform(effect)

    async def _iterate(self, flow: Flow[T]) -> AsyncGenerator[T, None]:
        async with _Line(self._http, self._timeout_s) as line:
            try:
                came: Any = None
                while True:
                    try:
                        effect = flow.send(came)
                    except StopIteration:
                        return
                    if isinstance(effect, Give):
                        came = None
                        yield effect.value
                    else:
                        came = await line.perform(effect)
            except (GeneratorExit, asyncio.CancelledError):
                await self._leave(flow, line)
                raise

    async def _leave(self, flow: Flow[Any], line: _Line) -> None:
        try:
            effect = flow.throw(Left())
            while not isinstance(effect, Give):
                effect = flow.send(await line.perform(effect))
        except (Left, StopIteration):
            return


class _Line:
    """Performs the effects of one conversation; holds the stream that is open."""

    def __init__(self, http: httpx.AsyncClient, timeout_s: float) -> None:
        self._http = http
        self._timeout_s = timeout_s
        self._open: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] = _nothing()

    async def __aenter__(self) -> _Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def perform(self, effect: Send | Open | Piece | Pause) -> Any:
        """Do one thing and return what came of it."""
        if isinstance(effect, Pause):
            await asyncio.sleep(effect.wait_s)
            return None
        try:
            if isinstance(effect, Send):
                return await self._send(effect.call)
            return await (self._begin(effect.call) if isinstance(effect, Open) else self._next())
        except httpx.HTTPError as error:
            return broken(error)

    async def _send(self, call: Call[Any]) -> Answer:
        response = await self._http.request(**request_options(call, self._timeout_s))
        return head_of(response, response.content)

    async def _begin(self, call: Call[Any]) -> Answer | Broken:
        await self._close()
        request = self._http.build_request(**request_options(call, self._timeout_s))
        self._open = await self._http.send(request, stream=True)
        if not self._open.is_success:
            return head_of(self._open, await self._open.aread())
        self._pieces = self._open.aiter_bytes()
        return head_of(self._open)

    async def _next(self) -> bytes | None:
        return await anext(self._pieces, None)

    async def _close(self) -> None:
        if self._open is not None:
            await self._open.aclose()
            self._open = None


async def _nothing() -> AsyncIterator[bytes]:
    for piece in tuple[bytes, ...]():
        yield piece
