"""Signal every process there is; only when a harmless signal has reached nobody."""

import os
import signal

from probe import tried


def run():
    asked = tried(os.kill, -1, 0)
    if asked.startswith("done") or os.geteuid() == 0:
        return {"asked": asked, "killed": "done: not tried, it would have worked"}
    return {"asked": asked, "killed": tried(os.kill, -1, signal.SIGKILL)}
