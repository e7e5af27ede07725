"""Reading `[[repositories]]`: which fields each type has, and what its address may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from zscrape.config.settings import REPOSITORY_ENVIRONMENT, REPOSITORY_SECRETS, RepositorySettings
from zscrape.config.values import (
    MASK,
    SettingError,
    check_range,
    parse_networks,
    type_words,
    wrong,
)
from zscrape.spelling import most_like

_COMMON: Final = ("type", "name", "timeout_s")
_LOGIN: Final = ("token", "user", "password")
_S3: Final = (
    "bucket",
    "region",
    "access_key",
    "secret_key",
    "prefix",
    "endpoint_url",
    "addressing",
)
# Repository types, and the fields that each has besides the common ones.
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "dir": ("url",),
    "git": ("url", *_LOGIN, "redirect_allow", "branch", "ssh_key", "ssh_known_hosts"),
    "http": ("url", *_LOGIN, "redirect_allow"),
    "s3": _S3,
}
REPOSITORY_TYPES: Final = tuple(_FIELDS)
_SCHEMES: Final = {"git": ("https", "http", "ssh", "git", "file"), "http": ("https", "http")}
_SCP = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!//)\S+")  # user@host:path, as git takes it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# How a path in the settings becomes an absolute one.
PathReader = Callable[[Any, str], Path]


def environment_repository(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the repository that the environment names, as a table; None if it names none."""
    found = {
        field: environ[name] for field, name in REPOSITORY_ENVIRONMENT.items() if environ.get(name)
    }
    if not {"type", "url", "bucket"} & found.keys():
        return None
    if "type" not in found:
        found["type"] = "s3" if "bucket" in found and "url" not in found else "dir"
    kind = found["type"]
    # The design documents' .env sets S3_REGION and the like whatever the type is.
    allowed = (*_COMMON, *_FIELDS.get(kind, tuple(found)))
    return {field: value for field, value in found.items() if field in allowed}


def read_repositories(
    rows: Any, source: str, path_of: PathReader
) -> tuple[RepositorySettings, ...]:
    """Return the repositories in the order in which a name is looked up.

    Args:
        rows: Tables, or paths of folders.
        source: Where they stand, for errors.
        path_of: Makes a path absolute: in a file it is relative to that file.

    Raises:
        SettingError: One of them cannot be used.
    """
    if not isinstance(rows, list | tuple) or not rows:
        raise wrong(source, rows, "[[repositories]]")
    found = tuple(_repository(row, source, number, path_of) for number, row in enumerate(rows, 1))
    names = [repository.name for repository in found]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(
                source=source, reason=f"two named {name}", fault="duplicate", value=name
            )
    return found


def refuse_unknown_field(kind: type[Struct], name: str, source: str) -> None:
    """Refuse a key of a table that its struct does not have.

    Raises:
        SettingError: There is no such field; the nearest one is offered.
    """
    known = [field.name for field in msgspec.structs.fields(kind)]
    if name not in known:
        raise SettingError(
            source=source,
            reason=f"unknown key {name}",
            fault="unknown",
            value=name,
            expected=most_like(name, known),
        )


def fields_of(
    kind: type[Struct], table: Mapping[str, Any], source: str, *, is_text: bool = False
) -> dict[str, Any]:
    """Return the fields of a struct from a table, each checked by itself.

    Args:
        kind: The struct.
        table: What was given.
        source: Where it stands, for errors.
        is_text: The values are texts, as in an environment.

    Raises:
        SettingError: A field is unknown, of the wrong type or out of range.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    found = {}
    for name, raw in table.items():
        refuse_unknown_field(kind, name, source)
        place = _place(source, name)
        try:
            found[name] = msgspec.convert(raw, types[name], strict=not is_text)
        except msgspec.ValidationError as error:
            shown = MASK if name in REPOSITORY_SECRETS else raw
            raise wrong(place, shown, type_words(types[name])) from error
        check_range(name, found[name], place)
    return found


def _repository(row: Any, source: str, number: int, path_of: PathReader) -> RepositorySettings:
    if not isinstance(row, str | Path | Mapping):
        raise wrong(source, row, "[[repositories]]")
    table = {"url": str(row)} if isinstance(row, str | Path) else dict(row)
    given = {
        "name": "scripts" if number == 1 else f"scripts{number}",
        **fields_of(RepositorySettings, table, source),
    }
    kind = given.get("type", "dir")
    if kind not in _FIELDS:
        raise SettingError(
            source=_place(source, "type"),
            reason=f"unsupported type {kind}",
            fault="repository_type",
            value=kind,
            expected=", ".join(_FIELDS),
        )
    for field in given:
        if field not in (*_COMMON, *_FIELDS[kind]):
            raise SettingError(
                source=_place(source, field),
                reason=f"{kind} has no {field}",
                fault="repository_field",
                value=field,
                expected=f"{kind}: {', '.join(_FIELDS[kind])}",
            )
    if not _NAME.fullmatch(given["name"]):
        raise wrong(_place(source, "name"), given["name"], "letters, digits, _ . -")
    try:
        parse_networks(given.get("redirect_allow", ()))
    except ValueError as error:
        place = _place(source, "redirect_allow")
        raise wrong(place, given["redirect_allow"], "[10.0.0.0/8, 192.168.1.5, ...]") from error
    if kind == "s3":
        return RepositorySettings(**_bucket(given, source))
    if not given.get("url"):
        raise wrong(_place(source, "url"), given.get("url"), "path" if kind == "dir" else "address")
    if kind == "dir":
        given["url"] = str(path_of(_folder_of(given["url"], source), source))
        return RepositorySettings(**given)
    return RepositorySettings(**{**given, **_address(given, kind, source, path_of)})


def _address(
    given: Mapping[str, Any], kind: str, source: str, path_of: PathReader
) -> dict[str, Any]:
    """Return the address without what logs must not show, and the login that stood in it."""
    url = given["url"]
    changed: dict[str, Any] = {}
    for field in ("ssh_key", "ssh_known_hosts"):
        if given.get(field):
            changed[field] = str(path_of(given[field], source))
    if kind == "git" and _SCP.fullmatch(url):
        return changed
    if kind == "git" and "://" not in url:
        return {**changed, "url": path_of(_folder_of(url, source), source).as_uri()}
    parts = urlsplit(url)
    is_file = parts.scheme == "file"
    if parts.scheme not in _SCHEMES[kind] or not (parts.netloc or is_file) or parts.query:
        expected = ", ".join(f"{scheme}://..." for scheme in _SCHEMES[kind])
        raise wrong(_place(source, "url"), _masked(url), expected)
    if parts.scheme == "ssh" or "@" not in parts.netloc:
        return changed
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    changed["url"] = urlunsplit(parts._replace(netloc=host))
    changed["user"] = given.get("user") or unquote(user)
    if password:
        changed["password"] = given.get("password") or unquote(password)
    return changed


def _bucket(given: dict[str, Any], source: str) -> dict[str, Any]:
    if not given.get("bucket"):
        raise wrong(_place(source, "bucket"), given.get("bucket"), "name of a bucket")
    for one, other in (("access_key", "secret_key"), ("secret_key", "access_key")):
        if given.get(one) and not given.get(other):
            raise wrong(_place(source, other), "", f"given together with {one}")
    endpoint = given.get("endpoint_url")
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise wrong(_place(source, "endpoint_url"), endpoint, "https://..., http://...")
    return {**given, "prefix": given.get("prefix", "").lstrip("/")}


def _place(source: str, field: str) -> str:
    """Return where a field of a repository stands: its own variable, or a key of the file."""
    if source == REPOSITORY_ENVIRONMENT["url"]:
        return REPOSITORY_ENVIRONMENT.get(field, source)
    return f"{source}.{field}"


def _masked(url: str) -> str:
    """Return an address without the login in it."""
    before, separator, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://{MASK}@{after}" if separator else url


def _folder_of(url: str, source: str) -> str:
    """Return the path that an address stands for: itself, or that of a `file:` URL.

    Raises:
        SettingError: It is a URL that leads beyond this machine.
    """
    scheme, separator, _ = url.partition(":")
    parts = urlsplit(url)
    if separator and scheme.lower() == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    if "://" in url:
        raise wrong(_place(source, "url"), _masked(url), "path, file:///path")
    return url


def repository_values(repository: RepositorySettings) -> Iterator[tuple[str, Any]]:
    """Yield every field that is set, secrets masked: for people who ask what is in force."""
    for field in msgspec.structs.fields(RepositorySettings):
        value = getattr(repository, field.name)
        if value != field.default and field.name != "name":
            yield field.name, MASK if field.name in REPOSITORY_SECRETS else value
