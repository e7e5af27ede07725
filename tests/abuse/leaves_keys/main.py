"""Keep a text in the key ring of the session and of the user, and look for one."""

import ctypes

from probe import apart_unless_root, call

TEXT = b"kept"


def added():
    return call("add_key", b"user", b"zscrape-abuse", ctypes.c_char_p(TEXT), len(TEXT), -3)


def found():
    return call("request_key", b"user", b"zscrape-abuse", 0, -3)


def run():
    return {"added": apart_unless_root(added), "found": apart_unless_root(found)}
