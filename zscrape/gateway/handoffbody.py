"""What a script may ask a person, and what a person may answer."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from zscrape.errors.requests import HandoffInvalid
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body
from zscrape.model import KIB

# Half an hour: as long as somebody who is at work may not look.
TIMEOUT_S: Final = 1800.0
TIMEOUT_LIMIT_S: Final = 86_400.0
_TEXT_LIMIT: Final = 64 * KIB

_Name = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")]
_Short = Annotated[str, Meta(max_length=1_000)]
_FileName = Annotated[str, Meta(pattern=r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}\Z")]
_Choices = Annotated[list[str | int | float], Meta(min_length=1, max_length=200)]
_Place = Annotated[int, Meta(ge=1, le=100)]
_Timeout = Annotated[float, Meta(gt=0, le=TIMEOUT_LIMIT_S)]


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a person is asked for."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    title: _Short = ""
    description: _Short = ""
    required: bool = True
    secret: bool = False  # shown as dots while it is typed
    enum: _Choices | UnsetType = UNSET


class Image(Struct, frozen=True, forbid_unknown_fields=True):
    """A picture that was saved with the task before."""

    name: _FileName
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] = ""


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """What a script asks."""

    prompt: Annotated[str, Meta(min_length=1, max_length=10_000)]
    fields: Annotated[dict[_Name, Field], Meta(max_length=50)]
    image: Image | None = None
    timeout_s: _Timeout | None = None
    # Which of the questions of its run for which the script gives its slot back; None: it does not.
    free_slot: _Place | None = None

    @property
    def mark(self) -> str:
        """What equal questions share; a question with another picture is another one.

        Not so where the slot is given back: run again, a script sees another picture of the same.
        """
        if self.free_slot is not None:
            return _digest((self.prompt, self.fields, self.free_slot))
        picture = "" if self.image is None else self.image.sha256 or self.image.name
        return _digest((self.prompt, self.fields, picture))


def _digest(told: tuple[Any, ...]) -> str:
    encoded = msgspec.json.encode(told, order="deterministic")
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


class AnswerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/handoffs/{id}/answer`."""

    answer: dict[str, Any]


_QUESTION = msgspec.json.Decoder(Question)
_ANSWER = msgspec.json.Decoder(AnswerRequest)


def decode_question(body: bytes) -> Question:
    """Read what a script asks.

    Raises:
        HandoffInvalid: That is no question.
    """
    try:
        return _QUESTION.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise HandoffInvalid(reason=str(error)[:500]) from error


def decode_answer(body: bytes, fields: dict[str, Field]) -> dict[str, Any]:
    """Read what a person answers; no fault repeats a value.

    Raises:
        MalformedJson, InvalidRequest: It does not fit the fields that were asked for.
    """
    asked = decode_body(_ANSWER.decode, body, known=AnswerRequest.__struct_fields__)
    answer = asked.answer
    for name in answer:
        if name not in fields:
            known = ", ".join(fields) or "-"
            raise field_fault(f"/answer/{name[:80]}", "answer_unknown", name=name[:80], known=known)
    return {
        name: _checked(answer.get(name), field, f"/answer/{name}")
        for name, field in fields.items()
        if name in answer or field.required
    }


def _checked(value: Any, field: Field, at: str) -> Any:
    if value is None or (value == "" and field.required):
        if field.required:
            raise field_fault(at, "answer_missing")
        return None
    if not _is_of(value, field.type):
        raise field_fault(at, "wrong_type", expected=field.type, actual=_name_of(value))
    if isinstance(value, str) and len(value) > _TEXT_LIMIT:
        raise field_fault(at, "wrong_length", bound=f"<= {_TEXT_LIMIT}")
    if field.enum is not UNSET and value not in field.enum:
        raise field_fault(at, "answer_choice", known=", ".join(map(str, field.enum))[:500])
    return value


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float)}
    return kind in kinds and isinstance(value, kinds[kind])


def _name_of(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    return names.get(type(value), "object")
