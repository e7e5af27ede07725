"""The errors of zscrape, one tree: its trunk here, its leaves in the modules beside this one.

    ZscrapeError
    ├── RequestError      the caller can mend it: 4xx           `requests`
    │   ├── what was sent: MalformedJson, InvalidRequest, BodyTooLarge, ParamsInvalid, ...
    │   ├── who has sent it: Unauthorized (KeyExpired, ...), Forbidden (ScriptForbidden, ...), ...
    │   ├── what it is about: NotFound, LockHeld, TaskRunning, ScheduleExists, ...
    │   └── people who are asked, and what a script keeps: HandoffClosed, StateConflict, ...
    ├── RefusedError      the cluster will not take it now: 503, try later
    │   ├── QueueFull, RateLimited, Draining, ...               `refusals`
    │   └── StorageError, which is StorageFull, LeaseLost, ...  `storage`
    ├── ScriptError       the script, its version or its bytes are at fault: ScriptNotFound,
    │                     ManifestInvalid (FilesInvalid), EnvironmentFailed, ...   `scripts`
    ├── TaskDamaged, BlobMissing, ...   what was kept is not what was written      `storage`
    ├── CapsuleUnusable, NotRecorded    a failed attempt that is to be done again  `scripts`
    ├── WorkerNotStarted  what attempts are forked from does not start: it may pass
    ├── WireError         a message on the link that cannot be read
    └── ConfigError       a setting that cannot be used
        └── HomeInUse, StorageCorrupt, PostgresMissing, ...     `storage`

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
    left out. `dataclass` would write methods for every class, at every start of a verb.
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


def let_go(error: BaseException) -> None:
    """Have an error that has been told hold nothing of those by whom it came.

    A frame of its traceback may hold the error in turn: both, with all that the frame knows of a
    call, its body too, would stay until the collector comes.
    """
    told: BaseException | None = error
    while told is not None and told.__traceback__ is not None:
        told.__traceback__ = None
        told = told.__cause__ or told.__context__


def _is_of_class(annotation: str) -> bool:
    return annotation.startswith("ClassVar")


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


# ---- whose fault it is ---------------------------------------------------------------


class RequestError(ZscrapeError):
    """Base: the request is at fault."""

    code: ClassVar[str] = "invalid_request"
    http_status: ClassVar[int] = 400


class RefusedError(ZscrapeError):
    """Base: nothing is wrong with the request, but the cluster will not take it now."""

    code: ClassVar[str] = "unavailable"
    http_status: ClassVar[int] = 503
    retry_after_s: ClassVar[int] = 5


class StorageError(RefusedError):
    """Base: what is asked cannot be kept now, so it is not taken. It is tried every second."""

    code: ClassVar[str] = "storage_failed"
    reason: str = ""  # in the database's own words


class ScriptError(ZscrapeError):
    """Base: the script, its version or its bytes are at fault."""

    code: ClassVar[str] = "script_error"
    http_status: ClassVar[int] = 422


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
