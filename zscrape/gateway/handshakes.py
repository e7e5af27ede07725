"""CURVE and ZAP on the gateway's side of the link: who may open a connection at all.

Without a ZAP handler libzmq accepts every client key (measured), so there is one of our own,
the domain is enforced, and a start-up test proves that a random key is refused.

Source: ZeroMQ RFC 25 (CURVE) and RFC 27 (ZAP).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import zmq

from zscrape.config.joining import KEY_BYTES
from zscrape.config.keyfiles import KeyPair, new_pair
from zscrape.errors import ConfigError
from zscrape.monitor import event_of

_ENDPOINT: Final = "inproc://zeromq.zap.01"
_DOMAIN: Final = b"zscrape"
_VERSION: Final = b"1.0"
_FRAME_COUNT: Final = 7  # of a question: version .. mechanism, and the key
_PROOF_S: Final = 5.0
_DRAIN_LIMIT_COUNT: Final = 64
# The pipe through which libzmq asks stays open for as long as the connection that it asks about,
# and keeps 10 KB of memory (of 47, measured), unless our end of it is closed. So many
# connections share an end; what was asked of a former one has this long to be answered by it.
_SHARED_COUNT: Final = 64
_FORMER_S: Final = 0.1


def close_in(socket: zmq.Socket[bytes], pair: KeyPair) -> None:
    """Let nobody through this socket whom the ZAP handler of its context has not admitted."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
    # A handler that does not answer must not mean that everybody may come in.
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


class Handshakes:
    """Answers libzmq's questions about keys; made and used in one running loop.

    `admits` returns the user id of a key that may come in, an empty text for others.
    `on_refused` hears the address of those.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        *,
        admits: Callable[[bytes], str],
        on_refused: Callable[[str], None],
        shared_count: int = _SHARED_COUNT,
    ) -> None:
        self._context = context
        self._admits = admits
        self._on_refused = on_refused
        self._shared_count = shared_count
        self._loop = asyncio.get_running_loop()
        self._sockets: list[zmq.Socket[bytes]] = []  # the last one is asked, those before were
        self._answered_count = 0  # by the last one
        self._probe = b""
        first: zmq.Socket[bytes] = context.socket(zmq.REP)
        first.bind(_ENDPOINT)
        self._sockets.append(first)
        self._loop.add_reader(first.fileno(), self._drain, first)

    def stop(self) -> None:
        """Answer no more."""
        for socket in [*self._sockets]:
            self._leave(socket)

    def _renew(self) -> None:
        """Have what comes asked of a new socket; who asks between the two has to dial again."""
        self._answered_count = 0
        try:
            fresh: zmq.Socket[bytes] = self._context.socket(zmq.REP)
        except zmq.ZMQError:  # no descriptor is free: the one there is goes on
            return
        self._loop.add_reader(fresh.fileno(), self._drain, fresh)
        former = self._sockets[-1]
        former.unbind(_ENDPOINT)
        fresh.bind(_ENDPOINT)
        self._sockets.append(fresh)
        self._loop.call_later(_FORMER_S, self._retire, former)

    def _retire(self, former: zmq.Socket[bytes]) -> None:
        """Close a socket that nobody asks any more; after a standstill many may have."""
        if former not in self._sockets:
            return
        if self._drain(former):
            self._leave(former)
        else:
            self._loop.call_later(_FORMER_S, self._retire, former)

    def _leave(self, socket: zmq.Socket[bytes]) -> None:
        self._sockets.remove(socket)
        self._loop.remove_reader(socket.fileno())
        socket.close(linger=0)

    def _drain(self, socket: zmq.Socket[bytes]) -> bool:
        """Answer until nothing is asked: the descriptor is edge-triggered. True iff it is so."""
        is_more = True
        try:
            for _ in range(_DRAIN_LIMIT_COUNT):
                if socket.closed or not (question := _next_of(socket)):
                    is_more = False
                    break
                answer = _refusal(question)
                try:
                    answer = self._answer(question)
                finally:  # unanswered, it would be the last question
                    socket.send_multipart(answer)
                self._answered_count += 1
        finally:
            if is_more:
                self._loop.call_soon(self._drain, socket)
        if self._answered_count >= self._shared_count:
            self._renew()
        return not is_more

    def _answer(self, question: list[bytes]) -> list[bytes]:
        version, number, domain, address = (*question, *[b""] * 4)[:4]
        user_id = ""
        is_whole = len(question) == _FRAME_COUNT and version == _VERSION and domain == _DOMAIN
        if is_whole and question[5] == b"CURVE" and len(question[6]) == KEY_BYTES:
            user_id = self._admits(question[6])
        if user_id:
            return [_VERSION, number, b"200", b"", user_id.encode(), b""]
        if question[-1] != self._probe:
            self._on_refused(address.decode("ascii", "replace"))
        return _refusal(question)

    async def prove(self, pair: KeyPair) -> None:
        """Prove that a key that nobody knows is refused, before a door is opened to anybody.

        Raises:
            ConfigError: It was let in, or nothing was heard.
        """
        stranger = new_pair()
        self._probe = stranger.public
        server = self._context.socket(zmq.ROUTER)
        client = self._context.socket(zmq.DEALER)
        monitor: zmq.Socket[bytes] | None = None
        try:
            close_in(server, pair)
            server.bind("tcp://127.0.0.1:*")
            client.setsockopt(zmq.CURVE_SERVERKEY, pair.public)
            client.setsockopt(zmq.CURVE_PUBLICKEY, stranger.public)
            client.setsockopt(zmq.CURVE_SECRETKEY, stranger.secret)
            events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            monitor = client.get_monitor_socket(events)
            client.connect(server.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
            found = await self._first_event(monitor)
        finally:
            self._probe = b""
            client.disable_monitor()
            if monitor is not None:
                monitor.close(linger=0)
            client.close(linger=0)
            server.close(linger=0)
        if found != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            reason = "no answer" if found is None else "a random key was let in"
            raise ConfigError(source="link", reason=f"self-test of encryption: {reason}")

    async def _first_event(self, monitor: zmq.Socket[bytes]) -> int | None:
        heard: asyncio.Future[int] = self._loop.create_future()

        def read() -> None:
            while not heard.done():
                try:
                    message = monitor.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    return
                heard.set_result(event_of(message)[0])

        self._loop.add_reader(monitor.fileno(), read)
        try:
            read()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PROOF_S):
                    return await heard
            return None
        finally:
            self._loop.remove_reader(monitor.fileno())


def _next_of(socket: zmq.Socket[bytes]) -> list[bytes]:
    """Return the next question; nothing if none has come."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return []


def _refusal(question: list[bytes]) -> list[bytes]:
    return [_VERSION, *question[1:2], b"400", b"", b"", b""]
