"""What a task has been through before a restart: the part that its spec does not say."""

from __future__ import annotations

from msgspec import Struct

from zscrape.model import OutcomeCode


class History(Struct, frozen=True, kw_only=True):
    """Spans of time, not moments: the clock of the process before was another one."""

    age_s: float = 0.0  # since its acceptance; of its deadline so much has passed
    received_count: int = 0  # records of its last attempt that have been told
    try_count: int = 0  # attempts that spoke
    lost_count: int = 0
    rest_s: float = 0.0  # until its next try; 0.0 iff it does not rest
    last_code: OutcomeCode | None = None  # why it rests
    # Another gateway has sent its last attempt, perhaps: its worker is asked for that.
    is_adopted: bool = False
    parked_on: str = ""  # the question to a person that it waits for, without an attempt
    is_last: bool = False  # nobody waits for another attempt: the last one's end is its own
