"""One call of the API as data: what is sent, and what is made of the answer.

The sync and the async client send the same descriptions, so that what a verb does is written
once. An `Answer` is whole; a stream's lines and pieces are read by `reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType

from zscrape.client.failures import ClientError, Document
from zscrape.client.manner import Manner
from zscrape.messages import text

T = TypeVar("T")
MANY_S: Final = 300.0  # calls about up to 10,000 tasks


class Answer(Struct, frozen=True):
    """What came back: of a stream, what came before its first piece."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes = b""

    @property
    def is_success(self) -> bool:
        """True iff the gateway did what it was asked for."""
        return 200 <= self.status < 300


class Broken(Struct, frozen=True):
    """No answer, or half of one. `is_unsent`: nothing of the call has reached a gateway."""

    reason: str
    is_unsent: bool = False


class Call(Struct, Generic[T], frozen=True, kw_only=True):
    """One call, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Answer, Manner], T]
    params: Mapping[str, Any] = {}
    body: Any = UNSET
    headers: Mapping[str, str] = {}
    timeout_s: float | UnsetType | None = UNSET  # of silence; None: none; unset: the client's
    extra_s: float = 0.0  # that an answer may take on top: it waits for something
    is_repeatable: bool = False  # also after an answer was lost

    @property
    def may_repeat(self) -> bool:
        """True iff doing it twice does no more than doing it once."""
        return self.is_repeatable or self.method == "GET"


def whole_answer(answer: Answer, manner: Manner) -> Answer:
    """Return the answer itself, once it is none of an error."""
    if not answer.is_success:
        raise refusal(answer, manner)
    return answer


def as_bytes(answer: Answer, manner: Manner) -> bytes:
    """Return the body of an answer."""
    return whole_answer(answer, manner).content


def as_nothing(answer: Answer, manner: Manner) -> None:
    """Read an answer that says no more than that it was done."""
    whole_answer(answer, manner)


def as_document(answer: Answer, manner: Manner) -> Document:
    """Return the JSON object of an answer."""
    document = document_in(whole_answer(answer, manner))
    if isinstance(document, dict):
        return document
    raise not_ours(answer, manner)


def call(method: str, path: str, **options: Any) -> Call[Document]:
    """Return a call that is answered with a JSON object."""
    return Call(method=method, path=path, read=as_document, **options)


# ---- answers -------------------------------------------------------------------------


def document_in(answer: Answer) -> Any:
    """Return the JSON of an answer; None when it is none."""
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def refusal(answer: Answer, manner: Manner) -> ClientError:
    """Return the error that an answer tells of."""
    document = document_in(answer)
    if not isinstance(document, dict):
        return not_ours(answer, manner)
    inner = document.get("error")
    told = inner if isinstance(inner, dict) else document
    words = told.get("detail") or told.get("message") or told.get("title")
    code = str(told.get("code") or "answer_invalid")
    return ClientError(
        code,
        str(words or code),
        status=answer.status,
        body=document,
        request_id=answer.headers.get("x-request-id", ""),
        retry_after_s=_retry_after_s(answer),
    )


def not_ours(answer: Answer, manner: Manner) -> ClientError:
    """Return the error of an answer that no gateway gives."""
    words = text("client.answer_invalid", manner.lang, url=manner.url, status=answer.status)
    return ClientError(
        "answer_invalid", words, status=answer.status, retry_after_s=_retry_after_s(answer)
    )


def unreachable(reason: str, manner: Manner) -> ClientError:
    """Return the error of no answer at all."""
    words = text("client.gateway_unreachable", manner.lang, url=manner.url, reason=reason)
    return ClientError("gateway_unreachable", words)


def _retry_after_s(answer: Answer) -> float | None:
    told = answer.headers.get("retry-after", "").strip()
    return float(told[:9]) if told.isascii() and told.isdigit() else None


# ---- requests ------------------------------------------------------------------------


def given(options: Mapping[str, Any]) -> Document:
    """Return what was given: None is not."""
    return {name: value for name, value in options.items() if value is not None}


def at(*parts: str) -> str:
    """Return a path of the API; what is a name cannot leave its segment."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)
