"""From a request to a task that may be queued: resolved, checked, and nothing kept yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.config.settings import ScriptDefaults
from zscrape.config.values import parse_webhook
from zscrape.core.bucket import Buckets, rate_of
from zscrape.errors.scripts import SecretDenied
from zscrape.gateway.checks import check_closely
from zscrape.gateway.faults import field_fault
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.lockkeys import lock_of
from zscrape.gateway.ratelimits import require
from zscrape.gateway.requests import RetryRequest, TaskRequest, decode_parameters
from zscrape.model import (
    NEVER_RETRIED,
    NO_RETRY,
    RETRIED_BY_DEFAULT,
    RETRY_COUNT,
    LockRequest,
    OutcomeCode,
    RetryPolicy,
    RunSpec,
    TaskId,
    TaskSpec,
)
from zscrape.scripts.catalogue import Catalogue, Script
from zscrape.store.tasks import TaskRow

Origin: TypeAlias = Literal["scrape", "run", "task", "batch", "retry", "schedule"]

_ENCODE: Final = msgspec.json.Encoder().encode


class TaskPolicy(Struct, frozen=True):
    """How long tasks may wait, and how few processes they may share."""

    schedule_timeout_s: float = 300.0  # for a slot
    # While somebody waits at the other end of an open call, that no worker matches is soon an
    # answer; long enough for a worker that is reconnecting (its back-off starts at 0.2 s).
    match_timeout_s: float = 3.0
    reuse_limit: int = 10_000  # attempts that one process may run, whatever a manifest says


class Prepared(Struct, frozen=True, gc=False):
    """A request that has been found good: all that is left is to accept it."""

    row: TaskRow
    spec: TaskSpec
    max_age_s: float | None = None
    is_own_only: bool = False  # no earlier task of another client will do


# Says how many tasks a client may have that have not ended, where its key has a word in it.
ClientLimit: TypeAlias = Callable[[str], int | None]


def no_limit(_client: str) -> int | None:
    """Say nothing: the queue's policy decides."""
    return None


def refuse_secrets(run: RunSpec) -> None:
    """Grant no secret: a gateway without any.

    Raises:
        SecretDenied: The script asks for one.
    """
    raise SecretDenied(name=run.secrets[0], script_name=run.pin.name)


class Intake:
    """Makes tasks of requests."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        policy: TaskPolicy,
        defaults: Mapping[str, ScriptDefaults],
        clock: Callable[[], float] = time.time,
        check_secrets: Callable[[RunSpec], None] = refuse_secrets,
        buckets: Buckets | None = None,
        limit_of: ClientLimit = no_limit,
    ) -> None:
        self._check_secrets = check_secrets
        self._buckets = Buckets() if buckets is None else buckets  # of scripts that have a rate
        self._limit_of = limit_of
        self._catalogue = catalogue
        self._policy = policy
        self._defaults = dict(defaults)
        self._clock = clock
        self._turn: dict[tuple[str, str | None], Script] = {}  # looked at in this turn

    async def prepare(
        self,
        request: TaskRequest,
        *,
        origin: Origin,
        client: str,
        task_id: TaskId | None = None,
        at: str = "",
        is_awaited: bool = False,
        is_own_only: bool = False,
        own_lock: str = "",
        trace_id: str = "",
    ) -> Prepared:
        """Resolve and check a request; nothing is kept or queued yet.

        Args:
            request: What is asked.
            origin: How it came.
            client: Whose key it came with.
            task_id: The task's id, where it has been told already.
            at: Where the request stands in the body, as a JSON pointer.
            is_awaited: Somebody waits at the other end of an open call.
            is_own_only: Its client may not see an earlier task of another one.
            own_lock: The key of who asks, where neither the request nor the script has one.
            trace_id: By which others know the call.

        Raises:
            InvalidRequest, ParamsInvalid: The request is at fault.
            RateLimited: The script is asked for too often.
            ScriptError: The script cannot be resolved, or lacks a secret that it needs.
        """
        metadata = _kept(request.metadata, f"{at}/metadata") if request.metadata else {}
        name = request.script_name
        default = self._defaults.get(name)
        if default is not None and default.rate is not None:
            self._check_rate(name, default.rate)
        given = bytes(request.parameters)
        params = decode_parameters(given, at=f"{at}/parameters")
        if default is not None:
            request = msgspec.structs.replace(
                request,
                version=request.version or default.version,
                timeout=request.timeout or default.timeout_s,
                tags=request.tags or default.tags,
            )
            if default.parameters:
                params = {**default.parameters, **params}
                given = _ENCODE(params)
        version = request.version
        script = self._turn.get((name, version)) or self._at_hand(name, version)
        if script is None:
            script = await self._catalogue.resolve(name, version)
        manifest = script.manifest
        if script.run.secrets:
            self._check_secrets(script.run)
        if not script.is_plainly_good(params):
            await check_closely(script, params, size_bytes=len(given), at=at)
        lock: LockRequest | None = None
        if request.lock_key or request.overlap or own_lock or manifest.lock:
            # A retried task brings the key that was made for it, which may look like a template.
            is_plain = origin == "retry"
            lock = lock_of(request, script, params, at, is_plain=is_plain, own_key=own_lock)
        asked = request.retry
        retry = manifest.retry if asked is None else _retry(asked, script, at)
        wait_s = self._policy.match_timeout_s if is_awaited else self._policy.schedule_timeout_s
        prepared = self._made(
            task_id or new_task_id(), request, script, given, retry, lock, wait_s, client, trace_id
        )
        row = prepared.row
        row.origin, row.metadata = origin, metadata
        if request.webhook is not None or request.webhook_url is not None:
            row.webhook_url, row.webhook_events = webhook_of(request, at)
        if request.max_age is None:
            return prepared
        return Prepared(row, prepared.spec, request.max_age, is_own_only)

    def prepare_at_once(
        self, request: TaskRequest, client: str, task_id: TaskId, trace_id: str
    ) -> Prepared | None:
        """Return what `prepare` would of a plain request on an open call.

        None where something has to be waited for, or looked at closely: nothing has come of it.

        Raises:
            InvalidRequest: The request is at fault.
        """
        name, version = request.script_name, request.version
        if (
            request.metadata
            or request.lock_key
            or request.overlap
            or request.retry
            or request.webhook
            or request.webhook_url
            or request.max_age is not None
            or name in self._defaults
        ):
            return None
        script = self._turn.get((name, version)) or self._at_hand(name, version)
        if script is None or script.is_special:
            return None
        given = bytes(request.parameters)
        if not script.is_plainly_good(decode_parameters(given, at="/parameters")):
            return None
        retry, wait_s = script.manifest.retry, self._policy.match_timeout_s
        return self._made(task_id, request, script, given, retry, None, wait_s, client, trace_id)

    def _made(
        self,
        task_id: TaskId,
        request: TaskRequest,
        script: Script,
        given: bytes,
        retry: RetryPolicy,
        lock: LockRequest | None,
        wait_s: float,
        client: str,
        trace_id: str,
    ) -> Prepared:
        """Make a task of a request that has been found good; `wait_s` is for a worker to match."""
        pin, run, policy = script.pin, script.run, self._policy
        priority, tags, timeout_s = request.priority, request.tags, request.timeout
        row = TaskRow(
            id=task_id,
            script_name=pin.name,
            created_at=self._clock(),
            version=pin.version,
            digest=pin.digest,
            repository=pin.repository,
            parameters=given,
            priority=priority,
            tags=tags,
            retry=retry,
            timeout_s=timeout_s,
            origin="scrape",
            client=client,
            trace_id=trace_id,
        )
        if lock is not None:
            row.lock_key, row.overlap = lock.key, lock.overlap
        spec = TaskSpec(
            id=task_id,
            run=run if run.reuse_count <= policy.reuse_limit else self._limited(run),
            params=given,
            priority=priority,
            client=client,
            requires=script.requires.union(tags) if tags else script.requires,
            prefers=script.prefers,
            deadline_s=timeout_s,
            schedule_timeout_s=policy.schedule_timeout_s,
            match_timeout_s=wait_s,
            lock=lock,
            retry=retry,
            client_limit_count=self._limit_of(client),
            trace_id=trace_id,
        )
        return Prepared(row, spec)

    def _limited(self, run: RunSpec) -> RunSpec:
        return msgspec.structs.replace(run, reuse_count=max(self._policy.reuse_limit, 1))

    def _check_rate(self, name: str, per_s: float) -> None:
        rate = rate_of(per_s)
        if rate is not None:
            require(self._buckets.take(name, rate, now=self._clock()), "script")

    def _at_hand(self, name: str, version: str | None) -> Script | None:
        """Return a script that need not be waited for, if it is; a turn's requests share the look.

        The look costs four system calls, a quarter of a call under load. Sharing it loses
        nothing: what runs in a turn had arrived before the turn began, so an edit that was
        made before a request was sent is seen by it.
        """
        turn, script = self._turn, self._catalogue.at_hand(name, version)
        if script is not None:
            if not turn:
                asyncio.get_running_loop().call_soon(turn.clear)
            turn[name, version] = script
        return script


def _kept(value: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return what the store can keep.

    Raises:
        InvalidRequest: It has a whole number of more than 64 bits.
    """
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        raise field_fault(pointer, "whole_number_too_large") from None
    return value


def _retry(asked: RetryRequest, script: Script, at: str) -> RetryPolicy:
    """Return the request's own policy; what it leaves open the manifest says.

    Raises:
        FieldFault: It would try again what is no failure, or what another try cannot change.
    """
    never = sorted(NEVER_RETRIED & (asked.on or frozenset()))
    if never:
        raise field_fault(f"{at}/retry/on", "never_retried", codes=", ".join(never))
    if asked.max == 0:
        return NO_RETRY
    own = script.manifest.retry
    return RetryPolicy(
        max_count=asked.max if asked.max is not None else own.max_count or RETRY_COUNT,
        backoff_s=asked.backoff,
        cap_s=asked.cap,
        on=asked.on or own.on or RETRIED_BY_DEFAULT,
        routes=own.routes if asked.route is None else _routes(asked.route),
    )


def _routes(
    asked: Mapping[OutcomeCode, tuple[str, ...]],
) -> dict[OutcomeCode, frozenset[str]]:
    return {code: frozenset(tags) for code, tags in asked.items()}


def webhook_of(request: TaskRequest, at: str = "") -> tuple[str, tuple[str, ...]]:
    """Return who is to be told of a task's end, and of which ends; empty texts for nobody.

    Raises:
        FieldFault: That is no address, or is given twice.
    """
    webhook, url = request.webhook, request.webhook_url
    if webhook is not None and url is not None:
        raise field_fault(f"{at}/webhook_url", "given_twice", name="webhook")
    if webhook is not None:
        return _address(webhook.url, f"{at}/webhook/url"), webhook.events
    return ("", ()) if url is None else (_address(url, f"{at}/webhook_url"), ())


def _address(url: str, pointer: str) -> str:
    try:
        parse_webhook(url)
    except ValueError:
        raise field_fault(pointer, "webhook_address") from None
    return url
