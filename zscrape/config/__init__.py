"""Settings: a tree of small frozen structs, read from flags, environment, file and defaults.

`load` is the only way in. It takes what it reads as arguments (flags, environment), changes
nothing, and says for every value where it came from. Hand on the piece, never the whole.

    flags > environment > zscrape.toml > defaults
"""

from __future__ import annotations

from zscrape.config.joining import TOKEN_PREFIX, JoinTarget, JoinToken, parse_token
from zscrape.config.load import CLIENT_FILE, FILE_NAME, default_home, load, locale_language
from zscrape.config.private import require_private
from zscrape.config.refusals import is_weak, refusals, refuse_unsafe
from zscrape.config.repositories import REPOSITORY_TYPES, repository_values
from zscrape.config.secretfiles import with_files
from zscrape.config.settings import (
    JOIN_FILE,
    REPOSITORY_ENVIRONMENT,
    REPOSITORY_SECRETS,
    SECRET_VARIABLE,
    SECRETS,
    GatewaySettings,
    RepositorySettings,
    ScriptDefaults,
    Setting,
    Settings,
    WorkerSettings,
    environment_name,
    flag_name,
    refuse_open_bind,
    settings_known,
    unknown_environment,
)
from zscrape.config.usable import usable
from zscrape.config.values import (
    MASK,
    SettingError,
    is_loopback,
    parse_http,
    parse_join,
    parse_link,
    parse_size,
)

__all__ = [
    "CLIENT_FILE",
    "FILE_NAME",
    "JOIN_FILE",
    "MASK",
    "REPOSITORY_ENVIRONMENT",
    "REPOSITORY_SECRETS",
    "REPOSITORY_TYPES",
    "SECRETS",
    "SECRET_VARIABLE",
    "TOKEN_PREFIX",
    "GatewaySettings",
    "JoinTarget",
    "JoinToken",
    "RepositorySettings",
    "ScriptDefaults",
    "Setting",
    "SettingError",
    "Settings",
    "WorkerSettings",
    "default_home",
    "environment_name",
    "flag_name",
    "is_loopback",
    "is_weak",
    "load",
    "locale_language",
    "parse_http",
    "parse_join",
    "parse_link",
    "parse_size",
    "parse_token",
    "refusals",
    "refuse_open_bind",
    "refuse_unsafe",
    "repository_values",
    "require_private",
    "settings_known",
    "unknown_environment",
    "usable",
    "with_files",
]
