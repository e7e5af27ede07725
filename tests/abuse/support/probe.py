"""Put beside every abusive script: try something, and tell the errno."""

import ctypes
import errno
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)

_X86 = platform.machine() == "x86_64"
# Numbers of system calls: x86-64, aarch64.
_NUMBERS = {
    "ptrace": (101, 117),
    "personality": (135, 92),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "perf_event_open": (298, 241),
    "memfd_create": (319, 279),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "prlimit64": (302, 261),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "clone3": (435, 435),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "memfd_secret": (447, 447),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "fanotify_init": (300, 262),
    "ioprio_set": (251, 30),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "vhangup": (153, 58),
    "iopl": (172, -1),
    "modify_ldt": (154, -1),
}


def call(name, *arguments):
    """Make a system call by its name; raises OSError."""
    number = _NUMBERS[name][0 if _X86 else 1]
    result = libc.syscall(ctypes.c_long(number), *map(_long, arguments))
    return checked(result)


def _long(value):
    return ctypes.c_long(value) if isinstance(value, int) else value


def checked(result):
    """Return what a C function returned; raises OSError when it failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def tried(action, *arguments):
    """Return the name of the errno, or `done: ...`."""
    try:
        value = action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return f"done: {_measure(value)}"


def _measure(value):
    """Tell how much was had, never what: a log of the tests must not hold what is secret."""
    return f"{len(value)} of {type(value).__name__}" if hasattr(value, "__len__") else str(value)


def unless_root(action, *arguments):
    """Try what would change the machine itself only where the user may not do that anyway.

    The layers that a case asks for are looked at before it runs. This is the second lock: it
    holds when the first one was opened by mistake.
    """
    if os.geteuid() == 0:
        return "done: not tried as root"
    return tried(action, *arguments)


def apart_unless_root(action, *arguments):
    """Return what `apart` does, except as root: see `unless_root`."""
    return "done: not tried as root" if os.geteuid() == 0 else apart(action, *arguments)


def apart(action, *arguments):
    """Return what `tried` does, of a fork: for what might end the process or change it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, tried(action, *arguments).encode())
        finally:
            os._exit(0)
    os.close(writer)
    told = os.read(reader, 4096).decode()
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return f"killed by {os.WTERMSIG(status)}"
    return told


def name_me(mark):
    """Let the process be known by `mark`, whatever it does to its arguments."""
    libc.prctl(15, f"{mark}".encode(), 0, 0, 0)


def read(path):
    """Return the first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(60)


def write(path, text=b"abused"):
    """Write a file."""
    with open(path, "wb") as file:
        return file.write(text)
