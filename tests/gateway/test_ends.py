"""An end is told to those whom it concerns, and to nobody else."""

from __future__ import annotations

import pytest

from zscrape.gateway.ends import TaskEnds
from zscrape.store.tasks import TaskRow


@pytest.mark.parametrize(
    ("row", "heard"),
    [
        (TaskRow(id="t", script_name="s", created_at=0.0), ["all"]),
        (TaskRow(id="t", script_name="s", created_at=0.0, schedule_id="x"), ["all", "schedule"]),
        (TaskRow(id="t", script_name="s", created_at=0.0, handoff_count=1), ["all", "people"]),
        (TaskRow(id="t", script_name="s", created_at=0.0, webhook_url="x"), ["all", "clients"]),
        (TaskRow(id="k", script_name="s", created_at=0.0), ["all", "keys"]),
    ],
)
def test_who_hears(row, heard):
    """A schedule hears of what it has made, hand-offs of what has asked people, and so on."""
    ends, told = TaskEnds(), []
    ends.of_all.append(lambda ended: told.append("all"))
    ends.of_scheduled = lambda ended: told.append("schedule")
    ends.of_asking = lambda ended: told.append("people")
    ends.of_hooked = lambda ended: told.append("clients")
    ends.keyed, ends.of_keyed = {"k"}, lambda ended: told.append("keys")

    ends.tell(row)

    assert told == heard
