"""Send harmless signals to the script in the other slot, straight and by way of a socket."""

import fcntl
import os
import signal
import socket

from probe import unless_root


def by_owner(pid):
    left, right = socket.socketpair()
    fcntl.fcntl(left, fcntl.F_SETOWN, pid)
    fcntl.fcntl(left, fcntl.F_SETSIG, signal.SIGUSR1)
    fcntl.fcntl(left, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    right.send(b"x")


def run(victim_pid):
    return {
        "killed": unless_root(os.kill, victim_pid, signal.SIGUSR1),
        "owned": unless_root(by_owner, victim_pid),  # the victim tells whether it has heard
    }
