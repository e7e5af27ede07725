"""The part of the file system that a template and its children see: a root of their own.

In a mount namespace of its own the template gets an empty root, into which come the system's
programs and libraries, the interpreter, the scripts' cache and the environments, all
read-only, and the private folders. Nothing else of the machine is there to be named: no home
folders, no sockets of its services, no processes of others. Folders on the way are made anew,
so that a user who may not enter a home folder can still run an interpreter that lies in it.

It is made once per template and inherited: an attempt pays nothing for it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from zscrape.runtime import syscalls
from zscrape.runtime.landlock import DEVICES, FONT_CACHE, SYSTEM

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC = 2, 4, 8, 4096, 16384
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_READ_ONLY, _NO_SUID, _NO_DEVICES = 1, 2, 4  # MOUNT_ATTR_*

_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)
# Shared memory of semaphores and of `multiprocessing`; it counts as memory of no process.
# Nobody can list it: names that libraries make up there cannot be guessed.
_SHM = "size=64m,nr_inodes=4096,mode=1733"


class View(NamedTuple):
    """What is to be seen: paths to read, and paths to write (folders that exist)."""

    read: list[str]
    write: list[str]


def enter(view: View, staging: str) -> None:
    """Give this process, and all that it starts, this view.

    Args:
        view: What it shows.
        staging: An empty folder of ours to build it on; it stays as it is outside.

    Raises:
        OSError: The kernel or this process's rights do not allow it. What was done so far is
            this process's alone: it should be ended.
    """
    _enter_namespaces()
    syscalls.mount("", "/", "", _MS_REC | _MS_PRIVATE)
    syscalls.mount("zscrape", staging, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    for path in (*SYSTEM, "/etc"):
        _show_system(staging, path)
    _show(staging, FONT_CACHE, _READ_ONLY | _NO_SUID | _NO_DEVICES)
    for path in _without_inner([os.path.realpath(path) for path in view.read] + view.read):
        _show(staging, path, _READ_ONLY | _NO_SUID | _NO_DEVICES)
    _show_file_behind_link(staging, "/etc/resolv.conf")
    for path in view.write:
        _show(staging, path, _NO_SUID | _NO_DEVICES)
    _make_devices(staging)
    _show_processes(staging)
    os.makedirs(f"{staging}/tmp", 0o755, exist_ok=True)  # some programs want it to be there
    os.chdir(staging)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".", _MNT_DETACH)
    os.chdir("/")
    syscalls.mount_setattr("/", is_recursive=False, attributes=_READ_ONLY)


def _enter_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        syscalls.unshare(_CLONE_NEWNS)
        return
    # Whoever makes a user namespace has every right in it, and none outside. This process
    # keeps its own number there, so that the next `exec` takes those rights away again.
    syscalls.unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
    for name, told in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(told)


def _show_system(root: str, path: str) -> None:
    """Show a folder of the system as it is: `/bin` may be a link into `/usr`."""
    if os.path.islink(path):
        os.symlink(os.readlink(path), root + path)
    elif os.path.isdir(path):
        _show(root, path, _READ_ONLY | _NO_DEVICES)


def _show(root: str, path: str, attributes: int) -> None:
    if not os.path.exists(path):
        return
    target = root + path
    if not os.path.lexists(target):
        _make_place(target, is_folder=os.path.isdir(path))
    elif attributes & _READ_ONLY and os.path.samefile(path, target):
        return  # it lies in what is shown already
    # What may be written to is ours and has nothing mounted in it but the staging folder.
    depth = _MS_REC if attributes & _READ_ONLY else 0
    syscalls.mount(path, target, "", _MS_BIND | depth)
    syscalls.mount_setattr(target, is_recursive=bool(depth), attributes=attributes)


def _make_place(target: str, *, is_folder: bool) -> None:
    os.makedirs(target if is_folder else os.path.dirname(target), 0o755, exist_ok=True)
    if not is_folder:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _show_file_behind_link(root: str, path: str) -> None:
    """Show what a link of the system's points to, where that lies outside of what is shown."""
    real = os.path.realpath(path)
    if real != path and not os.path.lexists(root + real):
        _show(root, real, _READ_ONLY | _NO_SUID | _NO_DEVICES)


def _make_devices(root: str) -> None:
    os.mkdir(f"{root}/dev", 0o755)
    for name in DEVICES:
        _make_place(f"{root}/dev/{name}", is_folder=False)
        syscalls.mount(f"/dev/{name}", f"{root}/dev/{name}", "", _MS_BIND)
    for points_to, link in _LINKS:
        os.symlink(points_to, root + link)
    os.mkdir(f"{root}/dev/shm")
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    syscalls.mount("zscrape", f"{root}/dev/shm", "tmpfs", flags, _SHM)


def _show_processes(root: str) -> None:
    """Show `/proc`, without the processes of other users where we may ask for that."""
    os.mkdir(f"{root}/proc", 0o555)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    try:
        syscalls.mount("proc", f"{root}/proc", "proc", flags, "hidepid=2")
    except OSError:  # not in a user namespace: the processes are not ours to show
        syscalls.mount("/proc", f"{root}/proc", "", _MS_BIND | _MS_REC)


def _without_inner(paths: list[str]) -> list[str]:
    """Return paths, those above before those below, without those that lie in another."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path == above or path.startswith(above + "/") for above in kept):
            kept.append(path)
    return kept
