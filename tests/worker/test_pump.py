"""Many descriptors behind one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from zscrape.worker.pump import Pump


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe with a byte in it."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    yield reader, writer
    os.close(reader)
    os.close(writer)


async def test_a_descriptor_that_is_added_again_calls_the_later_one(pipe: tuple[int, int]) -> None:
    """Who adds a descriptor takes it over from whoever had it; removed once, it is forgotten."""
    pump = Pump(asyncio.get_running_loop())
    reader, _ = pipe
    told: list[str] = []
    heard = asyncio.Event()

    def hear() -> None:
        told.append("later")
        os.read(reader, 1)
        heard.set()

    pump.add(reader, lambda: told.append("earlier"))
    pump.add(reader, hear)
    await heard.wait()
    pump.remove(reader)
    pump.add(reader, hear)  # it would be refused if it were still there
    pump.close()

    assert told == ["later"]


async def test_the_number_of_one_that_is_removed_may_be_anothers(pipe: tuple[int, int]) -> None:
    """Its number may be another's at once, which is heard for itself."""
    pump = Pump(asyncio.get_running_loop())
    heard: list[str] = []
    reader, writer = os.pipe()
    pump.add(reader, lambda: heard.append("removed"))
    os.write(writer, b"x")
    pump.remove(reader)
    os.close(reader)
    os.dup2(pipe[0], reader)
    done = asyncio.Event()
    pump.add(reader, done.set)
    await done.wait()
    pump.remove(reader)
    pump.close()
    os.close(reader)
    os.close(writer)

    assert heard == []
