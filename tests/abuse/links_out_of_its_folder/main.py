"""Make links to what is outside, read through them, and leave them behind."""

import os

from probe import read, unless_root


def through(target, name):
    os.symlink(target, name)
    return read(name)


def out():
    open("own", "w").close()
    os.link("own", "/tmp/zscrape-abuse-link")
    os.unlink("/tmp/zscrape-abuse-link")


def run(home, cache):
    os.symlink(home, "home")
    os.symlink(cache, "cache")
    os.symlink("/tmp", "tmp")
    return {
        "shadow": unless_root(through, "/etc/shadow", "shadow"),
        "key": unless_root(through, f"{home}/key.pem", "key"),
        "hard": unless_root(os.link, f"{home}/key.pem", "hard"),
        "hard_code": unless_root(os.link, __file__, "code"),
        "out": unless_root(out),
    }
