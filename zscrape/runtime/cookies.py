"""Cookies between a browser and the cookie jar of `ctx.http`."""

from __future__ import annotations

from http.cookiejar import Cookie, CookieJar
from typing import Any


def into_jar(cookies: list[Any], jar: CookieJar) -> None:
    """Put what a browser holds (`Network.Cookie`) into a jar."""
    for each in cookies:
        domain, expires = each["domain"], each.get("expires", -1)
        jar.set_cookie(
            Cookie(
                version=0,
                name=each["name"],
                value=each["value"],
                port=None,
                port_specified=False,
                domain=domain,
                domain_specified=domain.startswith("."),
                domain_initial_dot=domain.startswith("."),
                path=each.get("path", "/"),
                path_specified=True,
                secure=bool(each.get("secure")),
                expires=int(expires) if expires > 0 else None,
                discard=expires <= 0,
                comment=None,
                comment_url=None,
                rest={"HttpOnly": ""} if each.get("httpOnly") else {},
            )
        )


def from_jar(jar: CookieJar) -> list[Any]:
    """Return what a jar holds as a browser takes it (`Network.CookieParam`)."""
    found = []
    for each in jar:
        # A host without a dot has `.local` put behind it in the jar (RFC 2965).
        domain = each.domain[: -len(".local")] if each.domain.endswith(".local") else each.domain
        told: dict[str, Any] = {
            "name": each.name,
            "value": each.value or "",
            "domain": domain,
            "path": each.path,
            "secure": each.secure,
            "httpOnly": each.has_nonstandard_attr("HttpOnly"),
        }
        if each.expires is not None:
            told["expires"] = each.expires
        found.append(told)
    return found
