"""Open the interpreter's files for writing, without writing."""

import os
import site
import sysconfig

from probe import unless_root, write

import zscrape.runtime.child

NAME = "zscrape-abuse-code"


def opened(path):
    os.close(os.open(path, os.O_WRONLY))
    return path


def left(folder):
    write(f"{folder}/{NAME}")
    os.unlink(f"{folder}/{NAME}")
    return folder


def run():
    runtime = os.path.dirname(zscrape.runtime.child.__file__)
    return {
        "library": unless_root(opened, os.__file__),
        "package": unless_root(left, sysconfig.get_paths()["stdlib"]),
        "runtime": unless_root(opened, zscrape.runtime.child.__file__),
        "bytecode": unless_root(left, f"{runtime}/__pycache__"),
        "site": unless_root(left, sysconfig.get_paths()["purelib"]),
        "known": site.ENABLE_USER_SITE,
    }
