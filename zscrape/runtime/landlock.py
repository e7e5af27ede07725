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

_SCOPE_ABI = 6
_SCOPES = 0b11  # abstract unix sockets, signals: only within what the attempt has started

_READ = _READ_FILE | _READ_DIR
_READ_AND_RUN = _READ | _EXECUTE
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_USE_DEVICE = _READ_FILE | _WRITE_FILE
_OWN = ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)

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


def handled(abi: int) -> int:
    """Return every right on files that this version of Landlock can take away."""
    return sum(rights for since, rights in _FS_BY_ABI.items() if since <= abi)


class Grants:
    """What all children of a template may open, opened once and inherited by each of them."""

    def __init__(self, read: list[str], *, has_own_shm: bool) -> None:
        self._abi = syscalls.landlock_abi()
        self._handled = handled(self._abi)
        self._attributes = self._handled.to_bytes(8, "little") + bytes(8)
        if self._abi >= _SCOPE_ABI:
            self._attributes += _SCOPES.to_bytes(8, "little")
        elif self._abi < 4:
            self._attributes = self._attributes[:8]
        self._rules: list[bytes] = []
        self._fds: list[int] = []
        for path in (*SYSTEM, *read):
            self._add(path, _READ_AND_RUN)
        for name in _ETC:
            self._add(f"/etc/{name}", _READ)
        self._add("/proc", _READ)
        for name in DEVICES:
            self._add(f"/dev/{name}", _USE_DEVICE)
        if has_own_shm:
            self._add("/dev/shm", _OWN)

    def _add(self, path: str, access: int) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # this system does not have it, or this user may not
            return
        self._fds.append(fd)
        self._rules.append(self._rule(fd, access))

    def _rule(self, fd: int, access: int) -> bytes:
        is_folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
        allowed = access & self._handled & (-1 if is_folder else _FILE_ONLY)
        return allowed.to_bytes(8, "little") + fd.to_bytes(4, "little")

    def ruleset(self, folder: str) -> int:
        """Return the descriptor of a ruleset that grants all this, and `folder` as one's own.

        Raises:
            OSError: The folder is not there.
        """
        ruleset_fd = syscalls.landlock_create_ruleset(self._attributes)
        for rule in self._rules:
            syscalls.landlock_add_rule(ruleset_fd, rule)
        self._grant(ruleset_fd, folder, _OWN)
        return ruleset_fd

    def enforce(self, ruleset_fd: int, script_folder: str) -> None:
        """Grant the script's folder to read, and enforce the ruleset from here on.

        Raises:
            OSError: The folder is not there, or the kernel refuses.
        """
        self._grant(ruleset_fd, script_folder, _READ_AND_RUN)
        syscalls.landlock_restrict_self(ruleset_fd)
        os.close(ruleset_fd)

    def _grant(self, ruleset_fd: int, path: str, access: int) -> None:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            syscalls.landlock_add_rule(ruleset_fd, self._rule(fd, access))
        finally:
            os.close(fd)
