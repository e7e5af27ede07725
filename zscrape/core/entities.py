"""The mutable records that the dispatcher keeps: tasks and demands, workers and kinds, locks.

They refer to each other, so they stand in one file. Identity is equality. Only `Lives`,
`Pool`, `Queue`, `Locks` and the dispatcher's handlers change them.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from math import inf
from typing import TypeAlias

from msgspec import Struct, field

from zscrape.core.deadlines import Entry
from zscrape.core.snapshots import WorkerStatus
from zscrape.core.task import IN_FLIGHT, MOVES, Place
from zscrape.model import Attempt, Load, OutcomeCode, TaskId, TaskSpec, WorkerFacts, WorkerId

# Load is told apart this finely; finer would only reshuffle workers that are equally busy.
LOAD_LEVEL_COUNT = 64

# Order of tasks: priority (negated), turn, and number of acceptance. The number is unique, so a
# comparison never reaches what stands behind it.
TaskEntry: TypeAlias = "tuple[int, float, int, Task]"
HeadEntry: TypeAlias = "tuple[int, float, int, Demand]"


# Workers with a browser have this tag, and scripts with the kit `browser` require it. How many of
# them a worker runs at once is another number than its slots: `Worker.browser_slots`.
BROWSER_TAG = "kit:browser"


class Demand(Struct, eq=False):
    """What one class of tasks asks of a worker; all tasks that ask the same share one."""

    requires: frozenset[str]
    prefers: frozenset[str]
    digest: str
    # Kinds of workers that fit, with how many preferred tags each has, most first.
    offers: list[tuple[int, Kind]] = field(default_factory=list)
    heap: list[TaskEntry] = field(default_factory=list)  # lazily cleaned: see `Queue`
    queued_count: int = 0  # entries of the heap that are alive
    task_count: int = 0  # tasks that have not ended; without any it may be forgotten
    is_browser: bool = False  # its tasks take one of a worker's browser slots as well

    def __post_init__(self) -> None:
        """Note what is asked with every task and never changes."""
        self.is_browser = BROWSER_TAG in self.requires


class Task(Struct, eq=False):
    """One accepted task that has not ended."""

    spec: TaskSpec
    demand: Demand
    seq: int  # number of acceptance; a task that is queued again keeps its place by it
    accepted_at: float
    deadline_at: float = inf
    schedule_at: float = inf  # it has waited too long for a slot; set once it waits
    match_at: float = inf  # looked at once before the first attempt: does anyone fit?
    turn: float = -1.0  # among its priority; drawn when it first stands in the queue, then kept
    has_waited: bool = False  # it comes from the line of a lock
    place: Place = Place.NEW
    attempt: int = 0  # the last one sent; the fencing token
    try_count: int = 0  # attempts that spoke
    lost_count: int = 0  # attempts that took their worker, or its template, with them
    worker: Worker | None = None  # set iff in flight
    worker_id: WorkerId = ""  # of the last attempt; stays after a loss
    is_lost: bool = False  # the last attempt was given up, not answered
    is_last: bool = False  # there is to be no further attempt
    is_started: bool = False  # the last attempt has said so
    is_listed: bool = False  # a beat has listed the last attempt
    received_count: int = 0  # records of the last attempt
    evidence_at: float = 0.0  # last sign of the attempt
    lease_until: float = 0.0  # before this the attempt may run; only with a lock
    rest_until: float = 0.0  # iff at REST or LEASE
    parked_on: str = ""  # the question to a person, iff at PARK
    waits_since: float = 0.0  # iff it waits
    last_code: OutcomeCode | None = None  # why it rests
    lock: Lock | None = None
    is_queued: bool = False  # counted by the queue
    is_in_heap: bool = False  # the heap has an entry, maybe a dead one
    is_waiting: bool = False  # it stands among those that wait, of `Lives`
    promise: Entry | None = None  # when it is looked at: see `Deadlines`

    @property
    def id(self) -> TaskId:
        """The task's id."""
        return self.spec.id

    @property
    def order(self) -> tuple[int, float, int]:
        """Its place among tasks that wait for a slot: smaller comes first."""
        return -self.spec.priority, self.turn, self.seq

    @property
    def current(self) -> Attempt:
        """The last attempt that was sent."""
        return self.spec.id, self.attempt

    @property
    def next_at(self) -> float:
        """The next moment at which time alone changes this task; infinite if there is none."""
        if self.place is Place.QUEUE or self.place is Place.LINE:
            return min(self.schedule_at, self.match_at, self.deadline_at)
        if self.place in IN_FLIGHT or self.place is Place.PARK:
            return self.deadline_at
        return min(self.rest_until, self.deadline_at)

    def move(self, place: Place) -> None:
        """Go to `place`.

        Raises:
            AssertionError: There is no such move; nothing has changed.
        """
        if place not in MOVES[self.place]:
            raise AssertionError(f"task {self.id}: no move {self.place.name} -> {place.name}")
        self.place = place


class Leftover(Struct, eq=False):
    """An attempt that nobody waits for, which may still hold a slot or a lock."""

    attempt: Attempt
    is_listed: bool = False  # a beat has listed it; when a later one does not, it is over
    lease_until: float = 0.0
    lock: Lock | None = None
    promise: Entry | None = None  # when it is looked at: see `Deadlines`


class Worker(Struct, eq=False):
    """One worker that said Hello, or is expected to."""

    id: WorkerId
    session: str = ""
    peer: bytes = b""
    connection: int = 0
    slots: int = 0
    limit: int = 0  # as last told, less after a refusal
    tags: frozenset[str] = frozenset()  # with its programs as `program:NAME`
    own_tags: tuple[str, ...] = ()
    facts: WorkerFacts = WorkerFacts()
    load: Load = Load()
    warm: frozenset[str] = frozenset()
    cannot: frozenset[str] = frozenset()  # digests that it has refused for good
    browser_slots: int = 0  # attempts with a browser that it runs at once
    is_expected: bool = False
    is_suspect: bool = False
    is_draining: bool = False  # an operator's wish
    is_leaving: bool = False  # its own wish
    beat_seq: int = 0  # the last beat heard in this session
    heard_at: float = 0.0
    told_at: float = 0.0  # that its gateway lives
    expires_at: float = 0.0
    capacity: int = 0  # attempts it may have now; 0 while it takes no work
    level_bit: int = 0  # of the level of its load, in its kind; 0 while it has no room
    kind: Kind | None = None  # None iff it is only expected
    tasks: dict[TaskId, Task] = field(default_factory=dict)  # in its slots
    # Not in a slot: outcomes that it owes, and what an expected worker should have.
    owed: dict[TaskId, Task] = field(default_factory=dict)
    leftovers: dict[Attempt, Leftover] = field(default_factory=dict)
    past_sessions: tuple[str, ...] = ()

    @property
    def in_flight_count(self) -> int:
        """Slots that are taken, as far as the gateway knows."""
        return len(self.tasks) + len(self.leftovers)

    @property
    def has_browser_room(self) -> bool:
        """True iff it may be given another attempt with a browser, if it has a slot at all."""
        if not self.browser_slots:
            return False
        return self.browser_slots > sum(task.demand.is_browser for task in self.tasks.values())

    @property
    def status(self) -> WorkerStatus:
        """Where it stands with its gateway."""
        if self.is_expected:
            return WorkerStatus.EXPECTED
        if self.is_suspect:
            return WorkerStatus.SUSPECT
        if self.is_draining or self.is_leaving:
            return WorkerStatus.DRAINING
        return WorkerStatus.LIVE


class Kind(Struct, eq=False):
    """Workers that are alike to every demand. `tags` holds only what some demand mentions."""

    tags: frozenset[str]
    cannot: frozenset[str]
    has_browser_room: bool = False
    members: dict[WorkerId, Worker] = field(default_factory=dict)
    # Members with room by level of load. Each level is a bit, set in `mask` iff it has any: the
    # lowest is the least load, and there is no search, however many workers there are.
    mask: int = 0
    levels: defaultdict[int, OrderedDict[Worker, None]] = field(
        default_factory=lambda: defaultdict(OrderedDict)
    )
    warm: dict[str, dict[WorkerId, Worker]] = field(default_factory=dict)
    # First tasks of the demands that fit, lazily corrected: see `Queue`.
    heads: list[HeadEntry] = field(default_factory=list)
    entry_by_demand: dict[Demand, HeadEntry] = field(default_factory=dict)

    def fits(self, demand: Demand) -> bool:
        """True iff a worker of this kind can run what `demand` stands for."""
        return demand.requires <= self.tags and demand.digest not in self.cannot

    def has_room_for(self, demand: Demand) -> bool:
        """True iff its members may be given a task of a demand that it fits, slots permitting."""
        return self.has_browser_room or not demand.is_browser


class Lock(Struct, eq=False):
    """A key that is held. `is_closing`: its holder has ended, its attempt perhaps not yet."""

    key: str
    holder: TaskId
    since: float  # the holder was accepted
    fence: int  # rises with every grant of any key
    is_closing: bool = False
    line: OrderedDict[TaskId, Task] = field(default_factory=OrderedDict)
