"""Who hears that a task has ended: what every end concerns, and what only some do."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from zscrape.gateway.ledger import EndListener, let_pass
from zscrape.model import TaskId
from zscrape.store.tasks import TaskRow


class TaskEnds:
    """Tells ends of tasks. Most are nobody's but the counters': the others are not asked."""

    def __init__(self) -> None:
        self.of_all: list[EndListener] = []
        self.of_scheduled: EndListener = let_pass  # which schedules have made
        self.of_asking: EndListener = let_pass  # which have asked people
        self.of_hooked: EndListener = let_pass  # whose clients want to be told
        self.of_keyed: EndListener = let_pass  # which have brought keys of items:
        self.keyed: AbstractSet[TaskId] = frozenset()  # these

    def tell(self, row: TaskRow) -> None:
        """Tell the end of a task."""
        for listener in self.of_all:
            listener(row)
        if row.schedule_id:
            self.of_scheduled(row)
        if row.handoff_count:
            self.of_asking(row)
        if row.webhook_url:
            self.of_hooked(row)
        if self.keyed and row.id in self.keyed:
            self.of_keyed(row)
