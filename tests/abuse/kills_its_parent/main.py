"""Kill the parent; only when a harmless question has shown that it cannot be done."""

import os
import signal

from probe import tried


def run():
    asked = tried(os.kill, os.getppid(), 0)
    if asked.startswith("done") or os.geteuid() == 0:
        return {"asked": asked, "killed": "done: not tried, it would have worked"}
    return {"asked": asked, "killed": tried(os.kill, os.getppid(), signal.SIGKILL)}
