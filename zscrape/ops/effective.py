"""The settings in effect, and where each has its value from; what is secret is masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from zscrape.config import (
    MASK,
    REPOSITORY_ENVIRONMENT,
    SECRETS,
    TOKEN_PREFIX,
    Settings,
    environment_name,
    repository_values,
    settings_known,
)


class Effective(Struct, frozen=True):
    """One setting as it is, and where its value came from."""

    name: str
    value: Any
    source: str
    environment: str  # the variable that would set it


def effective(settings: Settings) -> list[Effective]:
    """Return every setting in effect, secrets masked."""
    found = []
    for setting in settings_known():
        section, _, leaf = setting.name.rpartition(".")
        value = getattr(getattr(settings, section) if section else settings, leaf)
        has_token = setting.name == "worker.join" and TOKEN_PREFIX in value
        if has_token or (setting.name in SECRETS and value is not None):
            value = MASK
        shown = str(value) if isinstance(value, Path) else value
        source = settings.sources[setting.name]
        found.append(Effective(setting.name, shown, source, environment_name(setting.name)))
    source = settings.sources["repositories"]
    for repository in settings.repositories:
        for leaf, value in repository_values(repository):
            name = f"repositories.{repository.name}.{leaf}"
            found.append(Effective(name, value, source, REPOSITORY_ENVIRONMENT.get(leaf, "")))
    for name, defaults in settings.scripts.items():
        source = settings.sources[f"scripts.{name}"]
        found.append(Effective(f"scripts.{name}", str(defaults), source, ""))
    return found
