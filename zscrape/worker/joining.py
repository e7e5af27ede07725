"""The first words of a new worker: by a join token's key it makes its own key known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from zscrape import wire
from zscrape.errors import WireError
from zscrape.worker.credentials import Credentials

_ANSWER_S: Final = 3.0  # for a connection, its handshake and an answer
_REPEAT_S: Final = 1.0
_PAUSE_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(eq=False)
class JoinRefused(Exception):
    """Raised when the gateway does not let this worker join; `reason` is a code."""

    reason: str
    detail: str = ""


async def join(
    credentials: Credentials, worker_id: str, *, on_silence: Callable[[str], None]
) -> None:
    """Have the gateway know this worker's key; tries for as long as nobody answers.

    `on_silence` hears, once, the address of a gateway that cannot be reached or does not
    prove itself by the key that is expected.

    Raises:
        JoinRefused: The gateway has said no.
        OSError: The gateway's key cannot be kept.
    """
    tries = 0
    while True:
        context = zmq.asyncio.Context()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    await _ask(context, credentials, worker_id)
                    return
        finally:
            context.destroy(linger=0)
        if tries == 1:
            on_silence(credentials.address)
        await asyncio.sleep(_PAUSE_S[min(tries, len(_PAUSE_S) - 1)])
        tries += 1


async def _ask(context: zmq.asyncio.Context, credentials: Credentials, worker_id: str) -> None:
    socket = context.socket(zmq.DEALER)
    server_key = credentials.apply(socket, is_joining=True)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, wire.FRAME_LIMIT_BYTES)
    if "[" in credentials.address:
        socket.setsockopt(zmq.IPV6, 1)
    failures = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    monitor: Any = socket.get_monitor_socket(failures)
    refused = asyncio.create_task(_refusal(monitor, has_choice=credentials.has_choice))
    answered = asyncio.create_task(_dialogue(socket, credentials, worker_id))
    try:
        socket.connect(credentials.address)
        await asyncio.wait((refused, answered), return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            refused.result()
            raise JoinRefused("token", "unknown")
        answered.result()
    finally:
        for task in (refused, answered):
            task.cancel()
        await asyncio.gather(refused, answered, return_exceptions=True)
        socket.disable_monitor()
        monitor.close(linger=0)
    credentials.remember((server_key,))


async def _refusal(monitor: Any, *, has_choice: bool) -> None:
    """Wait until the gateway has refused the key in the handshake.

    Raises:
        TimeoutError: It is another key by which the gateway proves itself.
    """
    while True:
        event = parse_monitor_message(await monitor.recv_multipart())["event"]
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return
        if has_choice:
            raise TimeoutError


async def _dialogue(socket: Any, credentials: Credentials, worker_id: str) -> None:
    said = wire.encode(wire.Join(wire.PROTOCOL, worker_id, credentials.public))
    while True:
        await socket.send(said)
        with suppress(TimeoutError, WireError):
            async with asyncio.timeout(_REPEAT_S):
                match wire.decode_gateway(await socket.recv()):
                    case wire.Joined():
                        return
                    case wire.Reject(reason=reason, detail=detail):
                        raise JoinRefused(reason, detail)
