"""Limits that the kernel keeps, applied before any of a script's code is loaded.

`Limits` is the part that a spare child can take on while it waits; the processor time is
set when the attempt begins, since it depends on how long that attempt may run.
"""

from __future__ import annotations

import resource
from typing import Any, NamedTuple

# Soft and hard differ where the runtime must still be able to say what happened: a child
# that ran out of memory raises its soft limit by this much to write its answer.
HEADROOM_BYTES = 32 * 1024 * 1024
# With this a process leaves that has run out of memory amid its answer, and can say so no more.
OUT_OF_MEMORY_STATUS = 112
# Address space is reserved far beyond what is used (thread stacks, arenas, libraries).
ADDRESS_SPACE_FACTOR = 4
# Processor seconds between SIGXCPU and SIGKILL, for a script that ignores the first.
CPU_GRACE_S = 1
_setrlimit, _getrusage = resource.setrlimit, resource.getrusage
_RLIMIT_CPU, _SELF, _CHILDREN = resource.RLIMIT_CPU, resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


class Limits(NamedTuple):
    """What one child may use; all of them are final once applied."""

    memory_bytes: int
    process_count: int  # not applied with the others: the kernel counts those that run besides, too
    open_file_count: int
    file_size_bytes: int


def has_browser(kit: str) -> bool:
    """True iff scripts with this kit start a browser, which needs other limits."""
    return "browser" in kit.split(",")


def apply(limits: Limits, *, has_browser: bool = False) -> None:
    """Take on `limits` for this process and everything it starts.

    Browsers reserve address space by the terabyte, and map what they share in each of their
    processes: with one, the memory that all processes use together is watched, and nothing else.
    """
    if not has_browser:
        memory_bytes = limits.memory_bytes
        space_bytes = memory_bytes * ADDRESS_SPACE_FACTOR
        _lower(resource.RLIMIT_DATA, memory_bytes, memory_bytes + HEADROOM_BYTES)
        _lower(resource.RLIMIT_AS, space_bytes, space_bytes + HEADROOM_BYTES)
    _lower(resource.RLIMIT_NOFILE, limits.open_file_count, limits.open_file_count)
    _lower(resource.RLIMIT_FSIZE, limits.file_size_bytes, limits.file_size_bytes)


def apply_cpu(cpu_s: int, grace_s: int = CPU_GRACE_S) -> None:
    """Allow `cpu_s` seconds of processor time: SIGXCPU then, SIGKILL a little later."""
    hard = cpu_s + grace_s
    try:
        _setrlimit(_RLIMIT_CPU, (cpu_s, hard))
    except ValueError:
        _lower(resource.RLIMIT_CPU, cpu_s, hard)


def apply_cpu_again(
    cpu_s: int, times_count: int, own_s: float, before: tuple[int, int]
) -> tuple[int, int]:
    """Allow `cpu_s` more seconds, and as many at each of `times_count` later calls.

    A hard limit can't be raised, so it is that of all of them together: in the end the limit of
    time is what ends a script that ignores SIGXCPU.

    Args:
        cpu_s: How many.
        times_count: How often there will be more.
        own_s: What this process has used, which alone the kernel counts.
        before: The limits by now, soft and hard.

    Returns:
        Both from now on.
    """
    used_s, hard = int(own_s) + 1, before[1]
    if hard == resource.RLIM_INFINITY:
        hard = used_s + (cpu_s + CPU_GRACE_S) * (times_count + 1)
    wanted = min(used_s + cpu_s, hard), hard
    _lower(_RLIMIT_CPU, *wanted)
    return resource.getrlimit(_RLIMIT_CPU)


def possible(kind: int, wanted: int) -> tuple[int, int]:
    """Return what can be set of a limit: no more than this process has."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        wanted = min(wanted, ceiling)
    return wanted, wanted


def rehearse() -> None:
    """Do what `apply_cpu` does, and change nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    apply_cpu(soft, hard - soft)


def forbid_core_dumps() -> None:
    """Keep a crash from writing the memory of a script to a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_memory_to_hard() -> None:
    """Give the runtime room to report that the script had none left."""
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (hard, hard))


def used() -> tuple[Any, Any]:
    """Return what this process has used, and what it has started and waited for, as counted."""
    return _getrusage(_SELF), _getrusage(_CHILDREN)


def usage(own: Any, ended: Any) -> tuple[int, int]:
    """Return the processor time in microseconds and the peak memory in bytes of `used`.

    Both are this process's and of what it has started and waited for: times in sum, of memory
    the largest.
    """
    cpu_s = own[0] + own[1] + ended[0] + ended[1]
    return int(cpu_s * 1_000_000), max(own[2], ended[2]) * 1024


def _lower(kind: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(kind, (soft, hard))
    except ValueError:  # above the hard limit this process was born with: keep that one
        ceiling = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (min(soft, ceiling), min(hard, ceiling)))
