"""What the kernel tells of one process, kept open."""

from __future__ import annotations

import asyncio
import os

from zscrape.worker import tree


async def test_an_open_eye_tells_of_its_process_alone() -> None:
    """It tells what is so now; of a process that has ended, and once it is closed, nothing."""
    process = await asyncio.create_subprocess_exec("sleep", "60")
    eye, own = tree.Eye(process.pid), tree.Eye(os.getpid())
    seen, below = eye.process(), own.children()
    process.kill()
    await process.wait()
    seen_after, below_after = eye.process(), own.children()
    eye.close()
    own.close()

    assert seen is not None
    assert (seen.pid, seen.thread_count, seen.is_zombie) == (process.pid, 1, False)
    assert str(process.pid).encode() in below.split()
    assert seen_after is None
    assert str(process.pid).encode() not in below_after.split()
    assert (own.process(), own.children()) == (None, b"")
