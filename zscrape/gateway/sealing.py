"""How secrets are sealed: AES-256-GCM, with a key in a file that only its owner may read.

The name of a secret goes into the seal, so that a row moved to another name does not open.
A random nonce of 96 bits is good for 2^32 seals with one key (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
from pathlib import Path
from typing import Final

from zscrape.config import require_private
from zscrape.errors.storage import SecretsSealed

KEY_FILE: Final = "secrets.key"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LABEL: Final = b"zscrape secret\0"


class Sealer:
    """Seals and opens values with one key."""

    def __init__(self, path: Path, key: bytes) -> None:
        # Loaded by a gateway that has secrets, and by no other.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.path = path
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"zscrape key id\0" + key).hexdigest()[:16]

    def seal(self, name: str, value: str) -> bytes:
        """Return the value sealed for this name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.encode(), _LABEL + name.encode())

    def open(self, name: str, sealed: bytes) -> str:
        """Return the value that was sealed for this name.

        Raises:
            SecretsSealed: It was sealed with another key or for another name, or was changed.
        """
        from cryptography.exceptions import InvalidTag

        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, _LABEL + name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            reason = f"{name} does not open with the key {self.key_id}"
            raise SecretsSealed(path=str(self.path), reason=reason) from error


def read_sealer(path: Path) -> Sealer:
    """Return what opens secrets, with the key of this file.

    Raises:
        SettingError: Others can read or change the file.
        SecretsSealed: It is not there, or holds no key.
    """
    require_private(path)
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise SecretsSealed(path=str(path), reason=error.strerror or str(error)) from error
    except binascii.Error as error:
        raise SecretsSealed(path=str(path), reason="no key in it") from error
    if len(key) != _KEY_BYTES:
        raise SecretsSealed(path=str(path), reason="no key in it")
    return Sealer(path, key)


def derive_sealer(path: Path, secret: str) -> None:
    """Have a home folder without a key begin with the one that this secret stands for.

    Raises:
        OSError: It cannot be written; nothing is left.
    """
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process was first
            make_sealer(path, hmac.digest(secret.encode(), b"zscrape secrets", "sha256"))


def make_sealer(path: Path, key: bytes | None = None) -> Sealer:
    """Return what seals secrets, with a new key in this file; None: one that nobody has.

    Raises:
        FileExistsError: There is one: it may be all that opens what is sealed.
        OSError: It cannot be written; nothing is left.
    """
    key = key or os.urandom(_KEY_BYTES)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise
    return Sealer(path, key)
