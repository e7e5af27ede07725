"""List processes and read their arguments."""

import os

from probe import read, tried


def any_other():
    own = {os.getpid(), os.getppid()}
    seen = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    shown = [name for name in seen if os.access(f"/proc/{name}/cmdline", os.R_OK)]
    if not shown:
        raise PermissionError(1, "nobody to be seen")
    return shown


def run(worker_pid):
    return {
        "worker": tried(os.listdir, f"/proc/{worker_pid}"),
        "arguments": tried(read, f"/proc/{worker_pid}/cmdline"),
        "any": tried(any_other),
    }
