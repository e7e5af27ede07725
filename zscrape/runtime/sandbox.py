"""What keeps a script from everything that is not its own, layer by layer.

Three moments, each cheaper for what the one before has done:

    confine_template   once, before the template is executed: view, privileges, system calls
    Sandbox.steps      in a child that waits: its user, its rights
    Sandbox.confine    when its attempt begins: its private folder, the one script that it may read

A layer that this machine lacks is left out of the plan by the worker, which has tried each of
them (`probe.py`) and tells people which are in force.
"""

from __future__ import annotations

import os
from json.decoder import JSONDecoder
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from zscrape.runtime import seccomp, syscalls
from zscrape.runtime.landlock import Grants, keep_together
from zscrape.runtime.shm import SharedMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A call and its arguments. What a child does for itself is made a list of these before it is
# forked: making it in the child would write to pages that are still shared, and those faults
# take far longer than most calls.
Step: TypeAlias = "tuple[Callable[..., object], tuple[Any, ...]]"
_SHOW_SELF = (syscalls.PRCTL, syscalls.PR_SET_DUMPABLE, 1, 0, 0, 0)


class Plan(NamedTuple):
    """What is to be done: which layers, and the paths that matter to them."""

    layers: frozenset[str]  # those that this machine has
    read: list[str]  # the interpreter, the environment, this package
    script_roots: list[str]  # all scripts lie beneath; a child may read one of them
    scratch: str  # all private folders lie in it, named by numbers
    staging: str  # an empty folder
    first_uid: int  # the user of private folder 0; that of folder N is N later
    has_groups: bool  # each child is of a group of its own, by which it is told: see `marker`

    def has(self, layer: str) -> bool:
        """True iff this layer is to be applied."""
        return layer in self.layers


def read_plan(text: str) -> Plan:
    """Return the plan that the worker has written (`zscrape.worker.isolation`)."""
    told: dict[str, Any] = JSONDecoder().decode(text)
    return Plan(frozenset(told.pop("layers")), **told)


def confine_template(plan: Plan) -> None:
    """Confine this process, which is about to execute a template, and all that it starts.

    Raises:
        OSError: A layer cannot be applied, though it could when the worker tried it.
    """
    if plan.has("view"):
        from zscrape.runtime import view

        view.enter(view.View(plan.read + plan.script_roots, [plan.scratch]), plan.staging)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    if plan.has("seccomp"):
        seccomp.forbid_dangerous()


class Sandbox:
    """The layers that each child takes on for itself. Made in the template, used in children."""

    def __init__(self, plan: Plan, *, is_forked: bool) -> None:
        """Make ready what children need, which are forks of this process or will execute.

        What forks have in common this process takes on itself: it must have loaded all that
        it will read.

        Raises:
            OSError: The kernel refuses.
        """
        self._plan = plan
        self.has_own_user = plan.has("user")  # each child has a user of its own
        self.has_own_group = self.has_own_user and plan.has_groups
        self._grants = None
        self._shm = SharedMemory() if plan.has("view") else None
        self._filter = seccomp.limits_filter() if plan.has("seccomp") else None
        if plan.has("landlock"):
            has_own_shm = plan.has("view")
            if is_forked:
                read = plan.read + plan.script_roots
                keep_together(read, [plan.scratch], has_own_shm=has_own_shm)
            self._grants = Grants(plan.read, has_own_shm=has_own_shm, is_kept=is_forked)

    def hold_limits(self) -> None:
        """Keep this process, a template, and all of its children to the mark that it bears.

        The kernel checks and translates a filter for each process that installs one.

        Raises:
            OSError: The kernel refuses.
        """
        if self._filter is not None:
            self._filter.install()
            self._filter = None

    def user_of(self, folder: str) -> int:
        """Return the user that a private folder belongs to, and the child that works in it."""
        return self._plan.first_uid + int(folder)

    def steps(self, folder: str, group: int = 0) -> list[Step]:
        """Return how a child becomes the user of a private folder, with that user's rights only.

        Args:
            folder: Its name.
            group: The child's own; 0: the one with the user's number.
        """
        uid = self.user_of(folder) if self.has_own_user else 0
        return self.steps_as(uid, group or uid)

    def steps_as(self, uid: int, gid: int) -> list[Step]:
        """Return how a child takes on the rights of a user and a group, where it has its own."""
        steps: list[Step] = []
        if self.has_own_user:
            steps.append((os.setresgid, (gid, gid, gid)))
            steps.append((os.setresuid, (uid, uid, uid)))
            # A change of user hides `/proc/self` from its own process; libraries read it. Asked
            # for with a value that it knows, the kernel never refuses this.
            steps.append((syscalls.call, _SHOW_SELF))
        elif os.geteuid() == 0:
            steps.append((syscalls.drop_capabilities, ()))
        if self._filter is not None:
            steps.append((self._filter.call, ()))
        return steps

    def make_ruleset(self, folder: str) -> int:
        """Return a descriptor of all rules but the script's, for one child; -1 if there are none.

        Raises:
            OSError: The kernel refuses, or the folder is gone.
        """
        return -1 if self._grants is None else self._grants.make(f"{self._plan.scratch}/{folder}")

    def prepare_ruleset(self, folder: str) -> None:
        """Have all rules but the script's ready, at a known descriptor.

        Raises:
            OSError: The kernel refuses.
        """
        if self._grants is not None:
            self._grants.prepare(f"{self._plan.scratch}/{folder}")

    @property
    def confine(self) -> Callable[[str], None] | None:
        """What keeps a process to its own folder and to one script, for good; None: nothing can.

        It raises an `OSError` where the kernel refuses, or the script's folder is gone.
        """
        return None if self._grants is None else self._grants.enforce

    def steps_to_rehearse(self) -> list[Step]:
        """Return steps like those of a child that change nothing in a template."""
        return [(syscalls.call, syscalls.NOTHING)]

    def rehearse_confine(self, _script_folder: str) -> None:
        """Do what `confine` does, and confine nothing."""
        if self._grants is not None:
            self._grants.rehearse(self._plan.scratch, self._plan.scratch)

    def confine_ahead(self) -> None:
        """Keep what a waiting child has started to the child's own folder, for good.

        Its scope is another than the attempt's later: the two may not signal each other.

        Raises:
            OSError: The kernel refuses.
        """
        if self._grants is not None:
            self._grants.enforce_own()

    def tidy(self, folders: Iterable[str]) -> None:
        """Remove the shared memory that children have left behind, where their users tell it."""
        if self._shm is not None and self.has_own_user:
            self._shm.remove_of(map(self.user_of, folders))

    def tidy_older(self, than_ns: int) -> None:
        """Remove the shared memory that no attempt can need which began after a moment."""
        if self._shm is not None:
            self._shm.remove_older(than_ns)
