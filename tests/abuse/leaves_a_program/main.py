"""Start a shell in a session of its own that ignores what it can."""

import subprocess


def run(mark):
    source = 'trap "" TERM HUP INT QUIT PIPE; while :; do sleep 7; done'
    subprocess.Popen(
        ["/bin/sh", "-c", source, mark],
        start_new_session=True,
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return 1
