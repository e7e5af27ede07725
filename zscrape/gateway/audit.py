"""Tells the audit of administrative acts, as they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from zscrape.errors import StorageError
from zscrape.gateway.damper import Damper
from zscrape.store.audit import AuditLine, AuditStore

LossListener: TypeAlias = Callable[[AuditLine, StorageError], None]


_SHUT_OUT: Final = frozenset({"forbidden", "unauthorized"})


class Auditor:
    """Writes what was done, and what somebody tried to do.

    `on_loss` hears of a line that could not be kept: the act itself is done by then.
    """

    def __init__(
        self,
        store: AuditStore,
        *,
        on_loss: LossListener = lambda line, error: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._on_loss = on_loss
        self._clock = clock
        self._refused = Damper(time.monotonic)

    async def note(
        self,
        action: str,
        *,
        actor: str,
        target: str = "",
        address: str = "",
        result: str = "ok",
        request_id: str = "",
    ) -> None:
        """Keep a line; of what is refused for want of a key or a scope one every few seconds."""
        # Strangers could fill the disk with what they may not do.
        if result in _SHUT_OUT and self._refused.admit((actor, action)) is None:
            return
        line = AuditLine(
            at=self._clock(),
            actor=actor,
            action=action,
            target=target,
            address=address,
            result=result,
            request_id=request_id,
        )
        try:
            await self.store.add(line)
        except StorageError as error:
            self._on_loss(line, error)
