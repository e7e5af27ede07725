"""Connect to addresses of private networks."""

import socket

from probe import tried


def connected(host, port):
    with socket.create_connection((host, port), timeout=3):
        return host


def run(port):
    hosts = {
        "ten": "10.0.0.1",
        "seventeen": "172.16.0.1",
        "home": "192.168.0.1",
        "shared": "100.64.0.1",
        "bench": "198.18.0.1",
        "mapped": "::ffff:10.0.0.1",
        "unique": "fd00:ec2::254",
    }
    return {name: tried(connected, host, port) for name, host in hosts.items()}
