"""System calls that no script needs and that attacks begin with, refused by a filter.

It denies by list: an allow-list would break the next release of a C library.
Sources: the kernel's system call tables, and what Docker, systemd and ioi/isolate refuse.
"""

from __future__ import annotations

import errno

from zscrape.runtime import syscalls
from zscrape.runtime.filters import (
    ALLOW,
    IF_ANY_BIT,
    IF_AT_LEAST,
    IF_EQUAL,
    Filter,
    Program,
    refuse,
)
from zscrape.runtime.syscalls import AARCH64, X86_64

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
# Done without being done: all that may be written to goes with the attempt, so it need not be
# forced onto a disk, and whoever does that holds up every other process of the machine.
_NEEDLESS: dict[str, tuple[int | None, int | None]] = {
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "sync_file_range": (277, 84),
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


def _check(program: Program, number: int, place: int, checks: list[tuple[int, int, int]]) -> None:
    """For one call: look at the low half of an argument, and run through `checks`.

    Each of them is a comparison, its value and the result of the call when it holds. When none
    does the call is let through.
    """
    other = program.new_name()
    program.jump(IF_EQUAL, number, "", other)
    program.load_argument(place)
    for kind, value, result in checks:
        program.end_if(kind, value, result)
    program.end(ALLOW)
    program.place(other)


def forbid_dangerous() -> None:
    """Refuse what no script needs, from here on, to this process and all that it starts.

    Raises:
        OSError: The kernel has no filters, or this process may not install one.
    """
    machine = syscalls.MACHINE
    column = 0 if machine == X86_64 else 1
    program = Program(machine)
    denied = refuse(errno.EPERM)
    # Most calls are none of these: those with arguments to look at come first, they are hot.
    _check(program, _CLONE[machine], 0, [(IF_ANY_BIT, _NAMESPACES, denied)])
    families = [(IF_EQUAL, family, ALLOW) for family in _FAMILIES]
    other = (IF_AT_LEAST, 0, refuse(errno.EAFNOSUPPORT))
    _check(program, _SOCKET[machine], 0, [*families, other])
    _check(
        program, _IOCTL[machine], 1, [(IF_EQUAL, word, denied) for word in (_TIOCSTI, _TIOCLINUX)]
    )
    _check(program, _FCNTL[machine], 1, [(IF_EQUAL, _F_SETLEASE, denied)])
    usual = [(IF_EQUAL, word, ALLOW) for word in _PERSONALITIES]
    _check(program, _PERSONALITY[machine], 0, [*usual, (IF_AT_LEAST, 0, denied)])
    _check(program, _PRCTL[machine], 0, [(IF_EQUAL, syscalls.PR_SET_CHILD_SUBREAPER, denied)])
    # A template has a ring for this, see `pinning`; nobody else has one, or can make one.
    held = (IF_EQUAL, syscalls.REGISTER_BUFFERS, ALLOW)
    _check(program, syscalls.IO_URING_REGISTER, 1, [held, (IF_AT_LEAST, 0, denied)])
    absent, done = refuse(errno.ENOSYS), refuse(0)
    for result, table in ((denied, _REFUSED), (absent, _ABSENT), (done, _NEEDLESS)):
        for numbers in table.values():
            if (number := numbers[column]) is not None:
                program.end_if(IF_EQUAL, number, result)
    program.end(ALLOW)
    Filter(program.assemble()).install()


def limits_filter() -> Filter:
    """Return what refuses to change the mark of a process, and limits of another process.

    Whoever is marked takes it on afterwards, a template or each child. Source of the mark:
    `zscrape.runtime.marker`.
    """
    machine = syscalls.MACHINE
    program = Program(machine)
    denied = refuse(errno.EPERM)
    _check(program, _SETRLIMIT[machine], 0, [(IF_EQUAL, _RLIMIT_LOCKS, denied)])
    # prlimit(process, resource, new, old) may read: `new` is then a null pointer. It may not
    # set anything of another process (0 is this one): those of its user are the worker's, too.
    program.jump(IF_EQUAL, _PRLIMIT[machine], "", "allow")
    program.load_argument(0)
    program.jump(IF_EQUAL, 0, "", "marked")
    program.load_argument(1)
    program.jump(IF_EQUAL, _RLIMIT_LOCKS, "", "allow")
    program.place("marked")
    for is_high in (False, True):
        program.load_argument(2, is_high=is_high)
        program.end_unless(IF_EQUAL, 0, denied)
    program.place("allow")
    program.end(ALLOW)
    return Filter(program.assemble())
