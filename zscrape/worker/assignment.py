"""What a worker is asked to run."""

from __future__ import annotations

from msgspec import Struct

from zscrape.model import RunSpec


class Assignment(Struct, frozen=True):
    """One attempt to run. `deadline_at`: when the task's whole life ends, by the loop's clock."""

    task_id: str
    attempt: int
    run: RunSpec
    params: bytes
    deadline_at: float | None = None
    is_exclusive: bool = False  # another may begin as soon as this one is told to be over
    secrets: dict[str, str] = {}  # values by name, as far as they are granted
    trace_id: str = ""  # by which others know the call
    client: str = ""  # whose it is
    is_replay: bool = False  # sites answer as they did once: what asks `replay` says
    budgeted: tuple[str, ...] | None = None  # sites that have a budget; None: it may ask
