"""Errors of scripts: versions, files, signatures, environments, and what one may not have."""

from __future__ import annotations

from typing import Any, ClassVar

from zscrape.errors import ScriptError, ZscrapeError

_SIGNATURE_FAULTS = frozenset({"unsigned", "unknown_key", "forged", "no_checksums", "version"})
_PUBLISH_FAULTS = frozenset({"layout", "http"})


class ScriptNotFound(ScriptError):
    """Raised when no repository has a script of this name. `nearest` is a likely name or empty."""

    code: ClassVar[str] = "script_not_found"
    http_status: ClassVar[int] = 404
    name: str
    nearest: str = ""

    @property
    def text_key(self) -> str:
        """Offer the nearest name where there is one."""
        return "script_not_found.nearest" if self.nearest else self.code


class VersionNotFound(ScriptError):
    """Raised when a script exists but no version of it fits the request."""

    code: ClassVar[str] = "version_not_found"
    http_status: ClassVar[int] = 404
    name: str
    requested: str
    available: str  # the newest few, comma separated


class VersionInvalid(ScriptError):
    """Raised when a version request is neither a version, a range, a channel nor a digest."""

    code: ClassVar[str] = "version_not_found"
    http_status: ClassVar[int] = 422
    requested: str

    @property
    def text_key(self) -> str:
        """Share the code but not the words of `VersionNotFound`."""
        return "version_invalid"


class ManifestInvalid(ScriptError):
    """Raised when `metadata.json` cannot be used.

    `problems` has one `{"pointer": "/timeout", "reason": "..."}` per fault, all at once.
    """

    code: ClassVar[str] = "manifest_invalid"
    name: str
    problems: list[dict[str, str]]


class FilesInvalid(ManifestInvalid):
    """Raised when a script's files cannot be used: a path, a link, a size, a count, a missing one.

    `problems` is as in `ManifestInvalid`; pointers are `/files/` and the escaped path.
    """

    @property
    def text_key(self) -> str:
        """Share the code but not the words of `ManifestInvalid`."""
        return "files_invalid"


class EntryPointInvalid(ScriptError):
    """Raised when the entry point's file or function is missing or cannot be parsed."""

    code: ClassVar[str] = "entry_point_invalid"
    name: str
    entry_point: str
    reason: str


class IntegrityFailure(ScriptError):
    """Raised when a script's bytes do not match the digest of its pin; nothing of it was run."""

    code: ClassVar[str] = "integrity_error"
    http_status: ClassVar[int] = 502
    name: str
    expected: str
    actual: str


class SignatureInvalid(ScriptError):
    """Raised when a script's signature is a lie, or lacks where one is required; nothing was run.

    `fault` picks the words: `unsigned`, `unknown_key`, `forged`, `no_checksums`, `version`.
    """

    code: ClassVar[str] = "signature_invalid"
    name: str
    version: str
    fault: str
    key_id: str = ""

    @property
    def text_key(self) -> str:
        """The words of this fault."""
        return f"{self.code}.{self.fault}" if self.fault in _SIGNATURE_FAULTS else self.code


class VersionExists(ScriptError):
    """Raised when a version is to be published that is there already; nothing was changed."""

    code: ClassVar[str] = "version_exists"
    http_status: ClassVar[int] = 409
    name: str
    version: str
    repository: str


class PublishFailed(ScriptError):
    """Raised when a version cannot be put into a repository; nothing was left of it.

    `fault` picks the words: `layout`, `http`; empty: it could not be written, for `reason`.
    """

    code: ClassVar[str] = "publish_failed"
    name: str
    version: str
    repository: str
    fault: str = ""
    reason: str = ""

    @property
    def text_key(self) -> str:
        """The words of this fault."""
        return f"{self.code}.{self.fault}" if self.fault in _PUBLISH_FAULTS else self.code


class SecretDenied(ScriptError):
    """Raised when a script asks for a secret that does not exist or is not granted to it."""

    code: ClassVar[str] = "secret_denied"
    http_status: ClassVar[int] = 403
    name: str
    script_name: str
    variable: str = ""  # that would hold it for a run without a cluster

    @property
    def text_key(self) -> str:
        """Without a cluster another step helps."""
        return "secret_denied.local" if self.variable else self.code


class SessionDenied(ScriptError):
    """Raised when a script asks for a session that is not granted to it."""

    code: ClassVar[str] = "session_denied"
    http_status: ClassVar[int] = 403
    site: str
    account: str
    script_name: str


class EnvironmentFailed(ScriptError):
    """Raised when a script's environment cannot be made. `log` is what the installer said."""

    code: ClassVar[str] = "environment_error"
    http_status: ClassVar[int] = 502
    reason: str
    log: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """Leave out the log: it is told line by line, not in a sentence."""
        return {"reason": self.reason}


class RepositoryUnavailable(ScriptError):
    """Raised when a repository cannot be reached or read, and nothing usable is cached."""

    code: ClassVar[str] = "repository_unavailable"
    http_status: ClassVar[int] = 502
    repository: str
    reason: str


# ---- a failed attempt that is to be done again ---------------------------------------


class CapsuleUnusable(ZscrapeError):
    """Raised when a failure capsule cannot be read, or lacks what is needed of it."""

    code: ClassVar[str] = "capsule_unusable"
    http_status: ClassVar[int] = 422
    reason: str


class NotRecorded(ZscrapeError):
    """Raised when a replay asks a site what was not asked, or not kept, when it was recorded."""

    code: ClassVar[str] = "not_recorded"
    http_status: ClassVar[int] = 404
    method: str
    url: str
