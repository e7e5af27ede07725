"""Open what cannot be opened, as a judge of programming contests once could not bear."""

import ctypes
import os

from probe import checked, libc, tried


def opened(path, folder=-100, flags=os.O_RDONLY):
    return checked(libc.openat(folder, path, flags, 0o600))


def run():
    open("file", "w").close()
    os.symlink("loop", "loop")
    os.mkdir("folder")
    return {
        "null": tried(opened, None),
        "nobody": tried(opened, ctypes.c_void_p(8)),
        "long": tried(opened, b"x" * 256),
        "longer": tried(opened, b"/x" * 4096),
        "empty": tried(opened, b""),
        "missing": tried(opened, b"missing"),
        "bytes": tried(opened, b"\xff\xfe\x80"),
        "format": tried(opened, b"%s%n%d"),
        "through_a_file": tried(opened, b"file/x"),
        "loop": tried(opened, b"loop"),
        "folder_as_file": tried(opened, b"folder", -100, os.O_WRONLY),
        "bad_folder": tried(opened, b"x", 999),
        "flags": tried(opened, b"file", -100, os.O_TMPFILE),
    }
