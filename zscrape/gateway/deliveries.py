"""Webhooks: telling others how a task has ended, until they have heard or will not listen.

Nothing waits for a receiver. Few are called at once, few of them of one host, so that a slow
one delays only itself; what failed comes again later and later. What became of each delivery
stands in its task's document, and one that is still owed after a restart goes on then.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from zscrape.gateway.envelope import encode, envelope
from zscrape.gateway.outbound import PostFailed
from zscrape.model import TaskId
from zscrape.store.tasks import TaskRow, TaskStore, WebhookDelivery

SIGNATURE_HEADER: Final = "X-Zscrape-Signature"
_KEPT_S: Final = 2.0  # a disk that refuses is told by other means
_LAST_WORDS_S: Final = 2.0  # for calls under way, once the gateway closes


class WebhookPolicy(Struct, frozen=True):
    """Who is told of every task's end, and how patiently."""

    url: str | None = None  # told of every task
    events: tuple[str, ...] = ("completed", "failed", "timed_out", "cancelled")
    secret: str | None = None  # signs what is told
    # Ten minutes in all: a receiver that restarts, or is deployed anew, misses nothing.
    backoff_s: tuple[float, ...] = (5.0, 30.0, 120.0, 480.0)
    call_count: int = 16  # at once
    call_count_per_host: int = 4
    waiting_count: int = 100_000  # beyond it the newest are given up


class Post(Protocol):
    """Posts a body and returns the status, or raises `PostFailed`."""

    def __call__(self, url: str, body: bytes, headers: dict[str, str], /) -> Awaitable[int]:
        """Post."""
        ...


class _Owed(Struct, eq=False):
    task_id: TaskId
    place: int  # among the deliveries of its task
    url: str
    event: str
    host: str
    tries: int = 0


class Deliveries:
    """All deliveries that are owed. One event loop uses it."""

    def __init__(
        self,
        *,
        store: TaskStore,
        post: Post,
        policy: WebhookPolicy,
        clock: Callable[[], float],
        log: Any,
        lang: str = "en",
        inline_limit_bytes: int,
    ) -> None:
        self._store = store
        self._post = post
        self._policy = policy
        self._clock = clock
        self._log = log
        self._lang = lang
        self._inline_limit_bytes = inline_limit_bytes
        self._ready: OrderedDict[str, deque[_Owed]] = OrderedDict()  # by host, in turns
        self._busy: dict[str, int] = {}
        self._records: dict[TaskId, tuple[WebhookDelivery, ...]] = {}
        self._timers: dict[_Owed, asyncio.TimerHandle] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._announcing = asyncio.Semaphore(policy.call_count_per_host)
        self._count = 0
        self._is_closed = False

    @property
    def owed_count(self) -> int:
        """How many deliveries are owed."""
        return self._count

    def announce(self, row: TaskRow) -> None:
        """Tell those who asked for it that a task waits for a person.

        Tried as often as an end is, and not kept: a gateway that restarts does not go on with it.
        """
        event = row.status.value
        urls = {
            url
            for url, events in (
                (row.webhook_url, row.webhook_events),
                (self._policy.url or "", self._policy.events),
            )
            if url and event in events
        }
        body = encode(envelope(row, self._lang, inline_limit_bytes=self._inline_limit_bytes))
        delivery = f"{row.id}:{row.handoff}"
        for url in sorted(urls):
            self._start(self._announce(url, body, row.id, self._headers(event, delivery, body)))

    def offer(self, row: TaskRow) -> None:
        """Note on the row of a task that ends who is to be told, and tell them afterwards."""
        if not (row.webhook_url or self._policy.url):
            return
        names = _names_of(row)
        told = [
            WebhookDelivery(url=url, event=next(name for name in names if name in events))
            for url, events in (
                (row.webhook_url, row.webhook_events or self._policy.events),
                (self._policy.url or "", self._policy.events),
            )
            if url and any(name in events for name in names)
        ]
        if told:
            row.webhooks = tuple(told)
            # Its end is told to whoever waits in this turn of the loop; that comes first.
            asyncio.get_running_loop().call_soon(self._take, row.id, row.webhooks)

    async def resume(self) -> None:
        """Go on with what was owed before a restart."""
        for row in await self._store.unsent_webhooks():
            self._take(row.id, row.webhooks)

    def adopt(self, rows: Iterable[TaskRow]) -> None:
        """Take over what a gateway that is gone still owed."""
        for row in rows:
            self._take(row.id, row.webhooks)

    async def close(self) -> None:
        """Call nobody any more; what is owed stays on record."""
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=_LAST_WORDS_S)
            for call in late:
                call.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # ---- turns -----------------------------------------------------------------------

    def _take(self, task_id: TaskId, webhooks: tuple[WebhookDelivery, ...]) -> None:
        self._records[task_id] = webhooks
        for place, each in enumerate(webhooks):
            if each.status != "pending":
                continue
            host = urlsplit(each.url).netloc
            owed = _Owed(task_id, place, each.url, each.event, host, each.tries)
            self._count += 1
            if self._count > self._policy.waiting_count:
                self._start(self._give_up(owed, "too many are waiting"))
            else:
                self._push(owed)
        self._pump()

    def _push(self, owed: _Owed) -> None:
        self._ready.setdefault(owed.host, deque()).append(owed)

    def _pump(self) -> None:
        """Call as many as may be called, each host in its turn."""
        policy = self._policy
        for host in list(self._ready):
            if len(self._calls) >= policy.call_count or self._is_closed:
                return
            waiting = self._ready[host]
            while (
                waiting
                and self._busy.get(host, 0) < policy.call_count_per_host
                and len(self._calls) < policy.call_count
            ):
                self._busy[host] = self._busy.get(host, 0) + 1
                self._start(self._deliver(waiting.popleft()))
            self._ready.move_to_end(host)
            if not waiting:
                del self._ready[host]

    def _start(self, call: Any) -> None:
        task = asyncio.get_running_loop().create_task(call, name="webhook")
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("webhook_broken", exc_info=task.exception())
        self._pump()

    async def _announce(
        self, url: str, body: bytes, task_id: TaskId, headers: dict[str, str]
    ) -> None:
        for tries, delay_s in enumerate((0.0, *self._policy.backoff_s), 1):
            await asyncio.sleep(delay_s)
            try:
                async with self._announcing:
                    await self._post(url, body, headers)
            except PostFailed as error:
                if error.may_help and tries <= len(self._policy.backoff_s):
                    continue
                host = urlsplit(url).netloc.rpartition("@")[2]
                told = {"host": host, "tries": tries, "reason": error.reason}
                self._log.warning("webhook_failed", task_id=task_id, **told)
            return

    # ---- one delivery ----------------------------------------------------------------

    async def _deliver(self, owed: _Owed) -> None:
        try:
            kept = self._store.kept(owed.task_id, is_urgent=True)
            if kept is not None:  # else a crash might take back the end that was told
                await asyncio.wait((kept,), timeout=_KEPT_S)
            row = await self._store.get(owed.task_id)
            if row is None:
                self._forget(owed)
                return
            await self._try(owed, row)
        finally:
            self._busy[owed.host] -= 1
            if not self._busy[owed.host]:
                del self._busy[owed.host]

    async def _try(self, owed: _Owed, row: TaskRow) -> None:
        body = encode(envelope(row, self._lang, inline_limit_bytes=self._inline_limit_bytes))
        owed.tries += 1
        try:
            status = await self._post(
                owed.url, body, self._headers(owed.event, f"{owed.task_id}:{owed.place}", body)
            )
        except PostFailed as error:
            if not error.may_help or owed.tries > len(self._policy.backoff_s):
                await self._give_up(owed, error.reason, error.status)
                return
            await self._note(owed, "pending", error.status, error.reason)
            self._come_again(owed, error.wait_s)
            return
        await self._note(owed, "delivered", status, "")
        self._forget(owed)

    def _headers(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Zscrape-Event": event,
            # The same in every try, so that who has heard it twice can tell.
            "X-Zscrape-Delivery": delivery,
        }
        if self._policy.secret:
            headers[SIGNATURE_HEADER] = signature(self._policy.secret, body, self._clock())
        return headers

    def _come_again(self, owed: _Owed, wait_s: float | None) -> None:
        if self._is_closed:
            return
        base_s = self._policy.backoff_s[owed.tries - 1]
        # Many that failed together, since their receiver was away, must not return together.
        delay_s = max(wait_s or 0.0, base_s * random.uniform(0.5, 1.0))  # noqa: S311

        def ready() -> None:
            del self._timers[owed]
            self._push(owed)
            self._pump()

        self._timers[owed] = asyncio.get_running_loop().call_later(delay_s, ready)

    async def _give_up(self, owed: _Owed, reason: str, status: int = 0) -> None:
        await self._note(owed, "failed", status, reason)
        self._forget(owed)
        self._log.warning(
            "webhook_failed",
            task_id=owed.task_id,
            host=owed.host.rpartition("@")[2],
            tries=owed.tries,
            reason=reason,
        )

    async def _note(self, owed: _Owed, status: str, http_status: int, reason: str) -> None:
        records = list(self._records[owed.task_id])
        records[owed.place] = msgspec.structs.replace(
            records[owed.place],
            status=status,
            tries=owed.tries,
            http_status=http_status,
            reason=reason,
            at=self._clock(),
        )
        self._records[owed.task_id] = tuple(records)
        await self._store.note_webhooks(owed.task_id, tuple(records))

    def _forget(self, owed: _Owed) -> None:
        self._count -= 1
        records = self._records.get(owed.task_id, ())
        if all(each.status != "pending" for each in records):
            self._records.pop(owed.task_id, None)


def _names_of(row: TaskRow) -> tuple[str, ...]:
    """Return what the end of a task is called, most general first: its state, and its code."""
    code = row.error_code if row.outcome is None else row.outcome.code.value
    return row.status.value, code


def signature(secret: str, body: bytes, at: float) -> str:
    """Return what proves to a receiver who has `secret` that we sent `body` at that moment.

    The moment is signed too: a receiver that refuses old ones cannot be told old news again.
    Source: the form of Stripe's `Stripe-Signature`, which many receivers know to check.
    """
    moment = int(at)
    signed = b"%d." % moment + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
