"""The network policy in the kernel: a cgroup whose programs refuse what is not public.

Whatever is in the cgroup is held to it, by any library and any program that a script starts;
it costs an attempt nothing, since children are born where their template is. Nothing in it
can leave: that takes the right to write to a cgroup above. Needs cgroup v2 and the rights
CAP_BPF and CAP_NET_ADMIN, so in practice a worker that runs as root.

with EgressCgroup.open(policy) as cgroup:
    ...  # a process that writes 0 to `cgroup.procs` is held to the policy from then on
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from zscrape.worker import bpf, egress_probe
from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.egress_program import egress_programs

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")
_PROBE_TIMEOUT_S: Final = 10.0
# The process and when it was born: a number alone may belong to somebody else by now.
_NAME: Final = re.compile(r"zscrape-(?P<pid>[0-9]+)-(?P<born>[0-9]+)-[a-z]+-[0-9a-f]+")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")  # how a mount's path has its spaces
_BORN_AT: Final = 19  # field 22 of /proc/PID/stat, counted behind the name


class EgressUnavailable(Exception):
    """Raised when this machine, or this user, cannot have it; the text says why."""


class EgressCgroup:
    """One cgroup with its programs; its folder is gone when it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def procs(self) -> Path:
        """The file that a process joins by."""
        return self._folder / "cgroup.procs"

    @classmethod
    def open(cls, policy: AddressPolicy) -> EgressCgroup:
        """Make the cgroup, after a proof in one of its own that this kernel keeps to it.

        What dead workers have left is removed first.

        Raises:
            EgressUnavailable: It cannot be made, or does not hold.
        """
        parent = _own_folder()
        _sweep(parent)
        with cls._make(parent, AddressPolicy(), "probe") as probed:
            _prove(probed.procs)
        return cls._make(parent, policy, "public")

    @classmethod
    def _make(cls, parent: Path, policy: AddressPolicy, purpose: str) -> EgressCgroup:
        own = f"{os.getpid()}-{_born(os.getpid())}"
        folder = parent / f"zscrape-{own}-{purpose}-{secrets.token_hex(4)}"
        with contextlib.ExitStack() as undo:
            try:
                folder.mkdir()
                made = undo.enter_context(cls(folder))
                _attach_all(folder, policy)
            except OSError as error:
                raise EgressUnavailable(f"{folder}: {error.strerror or error}") from error
            undo.pop_all()
        return made

    def __enter__(self) -> EgressCgroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove it. What still runs in it stays held to the policy, and so does the folder."""
        _remove(self._folder)


def _attach_all(folder: Path, policy: AddressPolicy) -> None:
    with _opened(os.open(folder, os.O_RDONLY | os.O_DIRECTORY)) as cgroup_fd:
        for kind, hook, program in egress_programs(policy.ranges()):
            with _opened(bpf.load(kind, hook, program)) as program_fd:
                bpf.attach(program_fd, cgroup_fd, hook)


@contextlib.contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


# ---- the place -----------------------------------------------------------------------


def _own_folder() -> Path:
    """Return the folder of the cgroup that this process is in."""
    own = next(
        (line[3:] for line in _lines(_OWN_CGROUPS) if line.startswith("0::")),
        None,
    )
    for line in _lines(_MOUNTS):
        before, _, after = line.partition(" - ")
        if own is not None and after.startswith("cgroup2 "):
            root, mount = before.split()[3:5]
            below = own.removeprefix("/" if root == "/" else root).lstrip("/")
            return Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), mount)) / below
    raise EgressUnavailable("no cgroup v2 is mounted here")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError as error:
        raise EgressUnavailable(f"{path}: {error.strerror}") from error


def _sweep(parent: Path) -> None:
    """Remove what workers left that were killed."""
    try:
        found = [(each, _NAME.fullmatch(each.name)) for each in parent.iterdir()]
    except OSError as error:
        raise EgressUnavailable(f"{parent}: {error.strerror}") from error
    for folder, match in found:
        if match is not None and match["born"] != _born(int(match["pid"])):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a cgroup; one in which something still runs is left to the next start."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _born(pid: int) -> str:
    """Return when a process was born, in the kernel's ticks; empty if there is none."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    return told.rpartition(")")[2].split()[_BORN_AT]


# ---- the proof -----------------------------------------------------------------------


def _prove(procs: Path) -> None:
    """Have a process join and try what must be refused, on this machine's own loopback only.

    Raises:
        EgressUnavailable: Something was not refused, or could not be tried.
    """
    with contextlib.ExitStack() as closing:
        targets = _listen(closing, socket.AF_INET, "127.0.0.1")
        with contextlib.suppress(OSError):  # a machine without IPv6
            targets += _listen(closing, socket.AF_INET6, "::1")
            targets.append(targets[0].replace("127.", "::ffff:127."))
        command = [sys.executable, "-I", "-S", egress_probe.__file__, str(procs), *targets]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env={},
                timeout=_PROBE_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EgressUnavailable(f"it cannot be tried: {error}") from error
    wrong = done.stdout or done.stderr.strip().rpartition("\n")[2]
    if wrong or done.returncode:
        raise EgressUnavailable(wrong or "it cannot be tried")


def _listen(closing: contextlib.ExitStack, family: socket.AddressFamily, address: str) -> list[str]:
    stream = closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
    stream.bind((address, 0))
    stream.listen()
    datagram = closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    datagram.bind((address, 0))
    port = datagram.getsockname()[1]
    return [
        f"tcp:{stream.getsockname()[1]}:{address}",
        f"udp:{port}:{address}",
        f"send:{port}:{address}",
    ]
