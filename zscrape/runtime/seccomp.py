"""System calls that no script needs and that attacks begin with, refused by a filter.

A filter is a program for the kernel's classic BPF machine, one per process, inherited by all
that it starts. It denies by list: an allow-list would break the next release of a C library.
Sources: the kernel's system call tables, and what Docker, systemd and ioi/isolate refuse.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from zscrape.runtime import syscalls
from zscrape.runtime.syscalls import AARCH64, X86_64

_SECCOMP_SET_MODE_FILTER = 1
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL = 0x80000000

# struct seccomp_data: number, architecture, instruction pointer, then six arguments.
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_ARCHITECTURE = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
_X32_BIT = 0x40000000

_LOAD, _RETURN, _AND = 0x20, 0x06, 0x54
_JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET = 0x15, 0x35, 0x45

# Name to number on x86-64 and ARM64; None where the architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # what a machine is made of: mounts, names, clocks, modules, devices
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    # namespaces and file handles reach around every path check
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    # large parts of the kernel that scripts have no use for and that had holes
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
}
# Answered as if the kernel were older: libraries then take another way.
_ABSENT: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435),  # its flags lie in memory, where a filter cannot look
    # memory that belongs to no process, so that no limit counts it, or that outlives them all
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}
_CLONE = {X86_64: 56, AARCH64: 220}
_SOCKET = {X86_64: 41, AARCH64: 198}
_IOCTL = {X86_64: 16, AARCH64: 29}
_FCNTL = {X86_64: 72, AARCH64: 25}
_PERSONALITY = {X86_64: 135, AARCH64: 92}
_PRCTL = {X86_64: 157, AARCH64: 167}
_SETRLIMIT = {X86_64: 160, AARCH64: 164}
_PRLIMIT = {X86_64: 302, AARCH64: 261}
_NAMESPACES = 0x7E020000  # CLONE_NEW*: mounts, cgroup, host name, IPC, users, processes, network
_FAMILIES = (1, 2, 10)  # unix, IPv4, IPv6
_F_SETLEASE = 1024  # who opens the file elsewhere then waits for this process
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put words into a terminal's input
_PERSONALITIES = (0, 0xFFFFFFFF)  # the usual one, and asking for it
_RLIMIT_LOCKS = 10  # see `zscrape.runtime.marker`: it tells whose a process is


class _Program:
    """Instructions, each of them `struct sock_filter`."""

    def __init__(self) -> None:
        self._instructions: list[bytes] = []

    def add(self, code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self._instructions.append(struct.pack("<HBBI", code, if_true, if_false, value))

    def refuse_if_number(self, number: int | None, action: int) -> None:
        """The number is loaded: take this action for this call."""
        if number is not None:
            self.add(_JUMP_EQUAL, number, 0, 1)
            self.add(_RETURN, action)

    def begin(self) -> None:
        """Load the number of a call of this architecture; end what speaks another one."""
        self.add(_LOAD, _AT_ARCHITECTURE)
        self.add(_JUMP_EQUAL, _ARCHITECTURE[syscalls.MACHINE], 1, 0)
        self.add(_RETURN, _KILL)
        self.add(_LOAD, _AT_NUMBER)
        if syscalls.MACHINE == X86_64:
            self.add(_JUMP_AT_LEAST, _X32_BIT, 0, 1)
            self.add(_RETURN, _KILL)

    def end(self) -> None:
        self.add(_RETURN, _ALLOW)

    def install(self) -> None:
        code = b"".join(self._instructions)
        kept = ctypes.create_string_buffer(code, len(code))
        header = struct.pack("<HxxxxxxQ", len(self._instructions), ctypes.addressof(kept))
        syscalls.seccomp(_SECCOMP_SET_MODE_FILTER, 0, header)

    def check_argument(self, number: int, place: int, checks: list[tuple[int, int, int]]) -> None:
        """For one call: load the low half of an argument and run through `checks`.

        Each of them is a jump, its value and the action that it takes when it holds; 0 for
        "let it through". When none holds the call goes on to the end, which allows it.
        """
        size = 1 + 2 * len(checks) + 1
        self.add(_JUMP_EQUAL, number, 0, size)
        self.add(_LOAD, _AT_ARGUMENTS + 8 * place)
        for jump, value, action in checks:
            self.add(jump, value, 0, 1)
            self.add(_RETURN, action or _ALLOW)
        self.add(_RETURN, _ALLOW)


def _refuse(number: int) -> int:
    return _ERRNO | number


def forbid_dangerous() -> None:
    """Refuse what no script needs, from here on, to this process and all that it starts.

    Raises:
        OSError: The kernel has no filters, or this process may not install one.
    """
    machine = syscalls.MACHINE
    place = 0 if machine == X86_64 else 1
    program = _Program()
    program.begin()
    denied = _refuse(errno.EPERM)
    # Most calls are none of these: those with arguments to look at come first, they are hot.
    program.check_argument(_CLONE[machine], 0, [(_JUMP_SET, _NAMESPACES, denied)])
    families = [(_JUMP_EQUAL, family, 0) for family in _FAMILIES]
    other = (_JUMP_AT_LEAST, 0, _refuse(errno.EAFNOSUPPORT))
    program.check_argument(_SOCKET[machine], 0, [*families, other])
    program.check_argument(
        _IOCTL[machine], 1, [(_JUMP_EQUAL, word, denied) for word in (_TIOCSTI, _TIOCLINUX)]
    )
    program.check_argument(_FCNTL[machine], 1, [(_JUMP_EQUAL, _F_SETLEASE, denied)])
    usual = [(_JUMP_EQUAL, word, 0) for word in _PERSONALITIES]
    program.check_argument(_PERSONALITY[machine], 0, [*usual, (_JUMP_AT_LEAST, 0, denied)])
    program.check_argument(
        _PRCTL[machine], 0, [(_JUMP_EQUAL, syscalls.PR_SET_CHILD_SUBREAPER, denied)]
    )
    for numbers in _REFUSED.values():
        program.refuse_if_number(numbers[place], denied)
    for numbers in _ABSENT.values():
        program.refuse_if_number(numbers[place], _refuse(errno.ENOSYS))
    program.end()
    program.install()


def keep_limits() -> None:
    """Refuse to change the limit that marks whose a process is, and any of another process.

    Source of the mark: `zscrape.runtime.marker`.

    Raises:
        OSError: As `forbid_dangerous`.
    """
    program = _Program()
    program.begin()
    denied = _refuse(errno.EPERM)
    machine = syscalls.MACHINE
    program.check_argument(_SETRLIMIT[machine], 0, [(_JUMP_EQUAL, _RLIMIT_LOCKS, denied)])
    # prlimit(process, resource, new, old) may read: `new` is then a null pointer. It may not
    # set anything of another process (0 is this one): those of its user are the worker's, too.
    program.add(_JUMP_EQUAL, _PRLIMIT[machine], 0, 10)
    program.add(_LOAD, _AT_ARGUMENTS)
    program.add(_JUMP_EQUAL, 0, 0, 2)
    program.add(_LOAD, _AT_ARGUMENTS + 8)
    program.add(_JUMP_EQUAL, _RLIMIT_LOCKS, 0, 6)
    for half in (0, 4):
        program.add(_LOAD, _AT_ARGUMENTS + 16 + half)
        program.add(_JUMP_EQUAL, 0, 1, 0)
        program.add(_RETURN, denied)
    program.end()
    program.install()
