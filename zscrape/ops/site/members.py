"""The part of the site that is only for members: a login with a CSRF token, and orders.

/login   the form; guest / warm-tea. A token belongs to the cookie that came with its form
/my      the member's orders; without a session it leads back to /login
/logout  ends the session
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import Struct

from zscrape.ops.site.goods import PRODUCTS

USER: Final = "guest"
PASSWORD: Final = "warm-tea"  # noqa: S105 - it is on the page itself
PATHS: Final = ("/login", "/logout", "/my")
_SESSION, _VISITOR = "ongi_session", "ongi_visitor"
_KEPT_COUNT = 1000
_ORDERS: Final = (("2026-03-02", 3, 2), ("2026-02-11", 17, 1), ("2025-12-24", 40, 5))


class Reply(Struct, frozen=True):
    """An answer to a member."""

    body: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Members:
    """Who is logged in; for the threads of the server."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self._tokens: OrderedDict[str, str] = OrderedDict()  # by visitor
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, cookie_header: str, body: bytes) -> Reply:
        """Return what one of `PATHS` says."""
        cookies = _cookies(cookie_header)
        if path == "/my":
            return self._orders(cookies.get(_SESSION, ""))
        if path == "/logout":
            with self._lock:
                self._sessions.pop(cookies.get(_SESSION, ""), None)
            return Reply("", 303, (("Location", "/"), _cookie(_SESSION, "")))
        if method == "POST":
            return self._log_in(cookies.get(_VISITOR, ""), dict(parse_qsl(body.decode("utf-8"))))
        return self._form("")

    def _form(self, complaint: str, status: int = 200) -> Reply:
        visitor, token = secrets.token_hex(8), secrets.token_hex(16)
        with self._lock:
            _keep(self._tokens, visitor, token)
        return Reply(
            f'<h1>로그인 · Log in</h1><p class="error">{escape(complaint)}</p>'
            f"<p>{USER} / {PASSWORD}</p>"
            '<form id="login" method="post" action="/login">'
            f'<input type="hidden" name="csrf_token" value="{token}">'
            '<input name="user"><input type="password" name="password">'
            "<button>로그인</button></form>",
            status,
            (_cookie(_VISITOR, visitor),),
        )

    def _log_in(self, visitor: str, sent: dict[str, str]) -> Reply:
        with self._lock:
            token = self._tokens.pop(visitor, "")
        if not token or not hmac.compare_digest(token, sent.get("csrf_token", "")):
            return self._form("양식이 만료되었습니다 · The form has expired", 403)
        if (sent.get("user"), sent.get("password")) != (USER, PASSWORD):
            return self._form("이름이나 비밀번호가 다릅니다 · Wrong name or password", 401)
        session = secrets.token_hex(16)
        with self._lock:
            _keep(self._sessions, session, None)
        return Reply("", 303, (("Location", "/my"), _cookie(_SESSION, session)))

    def _orders(self, session: str) -> Reply:
        with self._lock:
            is_known = session in self._sessions
        if not is_known:
            return Reply("", 302, (("Location", "/login"),))
        rows = "".join(
            f"<tr><td>{day}</td><td>{escape(PRODUCTS[at].name)}</td><td>{count}</td></tr>"
            for day, at, count in _ORDERS
        )
        return Reply(
            f'<h1>주문 내역 · Orders</h1><p class="member">{USER}</p>'
            '<table class="orders"><thead><tr><th>Date</th><th>Product</th><th>Count</th></tr>'
            f'</thead><tbody>{rows}</tbody></table><a class="logout" href="/logout">로그아웃</a>'
        )


def _keep(known: OrderedDict[str, Any], key: str, value: Any) -> None:
    known[key] = value
    while len(known) > _KEPT_COUNT:
        known.popitem(last=False)


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _cookie(name: str, value: str) -> tuple[str, str]:
    return "Set-Cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax"
