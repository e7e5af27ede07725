"""Make whatever an ordinary user may make in a folder."""

import os
import socket


def run():
    for name in (b"\xff\xfe", b"a\nb", b" ", b"-rf", b"\x1b[2J", b"x" * 255, "한글".encode()):
        open(name, "wb").close()
    os.mkfifo("fifo")
    socket.socket(socket.AF_UNIX).bind("socket")
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    os.symlink("/", "root")
    os.symlink("..", "up")
    os.mkdir("closed")
    open("closed/inner", "w").close()
    os.chmod("closed", 0)
    open("setuid", "w").close()
    os.chmod("setuid", 0o6777)
    os.mkdir("sticky")
    os.chmod("sticky", 0o1000)
    for number in range(20):
        try:
            os.setxattr("setuid", f"user.{number}", b"x" * 3000)
        except OSError:
            break
    os.chmod(".", 0)
    return 1
