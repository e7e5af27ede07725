"""What a script remembers in one run on this machine: state, keys and sessions, gone after it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from zscrape.core.effects import Question
from zscrape.gateway.asked import Asked, Questions
from zscrape.gateway.sealing import Sealer
from zscrape.log import get_logger
from zscrape.model import RunSpec
from zscrape.wire import Ask, Tell

_NOBODY: Final = b""
_KINDS: Final = frozenset(("state", "key", "session"))
_KEY_BYTES: Final = 32


class _Sealing:
    """A key that is kept nowhere: neither is what it seals."""

    def __init__(self) -> None:
        self._sealer: Sealer | None = None

    async def sealer(self) -> Sealer:
        if self._sealer is None:
            self._sealer = Sealer(Path(os.devnull), os.urandom(_KEY_BYTES))
        return self._sealer


class LocalMemory:
    """Answers what one attempt asks of its memory, as a gateway that has seen nothing would."""

    def __init__(self, run: RunSpec, tell: Callable[[Tell], None], lang: str) -> None:
        self._run = run
        self._tell = tell
        self._lang = lang
        self._questions: Questions | None = None
        self._forget: Callable[[], Awaitable[None]] | None = None

    def hear(self, ask: Ask) -> bool:
        """Take in a question; False if it is not about what scripts remember."""
        if ask.kind not in _KINDS:
            return False
        if self._questions is None:
            self._questions = self._open()
        self._questions.hear(Question(_NOBODY, "local", ask, self._run))
        return True

    async def close(self) -> None:
        """Answer nothing more, and forget everything."""
        if self._questions is not None:
            await self._questions.close()
        if self._forget is not None:
            await self._forget()

    def _open(self) -> Questions:
        # The tables' library takes 0.2 s to load: only a script that remembers pays.
        from zscrape.gateway.remembering import remember
        from zscrape.store.volatile import VolatileDatabase

        database = VolatileDatabase()
        self._forget = database.close
        memory = remember(database, sealing=_Sealing())
        return Questions(
            {
                "state": memory.states.answer,
                "key": memory.keys.answer,
                "session": memory.sessions.answer,
            },
            tell=lambda _, told: self._tell(told),
            report=_report,
            lang=self._lang,
        )


def _report(asked: Asked, error: Exception) -> None:
    get_logger().error("question_failed", kind=asked.kind, task_id=asked.task_id, exc_info=error)
