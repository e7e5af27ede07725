"""Cookies out of the files that browsers and their extensions write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zscrape.errors import ConfigError
from zscrape.ops.cookiefiles import read_cookies

NETSCAPE = """# Netscape HTTP Cookie File
# a comment

.shop.example\tTRUE\t/\tTRUE\t1999999999\tsid\tvalue with space
#HttpOnly_shop.example\tFALSE\t/account\tFALSE\t0\ttoken\ta=b
a line that is none
"""


def read(folder: Path, content: Any) -> list[dict[str, Any]]:
    """Read a file of this content."""
    path = folder / "cookies"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_cookies(path, "en")


def test_lines_of_cookies_txt(tmp_path: Path) -> None:
    """Comments and odd lines are passed over, and what only HTTP sees is told by its mark."""
    sid = {"name": "sid", "value": "value with space", "domain": ".shop.example", "path": "/"}
    token = {"name": "token", "value": "a=b", "domain": "shop.example", "path": "/account"}

    assert read(tmp_path, NETSCAPE) == [
        {**sid, "secure": True, "expires": 1999999999},
        {**token, "httpOnly": True},
    ]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_json_of_browsers_and_extensions(tmp_path: Path, is_wrapped: bool) -> None:
    """A bare list, or a stored state with one; ends by either of their names, -1 for none."""
    told = [
        {"name": "a", "value": "1", "domain": "x.example", "path": "/p", "secure": True},
        {"name": "b", "value": "2", "expirationDate": 5.5, "hostOnly": True, "sameSite": "Lax"},
        {"name": "c", "value": "3", "expires": -1, "httpOnly": True},
    ]

    assert read(tmp_path, {"cookies": told, "origins": []} if is_wrapped else told) == [
        told[0],
        {"name": "b", "value": "2", "expires": 5.5},
        {"name": "c", "value": "3", "httpOnly": True},
    ]


def test_names_with_values(tmp_path: Path) -> None:
    """The simplest form there is."""
    assert read(tmp_path, {"a": "1", "b": 2}) == [{"name": "a", "value": "1"}]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "5", "# only\n# comments\n", '{"cookies": []}']
)
def test_a_file_without_cookies_is_told(tmp_path: Path, content: str) -> None:
    """Which file, and what was looked for."""
    with pytest.raises(ConfigError, match="no cookies"):
        read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Bytes that are no text, and no file at all."""
    (tmp_path / "bad").write_bytes(b"\xff\xfe\xff")
    for name in ("bad", "none"):
        with pytest.raises(ConfigError, match=name):
            read_cookies(tmp_path / name, "en")
