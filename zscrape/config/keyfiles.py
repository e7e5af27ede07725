"""Files that hold secret keys: TOML, written in one step, readable by their owner only."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.config.joining import KEY_BYTES
from zscrape.config.values import SettingError


class KeyPair(Struct, frozen=True):
    """A CURVE key pair, as the 32 bytes that libzmq takes."""

    public: bytes
    secret: bytes


def new_pair() -> KeyPair:
    """Return a pair that nobody has."""
    import zmq
    from zmq.utils import z85

    public, secret = zmq.curve_keypair()
    return KeyPair(z85.decode(public), z85.decode(secret))


def pair_of(secret: bytes) -> KeyPair:
    """Return the pair that a secret key belongs to."""
    import zmq
    from zmq.utils import z85

    return KeyPair(z85.decode(zmq.curve_public(z85.encode(secret))), secret)


def derived_pair(secret: str, purpose: str) -> KeyPair:
    """Return the pair that everybody with the same secret gets for a purpose."""
    return pair_of(hmac.digest(secret.encode(), f"zscrape {purpose}".encode(), "sha256"))


def key_text(key: bytes) -> str:
    """Return a key in base64 for URLs, without padding: 43 characters."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")


def key_bytes(told: Any) -> bytes:
    """Return the key that `key_text` has written.

    Raises:
        ValueError: It is none.
    """
    told = str(told)
    try:
        key = base64.b64decode(told + "=" * (-len(told) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not a key") from error
    if len(key) != KEY_BYTES:
        raise ValueError("not a key")
    return key


def is_private(path: Path) -> bool:
    """True iff nobody but its owner can do anything with a file."""
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def read_private(path: Path) -> dict[str, Any] | None:
    """Return the table in a file of keys; None when there is no file.

    Raises:
        SettingError: Others can read it, or it cannot be read.
    """
    try:
        if not is_private(path):
            mode = f"{stat.S_IMODE(path.stat().st_mode):04o}"
            raise SettingError(
                source=str(path), reason="others can read it", fault="open_key", value=mode
            )
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise broken(path, (isinstance(error, OSError) and error.strerror) or str(error)) from error


def broken(path: Path, reason: str) -> SettingError:
    """Return the error for a file of keys that has none."""
    return SettingError(source=str(path), reason=reason, fault="key_file")


def write_private(path: Path, table: Mapping[str, Any], *, is_new: bool = False) -> bool:
    """Write a table in one step; False when `is_new` and there is a file already.

    Raises:
        OSError: It cannot be written; nothing is left.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # TOML's basic strings and lists take JSON's spelling.
    lines = [f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in table.items()]
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            path.hardlink_to(draft)
        else:
            draft.replace(path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)  # it has a secret in it
    return True
