"""What the supervised network costs: calls of one process under it, against one without.

    python -m bench --only supervision

Both processes do the same to the same loopback address; rounds alternate, medians are told.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import threading
from ipaddress import ip_network

from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.keeper import Supervisor

ROUND_COUNT = 5
HOST = "127.0.0.1"
_SOURCE = """
import ctypes, json, socket, sys, time
from zscrape.runtime import notify
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
control, answer, tcp, udp, is_supervised = map(int, sys.argv[1:])
if is_supervised:
    notify.hand_over(control, answer)
def timed(call, count):
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begun) / count * 1e6
def connect():
    one = socket.socket()
    one.connect(("127.0.0.1", tcp))
    one.close()
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one, other = socket.socketpair()
def message():
    one.sendmsg([b"x" * 100])
    other.recv(200)
def write():
    one.send(b"x" * 100)
    other.recv(200)
for call in (connect, message):
    timed(call, 50)
print(json.dumps({
    "connect_us": timed(connect, 500),
    "datagram_us": timed(lambda: datagram.sendto(b"x" * 100, ("127.0.0.1", udp)), 500),
    "message_us": timed(message, 500),
    "send_us": timed(write, 2000),
}))
"""


async def _run(supervisor: Supervisor, ports: tuple[int, int], is_supervised: bool) -> str:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    done, answer = socket.socketpair()
    words = (theirs.fileno(), answer.fileno(), *ports, int(is_supervised))
    with ours, theirs, done, answer:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _SOURCE,
            *map(str, words),
            pass_fds=words[:2],
            stdout=asyncio.subprocess.PIPE,
        )
        if is_supervised:
            ours.setblocking(False)
            told = await asyncio.get_running_loop().sock_recv(ours, 64)
            supervisor.add(kernel.take_listener(process.pid, int(told.split()[1])))
            done.send(b"+")
        out, _ = await process.communicate()
    return out.decode()


async def _measure(ports: tuple[int, int]) -> dict[str, float]:
    rounds: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as scratch:
        supervisor = Supervisor(AddressPolicy([ip_network(HOST)]), scratch)
        supervisor.start()
        for _ in range(ROUND_COUNT):
            for is_supervised, found in rounds.items():
                found.append(json.loads(await _run(supervisor, ports, is_supervised)))
        supervisor.close()
    figures: dict[str, float] = {}
    for name in rounds[False][0]:
        plain, held = (statistics.median(each[name] for each in rounds[is_]) for is_ in rounds)
        figures |= {name: plain, f"supervised_{name}": held}
        figures[f"{name.removesuffix('_us')}_ratio"] = held / plain
    return figures


def measure() -> dict[str, float]:
    """Return the figures."""
    with (
        socket.create_server((HOST, 0), backlog=512) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind((HOST, 0))
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        return asyncio.run(_measure((server.getsockname()[1], datagrams.getsockname()[1])))


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return
