"""How a client calls: in which language, how patiently, and under which address."""

from __future__ import annotations

import random
from typing import Final

from msgspec import Struct


class Retry(Struct, frozen=True):
    """How often and how long a client tries again.

    It does so when a gateway says 429 or 503, after the `Retry-After` that it names, and when
    there was no answer and the call may be made twice: it changes nothing, or it carries an
    idempotency key. Waits double from `first_s` on; one beyond `cap_s` is not waited for.
    """

    count: int = 5
    first_s: float = 0.25
    cap_s: float = 30.0

    def pause_s(self, tries: int, asked_s: float | None = None) -> float | None:
        """Return how long to wait before trying again; None: it is enough.

        Args:
            tries: How many have failed.
            asked_s: What the gateway asks for.
        """
        if tries > self.count or (asked_s or 0.0) > self.cap_s:
            return None
        own_s = min(self.cap_s, self.first_s * 2.0 ** (tries - 1))
        own_s *= random.uniform(0.5, 1.0)  # noqa: S311 - so that many clients do not come at once
        return max(asked_s or 0.0, own_s)


PATIENT: Final = Retry()
RECONNECTING: Final = Retry(first_s=0.5)  # a stream: no call is made twice by it
NO_RETRY: Final = Retry(count=0)


class Manner(Struct, frozen=True):
    """What every conversation of one client has in common."""

    url: str
    lang: str = "en"
    retry: Retry = PATIENT
    reconnect: Retry = RECONNECTING
