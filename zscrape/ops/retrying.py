"""Dead letters done again, in rounds: what fails once more is done again in the next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from zscrape.client import Client, Document
from zscrape.ops.operation import Operation

_PIECE_COUNT: Final = 500  # letters in one call
_POLL_S: Final = 2.0


class Letter:
    """One dead letter on its way: the task that it is now, and how often it was done again."""

    def __init__(self, letter_id: str) -> None:
        self.id = letter_id
        self.now_id = letter_id
        self.round_count = 0
        self.began_at = time.monotonic()


class Retrying:
    """Does dead letters again.

    Args:
        operation: The run.
        client: The gateway.
        rounds: How often one letter is done again at most.
        waits: A target ends when its new task does; else when that is accepted.
    """

    def __init__(self, operation: Operation, client: Client, *, rounds: int, waits: bool) -> None:
        self._operation = operation
        self._client = client
        self._rounds = rounds
        self._waits = waits
        self._flying: dict[str, Letter] = {}
        self.answers: list[Document] = []

    @property
    def pending_count(self) -> int:
        """How many new tasks have not ended."""
        return len(self._flying)

    def run(self, letter_ids: Sequence[str]) -> None:
        """Do these letters again."""
        letters = [Letter(each) for each in dict.fromkeys(letter_ids)]
        size = 1 if self._operation.standard.is_fail_fast else _PIECE_COUNT
        while letters:
            again: list[Letter] = []
            for start in range(0, len(letters), size):
                if self._operation.stops:
                    return
                self._retry(letters[start : start + size])
                again += self._await()
            letters = again

    def _retry(self, letters: list[Letter]) -> None:
        by_id = {each.now_id: each for each in letters}
        answer = self._client.retry_dead_letters(ids=list(by_id), limit=len(by_id))
        for told in answer["deadletters"]:
            letter = by_id[told["request_id"]]
            letter.round_count += 1
            error = told.get("error")
            if letter.now_id == letter.id:
                self.answers.append(told)
            if error is not None:
                self._end(letter, f"{error['code']}: {error['message']}")
                continue
            letter.now_id = told["retried_as"]
            if self._waits:
                self._flying[letter.now_id] = letter
            else:
                self._end(letter, "")

    def _await(self) -> list[Letter]:
        """Wait for the new tasks; returns the letters of those that are to be done again."""
        again: list[Letter] = []
        while self._flying and not self._is_late:
            flying = list(self._flying)[:1_000]
            left_s = self._operation.left_s
            wait_s = _POLL_S if left_s is None else min(_POLL_S, left_s)
            for view in self._client.wait_many(flying, wait_s=wait_s, count=len(flying)):
                again += self._land(view)
        return again

    @property
    def _is_late(self) -> bool:
        return self._operation.left_s == 0.0

    def _land(self, view: Document) -> Iterator[Letter]:
        letter = self._flying.pop(view["request_id"])
        attempts = int(view.get("attempts") or 0)
        if view.get("status") == "completed":
            self._end(letter, "", attempts=attempts)
        elif view.get("dropped_reason") and letter.round_count < self._rounds:
            yield letter
        else:
            code = view.get("error_code") or view.get("status")
            reason = f"{code}: {view.get('error_message') or ''}".rstrip(": ")
            self._end(letter, reason, attempts=attempts)

    def _end(self, letter: Letter, reason: str, *, attempts: int = 0) -> None:
        self._operation.end(
            letter.id,
            "failed" if reason else "succeeded",
            reason,
            elapsed_s=time.monotonic() - letter.began_at,
            is_retried=letter.round_count > 1 or attempts > 1,
            retried_as=letter.now_id,
        )
