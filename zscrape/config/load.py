"""Reading settings: each value from the strongest source that has it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from zscrape.config.repositories import environment_repository, fields_of, read_repositories
from zscrape.config.scriptsites import read_script_sites
from zscrape.config.secretfiles import with_files
from zscrape.config.settings import (
    REPOSITORY_ENVIRONMENT,
    SECRETS,
    SECTIONS,
    TABLES,
    GatewaySettings,
    IsolationSettings,
    RepositorySettings,
    ScriptDefaults,
    Setting,
    Settings,
    WorkerSettings,
    environment_name,
    flag_name,
    settings_known,
)
from zscrape.config.values import MASK, SettingError, check_range, type_words, wrong
from zscrape.model import HeartbeatPolicy, QueuePolicy
from zscrape.spelling import most_like

FILE_NAME: Final = "zscrape.toml"
_SECRET_LENGTH: Final = 32
# A worker ends an attempt at 0.8 of its lease, and once an interval is a beat acknowledged: the
# rest is for the age of that beat, and its way.
_LEASE_BEATS: Final = 1.5
# In the home folder: the gateway's address and its first key, for clients on its machine.
CLIENT_FILE: Final = "client.toml"


def load(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Return the effective settings.

    Args:
        flags: Values by dotted name (`gateway.http`); None means not given. `repositories`
            takes a list of tables or of paths.
        environ: The environment; None reads the process's own.
        file: A TOML file that must exist; None looks at `ZSCRAPE_CONFIG`, then
            `./zscrape.toml`, then `zscrape.toml` in the home folder.

    Raises:
        ConfigError: A setting is unknown, of the wrong type or out of range, or the file
            cannot be read.
    """
    flags = {name: value for name, value in (flags or {}).items() if value is not None}
    environ = with_files(os.environ if environ is None else environ)
    home = Path(flags.get("home") or environ.get("ZSCRAPE_HOME") or default_home(environ))
    path = _find_file(file, environ, home)
    table = {} if path is None else _read_file(path)
    reader = _Reader(flags, environ, path, table)
    values: dict[str, Any] = {name: {} for name in SECTIONS}
    defaults = {"home": home, "lang": locale_language(environ), "cache_dir": None}
    for setting in settings_known():
        value = reader.read(setting, defaults.get(setting.name, setting.default))
        section, _, leaf = setting.name.rpartition(".")
        (values[section] if section else values)[leaf] = value
    values["home"] = values["home"].expanduser().absolute()
    values["cache_dir"] = (values["cache_dir"] or values["home"] / "cache").expanduser().absolute()
    values["repositories"] = reader.repositories(values["home"])
    values["scripts"] = reader.scripts()
    values |= {
        "gateway": _gateway(values["gateway"], reader.sources),
        "worker": WorkerSettings(**values["worker"]),
        "isolation": IsolationSettings(**values["isolation"]),
        "heartbeat": _heartbeat(values["heartbeat"], reader.sources),
        "queue": QueuePolicy(**values["queue"]),
    }
    return Settings(**values, sources=reader.sources)


def _gateway(values: Mapping[str, Any], sources: Mapping[str, str]) -> GatewaySettings:
    """Return the settings.

    Raises:
        SettingError: Large files are to go into a bucket that has no name, or the link's
            secret can be guessed.
    """
    gateway = GatewaySettings(**values)
    if gateway.link_secret is not None and len(gateway.link_secret) < _SECRET_LENGTH:
        raise wrong(sources["gateway.link_secret"], MASK, f">= {_SECRET_LENGTH} characters")
    if gateway.blobs == "s3" and not gateway.blob_bucket:
        raise SettingError(
            source=sources["gateway.blobs"],
            reason="no bucket",
            fault="no_bucket",
            value="s3",
            expected="gateway.blob_bucket",
        )
    return gateway


def _heartbeat(values: Mapping[str, Any], sources: Mapping[str, str]) -> HeartbeatPolicy:
    """Return the policy.

    Raises:
        SettingError: Its lease would end before the silence that it is to cover, or before a
            beat could renew it.
    """
    policy = HeartbeatPolicy(**values)
    name = "heartbeat.lease_s"
    source = name if sources[name] == "default" else sources[name]
    if policy.lease_s <= policy.lost_after_s:
        expected = f"> {policy.lost_after_s} (interval_s * missed_count)"
        raise wrong(source, policy.lease_s, expected)
    if policy.lease_s < _LEASE_BEATS * policy.interval_s:
        expected = f">= {_LEASE_BEATS * policy.interval_s} (interval_s * {_LEASE_BEATS})"
        raise wrong(source, policy.lease_s, expected)
    return policy


def default_home(environ: Mapping[str, str]) -> Path:
    """Return the platform's data folder for zscrape."""
    user = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    if sys.platform == "darwin":
        return user / "Library" / "Application Support" / "zscrape"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or user / "AppData" / "Local") / "zscrape"
    # XDG base directories: a relative path there is to be ignored.
    data = environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else user / ".local" / "share") / "zscrape"


def locale_language(environ: Mapping[str, str]) -> str:
    """Return the language that the POSIX locale asks for, of those that zscrape speaks."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):  # the order of setlocale(3)
        if environ.get(name):
            return "ko" if environ[name].lower().startswith("ko") else "en"
    return "en"


def _find_file(file: Path | None, environ: Mapping[str, str], home: Path) -> Path | None:
    named = file or environ.get("ZSCRAPE_CONFIG")
    if named:
        return Path(named).absolute()
    for folder in (Path.cwd(), home.expanduser()):
        if (folder / FILE_NAME).is_file():
            return folder.absolute() / FILE_NAME
    return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise SettingError(source=str(path), reason=reason, fault="file") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError(source=str(path), reason=str(error), fault="toml") from error
    known = [setting.name for setting in settings_known()]
    for name, value in table.items():
        if name in SECTIONS and isinstance(value, dict):
            for leaf in value:
                _refuse_unknown(f"{name}.{leaf}", known, path)
        elif name in SECTIONS:
            raise wrong(f"{path}: {name}", value, f"[{name}]")
        else:
            _refuse_unknown(name, [*known, *TABLES], path)
    return table


def _refuse_unknown(name: str, known: list[str], path: Path) -> None:
    if name in known:
        return
    # A setting in the wrong table is the commonest slip: look for its last part everywhere.
    leaf = name.rpartition(".")[2]
    elsewhere = [other for other in known if other.rpartition(".")[2] == leaf]
    raise SettingError(
        source=str(path),
        reason=f"unknown key {name}",
        fault="unknown",
        value=name,
        expected=elsewhere[0] if elsewhere else most_like(name, known),
    )


class _Reader:
    """Pick each value from the strongest source that has it, and remember which that was."""

    def __init__(
        self,
        flags: Mapping[str, Any],
        environ: Mapping[str, str],
        path: Path | None,
        table: Mapping[str, Any],
    ) -> None:
        self.sources: dict[str, str] = {}
        self._flags = flags
        self._environ = environ
        self._path = path
        self._table = table

    def read(self, setting: Setting, default: Any) -> Any:
        """Return the value of one setting."""
        raw, source = self._raw(setting.name)
        self.sources[setting.name] = source or "default"
        if not source:
            return default
        if isinstance(raw, str) and setting.type == tuple[str, ...]:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        if setting.type in (Path, Path | None):
            return self._path_of(raw, source)
        is_text = source == environment_name(setting.name) or source == flag_name(setting.name)
        try:
            value = msgspec.convert(raw, setting.type, strict=not is_text)
        except msgspec.ValidationError as error:
            shown = MASK if setting.name in SECRETS else raw
            raise wrong(source, shown, type_words(setting.type)) from error
        check_range(setting.name, value, source, is_secret=setting.name in SECRETS)
        if setting.name == "trusted_keys":
            value = tuple(self._key_of(each, source) for each in value)
        return value

    def repositories(self, home: Path) -> tuple[RepositorySettings, ...]:
        """Return the repositories in the order in which a name is looked up."""
        by_environment = environment_repository(self._environ)
        if "repositories" in self._flags:
            rows, source = self._flags["repositories"], "--scripts"
        elif by_environment is not None:
            rows, source = [by_environment], REPOSITORY_ENVIRONMENT["url"]
        elif "repositories" in self._table:
            rows, source = self._table["repositories"], f"{self._path}: repositories"
        else:
            rows, source = [str(home / "scripts")], "default"
        self.sources["repositories"] = source
        return read_repositories(rows, source, self._path_of)

    def scripts(self) -> dict[str, ScriptDefaults]:
        """Return the defaults of single scripts, by script name."""
        tables = self._table.get("scripts", {})
        source = f"{self._path}: scripts"
        if not isinstance(tables, dict):
            raise wrong(source, tables, "[scripts.NAME]")
        found = {}
        for name, table in tables.items():
            self.sources[f"scripts.{name}"] = str(self._path)
            place = f"{source}.{name}"
            if not isinstance(table, dict):
                raise wrong(place, table, "[scripts.NAME]")
            rest = {key: value for key, value in table.items() if key != "sites"}
            sites = read_script_sites(table.get("sites", {}), f"{place}.sites")
            found[name] = ScriptDefaults(**fields_of(ScriptDefaults, rest, place), sites=sites)
        return found

    def _raw(self, name: str) -> tuple[Any, str]:
        if name in self._flags:
            return self._flags[name], flag_name(name)
        if self._environ.get(environment_name(name), "") != "":  # empty is unset, as in compose
            return self._environ[environment_name(name)], environment_name(name)
        section, _, leaf = name.rpartition(".")
        table = self._table.get(section, {}) if section else self._table
        if leaf in table:
            return table[leaf], f"{self._path}: {name}"
        return None, ""

    def _key_of(self, told: str, source: str) -> str:
        """Return a public key as it stands, or the absolute path of its file."""
        return told if told.startswith("ed25519:") else str(self._path_of(told, source))

    def _path_of(self, raw: Any, source: str) -> Path:
        """Read a path: in a file it is relative to that file, elsewhere to the working folder."""
        if not isinstance(raw, str | Path) or not str(raw):
            raise wrong(source, raw, "path")
        folder = self._path.parent if self._path and source.startswith(str(self._path)) else None
        path = Path(raw).expanduser()
        return (folder or Path.cwd()) / path
