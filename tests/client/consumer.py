"""A program of a user: type-checked strictly with the rest, and run against a real cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from pathlib import Path
from typing import Any, assert_type

from zscrape import AsyncClient, Client
from zscrape.client import Artifact, Ended, Event, Failure, Task


def use(client: Client, folder: Path) -> list[str]:
    """Use each kind of verb, and tell what came of it."""
    task = assert_type(client.run("steps", {"count": 2}, timeout=60), Task)
    submitted = client.submit("kept", {"name": "a.txt"}, priority=1)
    kept = assert_type(client.wait(submitted.id, timeout_s=60), Task)
    files = assert_type(client.artifacts(kept.id), list[Artifact])
    path = assert_type(client.download(kept.id, files[0].name, folder), Path)
    stream = assert_type(client.stream("steps", {"count": 3}), Generator[Any, None, None])
    numbers = [row["number"] for row in stream]
    batch = assert_type(client.batch("steps", [{"count": 1}] * 3), Generator[Ended, None, None])
    ended = [each.task.status for each in batch]
    events = assert_type(client.events(task.id), Generator[Event, None, None])
    kinds = {event.kind for event in events}
    failed = client.run("steps", {"count": 0, "fail": True})
    error = assert_type(failed.error, Failure | None)
    scripts = assert_type(client.scripts(), dict[str, Any])
    piece = b"".join(client.artifact_stream(kept.id, files[0].name))
    return [
        task.status,
        path.read_text(),
        piece.decode(),
        str(numbers),
        str(ended),
        str("item" in kinds and "result" in kinds),
        error.code if error else "",
        str("steps" in {each["name"] for each in scripts["scripts"]}),
    ]


async def use_async(client: AsyncClient, folder: Path) -> list[str]:
    """Do the same in an event loop."""
    task = assert_type(await client.run("steps", {"count": 2}, timeout=60), Task)
    submitted = await client.submit("kept", {"name": "a.txt"}, priority=1)
    kept = assert_type(await client.wait(submitted.id, timeout_s=60), Task)
    files = assert_type(await client.artifacts(kept.id), list[Artifact])
    path = assert_type(await client.download(kept.id, files[0].name, folder), Path)
    stream = assert_type(client.stream("steps", {"count": 3}), AsyncGenerator[Any, None])
    numbers = [row["number"] async for row in stream]
    ended = [each.task.status async for each in client.batch("steps", [{"count": 1}] * 3)]
    kinds = {event.kind async for event in client.events(task.id)}
    failed = await client.run("steps", {"count": 0, "fail": True})
    error = assert_type(failed.error, Failure | None)
    scripts = assert_type(await client.scripts(), dict[str, Any])
    async with aclosing(client.artifact_stream(kept.id, files[0].name)) as pieces:
        piece = b"".join([each async for each in pieces])
    return [
        task.status,
        path.read_text(),
        piece.decode(),
        str(numbers),
        str(ended),
        str("item" in kinds and "result" in kinds),
        error.code if error else "",
        str("steps" in {each["name"] for each in scripts["scripts"]}),
    ]
