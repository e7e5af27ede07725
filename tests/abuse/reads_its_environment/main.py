"""Tell the environment, as it is and as it was at the start."""

import os


def names_at_the_start():
    """Return names only: what a log of the tests shows must not be a secret."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return [each.partition(b"=")[0].decode() for each in file.read().split(b"\0")]
    except OSError:
        return []


def run():
    return {
        "now": sorted(os.environ),
        "first": names_at_the_start(),
    }
