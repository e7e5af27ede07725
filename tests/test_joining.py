"""Join tokens and files of keys: read, refused, kept for their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from zscrape.config import JoinToken, SettingError, load, parse_join, parse_token
from zscrape.config.keyfiles import (
    key_bytes,
    key_text,
    new_pair,
    pair_of,
    read_private,
    write_private,
)
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.messages import text
from zscrape.ops.effective import effective
from zscrape.worker.credentials import WorkerKeys, credentials_for

PAIR = new_pair()
TOKEN = JoinToken.of(("tcp://10.0.0.1:5555", "tcp://10.0.0.2:5555"), (PAIR.public,), PAIR.secret)


def _unexpected(error: OSError) -> None:
    raise error


def test_token_is_read_as_it_was_made() -> None:
    """The one string carries the addresses, the gateway's key and the right to join."""
    assert parse_token(TOKEN.text()) == TOKEN
    assert [target.address for target in parse_join(TOKEN.text())] == list(TOKEN.addresses)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "zsj_",
        "zsj_%%%",
        TOKEN.text()[:-3],
        TOKEN.text().swapcase(),
        TOKEN.text() + "A" * 9_000,
        JoinToken.of((), (PAIR.public,), PAIR.secret).text(),
        JoinToken.of(("tcp://h:1",), (), PAIR.secret).text(),
        JoinToken.of(("tcp://h:1",), (b"short",), PAIR.secret).text(),
        JoinToken(2, ("tcp://h:1",), (PAIR.public,), PAIR.secret).text(),
    ],
    ids=range(10),  # the texts have keys in them, new ones in every process
)
def test_token_that_is_none_is_refused(told: str) -> None:
    """A token that was cut, mistyped, made by another version or lacks something is no token."""
    with pytest.raises(ValueError, match="token"):
        parse_token(told)


@pytest.mark.parametrize(
    "told",
    ["tcp://h:1,tcp://h:1", f"{TOKEN.text()},tcp://10.0.0.1:5555", f"{TOKEN.text()},x"],
    ids=range(3),
)
def test_join_takes_each_gateway_once(told: str) -> None:
    """Tokens and addresses are joined by commas; a gateway that stands there twice is refused."""
    with pytest.raises(ValueError, match=r"twice|not tcp"):
        parse_join(told)


def test_token_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither an error about a bad one nor the effective settings repeat it."""
    settings = load(flags={"worker.join": TOKEN.text(), "home": tmp_path}, environ={})
    with pytest.raises(SettingError) as caught:
        load(flags={"worker.join": TOKEN.text()[:-3]}, environ={})

    shown = {row.name: row.value for row in effective(settings)}
    assert shown["worker.join"] == "********"
    assert TOKEN.text()[:20] not in text(caught.value.text_key, "en", **caught.value.fields)


# ---- files ---------------------------------------------------------------------------


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """Every file with a secret is made with mode 0600, and read again as it was."""
    keys = LinkKeys(tmp_path)
    made = [tmp_path / "link.toml", keys.write_join("tcp://127.0.0.1:1"), tmp_path / "w.key"]
    worker = WorkerKeys(made[2], on_fault=_unexpected)

    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600] * 3
    assert LinkKeys(tmp_path).pair == keys.pair
    assert WorkerKeys(made[2], on_fault=_unexpected).pair == worker.pair


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_keys_that_others_can_use_are_refused(tmp_path: Path, mode: int) -> None:
    """The error names the file, its mode and the command that mends it, in both languages."""
    LinkKeys(tmp_path)
    path = tmp_path / "link.toml"
    path.chmod(mode)

    with pytest.raises(SettingError) as caught:
        LinkKeys(tmp_path)

    for lang in ("en", "ko"):
        words = text(caught.value.text_key, lang, **caught.value.fields)
        assert f"chmod 600 {path}" in words
        assert f"{mode:04o}" in words


@pytest.mark.parametrize("content", ["", "secret = 'x'", "secret = [", 'secret = "é"', "\udcff"])
def test_file_without_keys_is_told(tmp_path: Path, content: str) -> None:
    """A file that was cut or spoilt is named, and nothing is made in its place."""
    path = tmp_path / "link.toml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)

    with pytest.raises(SettingError) as caught:
        LinkKeys(tmp_path)

    assert (caught.value.fault, caught.value.source) == ("key_file", str(path))


def test_file_is_made_once(tmp_path: Path) -> None:
    """Of two that make one at the same time the first wins, and no draft is left."""
    path = tmp_path / "k.toml"

    made = [write_private(path, {"a": number}, is_new=True) for number in (1, 2)]

    assert made == [True, False]
    assert read_private(path) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["k.toml"]


@pytest.mark.parametrize(
    "told", ["", "x", "AAAA", None, 7, key_text(PAIR.public)[:-1] + "é"], ids=range(6)
)
def test_text_that_is_no_key(told: object) -> None:
    """Only 32 bytes in base64 are a key."""
    with pytest.raises(ValueError, match="key"):
        key_bytes(told)


def test_pair_follows_from_its_secret() -> None:
    """The public key need not be kept."""
    assert pair_of(key_bytes(key_text(PAIR.secret))) == PAIR


# ---- what a worker shows -------------------------------------------------------------


def test_address_alone_needs_keys_in_the_home(tmp_path: Path) -> None:
    """Without a token a worker finds its home's gateway or one it has joined, or is told how."""
    keys = WorkerKeys(tmp_path / "1.key", on_fault=_unexpected)
    target = parse_join("tcp://127.0.0.1:1")[0]
    with pytest.raises(SettingError) as caught:
        credentials_for(keys, target, tmp_path)
    keys.remember(target.address, (PAIR.public,))
    known = credentials_for(keys, target, tmp_path)
    LinkKeys(tmp_path).write_join("tcp://127.0.0.1:2")
    local = credentials_for(keys, target, tmp_path)

    assert "zscrape token create" in text("config_invalid.no_token", "en", **caught.value.fields)
    assert (known.is_known, known.can_join) == (True, False)
    assert (local.is_known, local.can_join) == (True, True)


def test_remembered_gateways_are_few(tmp_path: Path) -> None:
    """Addresses of ports that were free once do not fill the file for ever."""
    keys = WorkerKeys(tmp_path / "1.key", on_fault=_unexpected)

    for port in range(1, 101):
        keys.remember(f"tcp://127.0.0.1:{port}", (PAIR.public,))

    assert keys.known("tcp://127.0.0.1:36") == ()
    assert keys.known("tcp://127.0.0.1:100") == (PAIR.public,)
    again = WorkerKeys(tmp_path / "1.key", on_fault=_unexpected)
    assert again.known("tcp://127.0.0.1:100") == (PAIR.public,)


def test_keys_that_cannot_be_kept_hold_all_the_same(tmp_path: Path) -> None:
    """A disk that refuses is told, and the worker goes on by what it has in memory."""
    faults: list[OSError] = []
    folder = tmp_path / "workers"
    keys = WorkerKeys(folder / "1.key", on_fault=faults.append)
    (folder / "1.key").unlink()
    folder.rmdir()
    folder.write_text("in the way", encoding="utf-8")

    keys.remember("tcp://127.0.0.1:1", (PAIR.public,))

    assert len(faults) == 1
    assert keys.known("tcp://127.0.0.1:1") == (PAIR.public,)
