"""Signing scripts, and who is believed."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.scripts.folders import manifest
from zscrape.errors import ConfigError
from zscrape.errors.scripts import IntegrityFailure, ManifestInvalid, SignatureInvalid
from zscrape.messages import CATALOGUE
from zscrape.scripts.digest import ScriptFile, file_digest
from zscrape.scripts.script import build_script
from zscrape.scripts.signing import (
    SigningKey,
    add_checksums,
    new_key_pair,
    read_private_key,
    read_trust,
    sign,
    verify,
)
from zscrape.scripts.trust import NOBODY, Trust

FILES = (
    ScriptFile("lib/tool.sh", True, b"#!/bin/sh\n"),
    ScriptFile("main.py", False, b"def run(url: str): return url\n"),
    ScriptFile("metadata.json", False, manifest(description="설명", tags=["a"])),
)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A new key."""
    return new_key_pair(tmp_path / "publisher.pem")[0]


def trust_in(*keys: SigningKey, is_required: bool = False) -> Trust:
    """Return trust in these keys."""
    return Trust({each.id: each.public for each in keys}, is_required)


def changed(
    files: tuple[ScriptFile, ...], path: str, change: Callable[[bytes], bytes]
) -> tuple[ScriptFile, ...]:
    """Return the files with one of them changed."""
    return tuple(
        msgspec.structs.replace(each, content=change(each.content)) if each.path == path else each
        for each in files
    )


def metadata(files: tuple[ScriptFile, ...]) -> dict[str, object]:
    """Return the manifest as a document."""
    found: dict[str, object] = json.loads(
        next(each.content for each in files if each.path == "metadata.json")
    )
    return found


def refused(files: tuple[ScriptFile, ...], trust: Trust, version: str | None = None) -> str:
    """Return the fault that a script is refused for, or an empty text."""
    try:
        build_script("dir", "sample", version, files, trust=trust)
    except SignatureInvalid as error:
        is_told = f"signature_invalid.{error.fault}" in CATALOGUE
        return error.fault if is_told else "has no words"
    return ""


def test_a_signed_script_has_checksums_and_is_valid_for_who_trusts_the_key(
    key: SigningKey,
) -> None:
    """Signing adds two members and nothing else; the signature says whose it is."""
    signed = sign(FILES, key)
    document = metadata(signed)

    assert list(document) == ["name", "version", "description", "tags", "checksums", "signature"]
    assert document["checksums"] == {
        "lib/tool.sh": file_digest(b"#!/bin/sh\n"),
        "main.py": file_digest(b"def run(url: str): return url\n"),
    }
    assert verify(signed, {key.id: key.public}).status == "valid"
    assert verify(signed, {key.id: key.public}).name == "publisher"
    assert verify(signed, {}).status == "unknown_key"
    assert verify(FILES, {}).status == "unsigned"


def test_the_signature_is_over_what_the_documentation_says(key: SigningKey) -> None:
    """Anybody can check one by hand: sorted names, no spaces, UTF-8, without the signature."""
    document = metadata(sign(FILES, key))
    scheme, key_id, value = str(document.pop("signature")).split(":")
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    public = Ed25519PublicKey.from_public_bytes(key.public.raw)

    public.verify(base64.b64decode(value), canonical.encode())

    assert (scheme, key_id) == ("ed25519", key.id)


def test_layout_does_not_matter_and_signing_again_changes_nothing(key: SigningKey) -> None:
    """Another indent or order of names is the same manifest; Ed25519 is deterministic."""
    signed = sign(FILES, key)
    pretty = changed(
        signed, "metadata.json", lambda raw: json.dumps(json.loads(raw), indent=3).encode()
    )

    assert verify(pretty, {key.id: key.public}).status == "valid"
    assert sign(signed, key) == signed


def test_an_edited_script_can_be_signed_again(key: SigningKey) -> None:
    """Old checksums are replaced, not held."""
    edited = changed(sign(FILES, key), "main.py", lambda raw: raw + b"\n# edited\n")

    assert refused(sign(edited, key), trust_in(key, is_required=True)) == ""
    assert metadata(add_checksums(edited))["checksums"] == metadata(sign(edited, key))["checksums"]


@pytest.mark.parametrize("is_required", [False, True])
def test_a_changed_manifest_is_a_lie_with_and_without_strict_mode(
    key: SigningKey, is_required: bool
) -> None:
    """Any member changed after signing makes the signature worthless."""
    forged = changed(sign(FILES, key), "metadata.json", lambda raw: raw.replace(b'"a"', b'"b"'))

    assert refused(forged, trust_in(key, is_required=is_required)) == "forged"


def test_a_changed_file_is_an_integrity_error(key: SigningKey) -> None:
    """The checksums see it before the signature is asked."""
    forged = changed(sign(FILES, key), "main.py", lambda raw: b"def run(): pass\n")

    with pytest.raises(IntegrityFailure):
        build_script("dir", "sample", None, forged, trust=trust_in(key))


def test_a_changed_file_with_its_checksum_is_a_forged_signature(key: SigningKey) -> None:
    """Who changes a file and its checksum has not the key."""
    forged = add_checksums(changed(sign(FILES, key), "main.py", lambda raw: b"def run(): pass\n"))

    assert refused(forged, trust_in(key)) == "forged"


def test_another_keys_signature_under_a_trusted_id_is_forged(
    key: SigningKey, tmp_path: Path
) -> None:
    """An id is only a name: the signature must be the key's own."""
    thief, _ = new_key_pair(tmp_path / "thief.pem")
    forged = changed(
        sign(FILES, thief),
        "metadata.json",
        lambda raw: raw.replace(thief.id.encode(), key.id.encode()),
    )

    assert refused(forged, trust_in(key)) == "forged"


def test_a_signature_without_checksums_covers_nothing(key: SigningKey) -> None:
    """It is refused whoever made it."""
    told = {**metadata(sign(FILES, key)), "checksums": None}
    bare = changed(FILES, "metadata.json", lambda raw: json.dumps(told).encode())

    assert refused(bare, NOBODY) == "no_checksums"
    assert refused(bare, trust_in(key)) == "no_checksums"


def test_strict_mode_wants_a_trusted_signature(key: SigningKey, tmp_path: Path) -> None:
    """Unsigned scripts and those of strangers are refused; without it they are not."""
    stranger, _ = new_key_pair(tmp_path / "stranger.pem")
    strict, lenient = trust_in(key, is_required=True), trust_in(key)

    assert refused(FILES, strict) == "unsigned"
    assert refused(sign(FILES, stranger), strict) == "unknown_key"
    assert refused(sign(FILES, key), strict) == ""
    assert refused(FILES, lenient) == ""
    assert refused(sign(FILES, stranger), lenient) == ""


def test_a_strangers_signature_is_told(key: SigningKey) -> None:
    """Without strict mode it runs, and people are told that nobody could verify it."""
    script = build_script("dir", "sample", None, sign(FILES, key))

    assert [each["code"] for each in script.notices] == ["signature_unknown"]
    assert script.verification.key_id == key.id
    assert script.warnings == ()


def test_strict_mode_runs_signed_bytes_under_their_own_version_only(key: SigningKey) -> None:
    """Old bytes, truly signed, cannot be offered as a new version."""
    signed = sign(FILES, key)

    assert refused(signed, trust_in(key, is_required=True), "2.0.0") == "version"
    assert refused(signed, trust_in(key), "2.0.0") == ""
    assert refused(signed, trust_in(key, is_required=True), "1.0.0") == ""


def test_a_signature_of_another_form_is_a_fault_of_the_manifest() -> None:
    """Something else under `signature` is told by its place."""
    odd = changed(FILES, "metadata.json", lambda raw: manifest(signature="minisign RW..."))

    with pytest.raises(ManifestInvalid) as caught:
        build_script("dir", "sample", None, odd)

    assert caught.value.problems[0]["pointer"] == "/signature"


def test_half_a_character_can_be_signed(key: SigningKey) -> None:
    """JSON may escape what has no UTF-8 of its own."""
    odd = changed(FILES, "metadata.json", lambda raw: raw.replace(b'"a"', b'"\\ud800"'))

    assert verify(sign(odd, key), {key.id: key.public}).status == "valid"


def test_a_script_of_as_many_files_as_there_may_be_can_be_signed(key: SigningKey) -> None:
    """The checksums of 2,000 long paths still fit into a manifest."""
    many = tuple(
        ScriptFile(f"{'d' * 90}/{'e' * 90}/file{number:05}.py", False, b"")
        for number in range(1998)
    )

    assert refused(sign((*many, *FILES[1:]), key), trust_in(key, is_required=True)) == ""


# ---- key files -----------------------------------------------------------------------


def test_a_new_key_is_private_and_never_written_over(tmp_path: Path) -> None:
    """The private file is its owner's only, the public one beside it is for everybody."""
    key, public_path = new_key_pair(tmp_path / "publisher.pem")

    assert stat.S_IMODE((tmp_path / "publisher.pem").stat().st_mode) == 0o600
    assert public_path == tmp_path / "publisher.pub.pem"
    assert read_private_key(tmp_path / "publisher.pem").id == key.id
    assert read_trust([str(public_path)]).keys[key.id] == key.public
    with pytest.raises(ConfigError):
        new_key_pair(tmp_path / "publisher.pem")


def test_a_public_key_in_the_way_leaves_no_private_one(tmp_path: Path) -> None:
    """Half a pair is of no use."""
    (tmp_path / "publisher.pub.pem").touch()

    with pytest.raises(ConfigError):
        new_key_pair(tmp_path / "publisher.pem")

    assert not (tmp_path / "publisher.pem").exists()


def test_a_key_can_be_trusted_by_its_text(key: SigningKey) -> None:
    """`ed25519:` and the raw key in base64 need no file."""
    told = "ed25519:" + base64.b64encode(key.public.raw).decode()
    trust = read_trust([told], is_required=True)

    assert trust.keys[key.id].raw == key.public.raw
    assert refused(sign(FILES, key), trust) == ""


def test_files_that_are_no_keys_are_told(tmp_path: Path) -> None:
    """Absent files, other files, other kinds of keys and bad texts are errors, never ignored."""
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ec.pem").write_bytes(
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "ec.pub.pem").write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "junk.pem").write_bytes(b"junk")
    private = {"absent.pem": "No such file", "junk.pem": "PEM", "ec.pem": "Ed25519"}
    public = {**private, "ec.pem": "PEM", "ec.pub.pem": "Ed25519"}

    for name, told in private.items():
        with pytest.raises(ConfigError, match=told):
            read_private_key(tmp_path / name)
    for name, told in public.items():
        with pytest.raises(ConfigError, match=told):
            read_trust([str(tmp_path / name)])
    for bad in ("ed25519:", "ed25519:AAAA", "ed25519:!"):
        with pytest.raises(ConfigError, match="32 bytes"):
            read_trust([bad])


def test_strict_mode_without_a_key_is_refused() -> None:
    """Nothing could run, and nobody would know why."""
    with pytest.raises(ConfigError, match="needs trusted_keys"):
        read_trust([], is_required=True)
