"""Who may come in by the link: keys that are known, and join tokens that still hold.

A key that is neither is refused in the handshake, so that no message of a stranger is ever
read. A join token's key opens a connection for one word only: `Join`, which makes another key
known for one worker id. From then on the id belongs to that key.

All is decided in memory, at once; what must last is written by the `Keeper` first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from zscrape.config.joining import KEY_BYTES
from zscrape.config.keyfiles import key_text, new_pair
from zscrape.core.admission import is_worker_id
from zscrape.errors.requests import NotFound
from zscrape.model import WorkerId
from zscrape.store.linkkeys import Admission, TokenRow, WorkerKey
from zscrape.wire import PROTOCOL, Hello, Join, Reject, Spoken

LOCAL: Final = "local"  # the id of the token that the home folder holds
_ID_LENGTH: Final = 12
# What another gateway of the same database has decided meanwhile.
_REJECTS: Final = {
    Admission.TAKEN: Reject("identity"),
    Admission.REVOKED: Reject("revoked"),
    Admission.SPENT: Reject("token", "used_up"),
}


class Keeper(Protocol):
    """Where tokens and keys are kept."""

    async def load(self) -> tuple[list[WorkerKey], list[TokenRow]]:
        """Return all that is kept."""
        ...

    async def save_token(self, token: TokenRow) -> None:
        """Keep a new token."""
        ...

    async def revoke_token(self, key: str, at: float) -> None:
        """Keep that a token is revoked; its uses stay as they are kept."""
        ...

    async def add_worker(self, worker: WorkerKey, token_key: str | None) -> Admission:
        """Keep a new worker's key with the use of a token, unless others were first."""
        ...

    async def save_worker(self, worker: WorkerKey) -> None:
        """Keep a worker's key that has changed."""
        ...

    async def forget_worker(self, key: str) -> None:
        """Forget a worker's key."""
        ...


class NoKeeper:
    """Keeps nothing: for a gateway whose store is its memory."""

    async def load(self) -> tuple[list[WorkerKey], list[TokenRow]]:
        """Return nothing."""
        return [], []

    async def save_token(self, token: TokenRow) -> None:
        """Keep nothing."""

    async def revoke_token(self, key: str, at: float) -> None:
        """Keep nothing."""

    async def add_worker(self, worker: WorkerKey, token_key: str | None) -> Admission:
        """Keep nothing: nobody else was first."""
        return Admission.NEW

    async def save_worker(self, worker: WorkerKey) -> None:
        """Keep nothing."""

    async def forget_worker(self, key: str) -> None:
        """Forget nothing."""


class Passage(Struct):
    """What one connection may do: its key is proven once, in its handshake."""

    key: str
    worker_id: WorkerId  # empty: it may join, and nothing else
    descriptor: int = -1  # of its TCP connection
    remote: tuple[str, int] | None = None
    is_closed: bool = False
    heard_count: int = 0


class Expelled(Struct, frozen=True):
    """A key that another gateway has taken back; of a token the worker id is empty."""

    key: str
    worker_id: WorkerId
    is_revoked: bool = True  # else forgotten: a token may let it join again


class Gatekeeper:
    """Knows the keys and the tokens of this gateway."""

    def __init__(self, *, local_key: bytes) -> None:
        self._keeper: Keeper = NoKeeper()
        self._changing_count = 0  # changes of our own that are being kept
        self._change_count = 0
        self._workers: dict[str, WorkerKey] = {}
        self._by_id: dict[WorkerId, WorkerKey] = {}
        local = TokenRow(LOCAL, key_text(local_key), LOCAL, 0.0)
        self._tokens = {local.key: local}

    async def open(self, keeper: Keeper) -> None:
        """Take up what is kept, and keep what is new; to be awaited before anybody is let in.

        Raises:
            StorageError: It cannot be read.
        """
        workers, tokens = await keeper.load()
        self._keeper = keeper
        self._take(workers, tokens)

    async def follow(self) -> list[Expelled]:
        """Take up what other gateways have changed; return the keys that they took back.

        Raises:
            StorageError: What is kept cannot be read; what was known still holds.
        """
        before = self._mark()
        workers, tokens = await self._keeper.load()
        if before is None or self._mark() != before:
            return []  # what was read may be older than our own change: the next look will do
        known = {key: worker for key, worker in self._workers.items() if worker.revoked_at is None}
        open_keys = {token.key for token in self.tokens if token.revoked_at is None}
        self._take(workers, tokens)
        expelled = [
            Expelled(key, worker.worker_id, is_revoked=key in self._workers)
            for key, worker in known.items()
            if key not in self._workers or self._workers[key].revoked_at is not None
        ]
        closed = [token.key for token in self.tokens if token.revoked_at is not None]
        return expelled + [Expelled(key, "") for key in closed if key in open_keys]

    def _take(self, workers: list[WorkerKey], tokens: list[TokenRow]) -> None:
        local = {token.key: token for token in self._tokens.values() if token.id == LOCAL}
        self._workers = {worker.key: worker for worker in workers}
        self._by_id = {worker.worker_id: worker for worker in workers if worker.revoked_at is None}
        self._tokens = local | {token.key: token for token in tokens}

    def _mark(self) -> int | None:
        """Return what changes with every change of our own; None while there is one."""
        return None if self._changing_count else self._change_count

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep what is read meanwhile from undoing a change of our own."""
        self._changing_count += 1
        try:
            yield
        finally:
            self._changing_count -= 1
            self._change_count += 1

    # ---- the handshake ---------------------------------------------------------------

    def admits(self, key: bytes, now: float) -> str:
        """Return the user id of a key that may open a connection, an empty text for others."""
        told = key_text(key)
        worker = self._workers.get(told)
        if worker is not None:
            return told if worker.revoked_at is None else ""
        token = self._tokens.get(told)
        return told if token is not None and not token.fault(now) else ""

    def passage(self, user_id: str) -> Passage:
        """Return what the connection of an admitted key may do."""
        worker = self._workers.get(user_id)
        if worker is not None:
            return Passage(user_id, worker.worker_id, is_closed=worker.revoked_at is not None)
        return Passage(user_id, "", is_closed=user_id not in self._tokens)

    # ---- messages --------------------------------------------------------------------

    def refusal(self, passage: Passage, message: Spoken) -> str:
        """Return why a connection may not say this; an empty text when it may.

        A `Join` is for `join`, also over a worker's own connection: for whoever did not hear
        that it has joined.
        """
        if passage.is_closed:
            return "revoked"
        if type(message) is Join:
            return ""
        if not passage.worker_id:
            return "not_joined"
        if type(message) is Hello and message.worker_id != passage.worker_id:
            return "identity"
        return ""

    async def join(self, passage: Passage, join: Join, now: float) -> Reject | None:
        """Make a worker's key known; None once it is.

        Raises:
            StorageError: It cannot be kept now; nothing has changed.
        """
        problem = self._join_problem(passage, join, now)
        key = key_text(join.key)
        if problem is not None or key in self._workers:
            return problem
        token = self._tokens[passage.key]
        worker = WorkerKey(key, join.worker_id, token.id, now)
        used = None if token.id == LOCAL else token.key
        self._count(used, 1)
        self._workers[key] = self._by_id[join.worker_id] = worker
        with self._changing():
            try:
                admission = await self._keeper.add_worker(worker, used)
            except BaseException:
                self._retract(worker, used)
                raise
        if admission is Admission.KNOWN:
            self._count(used, -1)
        elif admission is not Admission.NEW:
            self._retract(worker, used)
        return _REJECTS.get(admission)

    def _retract(self, worker: WorkerKey, used: str | None) -> None:
        self._count(used, -1)
        del self._workers[worker.key], self._by_id[worker.worker_id]

    def _count(self, key: str | None, uses: int) -> None:
        """Count uses before they are kept: two at once are two."""
        if key is not None:
            token = self._tokens[key]
            token = msgspec.structs.replace(token, used_count=token.used_count + uses)
            self._tokens[key] = token

    def _join_problem(self, passage: Passage, join: Join, now: float) -> Reject | None:
        if join.protocol != PROTOCOL:
            return Reject("protocol", f"gateway speaks {PROTOCOL}, worker {join.protocol}")
        key = key_text(join.key)
        is_sound = len(join.key) == KEY_BYTES and is_worker_id(join.worker_id)
        if not is_sound or key in self._tokens:
            return Reject("join_invalid")
        known = self._workers.get(key)
        if known is None:
            return self._newcomer_problem(passage, join, now)
        if known.revoked_at is not None:
            return Reject("revoked")
        return None if known.worker_id == join.worker_id else Reject("identity")

    def _newcomer_problem(self, passage: Passage, join: Join, now: float) -> Reject | None:
        token = self._tokens.get(passage.key)
        fault = "unknown" if token is None else token.fault(now)
        if fault:
            return Reject("token", fault)
        return Reject("identity") if join.worker_id in self._by_id else None

    # ---- what an administrator asks --------------------------------------------------

    @property
    def tokens(self) -> list[TokenRow]:
        """The tokens that were made, newest first; the home folder's own is not among them."""
        made = (token for token in self._tokens.values() if token.id != LOCAL)
        return sorted(made, key=lambda token: -token.created_at)

    @property
    def workers(self) -> list[WorkerKey]:
        """The workers whose keys are known, revoked ones among them, newest first."""
        return sorted(self._workers.values(), key=lambda worker: -worker.joined_at)

    async def create_token(
        self, name: str, *, uses_limit_count: int | None, expires_at: float | None, now: float
    ) -> tuple[TokenRow, bytes]:
        """Make a token; return what is kept of it, and its secret, which is not.

        Raises:
            StorageError: It cannot be kept now; it was not made.
        """
        pair = new_pair()
        key = key_text(pair.public)
        token = TokenRow(
            hashlib.sha256(pair.public).hexdigest()[:_ID_LENGTH],
            key,
            name,
            now,
            expires_at,
            uses_limit_count,
        )
        with self._changing():
            await self._keeper.save_token(token)
            self._tokens[key] = token
        return token, pair.secret

    async def revoke_token(self, token_id: str, now: float) -> TokenRow:
        """Let nobody join by a token any more; who has joined by it stays.

        Raises:
            NotFound: There is no such token.
            StorageError: It cannot be kept now; nothing has changed.
        """
        for token in self.tokens:
            if token.id == token_id:
                break
        else:
            raise NotFound(kind="token", name=token_id[:80])
        if token.revoked_at is None:
            with self._changing():
                await self._keeper.revoke_token(token.key, now)
                token = msgspec.structs.replace(self._tokens[token.key], revoked_at=now)
                self._tokens[token.key] = token
        return token

    async def remove_worker(self, worker_id: WorkerId) -> WorkerKey:
        """Forget a worker's key: it is a stranger, who may join again by a token.

        Raises:
            NotFound: There is no such worker.
            StorageError: It cannot be kept now; nothing has changed.
        """
        found = [worker for worker in self.workers if worker.worker_id == worker_id]
        if not found:
            raise NotFound(kind="worker", name=worker_id[:80])
        with self._changing():
            for worker in found:  # keys that were revoked under this id, too
                await self._keeper.forget_worker(worker.key)
                self._workers.pop(worker.key, None)
            self._by_id.pop(worker_id, None)
        return found[0]

    async def revoke_worker(self, worker_id: WorkerId, now: float) -> WorkerKey:
        """Refuse a worker's key for ever, also with a token that still holds.

        Raises:
            NotFound: There is no such worker.
            StorageError: It cannot be kept now; nothing has changed.
        """
        worker = self._by_id.get(worker_id)
        if worker is None:
            raise NotFound(kind="worker", name=worker_id[:80])
        worker = msgspec.structs.replace(worker, revoked_at=now)
        with self._changing():
            await self._keeper.save_worker(worker)
            self._workers[worker.key] = worker
            self._by_id.pop(worker_id, None)
        return worker
