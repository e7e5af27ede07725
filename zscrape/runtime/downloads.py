"""Files: straight from the network to the attempt's folder, in bounded memory, and kept.

A download that breaks off goes on where it stopped, if the site can do that and the file has
not changed meanwhile.
"""

from __future__ import annotations

import hashlib
import re
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from zscrape.runtime.httperrors import BodyTooLarge

if TYPE_CHECKING:
    from typing import BinaryIO

    import httpx

TRIES_COUNT = 5
_NAME_LIMIT_CHARACTERS = 128
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_RANGE = re.compile(r"bytes (\d+)-\d+/")


class Download:
    """A file that has come."""

    def __init__(
        self, url: str, name: str, path: Path, *, size_bytes: int, sha256: str, content_type: str
    ) -> None:
        self.url = url
        self.name = name
        self.path = path  # in the attempt's own folder; it ends with the attempt
        self.size_bytes = size_bytes
        self.sha256 = sha256  # hexadecimal
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"Download({self.name!r}, {self.size_bytes} bytes)"


class Sink:
    """Where the pieces go; it knows what to ask for when they have stopped coming."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: BinaryIO = path.open("w+b")
        self._tag = ""  # of the answer that the file began with; empty: it cannot be resumed
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self.name = ""
        self.content_type = ""

    def headers(self) -> dict[str, str]:
        """Return what the next request has to say."""
        # As they lie there: places in a compressed body are not those in the file.
        plain = {"Accept-Encoding": "identity"}
        if self._size_bytes and self._tag:
            return {**plain, "Range": f"bytes={self._size_bytes}-", "If-Range": self._tag}
        return plain

    def take(self, response: httpx.Response) -> None:
        """Write a body down; what has come stays when it breaks off."""
        found = _RANGE.match(response.headers.get("content-range", ""))
        if not (response.status_code == 206 and found and int(found[1]) == self._size_bytes):
            self._file.seek(0)
            self._file.truncate()
            self._size_bytes = 0
            self._digest = hashlib.sha256()
        self._tag = _strong_tag(response)
        self.name = _told_name(response.headers.get("content-disposition", ""))
        self.content_type = response.headers.get("content-type", "")
        for piece in response.iter_raw():
            if self._size_bytes + len(piece) > self._limit_bytes:
                reason = f"the file has more than {self._limit_bytes} bytes: see limit_bytes"
                raise BodyTooLarge(str(response.url), 0, reason)
            self._file.write(piece)
            self._digest.update(piece)
            self._size_bytes += len(piece)

    def finish(self) -> tuple[int, str]:
        """Close the file; return its size and its SHA-256."""
        self._file.close()
        return self._size_bytes, self._digest.hexdigest()

    def drop(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def name_for(url: str, told: str) -> str:
    """Return a name that an artifact may have: as the site says, else as the address ends."""
    raw = told or unquote(urlsplit(url).path.rpartition("/")[2])
    fit = _UNFIT.sub("_", raw).strip("._")
    return fit[-_NAME_LIMIT_CHARACTERS:] or "download"


def _strong_tag(response: httpx.Response) -> str:
    tag: str = response.headers.get("etag", "")
    return tag if tag.startswith('"') else response.headers.get("last-modified", "")


def _told_name(disposition: str) -> str:
    if not disposition:
        return ""
    message = Message()
    message["Content-Disposition"] = disposition
    return (message.get_filename() or "").rpartition("/")[2].rpartition("\\")[2]
