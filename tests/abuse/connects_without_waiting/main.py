"""Connect by non-blocking sockets, by asyncio and by the first packet."""

import asyncio
import select
import socket

from probe import tried


def later(port):
    link = socket.socket()
    link.setblocking(False)
    try:
        link.connect(("127.0.0.1", port))
    except BlockingIOError:
        select.select([], [link], [], 3)
    number = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, "")
    return link.getpeername()


def by_loop(port):
    async def connect():
        _, writer = await asyncio.open_connection("10.0.0.1", port)
        return writer.get_extra_info("peername")

    return asyncio.run(connect())


def fast(port):
    with socket.socket() as link:
        link.sendto(b"GET / HTTP/1.0\r\n\r\n", 0x20000000, ("127.0.0.1", port))
        return link.getpeername()


def run(port):
    return {
        "later": tried(later, port),
        "asyncio": tried(by_loop, port),
        "fast": tried(fast, port),
    }
