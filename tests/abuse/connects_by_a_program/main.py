"""Connect by other programs, in sessions of their own, too."""

import subprocess
import sys

from probe import tried

SOURCE = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


def done(*command, apart=False):
    ended = subprocess.run(
        command, capture_output=True, timeout=8, check=False, start_new_session=apart
    )
    if ended.returncode:
        raise OSError(1, f"{ended.returncode}")
    return "connected"


def daemon(port):
    return done(sys.executable, "-I", "-c", SOURCE, "10.0.0.1", str(port), apart=True)


def run(port):
    return {
        "python": tried(done, sys.executable, "-I", "-c", SOURCE, "127.0.0.1", str(port)),
        "shell": tried(done, "bash", "-c", f"echo x > /dev/tcp/127.0.0.1/{port}"),
        "daemon": tried(daemon, port),
    }
