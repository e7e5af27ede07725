"""Try each layer in a process of its own, and tell which of them this machine has.

Nothing is guessed from versions: a container may forbid what its kernel has, and the other
way round. Each try is a fork that ends with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from zscrape.runtime import marker, seccomp, syscalls, view
from zscrape.runtime.landlock import Grants, keep_together
from zscrape.runtime.probed import GROUPS, PROCESSES
from zscrape.runtime.sandbox import Plan

_REASON_BYTES = 4096
_RULESET_FD = 100


def tell(plan: Plan) -> None:
    """Try each layer of the plan; write one JSON object: its name, and why it is missing.

    A layer that works has an empty reason.
    """
    found: dict[str, str] = {}
    layers: dict[str, Callable[[], None]] = {
        "tree": _adopt_orphans,
        "no_new_privileges": _forbid_new_privileges,
        "seccomp": _filter_calls,
        "landlock": lambda: _keep_to_folder(plan),
        "view": lambda: _enter_view(plan),
        # Last: whether another user can read the interpreter depends on the view.
        "user": lambda: _change_user(plan, has_view=found.get("view") == ""),
    }
    for name, layer in layers.items():
        if plan.has(name):
            is_known = syscalls.is_known_machine()
            found[name] = _try(layer) if is_known else f"not built for {syscalls.MACHINE}"
    if found.get("view") == "":
        found[PROCESSES] = _try(lambda: _hide_processes(plan))
    if found.get("user") == "":
        found[GROUPS] = _try(lambda: _tell_by_group(plan, has_view=found.get("view") == ""))
    os.write(1, json.dumps(found).encode())


def _try(layer: Callable[[], None]) -> str:
    """Return why a layer cannot be applied, or an empty text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        reason = ""
        try:
            layer()
        except OSError as error:
            reason = error.strerror or str(error)
            reason += f" ({error.filename})" if error.filename else ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the layer does not work
            reason = f"{type(error).__name__}: {error}"
        os.write(writer, reason.encode("utf-8", "replace")[:_REASON_BYTES])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(pid, 0)
    return told if status == 0 else f"it ended its process ({os.waitstatus_to_exitcode(status)})"


def _adopt_orphans() -> None:
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def _forbid_new_privileges() -> None:
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def _filter_calls() -> None:
    _forbid_new_privileges()
    seccomp.forbid_dangerous()
    seccomp.limits_filter().install()
    try:
        syscalls.unshare(0)
    except PermissionError:
        return
    raise OSError(None, "a filter was taken but does not filter")


def _keep_to_folder(plan: Plan) -> None:
    if not syscalls.landlock_abi():
        raise OSError(None, "the kernel does not have it (it came with Linux 5.13)")
    _forbid_new_privileges()
    keep_together(plan.read, [plan.scratch], has_own_shm=False)
    # Low numbers are taken here: one is the pipe that tells how this ends.
    grants = Grants(plan.read, has_own_shm=False, is_kept=True, ruleset_fd=_RULESET_FD)
    grants.prepare(plan.staging)
    grants.enforce(plan.staging)
    try:
        os.listdir("/")
    except PermissionError:
        return
    raise OSError(None, "rules were taken but do not rule")


def _enter_view(plan: Plan) -> None:
    view.enter(view.View(plan.read + plan.script_roots, [plan.scratch]), plan.staging)
    if os.path.lexists("/home") or not os.path.isdir(plan.scratch):
        raise OSError(None, "the view does not show what it should")


def _hide_processes(plan: Plan) -> None:
    _enter_view(plan)
    with open("/proc/self/mountinfo", "rb") as mounts:
        if b"hidepid=" not in mounts.read():
            raise OSError(None, "a user namespace may not mount /proc anew")


def _change_user(plan: Plan, *, has_view: bool) -> None:
    if os.geteuid() != 0:
        raise OSError(None, "only root can give each attempt a user of its own")
    if has_view:
        _enter_view(plan)
    os.setgroups([])
    uid = plan.first_uid
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    for path in (*plan.read, *plan.script_roots):
        os.scandir(path).close()
    with open(os.__file__, "rb") as file:  # the standard library
        file.read(1)


def _tell_by_group(plan: Plan, *, has_view: bool) -> None:
    if has_view:
        _enter_view(plan)
    owner = marker.owner_of(plan.scratch)
    # The last group of all: a container may have only few.
    child_id = marker.CHILD_COUNT - 1 - owner
    marker.put(owner, 0)
    if marker.read(os.getpid()) != (0, 0):
        raise OSError(None, "the worker's own group is among those of children")
    pid = os.fork()
    if pid == 0:
        try:
            group, uid = marker.group_of(owner, child_id), plan.first_uid
            os.setresgid(group, group, group)
            os.setresuid(uid, uid, uid)
        finally:
            os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if marker.read(pid) != (owner, child_id):
        raise OSError(None, "a process is not told by its group")
