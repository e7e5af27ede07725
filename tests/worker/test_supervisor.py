"""The supervised network, with real processes under the filter: only loopback is ever reached.

127.0.0.2 and ::1 stand for what a script may reach, the rest of 127/8 for what it may not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
import pytest_asyncio

from tests.worker.conftest import LIMIT_S, until
from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.keeper import Supervisor
from zscrape.worker.supervisor.support import is_supported

GOOD, BAD = "127.0.0.2", "127.0.0.1"

PREPARE = """
import ctypes, errno, os, socket, struct, sys, threading
from zscrape.runtime import notify
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
notify.hand_over(int(sys.argv[1]), int(sys.argv[2]))
GOOD, BAD, PORT, UDP, MAPPED = "127.0.0.2", "127.0.0.1", *map(int, sys.argv[3:6])
def say(*words):
    print(*words, flush=True)
def number(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
"""


class Site:
    """Listeners on all loopback addresses, and a supervisor; it runs sources under the filter."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        (scratch / "1").mkdir(parents=True)
        self.tcp = socket.create_server(("0.0.0.0", 0), backlog=512)
        self.tcp6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("0.0.0.0", 0))
        policy = AddressPolicy([ip_network(GOOD), ip_network("::1")])
        self.supervisor = Supervisor(policy, str(scratch))

    async def begin(self, source: str) -> asyncio.subprocess.Process:
        """Start a source after the common beginning; return once its listener is served."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        done, answer = socket.socketpair()
        with ours, theirs, done, answer:
            ports = (each.getsockname()[1] for each in (self.tcp, self.udp, self.tcp6))
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                PREPARE + textwrap.dedent(source),
                *map(str, (theirs.fileno(), answer.fileno(), *ports)),
                pass_fds=(theirs.fileno(), answer.fileno()),
                stdout=asyncio.subprocess.PIPE,
                cwd=self.scratch / "1",
                start_new_session=True,
            )
            ours.setblocking(False)
            told = await asyncio.get_running_loop().sock_recv(ours, 64)
            self.supervisor.add(kernel.take_listener(process.pid, int(told.split()[1])))
            done.send(b"+")
        return process

    async def run(self, source: str) -> str:
        """Run a source; return what it printed."""
        process = await self.begin(source)
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode().strip()

    def open_fd_count(self) -> int:
        """Return how many descriptors the supervisor has open."""
        return len(list(Path(f"/proc/{self.supervisor.pid}/fd").iterdir()))

    def close(self) -> None:
        """End everything."""
        self.supervisor.close()
        for each in (self.tcp, self.tcp6, self.udp):
            each.close()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """A site with a running supervisor and one attempt's folder."""
    # Not pytest's folder: the path of a Unix socket has room for 107 bytes.
    with tempfile.TemporaryDirectory() as folder:
        made = Site(Path(folder, "s"))
        made.supervisor.start()
        yield made
        made.close()


async def test_machine_supports_it() -> None:
    """The self-test passes where these tests run."""
    assert is_supported() == ""


async def test_blocking_connections(site: Site) -> None:
    """A blocking connect reaches what is allowed, is refused elsewhere, and tells real errors."""
    told = await site.run("""
        one = socket.create_connection((GOOD, PORT))
        free = socket.create_server((GOOD, 0)).getsockname()
        say(one.getpeername()[0], one.getblocking(),
            number(socket.socket().connect, (BAD, PORT)),
            number(one.connect, (GOOD, PORT)), number(socket.socket().connect, (GOOD, 1)),
            number(socket.socket().connect, ("0.0.0.0", PORT)))
    """)

    assert told == f"{GOOD} True EACCES EISCONN ECONNREFUSED EACCES"


async def test_connection_carries_data(site: Site) -> None:
    """A supervised connection is the script's own: what is sent arrives, by every call."""
    told = await site.run("""
        server = socket.create_server((GOOD, 0))
        one = socket.create_connection(server.getsockname())
        other = server.accept()[0]
        one.sendall(b"a")
        say(one.sendmsg([b"bc", b"d"]), one.sendto(b"e", (BAD, 9)), other.recv(9))
    """)

    assert told == "3 1 b'abcde'"


async def test_non_blocking_connections(site: Site) -> None:
    """A non-blocking connect answers at once, and the socket tells the rest."""
    told = await site.run("""
        import select
        def attempt(host, port):
            one = socket.socket()
            one.setblocking(False)
            first = one.connect_ex((host, port))
            if first != errno.EINPROGRESS:
                return errno.errorcode.get(first, first)
            select.select([], [one], [])
            return one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        say(attempt(GOOD, PORT), attempt(GOOD, 1) in (errno.ECONNREFUSED, "ECONNREFUSED"),
            attempt(BAD, PORT))
    """)

    assert told == "0 True EACCES"


async def test_asyncio_connections(site: Site) -> None:
    """The event loop's own connects work, many at once, and its refusals are PermissionErrors."""
    told = await site.run("""
        import asyncio
        async def main():
            many = [asyncio.open_connection(GOOD, PORT) for _ in range(50)]
            pairs = await asyncio.gather(*many)
            try:
                await asyncio.open_connection(BAD, PORT)
            except PermissionError as error:
                say(len(pairs), error.errno == errno.EACCES)
            for _reader, writer in pairs:
                writer.close()
        asyncio.run(main())
    """)

    assert told == "50 True"


async def test_own_time_limits_hold(site: Site) -> None:
    """A connect that gets no answer ends at the socket's own limit, by poll or by the kernel's."""
    told = await site.run("""
        import time
        silent = socket.socket()
        silent.bind((GOOD, 0))
        silent.listen(0)
        fill = []
        for _ in range(4):  # more than the queue holds: the next one gets no answer
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
            fill.append(one)
        begun = time.monotonic()
        polled = socket.socket()
        polled.settimeout(0.3)
        try:
            polled.connect(silent.getsockname())
        except TimeoutError:
            say("timeout")
        limited = socket.socket()
        limited.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 300_000))
        say(number(limited.connect, silent.getsockname()), time.monotonic() - begun > 0.5)
    """)

    assert told == "timeout\nEINPROGRESS True"


async def test_signal_interrupts_a_connect(site: Site) -> None:
    """A script that waits for a connection hears a signal at once."""
    process = await site.begin("""
        import signal, time
        def stop(*_):
            raise SystemExit(7)
        signal.signal(signal.SIGTERM, stop)
        silent = socket.socket()
        silent.bind((GOOD, 0))
        silent.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        say("waiting")
        socket.socket().connect(silent.getsockname())
    """)
    assert process.stdout is not None
    await process.stdout.readline()
    process.terminate()

    assert await asyncio.wait_for(process.wait(), LIMIT_S) == 7


async def test_datagrams(site: Site) -> None:
    """Datagrams by every call go where they may, with their lengths told, and nowhere else."""
    told = await site.run("""
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        say(one.sendto(b"to", (GOOD, UDP)), one.sendmsg([b"m", b"sg"], [], 0, (GOOD, UDP)),
            number(one.sendto, b"x", (BAD, UDP)), number(one.sendmsg, [b"x"], [], 0, (BAD, UDP)),
            number(one.sendto, b"x" * 70000, (GOOD, UDP)), number(one.connect, (BAD, UDP)))
        one.connect((GOOD, UDP))
        say(one.send(b"sent"), one.sendmsg([b"named ", b"not"]))
    """)
    received = [site.udp.recv(100) for _ in range(4)]

    assert told == "2 3 EACCES EACCES EMSGSIZE EACCES\n4 9"
    assert received == [b"to", b"msg", b"sent", b"named not"]


async def test_names_are_asked_for_as_the_c_library_does(site: Site) -> None:
    """`sendmmsg` over a connected socket sends its messages and tells what went of each."""
    told = await site.run("""
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((GOOD, UDP))
        texts = [ctypes.create_string_buffer(text, len(text)) for text in (b"A?", b"AAAA?")]
        pieces = [ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), len(text)))
                  for text in texts]
        many = ctypes.create_string_buffer(b"".join(
            struct.pack("QIxxxxQQQQixxxxIxxxx", 0, 0, ctypes.addressof(piece), 1, 0, 0, 0, 99)
            for piece in pieces), 128)
        done = libc.sendmmsg(one.fileno(), many, 2, 0x4000)
        say(done, struct.unpack_from("I", many, 56)[0], struct.unpack_from("I", many, 120)[0])
    """)

    assert told == "2 2 5"
    assert [site.udp.recv(9), site.udp.recv(9)] == [b"A?", b"AAAA?"]


async def test_disconnected_datagram_socket_is_judged_anew(site: Site) -> None:
    """Parting from a peer is allowed and opens no way elsewhere."""
    told = await site.run("""
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((GOOD, UDP))
        part = libc.connect(one.fileno(), struct.pack("H14x", 0), 16)
        raw = struct.pack("H", 0) + struct.pack("!H", UDP) + socket.inet_aton(BAD) + bytes(8)
        sent = libc.sendto(one.fileno(), b"x", 1, 0, raw, 16)
        say(part, number(one.send, b"x"), sent, number(one.connect, (BAD, UDP)))
    """)

    assert told == "0 EDESTADDRREQ -1 EACCES"


async def test_other_families(site: Site) -> None:
    """IPv6 is judged by its own rules, and IPv4 inside it by those of IPv4."""
    told = await site.run("""
        def six(host, port=PORT):
            return number(socket.socket(socket.AF_INET6).connect, (host, port))
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        say(six("::1", MAPPED), six(f"::ffff:{GOOD}"), six(f"::ffff:{BAD}"), six("::"),
            six("fe80::1"), number(udp.sendto, b"x", (f"::ffff:{BAD}", UDP)),
            number(udp.sendto, b"x", (f"::ffff:{GOOD}", UDP)))
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        say(number(link.connect, (0, 0)), number(link.sendto, b"x", (0, 0)))
    """)

    assert told == "ok ok EACCES EACCES EACCES EACCES ok\nEACCES EACCES"


async def test_names_are_judged_by_what_they_resolve_to(site: Site) -> None:
    """`localhost` is no way to an address that is refused."""
    told = await site.run("""
        found = {info[4][0] for info in socket.getaddrinfo("localhost", PORT, socket.AF_INET)}
        say(found, number(socket.create_connection, ("localhost", PORT)))
    """)

    assert told in (f"{{'{BAD}'}} EACCES", f"{{'{BAD}'}} ECONNREFUSED")


async def test_junk_ends_with_the_errors_of_the_kernel(site: Site) -> None:
    """Bad descriptors, pointers, lengths and families get their errno, and the service goes on."""
    told = await site.run("""
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        address = struct.pack("H", 2) + struct.pack("!H", UDP) + socket.inet_aton(GOOD) + bytes(8)
        def call(name, *arguments):
            count = getattr(libc, name)(*arguments)
            return errno.errorcode[ctypes.get_errno()] if count < 0 else count
        bad = ctypes.c_void_p(16)
        say(call("connect", 99, address, 16), call("connect", 1, address, 16),
            call("connect", one, bad, 16), call("connect", one, address, 1),
            call("connect", one, address, 8), call("connect", one, address, -1),
            call("connect", one, address, 4000), call("connect", one, struct.pack("H14x", 77), 16))
        say(call("sendmsg", one, bad, 0), call("sendmmsg", one, bad, 3, 0),
            call("sendto", one, bad, 5, 0, address, 16),
            call("sendto", one, b"ok", 2, 0, address, 16))
    """)

    assert told == (
        "EBADF ENOTSOCK EFAULT EINVAL EINVAL EINVAL EINVAL EAFNOSUPPORT\nEFAULT EFAULT EFAULT 2"
    )


async def test_unix_sockets_stay_in_the_own_folder(site: Site) -> None:
    """Socket files in the attempt's folder work; others, links to them and abstract ones do not."""
    outside = site.scratch.parent / "outside"
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(outside))
        foreign.listen()
        told = await site.run(f"""
            import pathlib
            outside, home = {str(outside)!r}, os.getcwd()
            own = socket.socket(socket.AF_UNIX)
            own.bind("own")
            own.listen()
            os.symlink(outside, "link")
            hidden = socket.socket(socket.AF_UNIX)
            hidden.bind("\\0zscrape-test-" + str(os.getpid()))
            hidden.listen()
            def unix(path):
                return number(socket.socket(socket.AF_UNIX).connect, path)
            say(unix("own"), unix(home + "/own"), unix("missing"), unix(outside),
                unix("link"), unix(home + "/../../outside"),
                unix(hidden.getsockname()))
            here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            here.bind("dgram")
            there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            say(there.sendto(b"abc", "dgram"), here.recv(9), number(there.sendto, b"x", outside))
        """)

    assert told == ("ok ok ENOENT EACCES EACCES EACCES EACCES\n3 b'abc' EACCES")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_unix_sockets_of_another_user_stay_closed(site: Site) -> None:
    """The supervisor's own rights open no folder that is not its script's user's."""
    (site.scratch / "1").chmod(0o777)
    (site.scratch / "2").mkdir()
    os.chown(site.scratch / "2", 65534, 65534)
    told = await site.run("""
        other = os.getcwd()
        own = socket.socket(socket.AF_UNIX)
        own.bind("own")
        own.listen()
        mine = socket.socket(socket.AF_UNIX)
        mine.bind(other[:-1] + "2/mine")
        mine.listen()
        os.setresuid(65534, 65534, 65534)
        say(number(socket.socket(socket.AF_UNIX).connect, other + "/own"),
            number(socket.socket(socket.AF_UNIX).connect, other[:-1] + "2/mine"),
            number(socket.socket().connect, (GOOD, PORT)))
    """)

    assert told == "EACCES ok ok"


async def test_descriptors_travel_between_processes(site: Site) -> None:
    """A socket pair carries messages and descriptors, as process pools need it."""
    told = await site.run("""
        one, other = socket.socketpair()
        reading, writing = os.pipe()
        socket.send_fds(one, [b"take"], [writing])
        message, fds, _flags, _address = socket.recv_fds(other, 9, 2)
        os.write(fds[0], b"by it")
        say(message, os.read(reading, 9), len(fds))
        one.sendmsg([b"plain"])
        say(other.recv(9), number(one.sendmsg, [b"x"], [(1, 2, struct.pack("iii", 1, 0, 0))]))
    """)

    assert told == "b'take' b'by it' 1\nb'plain' EPERM"


async def test_full_pipe_waits_for_its_reader(site: Site) -> None:
    """A message that finds no room waits when its socket does, and says so when it does not."""
    told = await site.run("""
        one, other = socket.socketpair()
        one.setblocking(False)
        try:
            while True:
                one.sendmsg([b"x" * 60000])
        except BlockingIOError:
            say("full")
        one.setblocking(True)
        got = []
        reader = threading.Timer(0.2, lambda: got.append(len(other.recv(10_000_000))))
        reader.start()
        say(one.sendmsg([b"y" * 10]))
        reader.join()
    """)

    assert told == "full\n10"


async def test_threads_and_children_of_children(site: Site) -> None:
    """Whoever a script starts is judged as it is: threads, forks, executed programs."""
    told = await site.run("""
        import subprocess
        results = []
        threads = [threading.Thread(target=lambda host=host: results.append(
            number(socket.socket().connect, (host, PORT)))) for host in (GOOD, BAD) * 8]
        [each.start() for each in threads]
        [each.join() for each in threads]
        say(results.count("ok"), results.count("EACCES"))
        if os.fork() == 0:
            if os.fork() == 0:
                say(number(socket.socket().connect, (BAD, PORT)))
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
        source = f"import socket; print(socket.socket().connect_ex(('{BAD}', {PORT})))"
        say(subprocess.run([sys.executable, "-c", source], stdout=-1).stdout.decode().strip())
    """)

    assert told == "8 8\nEACCES\n13"


async def test_thread_with_descriptors_of_its_own(site: Site) -> None:
    """A thread that no longer shares its descriptors is served by those that it has."""
    told = await site.run("""
        def work():
            libc.unshare(0x400)  # CLONE_FILES
            one = socket.socket()
            say(number(one.connect, (GOOD, PORT)), one.getpeername()[0])
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """)

    assert told == f"ok {GOOD}"


async def test_rewritten_address_never_connects(site: Site) -> None:
    """A thread that changes the address while it is looked at wins nothing in 2,000 tries."""
    told = await site.run("""
        server = socket.create_server(("0.0.0.0", 0))
        port, reached = server.getsockname()[1], set()
        if not (acceptor := os.fork()):
            while True:
                reached.add(server.accept()[0].getsockname()[0])
                assert reached == {GOOD}
        def raw(host):
            return struct.pack("H", 2) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
        good, bad, room = raw(GOOD), raw(BAD), ctypes.create_string_buffer(16)
        is_over = False
        def flip():
            while not is_over:
                ctypes.memmove(room, bad, 16)
                ctypes.memmove(room, good, 16)
        threading.Thread(target=flip).start()
        sys.setswitchinterval(1e-6)
        ends = {GOOD: 0, BAD: 0, "refused": 0}
        for _ in range(2000):
            with socket.socket() as one:
                is_refused = libc.connect(one.fileno(), room, 16) < 0
                ends["refused" if is_refused else one.getpeername()[0]] += 1
        is_over = True
        say(os.waitpid(acceptor, os.WNOHANG), ends[BAD], ends[GOOD] > 0, ends["refused"] > 0)
        os.kill(acceptor, 9)
    """)

    assert told == "(0, 0) 0 True True"


async def test_swapped_socket_never_sends(site: Site) -> None:
    """Putting a datagram socket in place of a stream while it is looked at wins nothing."""
    told = await site.run("""
        stream, _peer = socket.socketpair()
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        place = os.dup(stream.fileno())
        is_over = False
        def swap():
            while not is_over:
                os.dup2(datagram.fileno(), place)
                os.dup2(stream.fileno(), place)
        threading.Thread(target=swap).start()
        def drain():
            while _peer.recv(65536):
                pass
        threading.Thread(target=drain).start()
        raw = struct.pack("H", 2) + struct.pack("!H", UDP) + socket.inet_aton(BAD) + bytes(8)
        ends = [libc.sendto(place, b"secret", 6, 0, raw, 16) for _ in range(1000)]
        is_over = True
        stream.shutdown(2)
        say(ends.count(6) > 0)
    """)
    site.udp.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        assert not site.udp.recv(100)

    assert told == "True"


async def test_socket_that_is_made_to_wait_stops_nobody(site: Site) -> None:
    """Who makes the service wait, by taking non-blocking mode away, is served no more."""
    told = await site.run("""
        import fcntl
        silent = socket.socket()
        silent.bind((GOOD, 0))
        silent.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 20_000))
        fd, flags = one.fileno(), fcntl.fcntl(one.fileno(), fcntl.F_GETFL)
        flipper = os.fork()
        while not flipper:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        for _ in range(500):
            if number(one.connect, silent.getsockname()) == "EACCES":
                say("shut out")
                break
            libc.connect(fd, struct.pack("H14x", 0), 16)
        os.kill(flipper, 9)
        os.wait()
        say(number(socket.socket().connect, (GOOD, PORT)))
    """)
    other = await site.run("say(number(socket.socket().connect, (GOOD, PORT)))")

    assert told == "shut out\nEACCES"
    assert other == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor hides itself from its own user")
async def test_killed_process_leaves_nothing(site: Site) -> None:
    """A process killed while it connects is forgotten: its sockets are closed, all go on."""
    await site.run("socket.create_connection((GOOD, PORT))")
    await until(lambda: not site.supervisor._listeners)
    before_count = site.open_fd_count()
    process = await site.begin("""
        silent = socket.socket()
        silent.bind((GOOD, 0))
        silent.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        for _ in range(20):
            threading.Thread(target=socket.socket().connect, args=(silent.getsockname(),)).start()
        say("up")
    """)
    assert process.stdout is not None
    await process.stdout.readline()
    await until(lambda: site.open_fd_count() >= before_count + 20)
    process.kill()
    await process.communicate()
    await until(lambda: site.open_fd_count() == before_count)

    assert not site.supervisor._listeners
    assert await site.run("say(number(socket.socket().connect, (GOOD, PORT)))") == "ok"


async def test_flood_leaves_room_for_others(site: Site) -> None:
    """While one script connects without end in many threads, another's connects stay quick."""
    process = await site.begin("""
        def flood():
            while True:
                socket.socket().connect_ex((BAD, PORT))
        for _ in range(32):
            threading.Thread(target=flood).start()
        say("up")
    """)
    assert process.stdout is not None
    await process.stdout.readline()
    told = await site.run("""
        import statistics, time
        times = []
        for _ in range(200):
            begun = time.perf_counter()
            socket.create_connection((GOOD, PORT)).close()
            times.append(time.perf_counter() - begun)
        say(statistics.median(times) < 0.05)
    """)
    process.kill()
    await process.communicate()

    assert told == "True"


async def test_dead_supervisor_is_replaced(site: Site) -> None:
    """When the supervisor is killed another one takes over the same scripts."""
    before = site.supervisor.pid
    process = await site.begin("""
        while not os.path.exists("go"):
            os.sched_yield()
        say(number(socket.socket().connect, (GOOD, PORT)),
            number(socket.socket().connect, (BAD, PORT)))
    """)
    os.kill(before, signal.SIGKILL)
    await until(lambda: site.supervisor.pid == 0)
    (site.scratch / "1" / "go").touch()
    out, _ = await process.communicate()

    assert out.decode().strip() == "ok EACCES"
    assert site.supervisor.pid not in (0, before)


async def test_closed_supervisor_fails_what_is_asked(tmp_path: Path) -> None:
    """Once the supervisor is closed, a connect says that the call is not there (ENOSYS)."""
    site = Site(tmp_path)
    site.supervisor.start()
    process = await site.begin("""
        import time
        for _ in range(10_000):
            told = number(socket.socket().connect, (GOOD, PORT))
            if told != "ok":
                break
        say(told)
    """)
    site.close()
    out, _ = await process.communicate()

    assert out.decode().strip() == "ENOSYS"
