"""Run what is installed with the right to be root, and a program marked so by itself."""

import os
import shutil
import subprocess

from probe import unless_root


def output(*command):
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=5, check=False
    )
    if done.returncode != 0 or "uid=0" not in done.stdout.replace("euid", "uid"):
        raise PermissionError(1, done.stderr)
    return done.stdout


def own():
    shutil.copy("/usr/bin/id", "id")
    os.chmod("id", 0o6755)
    return output("./id")


def run():
    return {
        "su": unless_root(output, "su", "-c", "id"),
        "sudo": unless_root(output, "sudo", "-n", "id"),
        "mount": unless_root(output, "sh", "-c", "mount -t tmpfs none . && id"),
        "own": unless_root(own),
    }
