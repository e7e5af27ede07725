"""Write to every folder that somebody may write to."""

import os

from probe import unless_root, write

NAME = "zscrape-abuse-outside"


def outside(folder):
    path = f"{folder}/{NAME}"
    write(path)
    os.unlink(path)


def run():
    folders = ("/tmp", "/var/tmp", "..", "/etc", "/usr/lib", "/run", "/")
    names = ("tmp", "var", "up", "etc", "usr", "run", "root")
    return {name: unless_root(outside, folder) for name, folder in zip(names, folders, strict=True)}
