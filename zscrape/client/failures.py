"""What goes wrong with a call, as one error with the API's own codes."""

from __future__ import annotations

from typing import Any, TypeAlias

from zscrape.errors import ZscrapeError

Document: TypeAlias = dict[str, Any]


class ClientError(ZscrapeError):
    """Raised when a call does not succeed.

    `code` is the API's, or `gateway_unknown`, `gateway_unreachable`, `answer_invalid`,
    `wait_over` of the client's own; `status` is the HTTP status, 0 iff there was no answer.
    `words`, which are also `str(error)`, say what happened and what to do next. `problems` has
    one `{"pointer", "reason"}` per fault of the request, and `body` is all that was answered.
    """

    def __init__(
        self,
        code: str,
        words: str,
        *,
        status: int = 0,
        body: Document | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ):
        super().__init__()
        self.code = code  # type: ignore[misc]  # many codes, one class: they are the API's
        self.status = status
        self.words = words
        self.body = body or {}
        self.retry_after_s = retry_after_s
        self._request_id = request_id

    @property
    def problems(self) -> list[dict[str, str]]:
        """What is wrong with the request, all at once."""
        found = self.body.get("problems", [])
        return found if isinstance(found, list) else []

    @property
    def request_id(self) -> str:
        """The id under which the gateway's log tells of this call, or empty."""
        return str(self.body.get("request_id") or self._request_id)

    def __str__(self) -> str:
        """Return the words, which a gateway has already translated."""
        return self.words

    def __repr__(self) -> str:
        """Return what a programmer looks for first."""
        told = f"ClientError({self.code!r}, {self.words!r}, status={self.status}"
        return told + (f", request_id={self.request_id!r})" if self.request_id else ")")
