"""The process with the HTTP API and the ROUTER socket."""

from __future__ import annotations

from typing import Final

from zscrape.putoff import put_off

# What starlette, uvicorn and a page here and there import, and a gateway needs when somebody asks
# for it, or never: streams by starlette, names of HTML's characters, an HTTP client, cookies,
# codings of mails, logging by a file, uvicorn's command line with its supervisors of processes.
_PUT_OFF: Final = (
    *("anyio", "anyio.abc", "anyio.to_thread", "calendar", "email.base64mime"),
    *("email.quoprimime", "gzip", "html", "http.client", "http.cookies", "logging.config"),
    "uvicorn",
)

for _name in _PUT_OFF:
    put_off(_name)
