"""Open sockets of families that no script needs."""

import socket

from probe import apart_unless_root


def opened(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()


def run():
    raw, stream, packets = socket.SOCK_RAW, socket.SOCK_STREAM, socket.SOCK_SEQPACKET
    return {
        "machine": apart_unless_root(opened, 40, stream),
        "kernel": apart_unless_root(opened, 16, raw),
        "packets": apart_unless_root(opened, 17, raw),
        "crypto": apart_unless_root(opened, 38, packets),
        "bluetooth": apart_unless_root(opened, 31, raw),
        "express": apart_unless_root(opened, 44, raw),
        "tipc": apart_unless_root(opened, 30, packets),
        "keys": apart_unless_root(opened, 15, raw),
        "can": apart_unless_root(opened, 29, raw),
    }
