"""Write over code that is mapped read-only, by way of the file that shows memory."""

import ctypes

from probe import libc, tried


def overwrite():
    address = ctypes.cast(libc.getppid, ctypes.c_void_p).value
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(b"\xc3")
    return libc.getppid()


def run():
    return {"written": tried(overwrite)}
