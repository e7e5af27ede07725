"""Scripts in a bucket of any S3-compatible service: `{prefix}{name}/{version}/<files>`.

One listing tells everything: a version is its keys, and its mark a hash of their ETags. Nothing
here leans on bucket versioning, conditional puts, or an ETag being an MD5 sum: services differ.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from botocore import exceptions as faults
from msgspec import Struct

from zscrape.buckets import PARALLEL_COUNT, Bucket
from zscrape.config import RepositorySettings
from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable, VersionExists
from zscrape.scripts.digest import (
    MANIFEST_FILE,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    require_usable,
    tree_problems,
)
from zscrape.scripts.manifest import is_script_name
from zscrape.scripts.problems import pointer_to, problem
from zscrape.scripts.source import Listing
from zscrape.scripts.tree import is_left_out
from zscrape.scripts.version import parse_version

T = TypeVar("T")

_KEY_LIMIT_COUNT: Final = 1_000_000
_MARK_LENGTH: Final = 32
# The executable bit, which S3 has no place for. Some services change the case of such names.
_EXECUTABLE: Final = "zscrape-executable"


class _Object(Struct, frozen=True):
    """One file of a version in the bucket. `path` is inside the script."""

    path: str
    key: str
    etag: str
    size_bytes: int


_Versions = dict[tuple[str, str], list[_Object]]


class S3Source:
    """Scripts below a prefix of a bucket."""

    def __init__(self, settings: RepositorySettings) -> None:
        self.name = settings.name  # what people call this repository
        self._bucket = Bucket(
            name=settings.bucket,
            prefix=settings.prefix,
            endpoint_url=settings.endpoint_url,
            region=settings.region,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            addressing=settings.addressing,
            timeout_s=settings.timeout_s,
        )
        self.place = self._bucket.place
        self._prefix = self._bucket.folder
        self._threads = ThreadPoolExecutor(PARALLEL_COUNT, thread_name_prefix="s3")
        self._made: Any = None
        self._versions: _Versions = {}

    async def scan(self, known: Listing | None) -> Listing:
        """Return what the bucket holds; `known` itself when no ETag has changed."""
        return await self._apart(lambda: self._scan(known))

    async def manifest(self, script_name: str, version: str, mark: str) -> bytes:
        """Return `metadata.json` of a version."""
        objects = await self._objects(script_name, version, mark)
        wanted = next((each for each in objects if each.path == MANIFEST_FILE), None)
        if wanted is None:
            fault = problem(pointer_to("files", MANIFEST_FILE), "missing_file")
            raise FilesInvalid(name=script_name, problems=[fault])
        return (await self._apart(lambda: self._get(wanted))).content

    async def fetch(self, script_name: str, version: str, mark: str) -> tuple[ScriptFile, ...]:
        """Return all files of a version."""
        objects = await self._objects(script_name, version, mark)
        problems = tree_problems([(each.path, each.size_bytes) for each in objects])
        if problems:
            raise FilesInvalid(name=script_name, problems=problems)
        files = await asyncio.gather(
            *(self._apart(lambda each=each: self._get(each)) for each in objects)  # type: ignore[misc]
        )
        require_usable(script_name, files)
        return tuple(sorted(files, key=lambda each: each.path))

    async def close(self) -> None:
        """Let go of connections; calls under way are left to their time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._made is not None:
            self._made.close()

    async def publish(self, files: Sequence[ScriptFile], name: str, version: str) -> str:
        """Upload a script; return where it is.

        The manifest goes last: until then nobody sees the version.

        Raises:
            VersionExists: There is such a version already; nothing was changed.
            RepositoryUnavailable: It cannot be reached, or refuses; what was put is removed.
        """
        return await self._apart(lambda: self._publish(files, name, version))

    # ---- in threads ------------------------------------------------------------------

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _objects(self, script_name: str, version: str, mark: str) -> list[_Object]:
        """Return the objects of a version, listed again if this process has not yet."""
        objects = self._versions.get((script_name, version), [])
        if not objects or _mark_of(objects) != mark:
            await self.scan(None)
            objects = self._versions.get((script_name, version), [])
        if not objects or _mark_of(objects) != mark:
            raise self._unavailable(f"{script_name} {version} has changed; refresh and ask again")
        return objects

    def _client(self) -> Any:
        if self._made is None:
            self._made = self._bucket.client()
        return self._made

    def _scan(self, known: Listing | None) -> Listing:
        with self._told():
            versions, ignored = self._list()
        self._versions = versions
        scripts: dict[str, dict[str, str]] = {}
        for (script_name, version), objects in versions.items():
            scripts.setdefault(script_name, {})[version] = _mark_of(objects)
        state = hashlib.sha256(repr((sorted(scripts.items()), ignored)).encode()).hexdigest()
        if known is not None and known.state == state:
            return known
        return Listing(scripts, ignored=ignored, state=state)

    def _list(self) -> tuple[_Versions, tuple[str, ...]]:
        versions: _Versions = {}
        ignored: set[str] = set()
        count = 0
        pages = self._client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket.name, Prefix=self._prefix):
            for found in page.get("Contents", ()):
                count += 1
                self._enter(found, versions, ignored)
            if count > _KEY_LIMIT_COUNT:
                raise self._unavailable(
                    f"more than {_KEY_LIMIT_COUNT} keys; set `prefix` to the scripts' folder"
                )
        whole = {
            place: sorted(objects, key=lambda each: each.path)
            for place, objects in versions.items()
            if any(each.path == MANIFEST_FILE for each in objects)
        }
        return whole, tuple(sorted(ignored))

    def _enter(self, found: dict[str, Any], versions: _Versions, ignored: set[str]) -> None:
        key = str(found["Key"])
        script_name, _, rest = key.removeprefix(self._prefix).partition("/")
        version, _, path = rest.partition("/")
        if not path or path.endswith("/") or not is_script_name(script_name):
            return  # a folder's marker, or no file of a script
        if parse_version(version) is None:
            ignored.add(f"{script_name}/{version}")
            return
        *folders, leaf = path.split("/")
        if is_left_out(leaf, is_folder=False):
            return
        if any(is_left_out(each, is_folder=True) for each in folders if each not in (".", "..")):
            return
        entry = _Object(path, key, str(found.get("ETag", "")).strip('"'), int(found["Size"]))
        versions.setdefault((script_name, version), []).append(entry)

    def _get(self, wanted: _Object) -> ScriptFile:
        with self._told():
            answer = self._client().get_object(Bucket=self._bucket.name, Key=wanted.key)
            with answer["Body"] as body:
                content: bytes = body.read(TREE_SIZE_LIMIT_BYTES + 1)
        if str(answer.get("ETag", "")).strip('"') != wanted.etag:
            raise self._unavailable(f"{wanted.key} was changed meanwhile; refresh and ask again")
        if len(content) != wanted.size_bytes:
            raise self._unavailable(f"{wanted.key} came with {len(content)} bytes of its size")
        names = {str(name).lower(): value for name, value in answer.get("Metadata", {}).items()}
        return ScriptFile(wanted.path, names.get(_EXECUTABLE) == "1", content)

    def _publish(self, files: Sequence[ScriptFile], name: str, version: str) -> str:
        folder = f"{self._prefix}{name}/{version}/"
        client, bucket = self._client(), self._bucket.name
        with self._told():
            if client.list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=1).get("KeyCount"):
                raise VersionExists(name=name, version=version, repository=self.name)
        put: list[str] = []
        try:
            with self._told():
                for file in sorted(files, key=lambda each: each.path == MANIFEST_FILE):
                    metadata = {_EXECUTABLE: "1"} if file.is_executable else {}
                    key = folder + file.path
                    put.append(key)
                    client.put_object(Bucket=bucket, Key=key, Body=file.content, Metadata=metadata)
        except BaseException:
            self._remove(put)
            raise
        return f"s3://{bucket}/{folder}"

    def _remove(self, keys: list[str]) -> None:
        """Take back what was put, as far as that can be done now."""
        with self._told():
            for key in reversed(keys):
                self._client().delete_object(Bucket=self._bucket.name, Key=key)

    # ---- faults ----------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Give what goes wrong inside its reason.

        Raises:
            RepositoryUnavailable: Anything that the service or the way to it has refused.
        """
        try:
            yield
        except faults.ClientError as error:
            raise self._unavailable(self._refusal(error)) from error
        except RecursionError as error:
            # botocore asks a bucket for its region, and for that question again, at each 301.
            reason = "it sends every question to another region: check `region` and `endpoint_url`"
            raise self._unavailable(reason) from error
        except (faults.BotoCoreError, faults.HTTPClientError, OSError, ValueError) as error:
            raise self._unavailable(self._failure(error)) from error

    def _unavailable(self, reason: str) -> RepositoryUnavailable:
        told = f"{self.place}: {self._bucket.told(reason)}"
        return RepositoryUnavailable(repository=self.name, reason=told)

    def _refusal(self, error: faults.ClientError) -> str:
        answer = error.response
        code = str(answer.get("Error", {}).get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
        if code in {"NoSuchBucket"}:
            return f"there is no bucket {self._bucket.name}: check `bucket`"
        if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}:
            return f"the credentials are not accepted ({code}): check `access_key` and `secret_key`"
        if region and region != self._bucket.region:
            return f"the bucket is in another region ({code}): set `region` to {region}"
        if code in {"AuthorizationHeaderMalformed", "PermanentRedirect"}:
            return f"the bucket is in another region ({code}): check `region`"
        if status == 403:
            return f"the credentials may not read it ({code or status}): check their policy"
        return f"{code or status}: {answer.get('Error', {}).get('Message', '')}"

    def _failure(self, error: Exception) -> str:
        if isinstance(error, faults.NoCredentialsError | faults.PartialCredentialsError):
            return "there are no credentials: set `access_key` and `secret_key`"
        if isinstance(error, faults.NoRegionError):
            return "set `region`"
        if isinstance(error, faults.ConnectTimeoutError | faults.ReadTimeoutError):
            return f"no answer within {self._bucket.timeout_s:g} s"
        if isinstance(error, faults.EndpointConnectionError):
            return f"cannot be reached: {self._bucket.endpoint_url or 'the endpoint'}"
        return str(error) or type(error).__name__


def _mark_of(objects: Sequence[_Object]) -> str:
    """Return a text that differs whenever a file, its name, its size or its ETag does."""
    told = hashlib.sha256()
    for each in objects:
        told.update(f"{each.path}\n{each.etag}\n{each.size_bytes}\n".encode())
    return told.hexdigest()[:_MARK_LENGTH]


async def publish(source: S3Source, files: Sequence[ScriptFile], name: str, version: str) -> str:
    """Publish a script to a bucket: see `S3Source.publish`."""
    return await source.publish(files, name, version)
