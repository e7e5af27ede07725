"""Open sockets for packets of one's own making."""

import socket

from probe import unless_root


def opened(family, protocol):
    socket.socket(family, socket.SOCK_RAW, protocol).close()


def run():
    return {
        "icmp": unless_root(opened, socket.AF_INET, socket.IPPROTO_ICMP),
        "any": unless_root(opened, socket.AF_INET, socket.IPPROTO_RAW),
        "six": unless_root(opened, socket.AF_INET6, socket.IPPROTO_RAW),
    }
