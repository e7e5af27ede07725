"""A TCP proxy on loopback that does to a connection what networks do: wait, cut, choke, go deaf."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

_CHUNK_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset instead of a farewell


class Proxy:
    """Stands between workers and a gateway; the faults are attributes, set from any thread.

    `delay_s` holds every chunk back; `write_bytes` is the most that is written at once;
    `rate_bytes_s` throttles. `seen` is what workers have sent, when `is_recording`.
    """

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("tcp://").rpartition(":")
        self._upstream = (host, int(port))
        self.delay_s = 0.0
        self.write_bytes = _CHUNK_BYTES
        self.rate_bytes_s = 0.0
        self.is_recording = False
        self.seen = bytearray()
        self.accepted_count = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._hears = asyncio.Event()
        self._hears.set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def reset(self) -> None:
        """Reset every connection; new ones are taken as before."""
        self._call(self._reset())

    def deafen(self) -> None:
        """Pass nothing on any more, while all connections stay up: they are half-open."""
        self._loop.call_soon_threadsafe(self._hears.clear)

    def hear(self) -> None:
        """Pass everything on again, first what was said meanwhile."""
        self._loop.call_soon_threadsafe(self._hears.set)

    def close(self) -> None:
        """Cut everything and end the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _reset(self) -> None:
        for writer in list(self._writers):
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        ours = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not ours]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_count += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        except OSError:  # the gateway is down: what dials is cut, as it would be without us
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far_writer, is_up=True))
                group.create_task(self._pass(far_reader, writer, is_up=False))
        except* OSError:  # one side has been reset: so is the other
            pass
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if is_up and self.is_recording:
                self.seen += chunk
            await asyncio.sleep(self.delay_s)
            for start in range(0, len(chunk), self.write_bytes):
                await self._hears.wait()
                piece = chunk[start : start + self.write_bytes]
                writer.write(piece)
                await writer.drain()
                if self.rate_bytes_s:
                    await asyncio.sleep(len(piece) / self.rate_bytes_s)
        with contextlib.suppress(OSError):
            writer.write_eof()
