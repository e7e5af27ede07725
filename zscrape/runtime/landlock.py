"""What a child may open: its own folder and script, and what every program needs to read.

A ruleset is made while the child waits; when its attempt begins only the script's folder is
missing. Landlock works for everybody, without any privilege. Its rules name what is allowed,
and last: nothing that this process starts can take them off.

Source: the kernel's `Documentation/userspace-api/landlock.rst`.
"""

from __future__ import annotations

import os
import sys

from zscrape.runtime import syscalls
from zscrape.runtime.syscalls import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_PATH_BENEATH,
    LANDLOCK_RESTRICT_SELF,
    landlock_add_rule,
)

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_CHAR = 1 << 6
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_SOCK = 1 << 9
_MAKE_FIFO = 1 << 10
_MAKE_BLOCK = 1 << 11
_MAKE_SYM = 1 << 12
_REFER = 1 << 13  # ABI 2
_TRUNCATE = 1 << 14  # ABI 3
_IOCTL_DEV = 1 << 15  # ABI 5
_FS_BY_ABI = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}

_NET_ABI = 4
_SCOPE_ABI = 6
_SCOPES = 0b11  # abstract unix sockets, signals: only within what the attempt has started

_READ = _READ_FILE | _READ_DIR
_READ_AND_RUN = _READ | _EXECUTE
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_USE_DEVICE = _READ_FILE | _WRITE_FILE
_OWN = ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
# Files only: what is left there is looked for at every end, and must be quick to remove.
_SHARED_MEMORY = _READ | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE

# What programs read of the system besides their own files: names, certificates, time zones.
_ETC = (
    *("hosts", "host.conf", "resolv.conf", "nsswitch.conf", "gai.conf", "services", "protocols"),
    *("ssl", "ca-certificates", "pki", "crypto-policies", "localtime", "timezone", "mime.types"),
    *("passwd", "group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts"),
    *("locale.alias", "locale.conf", "default/locale", "os-release"),
    *("chromium", "chromium.d", "opt/chrome", "java", "nodejs", "terminfo", "ImageMagick-6"),
    f"python{sys.version_info[0]}.{sys.version_info[1]}",
)
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
# What the system has read of its fonts. Without it each process of a browser that shows text
# opens and parses every font there is. It names what lies in `/usr/share/fonts`, no more.
FONT_CACHE = "/var/cache/fontconfig"


def handled(abi: int) -> int:
    """Return every right on files that this version of Landlock can take away."""
    return sum(rights for since, rights in _FS_BY_ABI.items() if since <= abi)


_AS_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# Each module that a child looks something up in is a page more that it copies.
_open, _close, _call = os.open, os.close, syscalls.call

# Beside the channel; closed before any of a script's code is loaded.
RULESET_FD = 4


class Grants:
    """What all children of a template may open, opened once and inherited by each of them.

    Every rule takes a call in each child. Where the template is kept to the same already
    (`keep_together`) a few wide ones do: what is allowed is what both allow.
    """

    def __init__(
        self,
        read: list[str],
        *,
        has_own_shm: bool,
        is_kept: bool = False,
        ruleset_fd: int = RULESET_FD,
    ) -> None:
        self._fd = ruleset_fd
        rules = _Rules(has_scopes=True)
        rules.add_common(read, has_own_shm=has_own_shm, is_wide=is_kept)
        self._create = rules.create
        # The kernel copies a rule when it is added: one buffer serves for all rulesets.
        self._told = rules.told
        self._restrict: tuple[int, ...] = (LANDLOCK_RESTRICT_SELF, ruleset_fd, 0)
        self._own, self._script = (
            (access & rules.handled).to_bytes(8, "little") for access in (_OWN, _READ_AND_RUN)
        )

    def make(self, folder: str) -> int:
        """Return the descriptor of a ruleset that grants all this, and `folder` as one's own.

        Raises:
            OSError: The folder is not there.
        """
        ruleset_fd = self._create()
        try:
            for rule in self._told:
                landlock_add_rule(ruleset_fd, rule)
            _grant(ruleset_fd, folder, self._own)
        except OSError:
            os.close(ruleset_fd)
            raise
        return ruleset_fd

    def prepare(self, folder: str) -> None:
        """Have such a ruleset ready in its place.

        Raises:
            OSError: The folder is not there.
        """
        ruleset_fd = self.make(folder)
        if ruleset_fd != self._fd:
            os.dup2(ruleset_fd, self._fd, False)
            os.close(ruleset_fd)

    def rehearse(self, own_folder: str, script_folder: str) -> None:
        """Do what `enforce` does, with a ruleset that nobody will be under."""
        self.prepare(own_folder)
        restrict, self._restrict = self._restrict, syscalls.NOTHING
        self.enforce(script_folder)
        self._restrict = restrict

    def enforce(self, script_folder: str) -> None:
        """Grant the script's folder to read, and enforce the ruleset from here on.

        Raises:
            OSError: The folder is not there, or the kernel refuses.
        """
        ruleset_fd = self._fd
        folder_fd = _open(script_folder, _AS_PLACE)
        rule = self._script + folder_fd.to_bytes(4, "little")
        is_refused = (
            _call(LANDLOCK_ADD_RULE, ruleset_fd, LANDLOCK_PATH_BENEATH, rule, 0) < 0
            or _call(*self._restrict) < 0
        )
        _close(folder_fd)
        if is_refused:
            raise syscalls.error_of("landlock")
        _close(ruleset_fd)

    def enforce_own(self) -> None:
        """Enforce the ruleset without any script's folder, in a fork that is another program.

        Raises:
            OSError: The kernel refuses.
        """
        _restrict_self(self._fd)
        os.close(self._fd)


def _grant(ruleset_fd: int, folder: str, access: bytes) -> None:
    fd = os.open(folder, _AS_PLACE)
    try:
        landlock_add_rule(ruleset_fd, access + fd.to_bytes(4, "little"))
    finally:
        os.close(fd)


def keep_together(read: list[str], write: list[str], *, has_own_shm: bool) -> None:
    """Keep this process, a template, to what all of its children together may open.

    Args:
        read: What they read besides the system.
        write: The folder that all of their own folders lie in.
        has_own_shm: Whether `/dev/shm` is theirs alone.

    Raises:
        OSError: The kernel refuses.
    """
    rules = _Rules(has_scopes=False)
    rules.add_common(read, has_own_shm=has_own_shm)
    for path in write:
        rules.add(path, _OWN)
    ruleset_fd = rules.create()
    for rule in rules.told:
        landlock_add_rule(ruleset_fd, rule)
    _restrict_self(ruleset_fd)
    os.close(ruleset_fd)
    rules.close()


class _Rules:
    """Rules in the making, each as the kernel reads it; what they name is kept open."""

    def __init__(self, *, has_scopes: bool) -> None:
        abi = syscalls.landlock_abi()
        self.handled = handled(abi)
        attributes = self.handled.to_bytes(8, "little")
        if abi >= _NET_ABI:
            attributes += bytes(8)
        if abi >= _SCOPE_ABI and has_scopes:
            attributes += _SCOPES.to_bytes(8, "little")
        self.create = syscalls.Prepared(
            "landlock", syscalls.LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0
        )
        self.told: list[bytes] = []
        self._fds: list[int] = []
        self._allowed: list[tuple[str, int]] = []

    def add_common(self, read: list[str], *, has_own_shm: bool, is_wide: bool = False) -> None:
        """Add what is the same for all children; wide rules name folders in place of files."""
        for path in (*SYSTEM, *read):
            self.add(path, _READ_AND_RUN)
        for path in ("/etc",) if is_wide else (f"/etc/{name}" for name in _ETC):
            self.add(path, _READ)
        for path in ("/proc", FONT_CACHE):
            self.add(path, _READ)
        for path in ("/dev",) if is_wide else (f"/dev/{name}" for name in DEVICES):
            self.add(path, _USE_DEVICE)
        if has_own_shm:
            self.add("/dev/shm", _SHARED_MEMORY)

    def add(self, path: str, access: int) -> None:
        """Allow what lies beneath a path, unless this system does not have it."""
        real = os.path.realpath(path)
        for above, given in self._allowed:  # `/lib` is `/usr/lib`, mostly
            if not access & ~given and f"{real}/".startswith(f"{above}/"):
                return
        self._allowed.append((real, access))
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # or this user may not
            return
        if fd == RULESET_FD:  # the ruleset will take this number
            fd = os.dup(fd)
            os.close(RULESET_FD)
        self._fds.append(fd)
        is_folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
        allowed = access & self.handled & (-1 if is_folder else _FILE_ONLY)
        self.told.append(allowed.to_bytes(8, "little") + fd.to_bytes(4, "little"))

    def close(self) -> None:
        """Let go of what is named; the rules can no longer be used."""
        for fd in self._fds:
            os.close(fd)


def _restrict_self(ruleset_fd: int) -> None:
    if _call(LANDLOCK_RESTRICT_SELF, ruleset_fd, 0) < 0:
        raise syscalls.error_of("landlock")
