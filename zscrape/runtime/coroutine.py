"""A script's coroutine, driven to its value by an event loop of its own.

`asyncio.run` would wait for every thread of the default executor and for every task that
swallows its cancellation, so a script that has its value could still run into its time
limit. Here what is left behind gets a moment to clean up, and the child answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from zscrape.runtime.said import Said

_CLEANUP_S = 1.0  # for left-over tasks, then again for asynchronous generators

last_loop: Any = None  # of the last script that was driven; open


def run(driven: Coroutine[Any, Any, Any], said: Said) -> Any:
    """Return what `driven` returns; whatever else it started is cancelled."""
    import asyncio

    global last_loop  # noqa: PLW0603 - a process that runs another script must let go of it
    loop = last_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(driven)
    finally:
        # One who is asked to end has the worker's grace to do so, all of it.
        limit_s = None if said.is_cancelled else _CLEANUP_S
        loop.run_until_complete(_clean_up(loop, limit_s))
        # It stays open and set: whatever goes on finds it as it was until the process ends.


async def _clean_up(loop: Any, limit_s: float | None) -> None:
    import asyncio

    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        done, _ = await asyncio.wait(left, timeout=limit_s)
        _tell_faults(loop, done)
    closing = loop.create_task(loop.shutdown_asyncgens())
    await asyncio.wait({closing}, timeout=limit_s)


def _tell_faults(loop: Any, done: set[Any]) -> None:
    """Say what a left-over task raised when it was cancelled, as `asyncio.run` does."""
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            told = {"message": "a task failed after the script had ended"}
            loop.call_exception_handler({**told, "exception": error, "task": task})
