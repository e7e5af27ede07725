"""Who is who.

/login       a form with a hidden CSRF token that belongs to a cookie; mina / tea-and-cake
             (POST: 303 to `next` or /account; wrong: 401 with the form; bad token: 403)
/account     only with a session, else 302 to /login?next=/account
/logout      ends the session
/forms       forms of every kind; they post to /echo
/echo        tells as JSON what was sent: method, query, form, files, headers
/cookies     tells as JSON which cookies came; /cookies/set?name=value sets some
"""

from __future__ import annotations

import secrets
from email.parser import BytesParser
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.shop.goods import page
from tests.shop.state import state_of

SESSION, VISITOR = "shop_session", "shop_visitor"

FORMS = """
<base href="/">
<form id="plain" action="echo" method="post">
  <input type="hidden" name="token" value="t-1">
  <input name="text" value="default"> <input name="not" disabled value="x">
  <input value="no name">
  <input type="checkbox" name="on" checked> <input type="checkbox" name="off">
  <input type="checkbox" name="colour" value="red" checked>
  <input type="checkbox" name="colour" value="blue" checked>
  <input type="radio" name="size" value="s"> <input type="radio" name="size" value="m" checked>
  <select name="kind"><option value="a">A<option value="b" selected>B</select>
  <select name="first"><option>One</option><option>Two</option></select>
  <select name="many" multiple><option selected>1<option>2<option selected>3</select>
  <textarea name="note">
line 1
line 2</textarea>
  <button name="go" value="save">Save</button>
  <input type="submit" name="go" value="Delete">
  <input type="reset" name="reset" value="x"> <input type="image" name="picture">
  <fieldset disabled><input name="inner" value="x"></fieldset>
</form>
<form name="search" action="/search?old=1"><input type="search" name="q"></form>
<form id="upload" action="/echo" method="POST" enctype="multipart/form-data">
  <input name="title" value="t"><input type="file" name="paper"></form>
<input form="plain" name="outside" value="o">
"""


def _login_page(request: Request, words: str, status: int) -> Response:
    visitor = request.cookies.get(VISITOR) or secrets.token_hex(8)
    token = state_of(request).csrf[visitor] = secrets.token_hex(16)
    after = escape(request.query_params.get("next", ""))
    answer = page(
        "Log in",
        f'<p class="error">{escape(words)}</p><form id="login" method="post" action="/login">'
        f'<input type="hidden" name="csrf" value="{token}">'
        f'<input type="hidden" name="next" value="{after}">'
        '<input name="user"> <input type="password" name="password">'
        '<button name="do" value="login">Log in</button></form>',
        status=status,
    )
    answer.set_cookie(VISITOR, visitor)
    return answer


async def _login(request: Request) -> Response:
    if request.method == "GET":
        return _login_page(request, "", 200)
    sent = dict(parse_qsl((await request.body()).decode()))
    visitor = request.cookies.get(VISITOR, "")
    if not sent.get("csrf") or sent["csrf"] != state_of(request).csrf.pop(visitor, None):
        return page("Bad token", "<p>The form has expired.</p>", status=403)
    if (sent.get("user"), sent.get("password")) != (
        state_of(request).user,
        state_of(request).password,
    ):
        return _login_page(request, "The name or the password is wrong.", 401)
    answer = RedirectResponse(sent.get("next") or "/account", 303)
    answer.set_cookie(SESSION, state_of(request).new_session(), httponly=True)
    return answer


async def _account(request: Request) -> Response:
    user = state_of(request).sessions.get(request.cookies.get(SESSION, ""))
    if user is None:
        return RedirectResponse("/login?next=/account", 302)
    return page(
        "Account",
        f'<p class="user">{escape(user)}</p><ul class="orders"><li>Order 1</li>'
        '<li>Order 2</li></ul><a class="logout" href="/logout">Log out</a>',
    )


async def _logout(request: Request) -> Response:
    state_of(request).sessions.pop(request.cookies.get(SESSION, ""), None)
    return RedirectResponse("/", 303)


async def _forms(request: Request) -> Response:
    return page("Forms", FORMS)


async def _echo(request: Request) -> Response:
    body = await request.body()
    kind = request.headers.get("content-type", "")
    told: dict[str, Any] = {
        "method": request.method,
        "query": parse_qsl(request.url.query, keep_blank_values=True),
        "headers": dict(request.headers),
        "form": [],
        "files": [],
    }
    if kind.startswith("application/x-www-form-urlencoded"):
        told["form"] = parse_qsl(body.decode(), keep_blank_values=True)
    elif kind.startswith("multipart/form-data"):
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        parts: Any = message.get_payload()
        for part in parts:
            name = part.get_param("name", header="content-disposition")
            raw = part.get_payload(decode=True)
            if part.get_filename() is None:
                told["form"].append([name, raw.decode()])
            else:
                told["files"].append([name, part.get_filename(), raw.decode("latin-1")])
    return JSONResponse(told)


async def _cookies(request: Request) -> Response:
    return JSONResponse(request.cookies)


async def _set_cookies(request: Request) -> Response:
    answer = JSONResponse({"set": sorted(request.query_params)})
    for name, value in request.query_params.items():
        answer.set_cookie(name, value)
    return answer


ROUTES = [
    Route("/login", _login, methods=["GET", "POST"]),
    Route("/account", _account),
    Route("/logout", _logout),
    Route("/forms", _forms),
    Route("/echo", _echo, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
    Route("/cookies", _cookies),
    Route("/cookies/set", _set_cookies),
]
