"""The client's half of an encrypted link, without libzmq: bytes in, messages out.

A process that speaks for a thousand workers through libzmq costs three times what the gateway
does: each of its sockets wakes an I/O thread for every message, and is woken by it. Over plain
sockets what is measured is the gateway. The cryptography is the libsodium that pyzmq carries.

Source: ZMTP 3.1 (ZeroMQ RFC 37), CurveZMQ (RFC 26).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import struct
from pathlib import Path
from typing import Final

import zmq

from zscrape.config.keyfiles import KeyPair, new_pair

_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
_METADATA: Final = b"\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
_MESSAGE: Final = b"\x07MESSAGE"
_NONCE_BYTES: Final = 8
_MAC_BYTES: Final = 16
_LONG, _COMMAND = 2, 4  # flags of a frame
_PLAIN, _INNER_COMMAND = 0, 2  # flags inside a message's box
_PING, _PONG = b"\x04PING", b"\x04PONG"
_PING_TTL_BYTES: Final = 2


def _sodium() -> ctypes.CDLL:
    bundled = sorted((Path(zmq.__file__).parent.parent / "pyzmq.libs").glob("libsodium*"))
    found = str(bundled[0]) if bundled else ctypes.util.find_library("sodium")
    if found is None:
        raise SystemExit("these figures need libsodium (Debian: libsodium23)")
    return ctypes.CDLL(found)


_LIBRARY: Final = _sodium()
_BOX = _LIBRARY.crypto_box_easy
_OPEN = _LIBRARY.crypto_box_open_easy
_BOX_BY = _LIBRARY.crypto_box_easy_afternm
_OPEN_BY = _LIBRARY.crypto_box_open_easy_afternm
_SHARE = _LIBRARY.crypto_box_beforenm
_TEXT: Final = ctypes.c_char_p
for _function in (_BOX, _OPEN):
    _function.argtypes = [_TEXT, _TEXT, ctypes.c_ulonglong, _TEXT, _TEXT, _TEXT]
for _function in (_BOX_BY, _OPEN_BY):
    _function.argtypes = [_TEXT, _TEXT, ctypes.c_ulonglong, _TEXT, _TEXT]


def _box(data: bytes, nonce: bytes, public: bytes, secret: bytes) -> bytes:
    out = ctypes.create_string_buffer(len(data) + _MAC_BYTES)
    _BOX(out, data, len(data), nonce, public, secret)
    return out.raw


def _open(data: bytes, nonce: bytes, public: bytes, secret: bytes) -> bytes:
    out = ctypes.create_string_buffer(len(data) - _MAC_BYTES)
    if _OPEN(out, data, len(data), nonce, public, secret):
        raise ConnectionError("what the server says is not by its key")
    return out.raw


def _frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | _LONG,)) + struct.pack("!Q", len(body)) + body


class CurveClient:
    """One connection: what has come goes into `receive`, what is to leave comes from the rest."""

    def __init__(self, server_key: bytes, pair: KeyPair) -> None:
        self._server_key, self._pair = server_key, pair
        self._short = new_pair()
        self._sent_count = 0
        self._key = b""  # shared by both sides; empty until the handshake is over
        self._session_key = b""  # the server's, of this connection
        self._has_greeted = False
        self._buffer = b""
        self._out = _GREETING

    @property
    def is_open(self) -> bool:
        """True once messages may be sent."""
        return bool(self._key)

    def taken(self) -> bytes:
        """Return what is to leave by itself, once."""
        out, self._out = self._out, b""
        return out

    def message(self, body: bytes) -> bytes:
        """Return what carries a message."""
        return self._message(body, _PLAIN)

    def receive(self, data: bytes) -> list[bytes]:
        """Return the messages that have come to their end."""
        buffer = self._buffer + data if self._buffer else data
        place, messages = 0, []
        if not self._has_greeted:
            if len(buffer) < len(_GREETING):
                self._buffer = buffer
                return []
            self._has_greeted, place = True, len(_GREETING)
            self._hello()
        while place + 2 <= len(buffer):
            flags, size, start = buffer[place], buffer[place + 1], place + 2
            if flags & _LONG:
                if place + 9 > len(buffer):
                    break
                (size,) = struct.unpack_from("!Q", buffer, place + 1)
                start = place + 9
            if start + size > len(buffer):
                break
            place = start + size
            message = self._read(buffer[start:place])
            if message is not None:
                messages.append(message)
        self._buffer = buffer[place:]
        return messages

    def _read(self, body: bytes) -> bytes | None:
        if self._key:
            return self._unbox(body)
        if body.startswith(b"\x07WELCOME"):
            self._initiate(body)
        elif body.startswith(b"\x05READY"):
            self._key = ctypes.create_string_buffer(32).raw
            _SHARE(self._key, self._session_key, self._short.secret)
        else:
            raise ConnectionError(f"the server says {body!r}")
        return None

    def _hello(self) -> None:
        nonce = self._nonce()
        box = _box(bytes(64), b"CurveZMQHELLO---" + nonce, self._server_key, self._short.secret)
        body = b"\x05HELLO\x01\x00" + bytes(72) + self._short.public + nonce + box
        self._out += _frame(body, _COMMAND)

    def _initiate(self, welcome: bytes) -> None:
        nonce = b"WELCOME-" + welcome[8:24]
        told = _open(welcome[24:], nonce, self._server_key, self._short.secret)
        self._session_key, cookie = told[:32], told[32:]
        vouch_nonce = os.urandom(16)
        vouched = self._short.public + self._server_key
        vouch = _box(vouched, b"VOUCH---" + vouch_nonce, self._session_key, self._pair.secret)
        short = self._nonce()
        plain = self._pair.public + vouch_nonce + vouch + _METADATA
        box = _box(plain, b"CurveZMQINITIATE" + short, self._session_key, self._short.secret)
        self._out += _frame(b"\x08INITIATE" + cookie + short + box, _COMMAND)

    def _nonce(self) -> bytes:
        self._sent_count += 1
        return struct.pack("!Q", self._sent_count)

    def _message(self, body: bytes, flags: int) -> bytes:
        nonce = self._nonce()
        plain = bytes((flags,)) + body
        box = ctypes.create_string_buffer(len(plain) + _MAC_BYTES)
        _BOX_BY(box, plain, len(plain), b"CurveZMQMESSAGEC" + nonce, self._key)
        return _frame(_MESSAGE + nonce + box.raw)

    def _unbox(self, body: bytes) -> bytes | None:
        nonce, box = body[8 : 8 + _NONCE_BYTES], body[8 + _NONCE_BYTES :]
        out = ctypes.create_string_buffer(len(box) - _MAC_BYTES)
        if _OPEN_BY(out, box, len(box), b"CurveZMQMESSAGES" + nonce, self._key):
            raise ConnectionError("a message is not by the server's key")
        plain = out.raw
        if plain[0] == _INNER_COMMAND:
            if plain[1:].startswith(_PING):
                context = plain[1 + len(_PING) + _PING_TTL_BYTES :]
                self._out += self._message(_PONG + context, _INNER_COMMAND)
            return None
        return plain[1:]
