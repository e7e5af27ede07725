"""Tells its secrets in every way that there is."""

import base64
import json
import sys
import urllib.parse


def run(how="say", *, ctx):
    password, token = ctx.secret("shop.password"), ctx.secret("api_token")
    if how == "raise":
        raise RuntimeError("login of " + password + " failed with " + urllib.parse.quote(token))
    if how == "fail":
        ctx.fail("login_expired", token)
    if how == "number":
        return float("nan"), {password: object()}
    for character in password + token + "\n":
        sys.stdout.write(character)
        sys.stdout.flush()
    basic = base64.b64encode(("me:" + password).encode()).decode()
    sys.stdout.write(f"{password!r} {json.dumps(token)} {basic}\n")
    sys.stderr.write(token.encode().hex() + "\n")
    ctx.log.warning(password, header=token)
    ctx.progress(0.5, token)
    ctx.save("page.html", password)
    ctx.emit({password: token})
    return {"password": password, "token": [token]}
