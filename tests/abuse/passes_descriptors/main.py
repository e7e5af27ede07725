"""Send descriptors along with good frames."""

import array
import os
import socket


def run():
    channel = socket.socket(fileno=os.dup(3))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
    body = b'{"level":"info","message":"with descriptors"}'
    frame = (len(body) + 1).to_bytes(4, "big") + b"l" + body
    for _ in range(20):
        rights = array.array("i", opened)
        try:
            channel.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError:  # too many on their way, for an ordinary user
            channel.sendmsg([frame])
    return 1
