"""The gateway of the floors: HTTP in, a frame to a worker, its answer back.

    python -m bench.floors.gateway WORKERS

It says where it listens as one line of JSON, and is ready when so many workers have said a word.
A request is the body behind a number of eight bytes, its answer the data behind that number, or
in a frame of its own, which is then not copied.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import cycle
from typing import Any, TypeAlias

import uvicorn
import zmq

from zscrape.config.keyfiles import new_pair

NUMBER_BYTES = 8
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.SNDMORE) | _NOBLOCK
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
# As large as ours are: an id, times, what has been run where.
HEAD = b'{"request_id":"%s","status":"completed","data":' % (b"0" * 36)
TAIL = b',"filler":"%s"}' % (b"x" * 400)
_FRAME_BYTES = len(HEAD) + len(TAIL)

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]


class _Gateway:
    """One socket, and who waits for what comes from it."""

    def __init__(self) -> None:
        self.pair = new_pair()
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.CURVE_SERVER, 1)  # and whoever has a key may come in
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, self.pair.secret)
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._waiting: dict[bytes, asyncio.Future[bytes | memoryview]] = {}
        self._count = 0

    def meet(self, count: int) -> None:
        """Wait for the first word of each worker."""
        self._peers = cycle([self._socket.recv_multipart()[0] for _ in range(count)])

    def listen(self) -> None:
        """Read the socket by the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._drain()

    def ask(self, body: bytes) -> asyncio.Future[bytes | memoryview]:
        """Send a request; what is returned will have its data."""
        self._count += 1
        number = self._count.to_bytes(NUMBER_BYTES, "big")
        future = self._waiting[number] = self._loop.create_future()
        send = self._socket.send
        send(next(self._peers), _MORE)
        send(number + body, _NOBLOCK)
        if int(self._socket.get(_EVENTS)) & _POLLIN:  # the descriptor will not tell of it again
            self._loop.call_soon(self._drain)
        return future

    def _drain(self) -> None:
        receive, get, waiting = self._socket.recv, self._socket.get, self._waiting
        while int(get(_EVENTS)) & _POLLIN:
            receive(_NOBLOCK)
            frame = receive(_NOBLOCK)
            future = waiting.pop(frame[:NUMBER_BYTES])
            if len(frame) > NUMBER_BYTES:
                future.set_result(frame[NUMBER_BYTES:])
            else:
                future.set_result(receive(_NOBLOCK, copy=False).buffer)


def _application(gateway: _Gateway) -> Callable[[_Message, _Receive, _Send], Awaitable[None]]:
    async def answer(_scope: _Message, receive: _Receive, send: _Send) -> None:
        event = await receive()
        body = event["body"]
        while event.get("more_body"):
            event = await receive()
            body += event["body"]
        data = await gateway.ask(body)
        length = b"%d" % (_FRAME_BYTES + len(data))
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if type(data) is bytes:
            await send({"type": "http.response.body", "body": b"%b%b%b" % (HEAD, data, TAIL)})
            return
        for part in (HEAD, data):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": TAIL})

    return answer


class _Server(uvicorn.Server):
    """One that reads another socket, too."""

    def __init__(self, gateway: _Gateway) -> None:
        super().__init__(
            uvicorn.Config(
                _application(gateway),
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
            )
        )
        self._gateway = gateway

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin with both."""
        self._gateway.listen()
        await super().startup(sockets)
        print("ready", flush=True)


def main(worker_count: int) -> None:
    """Serve until killed."""
    gateway = _Gateway()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    told = {
        "port": listener.getsockname()[1],
        "link": gateway.endpoint,
        "key": gateway.pair.public.hex(),
    }
    print(json.dumps(told), flush=True)
    gateway.meet(worker_count)
    _Server(gateway).run([listener])


if __name__ == "__main__":
    main(int(sys.argv[1]))
