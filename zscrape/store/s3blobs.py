"""Blobs as objects of a bucket of any S3-compatible service: `{prefix}{2 of the key}/{rest}`.

Nothing here leans on an ETag, a version or a conditional put: services differ. What was put
is known again by the checksum that the database has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions as faults

from zscrape.buckets import Bucket
from zscrape.errors.storage import BlobMissing, BlobUnavailable
from zscrape.store.blobs import PIECE_BYTES, Blob, checked, is_key

_GONE: Final = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Blobs:
    """Blobs in a bucket. Its calls may be made in several threads."""

    is_near = False

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._prefix = bucket.folder
        self.place = bucket.place
        self._client = bucket.client()

    def _key(self, key: str) -> str:
        return f"{self._prefix}{key[:2]}/{key[2:]}"

    def put(self, blob: Blob, content: bytes) -> None:
        """Keep a blob; see `BlobStore`."""
        with self._told(blob.key):
            self._client.put_object(Bucket=self._bucket.name, Key=self._key(blob.key), Body=content)

    def pieces(self, blob: Blob, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the content; see `BlobStore`."""
        end = blob.size_bytes if stop is None else stop
        if (start, end) == (0, blob.size_bytes):
            yield from checked(self._pieces(blob, {}), blob)
        elif start < end:
            yield from self._pieces(blob, {"Range": f"bytes={start}-{end - 1}"})

    def _pieces(self, blob: Blob, options: dict[str, str]) -> Iterator[bytes]:
        with self._told(blob.key):
            answer = self._client.get_object(
                Bucket=self._bucket.name, Key=self._key(blob.key), **options
            )
            with answer["Body"] as body:
                while piece := body.read(PIECE_BYTES):
                    yield piece

    def remove(self, keys: Iterable[str]) -> None:
        """Remove blobs; see `BlobStore`."""
        for key in keys:
            # One by one: some services want a checksum with many at once that others refuse.
            with self._told(key):
                self._client.delete_object(Bucket=self._bucket.name, Key=self._key(key))

    def keys(self, *, before: float) -> Iterator[str]:
        """Yield keys; see `BlobStore`."""
        with self._told(""):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket.name, Prefix=self._prefix):
                for found in page.get("Contents", ()):
                    first, _, rest = str(found["Key"]).removeprefix(self._prefix).partition("/")
                    is_old = found["LastModified"].timestamp() < before
                    if len(first) == 2 and is_key(first + rest) and is_old:
                        yield first + rest

    # ---- faults ----------------------------------------------------------------------

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Give what goes wrong inside its reason.

        Raises:
            BlobMissing: There is no such object.
            BlobUnavailable: Anything else that the service or the way to it has refused.
        """
        try:
            yield
        except faults.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _GONE and key:
                raise BlobMissing(key=key) from error
            raise self._unavailable(f"{code}: {_message(error)}") from error
        except RecursionError as error:
            # botocore asks a bucket for its region, and for that question again, at each 301.
            raise self._unavailable("it sends every question to another region") from error
        except (faults.BotoCoreError, faults.HTTPClientError, OSError, ValueError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _unavailable(self, reason: str) -> BlobUnavailable:
        return BlobUnavailable(place=self.place, reason=self._bucket.told(reason))


def _message(error: faults.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))
