"""Make a system call as a 32-bit program, and as an x32 one."""

import ctypes
import mmap
import platform

from probe import apart, checked, libc


def old():
    """`mov eax, 20; int 0x80; ret`: the process's number, asked in 32 bits."""
    room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    room.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    number = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if number <= 0:
        raise OSError(-number, "")
    return number


def x32():
    return checked(libc.syscall(ctypes.c_long(0x40000000 | 39)))


def run():
    if platform.machine() != "x86_64":
        return {"old": "ENOSYS", "x32": "ENOSYS"}
    return {"old": apart(old), "x32": apart(x32)}
