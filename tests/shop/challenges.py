"""Pages that want a person.

    /turnstile            a fake of Cloudflare's checkbox: a frame in a closed shadow root, the
                          checkbox in a closed shadow root in that; it clicks through only on an
                          event that a browser trusts. The page posts the token to
                          /turnstile/verify and then shows `<p id="passed">`.
    /recaptcha /hcaptcha  pages with the marks of those, by which they are known
    /captcha              a picture of five digits (/captcha/<id>.png) and a form; the answer is
                          in `State.riddles[id]`; right: "Welcome", wrong: 403 and a new one

The frame comes from another host name of this machine (`localhost` for 127.0.0.1), so that
Chromium gives it a process of its own, as it does with the real one.
"""

from __future__ import annotations

import secrets
import struct
import zlib
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.shop.goods import page
from tests.shop.state import state_of

_HOST = """
<div id="widget" class="cf-turnstile" data-sitekey="0x4AAAAAAAFake"></div>
<script>
const root = document.getElementById("widget").attachShadow({mode: "closed"});
const frame = document.createElement("iframe");
const other = location.hostname === "localhost" ? "127.0.0.1" : "localhost";
frame.src = `http://${other}:${location.port}/challenges.cloudflare.com/widget`;
frame.width = 300; frame.height = 65; root.append(frame);
addEventListener("message", async event => {
  if (!event.data.token) return;
  const answer = await fetch("/turnstile/verify", {
    method: "POST", body: new URLSearchParams({token: event.data.token})});
  if ((await answer.json()).ok) {
    const told = document.createElement("p");
    told.id = "passed"; told.textContent = "You are a person."; document.body.append(told);
  }
});
</script>
"""
_WIDGET = """<!doctype html><html><body><script>
const root = document.body.attachShadow({mode: "closed"});
root.innerHTML = '<label style="display:block;padding:15px"><input type="checkbox"> Verify</label>';
root.querySelector("input").addEventListener("click", event => {
  if (event.isTrusted) parent.postMessage({token: "TOKEN"}, "*");
});
</script></body></html>"""
_RECAPTCHA = (
    '<form action="/echo" method="post"><div class="g-recaptcha" data-sitekey="6Lfake"></div>'
    '<textarea name="g-recaptcha-response" hidden></textarea></form>'
)
_HCAPTCHA = '<div class="h-captcha" data-sitekey="10000000-ffff-ffff-ffff-000000000001"></div>'

# Five rows of three for each digit, the bits of an octal digit each.
_ROWS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711",
    "5": "74717", "6": "74757", "7": "71244", "8": "75757", "9": "75717",
}  # fmt: skip
_SCALE = 12


def picture(digits: str) -> bytes:
    """Return a PNG with the digits, black on white, one bit per pixel made eight."""
    width = (len(digits) * 4 + 1) * _SCALE
    lines = [bytes([255]) * width] * _SCALE
    for row in range(5):
        bits = "".join(f"0{int(_ROWS[each][row]):03b}" for each in digits) + "0"
        line = b"".join((b"\x00" if bit == "1" else b"\xff") * _SCALE for bit in bits)
        lines += [line] * _SCALE
    lines += [bytes([255]) * width] * _SCALE
    raw = b"".join(b"\x00" + line for line in lines)

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checked)

    head = struct.pack(">IIBBBBB", width, len(lines), 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


async def _turnstile(request: Request) -> Response:
    return page("Are you a person?", _HOST)


async def _widget(request: Request) -> Response:
    token = secrets.token_hex(8)
    state_of(request).passed.add(token)
    return HTMLResponse(_WIDGET.replace("TOKEN", token))


async def _verify(request: Request) -> Response:
    sent = dict(parse_qsl((await request.body()).decode()))
    return JSONResponse({"ok": sent.get("token") in state_of(request).passed})


async def _recaptcha(request: Request) -> Response:
    return page("Check", _RECAPTCHA)


async def _hcaptcha(request: Request) -> Response:
    return page("Check", _HCAPTCHA)


async def _captcha(request: Request) -> Response:
    status, words = 200, "Type what you see."
    if request.method == "POST":
        sent = dict(parse_qsl((await request.body()).decode()))
        if (
            sent.get("digits")
            and state_of(request).riddles.pop(sent.get("id", ""), "") == sent["digits"]
        ):
            return page("Welcome", '<p id="passed">You can read.</p>')
        status, words = 403, "That is not what it says."
    name = secrets.token_hex(4)
    state_of(request).riddles[name] = f"{secrets.randbelow(100_000):05d}"
    return page(
        "Captcha",
        f'<p>{words}</p><form id="captcha" method="post" action="/captcha">'
        f'<img class="captcha" alt="captcha" src="/captcha/{name}.png">'
        f'<input type="hidden" name="id" value="{name}"><input name="digits">'
        "<button>Send</button></form>",
        status=status,
    )


async def _image(request: Request) -> Response:
    digits = state_of(request).riddles.get(request.path_params["name"])
    if digits is None:
        return page("There is no such picture", "", status=404)
    return Response(picture(digits), media_type="image/png")


ROUTES = [
    Route("/turnstile", _turnstile),
    Route("/challenges.cloudflare.com/widget", _widget),
    Route("/turnstile/verify", _verify, methods=["POST"]),
    Route("/recaptcha", _recaptcha),
    Route("/hcaptcha", _hcaptcha),
    Route("/captcha", _captcha, methods=["GET", "POST"]),
    Route("/captcha/{name}.png", _image),
]
