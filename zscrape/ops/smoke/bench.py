"""What a case has at hand: calls that say what was asked, answered and expected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from zscrape.client import Client, ClientError

_TIMEOUT_S: Final = 60.0
_ANSWER_LIMIT: Final = 600  # of an answer in a diagnosis
_POLL_S: Final = 0.1


class CaseFailed(Exception):
    """Raised when a case sees something else than it expects."""

    def __init__(self, request: str, answer: str, expectation: str) -> None:
        super().__init__(f"{request}: expected {expectation}, got {answer}")
        self.request = request
        self.answer = answer if len(answer) <= _ANSWER_LIMIT else answer[:_ANSWER_LIMIT] + "…"
        self.expectation = expectation


class CaseSkipped(Exception):
    """Raised when there is nothing to check: the installation has no such part."""


class Answer:
    """An answer of the gateway, and what it was to."""

    def __init__(self, request: str, response: httpx.Response) -> None:
        self.request = request
        self.status = response.status_code
        self.text = response.text
        self.content_type = response.headers.get("content-type", "")

    def expect(self, what: str, is_so: bool) -> Answer:
        """Go on iff it is as expected.

        Raises:
            CaseFailed: It is not.
        """
        if not is_so:
            raise CaseFailed(self.request, f"HTTP {self.status} {self.text.strip()}", what)
        return self

    def document(self) -> Any:
        """Return the JSON of a good answer.

        Raises:
            CaseFailed: It is none.
        """
        self.expect("HTTP 2xx", 200 <= self.status < 300)
        try:
            return msgspec.json.decode(self.text)
        except msgspec.MsgspecError:
            raise CaseFailed(self.request, self.text, "JSON") from None


class Bench:
    """The gateway under test.

    Args:
        client: Its client.
        script: The probe that it has; empty: none could be put there.
        why_none: Why there is no probe.
    """

    def __init__(self, client: Client, *, script: str = "", why_none: str = "") -> None:
        self.client = client
        self._script = script
        self._why_none = why_none
        self._http = httpx.Client(base_url=client.gateway.url, timeout=_TIMEOUT_S, trust_env=False)
        self._cleanups: list[tuple[str, Callable[[], None]]] = []

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def probe(self) -> str:
        """The script to run.

        Raises:
            CaseFailed: There is none.
        """
        if not self._script:
            raise CaseFailed("probe", self._why_none, "a script to run: --script or --scripts")
        return self._script

    def call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call the gateway with its own key, another, or none (an empty text).

        Raises:
            CaseFailed: There is no answer.
        """
        key = self.client.gateway.key if key is None else key
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        told = f"{method} {path}" if body is None else f"{method} {path} {_short(body)}"
        try:
            response = self._http.request(method, path, json=body, headers=sent)
        except httpx.HTTPError as error:
            raise CaseFailed(told, f"{type(error).__name__}: {error}", "an answer") from error
        return Answer(told, response)

    def run(self, parameters: dict[str, Any], **options: Any) -> tuple[str, dict[str, Any]]:
        """Run the probe; returns what was asked and the envelope."""
        request = f"POST /scrape {_short({'parameters': parameters, **options})}"
        try:
            return request, self.client.run(self.probe, parameters, **options)
        except ClientError as error:
            raise CaseFailed(request, f"{error.code}: {error}", "an envelope") from error

    def until(self, answer: Callable[[], Answer], is_so: Callable[[Any], bool], what: str) -> Any:
        """Ask again until it is so, for up to a minute.

        Raises:
            CaseFailed: It never was.
        """
        end_at = time.monotonic() + _TIMEOUT_S
        while True:
            last = answer()
            document = last.document()
            if is_so(document):
                return document
            if time.monotonic() > end_at:
                last.expect(what, is_so=False)
            threading.Event().wait(_POLL_S)

    # ---- what was made for the cases --------------------------------------------------

    def made(self, what: str, remove: Callable[[], None]) -> None:
        """Note something that has to be removed in the end."""
        self._cleanups.append((what, remove))

    def clean(self) -> list[str]:
        """Remove what was made, the latest first; returns what could not be and why."""
        faults = []
        while self._cleanups:
            what, remove = self._cleanups.pop()
            try:
                remove()
            except (CaseFailed, ClientError, OSError) as error:
                faults.append(f"{what}: {error}")
        return faults


def _short(document: Any) -> str:
    told = msgspec.json.encode(document).decode()
    return told if len(told) <= 200 else told[:200] + "…"
