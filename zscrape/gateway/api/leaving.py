"""What becomes of a task when the client who waits for it goes.

By default it goes on: whoever comes back finds it by its id or its `Idempotency-Key`. With
`?on_disconnect=cancel` it ends, unless somebody else waits for it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qsl

from zscrape.gateway.api.exchange import ClientGone, not_one_of
from zscrape.gateway.faults import field_fault
from zscrape.gateway.state import GatewayState
from zscrape.spelling import nearest
from zscrape.store.tasks import TaskRow

ON_DISCONNECT: Final = "on_disconnect"
_CHOICES: Final = ("continue", "cancel")


def is_cancelling(given: str | None) -> bool:
    """True iff a call asks that its task ends when its client goes.

    Raises:
        FieldFault: It says neither `cancel` nor `continue`.
    """
    if given is None:
        return False
    if given not in _CHOICES:
        raise not_one_of(ON_DISCONNECT, given, _CHOICES)
    return given == "cancel"


def is_cancelling_query(query: bytes) -> bool:
    """Read the query of a call that takes nothing but `on_disconnect`.

    Raises:
        FieldFault: It has something else, or a value that means nothing.
    """
    if not query:
        return False
    given: str | None = None
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name != ON_DISCONNECT:
            near = nearest(name, (ON_DISCONNECT,))
            key = "unknown_query.nearest" if near else "unknown_query"
            raise field_fault(name[:80], key, name=name[:80], **({"nearest": near} if near else {}))
        if given is not None:
            raise field_fault(name, "given_twice", name=name)
        given = value
    return is_cancelling(given)


@contextmanager
def ending_with_client(state: GatewayState, row: TaskRow, *, is_asked: bool) -> Iterator[None]:
    """End the task when its client goes while inside, if that `is_asked`."""
    try:
        yield
    except ClientGone:
        if is_asked:
            end_if_left(state, row)
        raise


def end_if_left(state: GatewayState, row: TaskRow) -> None:
    """End a task that nobody waits for any more; one that has ended stays as it is."""
    hub = state.hub
    is_awaited = hub.ends.is_watched(row.id) or hub.news.is_watched(row.id)
    if not (row.status.is_final or hub.is_closed or is_awaited):
        state.router.cancel(row.id)
