"""The browser's asynchronous objects for a script that is not: every call waits for its value.

with ctx.browser() as tab:
    tab.go_to(url)
    title = tab.title()
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")
# What is wrapped again when a call returns it; values go through as they are.
_WRAPPED_MODULES = ("pydoll.", "zscrape.runtime.tab")


class BlockingLoop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="browser", daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what a coroutine returns, or raise what it raises."""
        told = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return told.result()
        except BaseException:
            told.cancel()
            raise

    def close(self) -> None:
        """End the loop; nothing may wait in it any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking:
    """One asynchronous object whose methods block, and whose `async with` becomes `with`."""

    def __init__(self, inner: Any, loop: BlockingLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        try:
            found = getattr(self._inner, name)
        except AttributeError:
            raise AttributeError(f"the browser's tab has no {name}") from None
        if inspect.isawaitable(found):  # a property that is one: `await tab.current_url`
            return self._wait(found)
        if callable(found):
            return lambda *arguments, **options: self._call(found, arguments, options)
        return self._wrap(found)

    def __enter__(self) -> Any:
        return self._wait(self._inner.__aenter__())

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        return self._wait(self._inner.__aexit__(kind, error, trace))

    def work(self, begin: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Wait for what is done with the object itself, and return it."""
        return self._wrap(self._loop.wait(begin(self._inner)))

    def _call(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        inner = [each._inner if type(each) is Blocking else each for each in arguments]  # noqa: SLF001 - one of us

        async def call() -> Any:
            value = function(*inner, **options)
            return await value if inspect.isawaitable(value) else value

        return self._wrap(self._loop.wait(call()))

    def _wait(self, value: Any) -> Any:
        async def wait() -> Any:
            return await value

        return self._wrap(self._loop.wait(wait()))

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, list):
            wrapped = [self._wrap(each) for each in value]
            # One that may still grow stays what it is.
            return wrapped if any(type(each) is Blocking for each in wrapped) else value
        is_manager = hasattr(value, "__aenter__")
        if is_manager or type(value).__module__.startswith(_WRAPPED_MODULES):
            return Blocking(value, self._loop)
        return value
