"""Secrets by files: `ZSCRAPE_API_KEY_FILE=/run/secrets/api_key` in place of `ZSCRAPE_API_KEY`.

Compose, Kubernetes, Swarm and systemd (`LoadCredential=`) hand secrets over as files: unlike a
variable, a file is not shown by `docker inspect`, nor inherited by every child.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from zscrape.config.settings import (
    REPOSITORY_ENVIRONMENT,
    REPOSITORY_SECRETS,
    SECRETS,
    SECRETS_BESIDE,
    environment_name,
)
from zscrape.config.values import SettingError

SUFFIX: Final = "_FILE"
_SIZE_LIMIT: Final = 65_536


def file_names() -> Iterator[str]:
    """Yield the names of all variables that may name a file in place of a value."""
    for name in sorted(SECRETS | SECRETS_BESIDE):
        yield environment_name(name) + SUFFIX
    for leaf in sorted((*REPOSITORY_SECRETS, "access_key")):
        if leaf in REPOSITORY_ENVIRONMENT:
            yield REPOSITORY_ENVIRONMENT[leaf] + SUFFIX


def with_files(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the secrets whose files it names.

    Raises:
        SettingError: A file cannot be read or is empty, or the value is given besides.
    """
    named = {name: environ[name] for name in file_names() if environ.get(name)}
    if not named:
        return environ
    found = dict(environ)
    for name, path in named.items():
        plain = name.removesuffix(SUFFIX)
        if environ.get(plain):
            raise SettingError(
                source=name, reason=f"{plain} is given, too", fault="secret_twice", value=plain
            )
        found[plain] = _read(name, Path(path))
    return found


def _read(name: str, path: Path) -> str:
    source = f"{name}={path}"
    try:
        with path.open(encoding="utf-8") as file:
            told = file.read(_SIZE_LIMIT).strip()
    except (OSError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not text"
        raise SettingError(source=source, reason=reason, fault="secret_file") from error
    if not told:
        raise SettingError(source=source, reason="empty", fault="secret_file")
    return told
