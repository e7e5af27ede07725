"""Who calls, and what is asked: the promises `KEY` and `BODY`.

The body is read by the decoder of the contract's fields that ours has built, too. Parameters are
checked by another one, drawn from the signature of the script's function once.
"""

from __future__ import annotations

import ast
import hashlib
import json
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from hmac import compare_digest
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.errors.refusals import RateLimited
from zscrape.errors.requests import Forbidden, KeyExpired, ScriptForbidden, Unauthorized
from zscrape.errors.scripts import ScriptNotFound
from zscrape.gateway.faults import read_fault
from zscrape.gateway.requests import TaskRequest, decode_task
from zscrape.model import Pin, RunSpec
from zscrape.scripts.fingerprint import Fingerprint

DEPTH_LIMIT = 32
_BEARER = b"Bearer "
_RATE_PER_S, _BURST_COUNT = 1e6, 1e6  # a rate that is held, and that nobody comes to here
_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class Key(Struct):
    """An API key, known by its hash, and what is left of its rate."""

    digest: bytes
    client: str
    scopes: frozenset[str]
    rate_per_s: float = _RATE_PER_S
    tokens: float = _BURST_COUNT
    taken_at: float = 0.0  # when it was used last
    ends_at: float = inf
    scripts: frozenset[str] = frozenset()  # that it may run; empty: any
    live_count: int = 0  # of its tasks that have not ended

    def take(self, now: float) -> None:
        """Take a token.

        Raises:
            RateLimited: There is none.
        """
        most, tokens = self.rate_per_s, self.tokens + (now - self.taken_at) * self.rate_per_s
        self.taken_at = now
        if tokens >= most:
            tokens = most if most > 1.0 else 1.0
        if tokens < 1.0:
            self.tokens = tokens
            raise RateLimited(what="client", limit=f"{self.rate_per_s:g}", wait_s=1)
        self.tokens = tokens - 1.0

    def check(self, script_name: str) -> None:
        """Check that it may run a script.

        Raises:
            ScriptForbidden: It may not.
        """
        if script_name not in self.scripts:
            raise ScriptForbidden(scope="run", name=script_name, allowed=", ".join(self.scripts))


def digest_of(key: bytes) -> bytes:
    """Return what a key is known by."""
    return hashlib.sha256(key).digest()


def presented_in(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the hash of the key that a call carries."""
    told = headers.get(b"authorization", b"")
    return digest_of(told[len(_BEARER) :]) if told.startswith(_BEARER) else b""


class Keys:
    """The keys of a gateway: the first one, and others by their hashes."""

    def __init__(self, keys: list[Key]) -> None:
        self._first, self._others = keys[0], {each.digest: each for each in keys[1:]}

    def enter(self, digest: bytes, scope: str, now: float) -> Key:
        """Return whose key has this hash, once it may be used for that, and now.

        Raises:
            Unauthorized, Forbidden, RateLimited: It may not.
        """
        first = self._first
        key = first if compare_digest(first.digest, digest) else self._others.get(digest)
        if key is None:
            raise Unauthorized
        if key.ends_at <= now:
            raise KeyExpired(expired_at=str(key.ends_at))
        key.take(now)
        if scope not in key.scopes:
            raise Forbidden(scope=scope)
        return key


class Script(Struct):
    """A script version, as the gateway knows it."""

    pin: Pin
    run: bytes  # what workers are told of it, encoded once
    parameters: msgspec.json.Decoder[Any]
    names: tuple[str, ...]  # of its parameters
    requires: frozenset[str]  # tags of workers
    prefers: frozenset[str]
    is_plain: bool  # it has neither

    def check(self, parameters: bytes) -> None:
        """Check parameters.

        Raises:
            MalformedJson, InvalidRequest: They do not fit; it says which one.
        """
        try:
            self.parameters.decode(parameters)
        except _UNREADABLE as error:
            raise read_fault(error, self.names, at="/parameters") from error


class Catalogue:
    """Scripts in memory, by name and version; with a `loop` they are looked at in each turn."""

    def __init__(self, folders: list[Path], loop: AbstractEventLoop | None = None) -> None:
        self._folders, self._loop = folders, loop
        self._scripts: dict[tuple[str, str | None], Script] = {}
        self._read_as: dict[Path, Fingerprint] = {}
        self._is_looked_at = False
        self._look()

    def resolve(self, request: TaskRequest) -> Script:
        """Return what a request asks for.

        Raises:
            ScriptNotFound: There is no such script or version.
        """
        if not self._is_looked_at:
            self._look()
        script = self._scripts.get((request.script_name, request.version))
        if script is None:
            raise ScriptNotFound(name=request.script_name)
        return script

    def _look(self) -> None:
        """Read what has changed: what runs in this turn had come before it."""
        self._is_looked_at = True
        if self._loop is not None:
            self._loop.call_soon(self._look_again)
        for folder in self._folders:
            read_as = self._read_as.get(folder)
            if read_as is None or not read_as.holds():
                self._read_as[folder] = Fingerprint.take([str(folder), *map(str, folder.iterdir())])
                script = _read(folder)
                for version in (None, "latest", script.pin.version):
                    self._scripts[script.pin.name, version] = script

    def _look_again(self) -> None:
        self._is_looked_at = False


def read_request(body: bytes) -> TaskRequest:
    """Read a body.

    Raises:
        MalformedJson, InvalidRequest: It is no request; it says which field.
    """
    return decode_task(body, depth_limit=DEPTH_LIMIT)


def _read(folder: Path) -> Script:
    manifest: dict[str, Any] = {"name": "noop", "version": "1.0.0", "timeout": 300.0}
    told = folder / "metadata.json"
    if told.exists():
        manifest |= json.loads(told.read_text())
    source = (folder / "main.py").read_text()
    digest = hashlib.sha256(source.encode() + json.dumps(manifest).encode()).hexdigest()
    pin = Pin("ladder", str(manifest["name"]), str(manifest["version"]), f"sha256:{digest}")
    reuse_count = int(manifest.get("reuse", 1))
    run = RunSpec(pin, kit=(), timeout_s=float(manifest["timeout"]), reuse_count=reuse_count)
    fields = _fields(source)
    checked = msgspec.defstruct("Parameters", fields, forbid_unknown_fields=True)
    names = tuple(each[0] for each in fields)
    decoder = msgspec.json.Decoder(checked)
    requires, prefers = (frozenset(manifest.get(it, ())) for it in ("requires", "prefers"))
    is_plain = not (requires or prefers)
    encoded = msgspec.msgpack.encode(run)
    return Script(pin, encoded, decoder, names, requires, prefers, is_plain)


def _fields(source: str) -> list[Any]:
    """Return the parameters of a script's function, with their types and defaults."""
    found = next(each for each in ast.parse(source).body if getattr(each, "name", "") == "run")
    assert isinstance(found, ast.FunctionDef)
    takes = found.args
    defaults = [None] * (len(takes.args) - len(takes.defaults)) + list(takes.defaults)
    named = [*zip(takes.args, defaults, strict=True)]
    named += zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    required: list[Any] = []
    optional: list[Any] = []
    for argument, default in named:
        if argument.arg == "ctx":
            continue
        kind = _TYPES.get(getattr(argument.annotation, "id", ""), Any)
        if default is None:
            required.append((argument.arg, kind))
        else:
            optional.append((argument.arg, kind, ast.literal_eval(default)))
    return required + optional
