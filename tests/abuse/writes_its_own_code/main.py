"""Change the script's own files; with what they hold already, should it work."""

import os

from probe import read, unless_root, write

HERE = os.path.dirname(__file__)


def touched(name):
    with open(f"{HERE}/{name}", "r+b") as file:
        kept = file.read()
        file.seek(0)
        return file.write(kept)


def added():
    write(f"{HERE}/zscrape-abuse-added")
    os.unlink(f"{HERE}/zscrape-abuse-added")


def moved():
    os.rename(f"{HERE}/main.py", f"{HERE}/gone.py")
    os.rename(f"{HERE}/gone.py", f"{HERE}/main.py")


def attribute():
    os.setxattr(f"{HERE}/main.py", "user.abused", b"x")
    os.removexattr(f"{HERE}/main.py", "user.abused")


def removed():
    kept = open(f"{HERE}/probe.py", "rb").read()
    os.unlink(f"{HERE}/probe.py")
    write(f"{HERE}/probe.py", kept)


def run():
    assert read(__file__)
    mode = os.stat(__file__).st_mode
    return {
        "main": unless_root(touched, "main.py"),
        "manifest": unless_root(touched, "metadata.json"),
        "added": unless_root(added),
        "moved": unless_root(moved),
        "removed": unless_root(removed),
        "mode": unless_root(os.chmod, __file__, mode),
        "times": unless_root(os.utime, __file__, (1, 1)),
        "attribute": unless_root(attribute),
        "folder": unless_root(os.chmod, HERE, 0o777),
    }
