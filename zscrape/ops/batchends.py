"""How targets of a batch end, and why: as the gateway's answers tell it."""

from __future__ import annotations

from msgspec import Struct

from zscrape.client import Document
from zscrape.ops.journal import State
from zscrape.ops.targets import Target


class End(Struct, frozen=True):
    """What became of one target. `began_at` is the clock's, when its task was submitted."""

    target: Target
    began_at: float
    state: State
    reason: str
    task_id: str = ""
    attempt_count: int = 0

    @property
    def fields(self) -> Document:
        """What its line in the log has besides."""
        fields: Document = {"group": self.target.group} if self.target.group else {}
        if self.task_id:
            fields |= {"request_id": self.task_id, "attempts": self.attempt_count}
        return fields


def reason_of(view: Document) -> str:
    """Return why a task has failed, from the view of a list or the full one."""
    error = view.get("error")
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"
    code = view.get("error_code") or view.get("status")
    return f"{code}: {view.get('error_message') or ''}".rstrip(": ")
