"""Trace, read and write the process in the other slot."""

import ctypes
import os

from probe import apart_unless_root, call, read, unless_root


class Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def moved(name, pid, address):
    room = ctypes.create_string_buffer(64)
    here = Part(ctypes.cast(room, ctypes.c_void_p).value, 64)
    there = Part(address, 64)
    call(name, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return room.raw


def memory(pid, address):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(64)


def handle(pid):
    return call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)


def run(victim_pid, victim_address):
    return {
        "traced": apart_unless_root(call, "ptrace", 16, victim_pid, 0, 0),
        "seized": apart_unless_root(call, "ptrace", 0x4206, victim_pid, 0, 0),
        "read": unless_root(moved, "process_vm_readv", victim_pid, victim_address),
        "written": unless_root(moved, "process_vm_writev", victim_pid, victim_address + (1 << 46)),
        "file": unless_root(memory, victim_pid, victim_address),
        "environ": unless_root(read, f"/proc/{victim_pid}/environ"),
        "maps": unless_root(read, f"/proc/{victim_pid}/maps"),
        "folder": unless_root(os.listdir, f"/proc/{victim_pid}/cwd"),
        "descriptor": unless_root(os.readlink, f"/proc/{victim_pid}/fd/3"),
        "handle": unless_root(handle, victim_pid),
    }
