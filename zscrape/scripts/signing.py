"""Sign scripts, and check who signed one: Ed25519 over the canonical manifest.

The canonical manifest is the JSON object of `metadata.json` without `signature`, in UTF-8,
with sorted names and no spaces (Python: `json.dumps(manifest, sort_keys=True,
separators=(",", ":"), ensure_ascii=False)`). It has `checksums` of all other files, so one
signature covers the bytes of the whole script; the right to execute a file is not covered.

A gateway checks before anything is queued. Workers need no check of their own: they are given
a digest of the whole tree, and run nothing that does not match it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from zscrape.errors import ConfigError
from zscrape.scripts.checksums import checksums_of
from zscrape.scripts.digest import MANIFEST_FILE, ScriptFile
from zscrape.scripts.jsontext import with_members
from zscrape.scripts.reading import decode_json
from zscrape.scripts.trust import (
    UNSIGNED,
    Trust,
    TrustedKey,
    Verification,
    key_id_of,
    split_signature,
)

_PREFIX: Final = "ed25519:"
_RAW_LENGTH: Final = 32


# ---- keys ----------------------------------------------------------------------------


class SigningKey:
    """A private key, with the id and the public key that others know it by."""

    def __init__(self, private: Ed25519PrivateKey, name: str) -> None:
        raw = private.public_key().public_bytes_raw()
        self._private = private
        self.id = key_id_of(raw)
        self.public = TrustedKey(self.id, name, raw)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self._private.sign(message)


def new_key_pair(private_path: Path) -> tuple[SigningKey, Path]:
    """Make a key pair: the private key at `private_path` (0600), the public one beside it.

    Returns:
        The key, and the file of its public part: `publisher.pem` has `publisher.pub.pem`.

    Raises:
        ConfigError: One of the files is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    public_path = private_path.with_suffix(".pub.pem")
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(private_path, private_pem, 0o600)
    try:
        _write_new(public_path, public_pem, 0o644)
    except ConfigError:
        private_path.unlink()
        raise
    return SigningKey(key, private_path.stem), public_path


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error


def read_private_key(path: Path) -> SigningKey:
    """Read a private key.

    Raises:
        ConfigError: The file cannot be read, or holds no Ed25519 key without a passphrase.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "is not a private key in PEM without a passphrase"
        raise ConfigError(source=str(path), reason=reason) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(source=str(path), reason="is not an Ed25519 key")
    return SigningKey(key, path.stem)


def read_trust(trusted_keys: Iterable[str], *, is_required: bool = False) -> Trust:
    """Read the public keys of the settings: paths of PEM files, or `ed25519:` and base64.

    Raises:
        ConfigError: One cannot be read, or signatures are required and nobody is trusted.
    """
    keys = [_trusted_key(each) for each in trusted_keys]
    if is_required and not keys:
        reason = "needs trusted_keys: without one, no script could run"
        raise ConfigError(source="require_signature", reason=reason)
    return Trust({each.id: each for each in keys}, is_required)


def _trusted_key(told: str) -> TrustedKey:
    if told.startswith(_PREFIX):
        try:
            raw = base64.b64decode(told.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != _RAW_LENGTH:
            reason = f"{told} is not ed25519: and 32 bytes in base64"
            raise ConfigError(source="trusted_keys", reason=reason)
        return TrustedKey(key_id_of(raw), key_id_of(raw), raw)
    path = Path(told)
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        reason = f"{path}: {error.strerror or error}"
        raise ConfigError(source="trusted_keys", reason=reason) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = f"{path} is not a public key in PEM"
        raise ConfigError(source="trusted_keys", reason=reason) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(source="trusted_keys", reason=f"{path} is not an Ed25519 key")
    raw = key.public_bytes_raw()
    return TrustedKey(key_id_of(raw), path.stem.removesuffix(".pub"), raw)


# ---- signatures ----------------------------------------------------------------------


def add_checksums(files: Sequence[ScriptFile]) -> tuple[ScriptFile, ...]:
    """Return the files with `checksums` of all others in their manifest, as they are now."""
    return _with(files, {"checksums": checksums_of(files)})


def sign(files: Sequence[ScriptFile], key: SigningKey) -> tuple[ScriptFile, ...]:
    """Return the files with `checksums` and `signature` in their manifest.

    All else in the manifest's text stays as it is. The manifest must be one that
    `parse_manifest` reads, but for what these two fields say now.
    """
    summed = add_checksums(files)
    signature = key.sign(_canonical(decode_json(_manifest_of(summed))))
    told = f"{_PREFIX}{key.id}:{base64.b64encode(signature).decode()}"
    return _with(summed, {"signature": told})


def verify(files: Iterable[ScriptFile], trusted: Mapping[str, TrustedKey]) -> Verification:
    """Return what the signature of a script is worth, given whom we believe.

    Only the manifest is looked at; whether the files match its `checksums` is asked before.
    The manifest must be one that `parse_manifest` reads.
    """
    return verify_manifest(_manifest_of(files), trusted)


def verify_manifest(raw: bytes, trusted: Mapping[str, TrustedKey]) -> Verification:
    """Return what the signature in a manifest's text is worth."""
    document = decode_json(raw)
    told = document.get("signature")
    if not told:
        return UNSIGNED
    key_id, encoded = split_signature(told)
    key = trusted.get(key_id)
    if document.get("checksums") is None:
        return Verification("no_checksums", key_id, key.name if key else "")
    if key is None:
        return Verification("unknown_key", key_id)
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    try:
        public.verify(base64.b64decode(encoded), _canonical(document))
    except InvalidSignature:
        return Verification("forged", key_id, key.name)
    return Verification("valid", key_id, key.name)


def _canonical(document: Mapping[str, Any]) -> bytes:
    bare = {name: value for name, value in document.items() if name != "signature"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # JSON may escape half a surrogate pair, which has no UTF-8 of its own.
    return text.encode("utf-8", "surrogatepass")


def _manifest_of(files: Iterable[ScriptFile]) -> bytes:
    return next(each.content for each in files if each.path == MANIFEST_FILE)


def _with(files: Iterable[ScriptFile], members: Mapping[str, Any]) -> tuple[ScriptFile, ...]:
    return tuple(
        msgspec.structs.replace(each, content=with_members(each.content, members))
        if each.path == MANIFEST_FILE
        else each
        for each in files
    )
