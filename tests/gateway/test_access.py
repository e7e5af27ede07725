"""Keys: the first one, the adopted one, and the file that holds it."""

from __future__ import annotations

import contextlib
import stat
import timeit
import tomllib

import pytest

from zscrape.errors import ConfigError
from zscrape.errors.requests import LockedOut, Unauthorized
from zscrape.gateway.access import Access, admin_key, write_client


def test_first_key_is_made_and_kept(tmp_path):
    """The first start makes a key; later ones find it in the home folder."""
    made = admin_key(tmp_path, None)
    path = write_client(tmp_path, url="http://127.0.0.1:1", key=made)

    assert made.startswith("zs_")
    assert len(made) > 30
    assert admin_key(tmp_path, None) == made
    assert tomllib.loads(path.read_text()) == {"url": "http://127.0.0.1:1", "key": made}
    assert admin_key(tmp_path / "other", None) != made


def test_file_is_for_its_owner_only(tmp_path):
    """`client.toml` is 0600 in a folder of 0700, whatever stood there before."""
    home = tmp_path / "home"
    path = write_client(home, url="u", key="first")
    path.chmod(0o644)

    write_client(home, url="u", key='qu"ote\\')

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert tomllib.loads(path.read_text())["key"] == 'qu"ote\\'
    assert [each.name for each in home.iterdir()] == ["client.toml"]


def test_adopted_key_comes_first(tmp_path):
    """A key from the settings is taken instead of the home folder's."""
    write_client(tmp_path, url="u", key="kept")

    assert admin_key(tmp_path, "given") == "given"


@pytest.mark.parametrize("key", ["", " ", "two words", "한글", "line\nend", "x" * 513])
def test_keys_that_no_header_can_carry(tmp_path, key):
    """A key that could never be presented is refused at the start."""
    with pytest.raises(ConfigError) as refused:
        admin_key(tmp_path, key)

    assert refused.value.source == "ZSCRAPE_API_KEY"
    assert key.strip() == "" or key not in str(refused.value)


@pytest.mark.parametrize("content", ["key = 5", "url = 'u'", "not toml", "key = 'a b'"])
def test_home_file_that_cannot_be_used(tmp_path, content):
    """A `client.toml` without a usable key is an error that names the file."""
    path = tmp_path / "client.toml"
    path.write_text(content)

    with pytest.raises(ConfigError) as refused:
        admin_key(tmp_path, None)

    assert refused.value.source == str(path)


def test_bearer_comes_before_x_api_key():
    """A bearer token is what counts when both are there."""
    access = Access("right")
    both = {b"authorization": b"Bearer right", b"x-api-key": b"wrong"}

    assert access.authenticate(both).id == "admin"
    with pytest.raises(Unauthorized):
        access.authenticate({b"authorization": b"Bearer wrong", b"x-api-key": b"right"})


def test_the_key_itself_is_not_kept():
    """Nothing of the key stays in memory here but its hash."""
    access = Access("zs_very-secret")

    assert "very-secret" not in repr(vars(access))


def test_a_nearly_right_key_takes_no_longer_than_any_other():
    """What is compared are hashes: how much of a key is right cannot be seen by a clock."""
    right = "zs_" + "k" * 32
    guesses = [right[:-1] + "x", "x" * len(right)]

    def fastest_s(guess: str) -> float:
        headers = {b"x-api-key": guess.encode()}
        access = Access(right, clock=lambda: 0.0)

        def call() -> None:
            with contextlib.suppress(Unauthorized, LockedOut):
                access.authenticate(headers, "192.0.2.1")

        return min(timeit.repeat(call, number=20, repeat=200))

    near_s, far_s = map(fastest_s, guesses)

    assert 0.5 < near_s / far_s < 2
