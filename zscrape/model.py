"""READ FIRST: the nouns of zscrape as frozen structs, and its policies.

One meaning each, the same in code, JSON, TOML, logs and metrics. Durations end in `_s`
(seconds) or `_ms`, sizes in `_bytes`, moments in `_at`, counts in `_count`.

msgspec reads annotations at run time: imports used here never move under `TYPE_CHECKING`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

TaskId: TypeAlias = str  # UUIDv7 text; the `request_id` of the contract
WorkerId: TypeAlias = str  # chosen by the worker, kept in its home folder
Attempt: TypeAlias = tuple[TaskId, int]  # a task and the number of one try of it, from 1

KIB = 1024
MIB = 1024 * KIB


class TaskState(StrEnum):
    """Where a task stands. A final state never changes."""

    QUEUED = "queued"
    ASSIGNED = "assigned"  # sent to a worker, not yet said to run
    RUNNING = "running"
    WAITING = "waiting"  # parked until a person answers
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"

    __hash__ = str.__hash__  # an Enum's own is a call of Python, and unlike that of its text

    @property
    def is_final(self) -> bool:
        """True once nothing about the task can change any more."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {TaskState.COMPLETED, TaskState.FAILED, TaskState.TIMED_OUT, TaskState.CANCELLED}
)


# An attempt is at a worker.
IN_FLIGHT_STATES = frozenset({TaskState.ASSIGNED, TaskState.RUNNING, TaskState.WAITING})


class OutcomeCode(StrEnum):
    """How an attempt or a task ended. Stable: the words are translated, the code never."""

    OK = "ok"
    SCRIPT_ERROR = "script_error"
    PARAMS_INVALID = "params_invalid"
    SCRIPT_NOT_FOUND = "script_not_found"
    VERSION_NOT_FOUND = "version_not_found"
    INTEGRITY_ERROR = "integrity_error"
    SIGNATURE_INVALID = "signature_invalid"
    ENVIRONMENT_ERROR = "environment_error"
    ENTRY_POINT_INVALID = "entry_point_invalid"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    MEMORY_LIMIT = "memory_limit"
    CPU_LIMIT = "cpu_limit"
    OUTPUT_LIMIT = "output_limit"
    RESULT_INVALID = "result_invalid"
    PROCESS_LIMIT = "process_limit"
    CRASHED = "crashed"
    WORKER_LOST = "worker_lost"
    NO_MATCHING_WORKER = "no_matching_worker"
    QUEUE_FULL = "queue_full"
    EXPIRED = "expired"
    LOCK_HELD = "lock_held"
    SKIPPED_DUE_TO_LOCK = "skipped_due_to_lock"
    RATE_LIMITED = "rate_limited"
    RETRY_EXHAUSTED = "retry_exhausted"
    BLOCKED = "blocked"
    CAPTCHA_REQUIRED = "captcha_required"
    ROBOTS_DISALLOWED = "robots_disallowed"
    LOGIN_EXPIRED = "login_expired"
    EMPTY_RESULT = "empty_result"
    NETWORK_DENIED = "network_denied"
    SECRET_DENIED = "secret_denied"  # noqa: S105 - a code
    INTERNAL = "internal"

    __hash__ = str.__hash__  # as of `TaskState`

    @property
    def final_state(self) -> TaskState:
        """The state a task takes when this is its last word."""
        return FINAL_STATE_BY_CODE.get(self, TaskState.FAILED)


# All others fail.
FINAL_STATE_BY_CODE = {
    OutcomeCode.OK: TaskState.COMPLETED,
    OutcomeCode.TIMEOUT: TaskState.TIMED_OUT,
    OutcomeCode.EXPIRED: TaskState.TIMED_OUT,
    OutcomeCode.CANCELLED: TaskState.CANCELLED,
}


# What is tried again when retries are asked for and nobody says of what: ends that another
# minute, another worker or another address may change.
RETRIED_BY_DEFAULT = frozenset(
    {
        OutcomeCode.SCRIPT_ERROR,
        OutcomeCode.TIMEOUT,
        OutcomeCode.CRASHED,
        OutcomeCode.BLOCKED,
        OutcomeCode.RATE_LIMITED,
        OutcomeCode.EMPTY_RESULT,
    }
)

# Ends that another try cannot change, or that are no failures.
NEVER_RETRIED = frozenset({OutcomeCode.OK, OutcomeCode.CANCELLED, OutcomeCode.PARAMS_INVALID})


class Overlap(StrEnum):
    """What becomes of a task whose lock another task holds."""

    SKIP = "skip"  # refuse it, naming the holder
    QUEUE_ONE = "queue_one"  # wait, unless one waits already
    QUEUE_ALL = "queue_all"  # wait in line
    REPLACE = "replace"  # cancel the holder and those in line, then run
    ALLOW = "allow"  # the key does not matter


# ---- what is run ---------------------------------------------------------------------


class Pin(Struct, frozen=True, array_like=True):
    """Exact script version: the same bytes wherever and whenever it runs.

    `digest` is `sha256:` and 64 hex characters, over the script's whole tree.
    """

    repository: str
    name: str
    version: str
    digest: str


# Which addresses a script may reach, from the strictest on; a worker and a script each have a
# word, and the stricter one holds.
Network: TypeAlias = Literal["none", "public", "any"]
NETWORKS: Final[tuple[Network, ...]] = ("none", "public", "any")


class Limits(Struct, frozen=True, array_like=True):
    """What one attempt may use. Sources: contract sections 2 and 9."""

    memory_bytes: int = 512_000_000  # the contract's "512MB"
    cpu_s: float | None = None  # processor seconds; None: as long as the attempt may run
    process_count: int = 64
    open_file_count: int = 256
    file_size_bytes: int = 64 * MIB
    output_size_bytes: int = 10 * MIB  # logs kept per task: standard output, error and ctx.log
    line_length_bytes: int = 64 * KIB  # a longer line is cut, with a marker
    result_size_bytes: int = 64 * MIB  # the data, and the items together
    folder_size_bytes: int = 1024 * MIB  # the private folder, as it takes room on the disk
    folder_file_count: int = 10_000  # files and folders in it
    item_count: int = 1_000_000


class SiteBudget(Struct, frozen=True):
    """How hard one site may be hit at most. None: as hard as anybody likes."""

    rate_per_s: float | None = None
    concurrency_count: int | None = None  # requests that are not answered yet
    burst_count: int | None = None  # at once after a rest, where there is a rate; None: one
    gap_s: float | None = None  # between one request and the next


class Expect(Struct, frozen=True, array_like=True):
    """What a script promises to find; an attempt that finds less has not succeeded.

    A field lacks its value when an item has no such field, or null, or an empty text: what a
    selector that fits nothing brings.
    """

    min_item_count: int = 0
    required: tuple[str, ...] = ()  # fields of every item
    # The share of items that may lack the value of one field: of each required one, or, with
    # none required, of each that any item has. None: no item, and nothing if none is required.
    max_null_ratio: float | None = None


class RunSpec(Struct, frozen=True, array_like=True):
    """Everything a worker must know of a script to run it; drawn from its manifest once."""

    pin: Pin
    entry_point: str = "main.py"  # "file.py" or "file.py:function"
    kit: tuple[str, ...] = ("http",)
    preload: tuple[str, ...] = ()
    timeout_s: float = 300.0  # one attempt, preparing not included
    limits: Limits = Limits()
    requirements: tuple[str, ...] = ()  # canonical lines, sorted; see `scripts.requirements`
    python: str = ""  # PEP 440 range of the interpreter; empty: any
    network: Network = "public"  # what it asks for; a worker may allow less
    secrets: tuple[str, ...] = ()  # names; the values travel with the attempt alone
    sites: tuple[tuple[str, SiteBudget], ...] = ()  # budgets that it names, by site
    expect: Expect | None = None
    key_kept_s: float | None = None  # how long keys of items are known; None: as the gateway is set
    reuse_count: int = 1  # attempts that one process may run, one after the other


# Further tries where a request or a manifest asks for retries without saying how many.
RETRY_COUNT = 3


class RetryPolicy(Struct, frozen=True):
    """Which failures are tried again, and when. Beyond its end `backoff_s` doubles, up to the cap.

    Each rest is a share of its back-off, spread over all of it.
    """

    max_count: int = 0  # further tries after the first
    backoff_s: tuple[float, ...] = (15.0, 30.0, 60.0)
    cap_s: float = 300.0
    on: frozenset[OutcomeCode] = frozenset()
    # Worker tags that further tries need after such an end, besides those of the script: what
    # was blocked goes on where there are proxies, what met a captcha where there is a browser.
    routes: dict[OutcomeCode, frozenset[str]] = {}


# Of every task that nobody wants tried again. It is left out where a task is written, which only
# this very object is.
NO_RETRY: Final = RetryPolicy()


class LockRequest(Struct, frozen=True):
    """A key that at most one accepted task holds, and what to do when it is held."""

    key: str
    overlap: Overlap = Overlap.SKIP


class TaskSpec(Struct, frozen=True, kw_only=True, gc=False):
    """One request to run one script: what was asked, never what became of it."""

    id: TaskId
    run: RunSpec
    params: bytes = b"{}"  # a JSON object, UTF-8, already checked against the schema
    priority: int = 0  # -100 to 100, higher first; equal ones by turns of their clients
    client: str = ""  # whose key it came with
    share: float = 1.0  # of turns: a client with 2.0 gets twice as many as one with 1.0
    requires: frozenset[str] = frozenset()  # worker tags that must be there
    prefers: frozenset[str] = frozenset()  # worker tags that are better
    deadline_s: float | None = None  # whole life from submit: waiting, preparing, running
    schedule_timeout_s: float = 300.0  # how long it may wait for a slot
    # How long it may wait while no known worker could ever run it. Short on an open HTTP
    # call, so that "no such worker" is an answer; long enough for one that is reconnecting.
    match_timeout_s: float = 3.0
    lock: LockRequest | None = None
    retry: RetryPolicy = NO_RETRY
    # Of tasks that have not ended, as its client's key says; None: as the queue's policy does.
    client_limit_count: int | None = None
    trace_id: str = ""  # by which others know the call; goes with it through the logs


class Record(Struct, frozen=True, array_like=True):
    """One thing an attempt said while it ran.

    `kind` is `log`, `progress`, `item` or `artifact`; `body` is one JSON document, UTF-8:
    log `{"level", "stream", "message", ...}` (`stream` is `stdout`, `stderr` or `log`),
    progress `{"fraction", "text"}`, item any value, artifact a `SavedFile` with its bytes as
    base64 in `data`. `at` is Unix time in seconds, by the
    worker's clock, for people to read and never for decisions.
    """

    kind: str
    at: float
    body: bytes


class SavedFile(Struct, frozen=True):
    """What is told of a file that a script saved; its record's body has the bytes as well."""

    name: Annotated[str, Meta(pattern=r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}\Z")]
    size: Annotated[int, Meta(ge=0, le=2**62)]  # bytes
    content_type: str | None = None
    sha256: str = ""


class Usage(Struct, frozen=True, array_like=True, gc=False):
    """What an attempt used, as far as it is known."""

    cpu_s: float = 0.0
    memory_peak_bytes: int = 0
    output_bytes: int = 0
    fetch_s: float = 0.0  # until its script was there
    environment_s: float = 0.0  # until its environment was there; 0.0: it needs none of its own
    has_built: bool = False  # its environment was built for it
    has_fetched: bool = False  # its script was not on the worker yet


class Outcome(Struct, frozen=True, array_like=True, gc=False):
    """How an attempt ended.

    `fields` fill the placeholders of the catalogue's text for `code`. What a script raised
    is in `error_type`, `error_message` and `traceback` (the script's own frames).
    With `parked_on` the attempt has ended only so that its slot is free: its task goes on, by
    another attempt, once the question to a person that this names is answered.
    """

    code: OutcomeCode
    data: bytes | None = None  # the script's answer: one JSON document, UTF-8; None iff not ok
    item_count: int = 0
    fields: dict[str, str | int | float] = {}
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    prepare_s: float = 0.0  # script and environment made ready
    run_s: float = 0.0  # the script itself
    usage: Usage = Usage()
    parked_on: str = ""

    @property
    def is_ok(self) -> bool:
        """True iff the script ended as it should."""
        return self.code is OutcomeCode.OK


# ---- workers -------------------------------------------------------------------------


# What keeps a script from what is not its own, in the order in which it is applied: names for
# settings, `doctor` and `GET /v1/workers`.
LAYERS: Final = (
    *("session", "rlimits", "descriptors", "environment", "folder", "tree", "memory"),
    *("no_new_privileges", "user", "view", "landlock", "seccomp", "network"),
)
# Those that can be left out; the others cost nothing and break nothing.
SKIPPABLE_LAYERS: Final = ("user", "view", "landlock", "seccomp")


class WorkerFacts(Struct, frozen=True, array_like=True):
    """What a worker says of itself; told to people, and `programs` matched against scripts."""

    hostname: str = ""
    version: str = ""  # of zscrape
    python: str = ""
    platform: str = ""
    cpu_count: int = 0
    memory_bytes: int = 0
    programs: tuple[str, ...] = ()
    isolation: tuple[str, ...] = ()  # layers in force
    network: str = ""  # how the network policy is held: `kernel`, `supervised` or `kit`
    browser_slots: int = 0  # attempts with a browser at once; 0: it has none


class Load(Struct, frozen=True, array_like=True):
    """How busy a worker's machine is, 0 to 100 each, and what it has had to clear away."""

    cpu_percent: float = 0.0
    memory_percent: float = 0.0
    leftover_count: int = 0  # processes that attempts left behind, in this session; only rises


# ---- policies ------------------------------------------------------------------------


class HeartbeatPolicy(Struct, frozen=True):
    """How the two ends of the link know that the other lives.

    Source: ZeroMQ RFC 6/PPP (3 to 5 missed beats); 3 halves the time a lost task waits.
    """

    interval_s: float = 1.0
    missed_count: int = 3
    # A task with a lock is never run twice at once: its worker ends it when `lease_s` has
    # passed without an acknowledged beat that listed it, and the gateway gives it away only
    # `margin_s` after that (2 s covers 2 % of clock drift and a slow delivery).
    lease_s: float = 10.0
    margin_s: float = 2.0

    @property
    def lost_after_s(self) -> float:
        """Silence after which the other end is taken for lost."""
        return self.interval_s * self.missed_count


class ReconnectPolicy(Struct, frozen=True):
    """How a worker dials again: doubling from `first_s` to `cap_s`, spread by up to half."""

    first_s: float = 0.2
    cap_s: float = 10.0


class QueuePolicy(Struct, frozen=True):
    """How much may wait, and how often a task may lose its worker."""

    limit_count: int = 100_000
    client_limit_count: int = 100_000  # of one client's tasks that have not ended
    # A task whose attempts took this many workers down is not sent to another (Sidekiq: 3).
    lost_limit_count: int = 3
