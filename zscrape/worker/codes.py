"""Compiled scripts, kept so that an attempt need not compile its script again.

The code is made by a child that only compiles and runs nothing, so no attempt can leave
anything for the next in it. It is found by the file's identity, never by a name alone.
"""

from __future__ import annotations

import os
from collections import OrderedDict

import msgspec
from msgspec import Struct

_LIMIT_BYTES = 32 * 1024 * 1024
_ONE_LIMIT_BYTES = 1024 * 1024  # it travels with every request
_LIMIT_COUNT = 4096  # of scripts, those that have no code to keep included

_ANSWER_LIMIT_BYTES = 2 * _ONE_LIMIT_BYTES + 64  # in hexadecimal digits, with what is around them

CodeKey = tuple[str, str, str, int, int, int]


class Code(Struct, frozen=True):
    """What `runtime.entry.compiled` tells: `is_plain` means that it runs as `__main__`."""

    is_plain: bool
    content: bytes


_decode = msgspec.json.Decoder(tuple[bool, str]).decode


class Codes:
    """The codes of lately run scripts, bounded in number and size; the least used go first."""

    def __init__(self) -> None:
        self._codes: OrderedDict[CodeKey, Code | None] = OrderedDict()
        self._size_bytes = 0

    def key(self, folder: str, entry_point: str, kit: str) -> CodeKey | None:
        """Return what identifies a script's code now; None if its file is not there."""
        try:
            found = os.stat(f"{folder}/{entry_point.partition(':')[0]}")  # noqa: PTH116 - on the way of every attempt
        except OSError:
            return None
        return folder, entry_point, kit, found.st_ino, found.st_mtime_ns, found.st_ctime_ns

    def get(self, key: CodeKey) -> Code | None:
        """Return the code if it is known."""
        if key not in self._codes:
            return None
        self._codes.move_to_end(key)
        return self._codes[key]

    def claim(self, key: CodeKey) -> bool:
        """True iff nobody has tried to compile this yet; the caller should."""
        if key in self._codes:
            return False
        self._keep(key, None)
        return True

    def put(self, key: CodeKey, answer: bytes) -> None:
        """Keep what a compiling child has answered."""
        if len(answer) > _ANSWER_LIMIT_BYTES:
            return
        try:
            is_plain, text = _decode(answer)
            code = Code(is_plain, bytes.fromhex(text))
        except (msgspec.MsgspecError, ValueError):  # not ours: such a script is compiled each time
            return
        if not 0 < len(code.content) <= _ONE_LIMIT_BYTES:
            return
        self._keep(key, code)

    def _keep(self, key: CodeKey, code: Code | None) -> None:
        self._size_bytes += _size_bytes(code) - _size_bytes(self._codes.get(key))
        self._codes[key] = code
        self._codes.move_to_end(key)
        while self._size_bytes > _LIMIT_BYTES or len(self._codes) > _LIMIT_COUNT:
            _, oldest = self._codes.popitem(last=False)
            self._size_bytes -= _size_bytes(oldest)


def _size_bytes(code: Code | None) -> int:
    return 0 if code is None else len(code.content)
