"""A whole gateway, started from its settings, tells a webhook of a task's end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import msgspec

from zscrape import config
from zscrape.gateway.serve import Ready, serve


async def test_settings_reach_the_webhook(tmp_path: Path) -> None:
    """Address, events, secret and allowed networks of the settings are those in force."""
    told: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if b"content-length" in line)
        told.put_nowait((head, await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = config.load(
        flags={"home": tmp_path / "home", "gateway.http": "127.0.0.1:0"},
        environ={
            "HOME": str(tmp_path),
            "ZSCRAPE_API_KEY": "secret-0123456",
            "ZSCRAPE_LINK": "tcp://127.0.0.1:0",
            "ZSCRAPE_WEBHOOK_URL": f"http://127.0.0.1:{port}/all",
            "ZSCRAPE_WEBHOOK_EVENTS": "failed",
            "ZSCRAPE_WEBHOOK_SIGNING_SECRET": "signing-0123456",
            "ZSCRAPE_WEBHOOK_ALLOW": "127.0.0.0/8",
        },
    )
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()

    async with asyncio.TaskGroup() as group:
        group.create_task(serve(settings, on_ready=ready.set_result))
        url = (await ready).http
        headers = {"Authorization": "Bearer secret-0123456"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            answer = await client.post("/scrape", json={"script_name": "absent"})
            head, body = await told.get()
        os.kill(os.getpid(), signal.SIGTERM)
    server.close()

    assert head.startswith(b"POST /all ")
    assert b"x-zscrape-signature: t=" in head.lower()
    assert msgspec.json.decode(body) == answer.json()
