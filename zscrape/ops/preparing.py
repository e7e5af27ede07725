"""The secrets of a cluster before any of it has started: for Compose, Kubernetes, Swarm.

A gateway makes its keys itself and hands out tokens later. Where everything starts at once
from files, the files come first: the link's secret, from which the gateway's keys follow, the
first admin key, and the join token that fits both.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from msgspec import Struct

from zscrape.config import JoinToken, parse_link, usable
from zscrape.gateway.keyring import new_key
from zscrape.gateway.linkkeys import first_pair

LINK_SECRET: Final = "link_secret"  # noqa: S105 - names of files
API_KEY: Final = "api_key"
JOIN_TOKEN: Final = "join_token"  # noqa: S105
_SECRET_BYTES: Final = 32


class Prepared(Struct, frozen=True):
    """What stands in the folder; `kept` was there already."""

    folder: str
    made: tuple[str, ...]
    kept: tuple[str, ...]


def prepare(folder: Path, addresses: tuple[str, ...]) -> Prepared:
    """Write the secrets of a cluster whose gateways workers dial at these addresses.

    The folder is its owner's alone, and its files can be read by everybody who is in it: a
    container that gets one of them mounted runs as another user. Secrets that are there stay;
    the token is made anew, for it follows from them and the addresses.

    Raises:
        ConfigError: An address is none, or the folder cannot be written.
    """
    for address in addresses:
        parse_link(address)
    made: list[str] = []
    kept: list[str] = []
    with usable(folder, "FOLDER"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name, value in (
            (LINK_SECRET, secrets.token_urlsafe(_SECRET_BYTES)),
            (API_KEY, new_key()),
        ):
            is_new = not (folder / name).exists()
            (made if is_new else kept).append(name)
            if is_new:
                _write(folder / name, value)
        secret = (folder / LINK_SECRET).read_text("utf-8").strip()
        server, join = first_pair(secret, "link"), first_pair(secret, "join")
        token = JoinToken.of(addresses, (server.public,), join.secret)
        _write(folder / JOIN_TOKEN, token.text())
        made.append(JOIN_TOKEN)
    return Prepared(str(folder), tuple(made), tuple(kept))


def _write(path: Path, value: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(value + "\n", encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)
