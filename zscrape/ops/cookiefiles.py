"""Cookies out of files that browsers and their extensions write: JSON, and Netscape's lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from zscrape.client import Document
from zscrape.errors import ConfigError
from zscrape.messages import text

_FIELDS: Final = 7  # of a Netscape line: domain, subdomains, path, secure, expires, name, value
_HTTP_ONLY: Final = "#HttpOnly_"


def read_cookies(path: Path, lang: str) -> list[Document]:
    """Return the cookies of a file, as `PUT /v1/sessions/...` takes them.

    JSON is a list of objects with `name` and `value` (extensions, `Network.getCookies`), an
    object with such a list under `cookies` (a stored browser state), or names with values.
    Anything else is read as `cookies.txt`: tab-separated lines.

    Raises:
        ConfigError: The file cannot be read, or there are no cookies in it.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(source=str(path), reason=str(error)) from error
    try:
        document = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found = _from_lines(content)
    else:
        found = _from_json(document)
    if not found:
        raise ConfigError(source=str(path), reason=text("cli.sessions.no_cookies", lang))
    return found


def _from_json(document: Any) -> list[Document]:
    if isinstance(document, dict) and isinstance(document.get("cookies"), list):
        document = document["cookies"]
    if isinstance(document, dict):
        return [
            {"name": name, "value": value}
            for name, value in document.items()
            if isinstance(value, str)
        ]
    if not isinstance(document, list):
        return []
    return [_cookie(each) for each in document if isinstance(each, dict) and each.get("name")]


def _cookie(told: Document) -> Document:
    """Return one cookie by our names, whatever its writer calls its end."""
    cookie: Document = {"name": str(told["name"]), "value": str(told.get("value", ""))}
    for name in ("domain", "path"):
        if isinstance(told.get(name), str) and told[name]:
            cookie[name] = told[name]
    for name in ("secure", "httpOnly"):
        if told.get(name) is True:
            cookie[name] = True
    expires = told.get("expires", told.get("expirationDate"))
    if isinstance(expires, int | float) and not isinstance(expires, bool) and expires > 0:
        cookie["expires"] = expires
    return cookie


def _from_lines(content: str) -> list[Document]:
    found = []
    for line in content.splitlines():
        is_http_only = line.startswith(_HTTP_ONLY)
        parts = line.removeprefix(_HTTP_ONLY).split("\t")
        if len(parts) != _FIELDS or (line.startswith("#") and not is_http_only) or not parts[5]:
            continue
        domain, _, path, secure, expires, name, value = parts
        cookie: Document = {"name": name, "value": value, "domain": domain, "path": path or "/"}
        cookie |= {"secure": True} if secure.upper() == "TRUE" else {}
        cookie |= {"httpOnly": True} if is_http_only else {}
        if expires.isdigit() and int(expires):
            cookie["expires"] = int(expires)
        found.append(cookie)
    return found
