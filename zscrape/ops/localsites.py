"""The budgets of sites for one run on this machine: those of its own manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from zscrape.core.effects import Question
from zscrape.gateway.asked import Asked, Questions
from zscrape.gateway.sites import local_sites
from zscrape.log import get_logger
from zscrape.model import RunSpec
from zscrape.wire import Ask, Tell

_NOBODY: Final = b""


class LocalSites:
    """Answers what one attempt asks about sites, as a gateway would."""

    def __init__(self, run: RunSpec, tell: Callable[[Tell], None], lang: str) -> None:
        self._run = run
        self._sites = local_sites()
        answerers = {"site": self._sites.answer, "seen": self._sites.seen}
        self._kinds = frozenset(answerers)
        self._questions = Questions(
            answerers, tell=lambda _, told: tell(told), report=_report, lang=lang
        )

    def hear(self, ask: Ask) -> bool:
        """Take in a question; False if it is not about sites."""
        if ask.kind not in self._kinds:
            return False
        self._questions.hear(Question(_NOBODY, "local", ask, self._run))
        return True

    async def close(self) -> None:
        """Answer nothing more."""
        await self._questions.close()
        await self._sites.close()


def _report(asked: Asked, error: Exception) -> None:
    get_logger().error("question_failed", kind=asked.kind, task_id=asked.task_id, exc_info=error)
