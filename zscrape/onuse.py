"""Modules that are loaded when something of them is used, not when they are named.

A gateway or a worker that waits for work holds what it waits by. What only some of the work
needs (a webhook, a schema, a look by Prometheus) was a third of an idle gateway's memory and of
its start; who comes first waits some 10 ms for it, once.

    if TYPE_CHECKING:
        import httpx
    else:
        httpx = on_use("httpx")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _OnUse:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def on_use(name: str) -> Any:
    """Return what stands for the module `name` and loads it at the first use."""
    return _OnUse(name)
