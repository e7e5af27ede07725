"""`ctx.state`: what scripts remember between runs, for scripts and for people.

A write is kept at once, whatever becomes of its attempt: a cursor that was reached is reached,
and a script that wants it otherwise writes it as its last act.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from zscrape.errors.requests import NotFound, StateConflict, StateFull
from zscrape.gateway.asked import Asked
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import check_depth, decode_body
from zscrape.model import KIB
from zscrape.store.scriptstate import (
    ScriptStateStore,
    StateCountReached,
    StateMoved,
    StateRow,
)

KEY_LIMIT_CHARACTERS: Final = 200
VALUE_LIMIT_BYTES: Final = 64 * KIB
KEY_LIMIT_COUNT: Final = 1_000  # of one script
_PAGE_COUNT: Final = 200
_DEPTH_LIMIT: Final = 32  # as parameters (contract section 9)

_Key = Annotated[
    str, Meta(min_length=1, max_length=KEY_LIMIT_CHARACTERS, pattern=r"\A[^\x00-\x1f\x7f]+\Z")
]
_Revision = Annotated[int, Meta(ge=0, le=2**62)]


class StateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT .../state/{key}`; with `revision` only over the value that has it."""

    value: Raw
    revision: _Revision | None = None  # 0: only where there is none


class StateQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """What a script asks of its state; see `zscrape.runtime.state`."""

    op: Literal["get", "put", "remove", "keys"]
    key: _Key | None = None
    value: Raw = Raw(b"")
    revision: _Revision | None = None
    after: str = ""


_REQUEST: Final = msgspec.json.Decoder(StateRequest)
_QUESTION: Final = msgspec.json.Decoder(StateQuestion)
_KEY: Final = msgspec.json.Decoder(_Key)
_encode = msgspec.json.Encoder().encode


class ScriptStates:
    """The state of every script of a cluster."""

    def __init__(self, store: ScriptStateStore, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def page(
        self, script_name: str, *, prefix: str = "", after: str = "", limit: int = _PAGE_COUNT
    ) -> list[StateRow]:
        """Return what a script remembers, by key.

        Raises:
            StorageError: It cannot be read.
        """
        return await self._store.page(script_name, prefix=prefix, after=after, limit=limit)

    async def get(self, script_name: str, key: str) -> StateRow:
        """Return one thing that a script remembers.

        Raises:
            NotFound: There is none under this key.
            StorageError: It cannot be read.
        """
        row = await self._store.get(script_name, key)
        if row is None:
            raise NotFound(kind="state", name=key[:80])
        return row

    async def put(
        self, script_name: str, key: str, value: bytes, *, revision: int | None, writer: str
    ) -> int:
        """Keep a value; return its new revision.

        Raises:
            FieldFault: The key or the value is none that can be kept.
            StateConflict: It has not the revision that was asked for.
            StateFull: The script remembers as much as it may.
            StorageError: Nothing can be kept now.
        """
        check_key(key)
        _check_value(value)
        try:
            return await self._store.put(
                script_name,
                key,
                value,
                revision=revision,
                writer=writer,
                now=self._clock(),
                limit_count=KEY_LIMIT_COUNT,
            )
        except StateMoved as error:
            raise StateConflict(script_name=script_name, key=key) from error
        except StateCountReached as error:
            raise StateFull(script_name=script_name, limit_count=KEY_LIMIT_COUNT) from error

    async def remove(self, script_name: str, key: str) -> bool:
        """Forget a value; False when there was none.

        Raises:
            StorageError: Nothing can be changed now.
        """
        return await self._store.remove(script_name, key)

    async def clear(self, script_name: str) -> int:
        """Forget all that a script remembers; return how much that was.

        Raises:
            StorageError: Nothing can be changed now.
        """
        return await self._store.clear(script_name)

    async def answer(self, asked: Asked) -> bytes:
        """Answer a running script.

        Raises:
            FieldFault: It asks for what cannot be.
            StateFull: It remembers as much as it may.
            StorageError: The store does not answer now.
        """
        question = decode_body(_QUESTION.decode, asked.body, known=StateQuestion.__struct_fields__)
        return _encode(await self._answer(asked, question))

    async def _answer(self, asked: Asked, question: StateQuestion) -> dict[str, Any]:
        script_name, key = asked.script_name, question.key or ""
        if question.op == "keys":
            rows = await self._store.page(script_name, after=question.after, limit=_PAGE_COUNT)
            return {"keys": [row.key for row in rows], "is_whole": len(rows) < _PAGE_COUNT}
        check_key(key)
        if question.op == "get":
            row = await self._store.get(script_name, key)
            if row is None:
                return {"revision": 0}
            return {"revision": row.revision, "value": Raw(row.value)}
        if question.op == "remove":
            return {"removed": await self._store.remove(script_name, key)}
        writer = f"{asked.task_id}/{asked.attempt}/{asked.request}"
        try:
            revision = await self.put(
                script_name, key, bytes(question.value), revision=question.revision, writer=writer
            )
        except StateConflict:  # a script that asked for a revision expects this
            return {"revision": None}
        return {"revision": revision}


def decode_state(body: bytes) -> StateRequest:
    """Read which value is to be kept.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    return decode_body(_REQUEST.decode, body, known=StateRequest.__struct_fields__)


def check_key(key: str) -> None:
    """Prove that a text may be a key of a script's state.

    Raises:
        FieldFault: It is empty, too long, or has control characters.
    """
    try:
        _KEY.decode(_encode(key))
    except (msgspec.MsgspecError, UnicodeError):
        raise field_fault("/key", "state_key", limit=KEY_LIMIT_CHARACTERS) from None


def _check_value(value: bytes) -> None:
    if len(value) > VALUE_LIMIT_BYTES:
        raise field_fault("/value", "state_value", limit=VALUE_LIMIT_BYTES, size=len(value))
    check_depth(value, _DEPTH_LIMIT)
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise field_fault("/value", "state_json", detail=str(error)[:200]) from None
