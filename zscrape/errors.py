"""The errors of zscrape, one tree.

    ZscrapeError
    ├── RequestError          the caller can mend it: 4xx
    │   ├── MalformedJson, InvalidRequest, BodyTooLarge, BodyTimeout, ParamsInvalid
    │   ├── Unauthorized (KeyExpired, KeyRevoked, TokenInvalid), HostUnknown
    │   ├── LoginInvalid, LockedOut, CrossSite, Forbidden (ScriptForbidden)
    │   ├── NotFound, MethodNotAllowed
    │   ├── LockHeld, IdempotencyConflict, TaskRunning, TableTooLarge
    │   ├── ScheduleExists, ScheduleChanged
    │   ├── HandoffClosed, HandoffInvalid, HandoffExpired, HandoffDismissed, TooManyHandoffs
    │   └── RunHeld               a run of an operational verb
    ├── RefusedError          the cluster will not take it now: 503, try later
    │   ├── QueueFull, ClientQueueFull, RateLimited, TooManyConnections, Draining
    │   └── StorageFull, StorageReadOnly, StorageLocked, StorageUnavailable, LeaseLost,
    │   │   StorageFailed
    ├── ScriptError           the script, its version or its bytes are at fault
    │   ├── ScriptNotFound, VersionNotFound, VersionInvalid
    │   ├── ManifestInvalid (FilesInvalid: its files), EntryPointInvalid
    │   ├── IntegrityFailure, SignatureInvalid, EnvironmentFailed, RepositoryUnavailable
    │   └── SecretDenied, VersionExists, PublishFailed
    ├── TaskDamaged, ScheduleDamaged   what the disk gives back is not what was written
    ├── CapsuleUnusable, NotRecorded   a failed attempt that is to be done again
    ├── BlobMissing, BlobDamaged, BlobUnavailable: the same of what is kept outside
    ├── WorkerNotStarted      what attempts are forked from does not start: it may pass
    ├── WireError             a message on the link that cannot be read
    └── ConfigError           a setting that cannot be used
        └── HomeInUse, StorageCorrupt, StorageNewer, PostgresMissing

Every class has a stable `code` (lower snake case, never translated), the HTTP status that
it becomes, and typed fields. The words a person reads come from `zscrape.messages` under
`text_key`, with the fields as named placeholders; `str(error)` is for logs and tracebacks.
"""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(eq_default=False, kw_only_default=True)
class ZscrapeError(Exception):
    """Base of every error that zscrape raises on purpose.

    A class's annotations are its fields, as they are a dataclass's; those with a value may be
    left out. To have `dataclass` write methods for so many classes took a tenth of a verb's start.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    field_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Take note of what the class adds to the fields of those that it is of."""
        own = (name for name, kind in cls.__annotations__.items() if not _is_of_class(kind))
        cls.field_names = (*cls.field_names, *own)

    def __init__(self, **values: Any) -> None:
        """Take the fields.

        Raises:
            TypeError: One is missing, or there is none of that name.
        """
        names = self.field_names
        missing = [each for each in names if each not in values and not hasattr(self, each)]
        unknown = [each for each in values if each not in names]
        if missing or unknown:
            faults = f"missing {missing}, unknown {unknown}"
            raise TypeError(f"{type(self).__name__}: {faults}")
        self.__dict__.update(values)

    @property
    def text_key(self) -> str:
        """The key of this error's words in the message catalogue."""
        return self.code

    @property
    def fields(self) -> dict[str, Any]:
        """The typed fields by name: what the catalogue's placeholders stand for."""
        return self._values()

    def __str__(self) -> str:
        """Return the code and the fields; people read the catalogue's words instead."""
        told = _pairs(self.fields)
        return f"{self.code} ({told})" if told else self.code

    def __repr__(self) -> str:
        """Return how it is made."""
        return f"{type(self).__name__}({_pairs(self._values())})"

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.field_names}


def _is_of_class(annotation: str) -> bool:
    return annotation.startswith("ClassVar")


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


# ---- the caller can mend it ----------------------------------------------------------


class RequestError(ZscrapeError):
    """Base: the request is at fault."""

    code: ClassVar[str] = "invalid_request"
    http_status: ClassVar[int] = 400


class MalformedJson(RequestError):
    """Raised when a body is not a JSON document."""

    code: ClassVar[str] = "malformed_json"
    reason: str


class InvalidRequest(RequestError):
    """Raised when a body, a query or a header has a wrong type, range or unknown field.

    `pointer` is a JSON pointer into the body, or the name of the query parameter or header.
    """

    code: ClassVar[str] = "invalid_request"
    http_status: ClassVar[int] = 422
    pointer: str
    reason: str


class BodyTooLarge(RequestError):
    """Raised when a request body is longer than the limit."""

    code: ClassVar[str] = "body_too_large"
    http_status: ClassVar[int] = 413
    limit_bytes: int


class BodyTimeout(RequestError):
    """Raised when a request body does not arrive within the time for it."""

    code: ClassVar[str] = "body_timeout"
    http_status: ClassVar[int] = 408
    limit_s: float


class ParamsInvalid(RequestError):
    """Raised when parameters do not fit the script's schema.

    `problems` has one `{"pointer": "/parameters/url", "reason": "..."}` per fault, all at once.
    """

    code: ClassVar[str] = "params_invalid"
    http_status: ClassVar[int] = 422
    script_name: str
    problems: list[dict[str, str]]


class Unauthorized(RequestError):
    """Raised when a call carries no key, or one that is not known."""

    code: ClassVar[str] = "unauthorized"
    http_status: ClassVar[int] = 401


class KeyExpired(Unauthorized):
    """Raised when a key is known, but its time is over."""

    code: ClassVar[str] = "key_expired"
    expired_at: str


class KeyRevoked(Unauthorized):
    """Raised when a key is known, but somebody has revoked it."""

    code: ClassVar[str] = "key_revoked"


class LoginInvalid(RequestError):
    """Raised when the link that is to sign a browser in has been used, or is too old."""

    code: ClassVar[str] = "login_invalid"
    http_status: ClassVar[int] = 410


class TokenInvalid(Unauthorized):
    """Raised when a JSON Web Token is not to be believed; `reason` is one word."""

    code: ClassVar[str] = "token_invalid"
    reason: str

    @property
    def is_signed(self) -> bool:
        """True iff somebody with the key has made it: it is no guess."""
        return self.reason not in {"signature", "algorithm", "form"}


class LockedOut(RequestError):
    """Raised when an address has presented too many wrong keys."""

    code: ClassVar[str] = "locked_out"
    http_status: ClassVar[int] = 429
    retry_after_s: int


class CrossSite(RequestError):
    """Raised when a browser's session is used by a page that is not the gateway's own."""

    code: ClassVar[str] = "cross_site"
    http_status: ClassVar[int] = 403
    origin: str


class Forbidden(RequestError):
    """Raised when a known key lacks the scope that a call needs."""

    code: ClassVar[str] = "forbidden"
    http_status: ClassVar[int] = 403
    scope: str


class ScriptForbidden(Forbidden):
    """Raised when a key is for other scripts than the one that a call is about."""

    code: ClassVar[str] = "script_forbidden"
    name: str
    allowed: str


class GroupForbidden(Forbidden):
    """Raised when a key is for other groups than the one that a task is to be of."""

    code: ClassVar[str] = "group_forbidden"
    name: str  # empty: the task says none
    allowed: str
    is_shared: bool = False  # what is asked for is of all groups of a script

    @property
    def text_key(self) -> str:
        """The words of a group that is another's, or is not told, or of what is of all groups."""
        if self.is_shared:
            return "group_forbidden.shared"
        return "group_forbidden" if self.name else "group_forbidden.none"


class HostUnknown(RequestError):
    """Raised when a call is for a host that this gateway is not (RFC 9110, 15.5.20)."""

    code: ClassVar[str] = "host_unknown"
    http_status: ClassVar[int] = 421
    host: str


class NotFound(RequestError):
    """Raised when the thing named in the path does not exist (`kind` is a noun of the contract)."""

    code: ClassVar[str] = "not_found"
    http_status: ClassVar[int] = 404
    kind: str
    name: str


class MethodNotAllowed(RequestError):
    """Raised when a path exists but not for this HTTP method."""

    code: ClassVar[str] = "method_not_allowed"
    http_status: ClassVar[int] = 405
    method: str
    path: str


class LockHeld(RequestError):
    """Raised when a task's lock is held and its overlap policy is to skip."""

    code: ClassVar[str] = "lock_held"
    http_status: ClassVar[int] = 409
    key: str
    holder: str  # the holding task's id
    age_s: float  # since the holder was accepted


class RunHeld(RequestError):
    """Raised when another run of the same operational verb and scope is under way."""

    code: ClassVar[str] = "lock_held"
    http_status: ClassVar[int] = 409
    key: str
    run_id: str  # the run that holds it
    holder_pid: int
    since: str

    @property
    def text_key(self) -> str:
        """A run is held up otherwise than a task."""
        return "lock_held.run"


class IdempotencyConflict(RequestError):
    """Raised when an `Idempotency-Key` comes again with another body."""

    code: ClassVar[str] = "idempotency_conflict"
    http_status: ClassVar[int] = 409
    key: str
    holder: str  # the task that was made with it


class TaskRunning(RequestError):
    """Raised when a task is to be done again that has not ended."""

    code: ClassVar[str] = "task_running"
    http_status: ClassVar[int] = 409
    task_id: str
    status: str


class TableTooLarge(RequestError):
    """Raised when there is more than a spreadsheet can hold."""

    code: ClassVar[str] = "table_too_large"
    http_status: ClassVar[int] = 422
    row_count: int
    column_count: int


class ScheduleExists(RequestError):
    """Raised when a schedule is to get the name of another; nothing was changed."""

    code: ClassVar[str] = "schedule_exists"
    http_status: ClassVar[int] = 409
    name: str


class ScheduleChanged(RequestError):
    """Raised when a schedule was changed by somebody else at the same moment."""

    code: ClassVar[str] = "schedule_changed"
    http_status: ClassVar[int] = 409
    name: str


class HandoffClosed(RequestError):
    """Raised when a question to a person has been ended before: by whom or what `status` says."""

    code: ClassVar[str] = "handoff_closed"
    http_status: ClassVar[int] = 409
    id: str
    status: str


class HandoffInvalid(RequestError):
    """Raised when what a script asks of a person is no question."""

    code: ClassVar[str] = "handoff_invalid"
    http_status: ClassVar[int] = 422
    reason: str


class HandoffExpired(RequestError):
    """Raised, to a script, when nobody has answered in time."""

    code: ClassVar[str] = "handoff_expired"
    http_status: ClassVar[int] = 504
    limit_s: float


class HandoffDismissed(RequestError):
    """Raised, to a script, when a person will not answer."""

    code: ClassVar[str] = "handoff_dismissed"
    http_status: ClassVar[int] = 409
    actor: str


class TooManyHandoffs(RequestError):
    """Raised, to a script, when one attempt asks people too often."""

    code: ClassVar[str] = "too_many_handoffs"
    http_status: ClassVar[int] = 429
    limit_count: int


# ---- not now -------------------------------------------------------------------------


class StateConflict(RequestError):
    """Raised when a script's state has changed since it was read."""

    code: ClassVar[str] = "state_conflict"
    http_status: ClassVar[int] = 409
    script_name: str
    key: str


class StateFull(RequestError):
    """Raised when a script remembers as much as it may."""

    code: ClassVar[str] = "state_full"
    http_status: ClassVar[int] = 422
    script_name: str
    limit_count: int


class RefusedError(ZscrapeError):
    """Base: nothing is wrong with the request, but the cluster will not take it now."""

    code: ClassVar[str] = "unavailable"
    http_status: ClassVar[int] = 503
    retry_after_s: ClassVar[int] = 5


class QueueFull(RefusedError):
    """Raised when as many tasks wait as the queue may hold."""

    code: ClassVar[str] = "queue_full"
    limit_count: int


class ClientQueueFull(RefusedError):
    """Raised when a client has as many tasks that have not ended as it may have."""

    code: ClassVar[str] = "client_queue_full"
    http_status: ClassVar[int] = 429
    limit_count: int
    is_of_key: bool = False  # the limit of its key, not of the settings

    @property
    def text_key(self) -> str:
        """The words of whose limit it is: each has another way out."""
        return "client_queue_full.key" if self.is_of_key else "client_queue_full"


class RateLimited(RefusedError):
    """Raised when calls come faster than they may. `what` is `client` or `script`."""

    code: ClassVar[str] = "rate_limited"
    http_status: ClassVar[int] = 429
    what: str
    limit: str  # a second
    wait_s: int

    @property
    def text_key(self) -> str:
        """The words of whose limit it is; the bare code is a script's own word."""
        return "rate_limited.script" if self.what == "script" else "rate_limited.client"


class TooManyConnections(RefusedError):
    """Raised when a call comes over a connection beyond the limit."""

    code: ClassVar[str] = "too_many_connections"
    limit_count: int


class Draining(RefusedError):
    """Raised when the gateway is shutting down and takes no new task."""

    code: ClassVar[str] = "draining"


class StorageError(RefusedError):
    """Base: what is asked cannot be kept now, so it is not taken. It is tried every second."""

    code: ClassVar[str] = "storage_failed"
    reason: str = ""  # in the database's own words


class StorageFull(StorageError):
    """Raised when the disk of the home folder is full."""

    code: ClassVar[str] = "storage_full"


class StorageReadOnly(StorageError):
    """Raised when the home folder can no longer be written to."""

    code: ClassVar[str] = "storage_read_only"


class StorageLocked(StorageError):
    """Raised when another program keeps the database locked."""

    code: ClassVar[str] = "storage_locked"


class StorageUnavailable(StorageError):
    """Raised when the database server cannot be reached, or takes no connection."""

    code: ClassVar[str] = "storage_unavailable"


class LeaseLost(StorageError):
    """Raised when this gateway's tasks are another's by now: nothing was written."""

    code: ClassVar[str] = "lease_lost"


class StorageFailed(StorageError):
    """Raised when the database cannot be written for another reason."""

    code: ClassVar[str] = "storage_failed"


# ---- the script ----------------------------------------------------------------------


class ScriptError(ZscrapeError):
    """Base: the script, its version or its bytes are at fault."""

    code: ClassVar[str] = "script_error"
    http_status: ClassVar[int] = 422


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


_SIGNATURE_FAULTS = frozenset({"unsigned", "unknown_key", "forged", "no_checksums", "version"})
_PUBLISH_FAULTS = frozenset({"layout", "http"})


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


# ---- the store -----------------------------------------------------------------------


class TaskDamaged(ZscrapeError):
    """Raised when what was kept of a task is not what was written."""

    code: ClassVar[str] = "task_damaged"
    task_id: str


class BlobMissing(ZscrapeError):
    """Raised when a file of a task is not where it was put: somebody else has removed it."""

    code: ClassVar[str] = "blob_missing"
    http_status: ClassVar[int] = 410
    key: str


class BlobDamaged(ZscrapeError):
    """Raised when a file of a task is not what was put there."""

    code: ClassVar[str] = "blob_damaged"
    http_status: ClassVar[int] = 410
    key: str


class BlobUnavailable(RefusedError):
    """Raised when the place of large files cannot be reached, or refuses."""

    code: ClassVar[str] = "blob_unavailable"
    place: str
    reason: str


class ScheduleDamaged(ZscrapeError):
    """Raised when what was kept of a schedule is not what was written."""

    code: ClassVar[str] = "schedule_damaged"
    name: str


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


class SecretsSealed(ZscrapeError):
    """Raised when secrets cannot be opened: their key is not the one they were sealed with."""

    code: ClassVar[str] = "secrets_sealed"
    http_status: ClassVar[int] = 503
    path: str
    reason: str


# ---- the rest ------------------------------------------------------------------------


class WorkerNotStarted(ZscrapeError):
    """Raised when a worker cannot start what attempts are forked from.

    No `ConfigError`: a machine that is busy or short of memory may do better the next time.
    """

    code: ClassVar[str] = "worker_not_started"
    http_status: ClassVar[int] = 503
    reason: str


class WireError(ZscrapeError):
    """Raised when a frame on the link is not a message of this protocol."""

    code: ClassVar[str] = "wire_invalid"
    reason: str


class ConfigError(ZscrapeError):
    """Raised when a setting is unknown, of the wrong type or out of range.

    `source` says where it stands (a file with its key, an environment name, a flag).
    """

    code: ClassVar[str] = "config_invalid"
    source: str
    reason: str


class HomeInUse(ConfigError):
    """Raised when another gateway uses the home folder."""

    code: ClassVar[str] = "home_in_use"


class StorageCorrupt(ConfigError):
    """Raised when the database is damaged or is none; it was left as it is."""

    code: ClassVar[str] = "storage_corrupt"


class StorageNewer(ConfigError):
    """Raised when a newer zscrape has made the database; it was left as it is."""

    code: ClassVar[str] = "storage_newer"


class PostgresMissing(ConfigError):
    """Raised when a PostgreSQL database is to be used and its driver is not installed."""

    code: ClassVar[str] = "postgres_missing"


class PostgresEncoding(ConfigError):
    """Raised when a PostgreSQL database has an encoding that cannot hold every text."""

    code: ClassVar[str] = "postgres_encoding"
