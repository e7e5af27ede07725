"""Send datagrams by every call for that."""

import socket

from probe import tried


def sent(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        return link.sendto(b"x", (host, port))


def connected(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((host, port))
        return link.send(b"x")


def message(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        return link.sendmsg([b"x"], [], 0, (host, port))


def mapped(host, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as link:
        return link.sendto(b"x", (f"::ffff:{host}", port))


def run(port):
    return {
        "loopback": tried(sent, "127.0.0.1", port),
        "private": tried(sent, "10.0.0.1", port),
        "metadata": tried(sent, "169.254.169.254", port),
        "connected": tried(connected, "10.0.0.1", port),
        "message": tried(message, "192.168.0.1", port),
        "mapped": tried(mapped, "127.0.0.2", port),
    }
