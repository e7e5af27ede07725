"""Secrets never come back in what an attempt says, however the script tells them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies

from tests.worker.conftest import Stage
from zscrape.model import OutcomeCode
from zscrape.worker.masking import MASK, Mask

IN_SESSION = pytest.mark.asyncio(loop_scope="session")
TOKEN = "pä55\"w\\ord/+&<x>'=="
PEM = (
    "-----BEGIN KEY-----\n"
    + "\n".join(f"line{n}abcdefgh" for n in range(4))
    + "\n-----END KEY-----"
)
SECRETS = {"token": TOKEN, "pem": PEM}

FORMS = {
    "bare": TOKEN,
    "repr": repr(TOKEN)[1:-1],
    "bytes": repr(TOKEN.encode())[2:-1],
    "json": json.dumps(TOKEN)[1:-1],
    "json in json": json.dumps(TOKEN, ensure_ascii=False)[1:-1],
    "percent": quote(TOKEN, safe=""),
    "form": quote_plus(TOKEN),
    "lower percent": re.sub("%..", lambda found: found[0].lower(), quote(TOKEN, safe="")),
    "hexadecimal": TOKEN.encode().hex(),
    "base64": base64.b64encode(TOKEN.encode()).decode().rstrip("="),
    "a line of it": "line2abcdefgh",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_secret_is_blanked_out(form: str) -> None:
    """Escaped, quoted and encoded values are found as the bare one is."""
    told = Mask(SECRETS).text(f"before {form} after")

    assert form not in told
    assert MASK in told


@pytest.mark.parametrize("before", range(4))
def test_base64_is_found_wherever_it_stands(before: int) -> None:
    """Three bytes make four characters: a value looks different at each of three places."""
    value = "correct horse battery staple"
    told = Mask({"a": value}).text(base64.b64encode(b"x" * before + value.encode()).decode())

    assert len(told) <= len(MASK) + 8


def test_a_cut_does_not_leave_half_a_secret() -> None:
    """What a limit has cut off is masked as well."""
    value = "0123456789abcdef"

    assert Mask({"a": value}).text(f"error {value[:10]} [cut]") == f"error {MASK} [cut]"
    assert Mask({"a": value}).beginning(f"line {value[:9]}") == f"line {MASK}"


def test_a_document_without_secrets_is_left_as_it_is() -> None:
    """What has no secret in it is not even written anew."""
    document = b'{"a": 1.0, "b" : [ 12345678901234567890 ]}'

    assert Mask(SECRETS).document(document) is document


def test_short_values_with_escapes_are_found_in_documents() -> None:
    """A value that JSON writes with a backslash is found, however short, and however told."""
    for value in ("000\r", 'a"b"', "\\\\\\n", "tab\t"):
        for told in (value, repr(value)[1:-1], json.dumps(value)[1:-1]):
            document = json.dumps([f"before {told} after"]).encode()
            (masked,) = json.loads(Mask({"a": value}).document(document))
            assert value not in masked


def test_a_secret_in_the_name_of_a_file_is_blanked_out() -> None:
    """A saved file's name and type have no secret; a name keeps to the letters of names."""
    saved = {"name": "to_k4f9a8.txt", "size": 2, "content_type": "text/plain; a=to_k4f9a8"}
    record = json.dumps({**saved, "sha256": "0" * 64, "data": "b2s="}).encode()

    told = json.loads(Mask({"a": "to_k4f9a8"}).file(record))
    assert (told["name"], told["content_type"]) == ("--------.txt", f"text/plain; a={MASK}")
    assert (told["size"], told["sha256"], told["data"]) == (2, "0" * 64, "b2s=")
    assert Mask({"a": "another"}).file(record) is record


@given(
    strategies.text(min_size=4, max_size=30),
    strategies.text(max_size=20),
    strategies.text(max_size=20),
)
def test_no_document_holds_a_secret(value: str, before: str, after: str) -> None:
    """Keys, texts, numbers and lists of JSON are looked through, in either way of escaping."""
    value = value.replace("*", "x")
    document: Any = {before + value: [after, {"x": value + after}, before + value + after]}
    for ascii_only in (True, False):
        raw = json.dumps(document, ensure_ascii=ascii_only)
        if any("\ud800" <= each <= "\udfff" for each in raw):
            continue
        told = json.loads(Mask({"a": value}).document(raw.encode()))
        texts = [*told, *(each for row in told.values() for each in row if isinstance(each, str))]
        assert not any(value in each for each in texts)


SCRIPT = """
    import base64, json, sys, urllib.parse

    def run(how, *, ctx):
        token, pem = ctx.secret("token"), ctx.secret("pem")
        if how == "raise":
            raise ValueError(f"cannot log in with {token} at {urllib.parse.quote(token, safe='')}")
        if how == "fail":
            ctx.fail("blocked", "refused " + token)
        if how == "other":
            return ctx.secret("of somebody else")
        for each in token:
            sys.stdout.write(each)
            sys.stdout.flush()
        print("", repr(token), json.dumps({"t": token}))
        print(pem)
        sys.stderr.write("err " + base64.b64encode(token.encode()).decode() + "\\n")
        ctx.log.info("using " + token, header={"Authorization": [token]}, **{token: 1})
        ctx.progress(0.5, "logging in as " + token)
        ctx.save("page.html", "<b>" + token + "</b>")
        yield {"echo": token}
        return {"data": [token], "fine": 1}
"""


@IN_SESSION
async def test_an_attempt_never_says_its_secret(stage: Stage) -> None:
    """Output in pieces, log records, progress, files, items and results come without it."""
    ran = await stage.run(SCRIPT, {"how": "say"}, secrets=tuple(SECRETS), values=SECRETS)

    told = b"".join(record.body for record in ran.records) + (ran.outcome.data or b"")
    files = [base64.b64decode(body["data"]) for body in ran.bodies("artifact")]
    assert ran.data == {"data": [MASK], "fine": 1}
    assert ran.bodies("item") == [{"echo": MASK}]
    assert files == [b"<b>" + MASK.encode() + b"</b>"]
    assert ran.bodies("artifact")[0]["size"] == len(files[0])
    assert ran.messages("stdout")[0].startswith(MASK)
    assert not any(form.encode() in told for form in FORMS.values())
    assert "3 of the results" in ran.messages("log")[-1]


@IN_SESSION
@pytest.mark.parametrize("how", ["raise", "fail"])
async def test_a_failure_never_says_the_secret(stage: Stage, how: str) -> None:
    """Messages and tracebacks of errors come without it."""
    ran = await stage.run(SCRIPT, {"how": how}, secrets=tuple(SECRETS), values=SECRETS)

    told = f"{ran.outcome.error_message}{ran.outcome.traceback}{ran.outcome.fields}"
    assert MASK in ran.outcome.error_message
    assert TOKEN not in told
    assert quote(TOKEN, safe="") not in told


@IN_SESSION
async def test_a_secret_that_is_not_listed_is_not_there(stage: Stage) -> None:
    """`ctx.secret` says where a name must be listed."""
    ran = await stage.run(SCRIPT, {"how": "other"}, secrets=tuple(SECRETS), values=SECRETS)

    assert ran.outcome.error_type == "LookupError"
    assert '"secrets" in metadata.json' in ran.outcome.error_message


@IN_SESSION
async def test_an_attempt_without_its_secret_does_not_begin(stage: Stage) -> None:
    """What is not granted any more when the attempt comes is a clear failure."""
    ran = await stage.run(
        SCRIPT, {"how": "say"}, secrets=("token", "pem"), values={"token": "1234"}
    )

    assert ran.outcome.code is OutcomeCode.SECRET_DENIED
    assert ran.outcome.fields["name"] == "pem"
    assert not ran.started.is_set()


@IN_SESSION
async def test_no_secret_is_left_in_the_child(stage: Stage) -> None:
    """The environment and the arguments of the process that runs the script have none of it."""
    source = """
        def run(*, ctx):
            ctx.secret("token")
            return [
                open("/proc/self/environ", "rb").read().hex(),
                open("/proc/self/cmdline", "rb").read().hex(),
            ]
    """
    ran = await stage.run(source, secrets=("token",), values={"token": "a-rather-long-token"})

    assert not any(b"a-rather-long-token" in bytes.fromhex(each) for each in ran.data)
