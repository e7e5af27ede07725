"""Connect to where clouds tell a machine's keys."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=3):
        return host


def run(port):
    hosts = {
        "usual": "169.254.169.254",
        "mapped": "::ffff:169.254.169.254",
        "six": "fd00:ec2::254",
        "local": "fe80::1%lo",
        "number": "2852039166",
    }
    return {name: tried(connected, host, port) for name, host in hosts.items()}
