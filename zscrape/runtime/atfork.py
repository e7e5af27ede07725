"""What modules have called around a fork, held back from the template's own forks.

`threading` and `logging` make their locks anew in a child, since another thread may have held
them. A template has no other thread. What these hooks write to is copied page by page: in a
process with 14 MB they double what a fork costs. A child registers them for its own forks.
"""

from __future__ import annotations

import os
from typing import Any

_HELD_BACK = ("threading", "logging")


class Hooks:
    """Hooks that are registered while this is entered, except those that are held back."""

    def __init__(self) -> None:
        self._held: list[dict[str, Any]] = []
        self._register: Any = None

    def __enter__(self) -> Hooks:
        """Hear of hooks in place of the interpreter."""
        self._register = os.register_at_fork
        os.register_at_fork = self._take
        return self

    def __exit__(self, *_error: object) -> None:
        """Let the interpreter hear of them again."""
        os.register_at_fork = self._register

    def _take(self, **hooks: Any) -> None:
        if all(getattr(each, "__module__", "") in _HELD_BACK for each in hooks.values()):
            self._held.append(hooks)
        else:  # new random numbers, say
            self._register(**hooks)

    @property
    def has_any(self) -> bool:
        """True iff something was held back."""
        return bool(self._held)

    def register(self) -> None:
        """Register in this process what was held back."""
        for hooks in self._held:
            self._register(**hooks)
