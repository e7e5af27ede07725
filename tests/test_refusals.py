"""What is refused at the start because it would be unsafe, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zscrape import config
from zscrape.config import SettingError, is_weak, refusals, refuse_unsafe
from zscrape.messages import text

STRONG = "correct-horse-battery"


def settings_of(tmp_path: Path, file: str = "", **environ: str) -> config.Settings:
    """Return settings of a home folder, from a file and the environment."""
    path = tmp_path / "zscrape.toml"
    path.write_text(file)
    path.chmod(0o600)
    return config.load(environ={"HOME": str(tmp_path), **environ}, file=path)


def faults(settings: config.Settings) -> list[str]:
    """Return the kinds of what is refused."""
    return [getattr(each, "fault", each.code) for each in refusals(settings)]


@pytest.mark.parametrize(
    "secret", ["", "short", "aaaaaaaaaaaaaaaa", "changeme1234", "password12345", "zscrape-secret"]
)
def test_what_could_be_guessed_is_weak(secret: str) -> None:
    """Short secrets, those of few characters and usual words are told from good ones."""
    assert is_weak(secret)


@pytest.mark.parametrize("secret", [STRONG, "9fQ2x7Lk0aZp", "zs_mXo3uS7QmK1rT5vW9yB2dE4g"])
def test_what_nobody_guesses_is_not_weak(secret: str) -> None:
    """Random texts of a fair length are good, our own keys among them."""
    assert not is_weak(secret)


@pytest.mark.parametrize("name", ["API_KEY", "WEBHOOK_SECRET", "WEBHOOK_SIGNING_SECRET"])
def test_a_weak_secret_is_refused_without_being_shown(tmp_path: Path, name: str) -> None:
    """The words name the setting and how to make a good one, and never the value."""
    weak = "letmein-1234"
    with pytest.raises(SettingError) as caught:
        refuse_unsafe(settings_of(tmp_path, **{f"ZSCRAPE_{name}": weak}))

    for lang in ("en", "ko"):
        words = text(caught.value.text_key, lang, **caught.value.fields)
        assert f"ZSCRAPE_{name}" in words
        assert "openssl rand" in words
        assert weak not in words
    assert faults(settings_of(tmp_path, **{f"ZSCRAPE_{name}": STRONG})) == []


@pytest.mark.parametrize("name", ["client.toml", "secrets.key"])
def test_files_of_the_home_that_others_read_are_refused(tmp_path: Path, name: str) -> None:
    """A key that everybody on the machine can read is none."""
    home = tmp_path / "home"
    home.mkdir()
    (home / name).write_text("x")
    (home / name).chmod(0o644)
    settings = settings_of(tmp_path, ZSCRAPE_HOME=str(home))

    assert faults(settings) == ["readable"]
    (home / name).chmod(0o600)
    assert faults(settings) == []


@pytest.mark.parametrize(
    ("file", "mode", "is_refused"),
    [
        (f'[gateway]\nwebhook_secret = "{STRONG}"\n', 0o644, True),
        (f'[gateway]\nwebhook_secret = "{STRONG}"\n', 0o640, False),
        ('lang = "en"\n', 0o644, False),
        (
            '[[repositories]]\ntype = "git"\nurl = "https://g.example/s.git"\n'
            'token = "t0ken-of-a-host"\n',
            0o644,
            True,
        ),
    ],
)
def test_a_settings_file_with_secrets_is_not_for_everybody(
    tmp_path: Path, file: str, mode: int, is_refused: bool
) -> None:
    """A file may be read by all as long as no secret stands in it."""
    settings = settings_of(tmp_path, file)
    (tmp_path / "zscrape.toml").chmod(mode)

    assert faults(settings) == (["readable"] if is_refused else [])


def test_a_certificate_opens_the_http_address_alone(tmp_path: Path) -> None:
    """With TLS the API may listen beyond loopback; the link, always encrypted, may anyhow."""
    tls = {
        "ZSCRAPE_TLS_CERTIFICATE": str(tmp_path / "server.pem"),
        "ZSCRAPE_TLS_KEY": str(tmp_path / "server.key"),
    }
    beyond = {"ZSCRAPE_HTTP": "0.0.0.0:0"}

    assert faults(settings_of(tmp_path, **beyond)) == ["open_bind"]
    assert faults(settings_of(tmp_path, **beyond, **tls)) == []
    assert faults(settings_of(tmp_path, ZSCRAPE_LINK="tcp://0.0.0.0:0")) == []


@pytest.mark.parametrize(
    "file",
    [
        '[gateway]\nhosts = ["a b"]\n',
        '[gateway]\nhosts = ["a.example:80"]\n',
        '[gateway]\ncors_origins = ["dashboard.example"]\n',
        '[gateway]\ncors_origins = ["https://a.example/path"]\n',
        '[gateway]\ncors_origins = ["https://me@a.example"]\n',
        '[gateway]\nforwarded_allow = ["everybody"]\n',
        "[gateway]\nclient_rate = -1.0\n",
    ],
)
def test_nonsense_is_refused_where_it_stands(tmp_path: Path, file: str) -> None:
    """Each setting says what is expected."""
    with pytest.raises(SettingError) as caught:
        settings_of(tmp_path, file)

    assert caught.value.fault == "value"


def test_what_is_sound_is_accepted(tmp_path: Path) -> None:
    """Names, addresses, origins and networks as people write them."""
    file = """
        [gateway]
        hosts = ["zs.example.com", "192.168.1.5", "[::1]", "host_1"]
        cors_origins = ["https://a.example", "http://localhost:3000"]
        forwarded_allow = ["10.0.0.5", "10.1.0.0/16"]
        client_rate = 2.5
    """
    settings: Any = settings_of(tmp_path, file)

    assert settings.gateway.hosts[0] == "zs.example.com"
    assert settings.gateway.client_rate == 2.5
