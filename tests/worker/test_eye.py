"""What the kernel tells of one process, kept open."""

from __future__ import annotations

import asyncio
import os
from math import inf

from zscrape.worker import tree


async def test_an_open_eye_tells_of_its_process_alone() -> None:
    """It tells what is so now; of a process that has ended, and once it is closed, nothing."""
    process = await asyncio.create_subprocess_exec("sleep", "60")
    eye, own = tree.Eye(process.pid), tree.Eye(os.getpid())
    before_s, below = eye.alone_s(inf), own.children()
    holding_s, accompanied_s = eye.alone_s(1), own.alone_s(inf)
    process.kill()
    await process.wait()
    after_s, below_after = eye.alone_s(inf), own.children()
    eye.close()
    own.close()

    assert before_s is not None
    assert (holding_s, accompanied_s) == (None, None)
    assert str(process.pid).encode() in below.split()
    assert after_s is None
    assert str(process.pid).encode() not in below_after.split()
    assert (own.alone_s(inf), own.children()) == (None, b"")
