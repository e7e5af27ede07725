"""Read what only root may read."""

import os

from probe import read, unless_root


def run(user_home):
    return {
        "shadow": unless_root(read, "/etc/shadow"),
        "sudoers": unless_root(read, "/etc/sudoers"),
        "ssh": unless_root(os.listdir, "/root/.ssh"),
        "first": unless_root(read, "/proc/1/environ"),
        "kernel": unless_root(read, "/proc/kcore"),
    }
