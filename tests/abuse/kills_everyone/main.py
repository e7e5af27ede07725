"""Kill every process there is.

The call itself succeeds: the kernel forgets the refusals of all it may not signal. Whether it
reached anybody is seen by who is still there.
"""

import os
import signal

from probe import tried


def run():
    if os.geteuid() == 0:
        return {"killed": "done: not tried, it would have worked"}
    tried(os.kill, -1, signal.SIGKILL)
    return {"killed": "nobody, or this would not be told"}
