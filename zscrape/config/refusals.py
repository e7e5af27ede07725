"""What is refused at the start because it would be unsafe, each with the next step."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from zscrape.config.load import CLIENT_FILE
from zscrape.config.private import require_private
from zscrape.config.settings import (
    REPOSITORY_SECRETS,
    SECRETS,
    Settings,
    open_binds,
)
from zscrape.config.values import SettingError
from zscrape.errors import ConfigError

# Secrets of a gateway that somebody chose: what opens it, and what proves who calls.
_CHOSEN: Final = ("api_key", "webhook_secret", "webhook_signing_secret")
SECRET_LIMIT_CHARACTERS: Final = 12
_DIFFERENT_COUNT: Final = 5
# Beginnings of what examples and habit put there.
_COMMON: Final = (
    *("admin", "apikey", "api_key", "api-key", "changeme", "change-me", "change_me", "default"),
    *("demo", "example", "letmein", "password", "passw0rd", "placeholder", "qwerty", "test"),
    *("your-", "your_", "yourkey", "12345", "abcdef", "aaaa", "xxxx", "zscrape"),
)
_SECRETS_KEY: Final = "secrets.key"


def is_weak(secret: str) -> bool:
    """True iff a secret could be guessed: short, of few characters, or a usual word."""
    if len(secret) < SECRET_LIMIT_CHARACTERS or len(set(secret)) < _DIFFERENT_COUNT:
        return True
    lowered = secret.lower()
    return any(lowered.startswith(word) and len(secret) < len(word) + 12 for word in _COMMON)


def refusals(settings: Settings) -> Iterator[ConfigError]:
    """Yield everything for which a gateway would not start, for people who mend it all at once."""
    yield from open_binds(settings.gateway)
    yield from _weak(settings)
    yield from _readable(settings)


def refuse_unsafe(settings: Settings) -> None:
    """Refuse settings and files that would leave a gateway open.

    Raises:
        ConfigError: They would; the words say what to do.
    """
    for refusal in refusals(settings):
        raise refusal


def _weak(settings: Settings) -> Iterator[ConfigError]:
    for name in _CHOSEN:
        value = getattr(settings.gateway, name)
        if value is not None and is_weak(value):
            yield SettingError(
                source=settings.sources.get(f"gateway.{name}", f"gateway.{name}"),
                reason=f"gateway.{name} is weak",
                fault="weak_secret",
                value=f"gateway.{name}",
                expected=str(SECRET_LIMIT_CHARACTERS),
            )


def _readable(settings: Settings) -> Iterator[ConfigError]:
    paths = [settings.home / CLIENT_FILE, settings.home / _SECRETS_KEY]
    paths += [settings.gateway.tls_key] if settings.gateway.tls_key is not None else []
    paths += [Path(each.ssh_key) for each in settings.repositories if each.ssh_key]
    for path in paths:
        try:
            require_private(path)
        except SettingError as refusal:
            yield refusal
        except OSError as error:
            reason = error.strerror or str(error)
            yield ConfigError(source=str(path), reason=reason)
    yield from _readable_file(settings)


def _readable_file(settings: Settings) -> Iterator[ConfigError]:
    """Tell of a settings file that everybody can read although secrets stand in it."""
    holding = {name: settings.sources.get(name, "") for name in SECRETS}
    if any(getattr(each, name) for each in settings.repositories for name in REPOSITORY_SECRETS):
        holding["repositories"] = settings.sources.get("repositories", "")
    for name, source in holding.items():
        path = Path(source.removesuffix(f": {name}"))
        if not source.endswith(f": {name}") or not path.is_file():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o007:  # a group may share a settings file
            yield SettingError(
                source=str(path),
                reason=f"mode {mode:04o}",
                fault="readable",
                value=f"{mode:04o}",
                expected="0600",
            )
            return
