"""Trust as the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from zscrape import config
from zscrape.errors import ConfigError
from zscrape.scripts.signing import new_key_pair
from zscrape.scripts.trust import NOBODY
from zscrape.scripts.trusted import trust_of


def load(folder: Path, **environ: str) -> config.Settings:
    """Return settings of an environment, and of `zscrape.toml` in a folder if it is there."""
    file = folder / "zscrape.toml"
    found = {"HOME": str(folder), **environ}
    return config.load(environ=found, file=file if file.exists() else None)


def test_by_default_nobody_is_trusted_and_nothing_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing is for those who ask for it."""
    monkeypatch.chdir(tmp_path)

    assert trust_of(load(tmp_path)) is NOBODY


def test_keys_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    """A path in the settings file is found from wherever the gateway starts."""
    key, _ = new_key_pair(tmp_path / "publisher.pem")
    (tmp_path / "zscrape.toml").write_text(
        'trusted_keys = ["publisher.pub.pem"]\nrequire_signature = true\n', encoding="utf-8"
    )

    trust = trust_of(load(tmp_path))

    assert trust.is_required
    assert trust.keys == {key.id: key.public}


def test_keys_of_the_environment_are_separated_by_commas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and texts can be mixed."""
    monkeypatch.chdir(tmp_path)
    key, path = new_key_pair(tmp_path / "publisher.pem")
    other = "ed25519:" + "A" * 43 + "="

    trust = trust_of(load(tmp_path, ZSCRAPE_TRUSTED_KEYS=f"{path},{other}"))

    assert len(trust.keys) == 2
    assert key.id in trust.keys
    assert not trust.is_required


def test_strictness_can_be_asked_for_beyond_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for it where nobody is trusted is an error."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError):
        trust_of(load(tmp_path), is_required=True)
