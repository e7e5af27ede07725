"""Leave a file in every folder of the cache."""

import os

from probe import unless_root, write

NAME = "zscrape-abuse-cache"


def left(folder):
    write(f"{folder}/{NAME}")
    os.unlink(f"{folder}/{NAME}")
    return folder


def run(cache, scripts):
    return {
        "scripts": unless_root(left, f"{cache}/sha256"),
        "environments": unless_root(left, f"{cache}/environments/ready"),
        "locks": unless_root(left, f"{cache}/locks"),
        "staging": unless_root(left, f"{cache}/staging"),
        "above": unless_root(left, cache),
        "repository": unless_root(left, scripts),
    }
