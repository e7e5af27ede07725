"""One run of an operational verb: the standard that all of them keep.

It takes the run lock, gives every target its own end, writes the log of the run as it goes,
and at the end the summary, the JUnit report and the alert. What a verb does to one target is
the verb's own.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

from zscrape.errors import ConfigError, ZscrapeError
from zscrape.messages import text
from zscrape.ops.alert import alert_document, send_alert
from zscrape.ops.junit import junit_document
from zscrape.ops.masks import Masks
from zscrape.ops.runlock import RunLock
from zscrape.ops.runlog import RunLog
from zscrape.ops.summary import (
    Breach,
    Fate,
    Gates,
    Summary,
    TargetEnd,
    TargetError,
    new_run_id,
    utc_now,
)

_Target = TypeVar("_Target")

_KEPT_DAYS: Final = 30  # as long as tasks (contract section 9)


class Standard(Struct, frozen=True, kw_only=True):
    """The options that every operational verb has."""

    is_dry_run: bool = False
    limit: int | None = None
    is_fail_fast: bool = False
    json_output: Path | None = None
    junit_output: Path | None = None
    timeout_s: float | None = None
    is_verbose: bool = False
    gates: Gates = Gates()
    alert_webhook: str | None = None


class Operation:
    """One run. Use it in a `with`: the lock is freed and the files closed, however it ends.

    Args:
        name: The verb: `batch`, `deadletters retry`.
        standard: The options.
        home: The home folder; what is kept of runs stands in `runs/` there.
        lang: Language of what people read in summaries.
        tell: Where lines of the log go beside their file; None: nowhere.
        run_id: The run that is taken up again; None: a new one.
    """

    def __init__(
        self,
        name: str,
        standard: Standard,
        *,
        home: Path,
        lang: str = "en",
        tell: Callable[[str], None] | None = None,
        run_id: str | None = None,
    ) -> None:
        now = utc_now()
        self.name = name
        self.standard = standard
        self.lang = lang
        self.masks = Masks([standard.alert_webhook or ""])
        self.ends: list[TargetEnd] = []
        self.breaches: list[Breach] = []
        self.is_interrupted = False
        self.is_late = False
        self.has_failed = False  # as a whole, not in a target
        self.summary = Summary(
            script=name,
            run_id=run_id or new_run_id(now),
            started_at=now,
            ended_at=now,
            dry_run=standard.is_dry_run,
        )
        self._runs = home / "runs"
        self._started = time.monotonic()
        self._lock: RunLock | None = None
        self._log = RunLog(
            self.summary.run_id, name, masks=self.masks, is_verbose=standard.is_verbose, tell=tell
        )

    def __enter__(self) -> Operation:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        if self._lock is not None:
            self._lock.release()

    # ---- on the way ------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where this run keeps what it needs to be taken up again."""
        return self._runs / self.summary.run_id

    @property
    def is_dry_run(self) -> bool:
        """True iff nothing may be changed."""
        return self.standard.is_dry_run

    @property
    def left_s(self) -> float | None:
        """Seconds left of `--timeout-sec`, never below 0; None: as long as it takes."""
        limit_s = self.standard.timeout_s
        return None if limit_s is None else max(0.0, limit_s - (time.monotonic() - self._started))

    @property
    def stops(self) -> bool:
        """True iff no further target is to be begun: the time is up, or `--fail-fast`."""
        if self.left_s == 0.0 and not self.is_late:
            self.is_late = True
            self.warn("summary.late", limit_s=self.standard.timeout_s)
        return self.is_late or (self.standard.is_fail_fast and self.summary.failed_total > 0)

    def rename(self, run_id: str) -> None:
        """Take up an earlier run instead of a new one; before it begins."""
        self.summary.run_id = self._log.run_id = run_id

    def begin(self, scope: str) -> None:
        """Take the run lock and open the log. A dry run does neither: it changes nothing.

        Raises:
            RunHeld: Another run of this scope is under way.
            ConfigError: The home folder cannot be written.
        """
        if not self.is_dry_run:
            self._lock = RunLock(
                self._runs / "locks",
                self.name,
                scope,
                self.summary.run_id,
                self.summary.started_at,
            )
            self._open_folder()
        self._log.write("run_started", status="started", scope=scope, user=_user())

    def _open_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._log.open(self.folder / "log.jsonl")
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(source=str(self.folder), reason=reason) from error
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = f"{datetime.now(UTC) - timedelta(days=_KEPT_DAYS):%Y%m%dT%H%M%SZ}"
        for path in self._runs.iterdir():
            # A run's name begins with its moment, so names compare as moments do.
            if path.name[:1].isdigit() and path.name < oldest and path != self.folder:
                with contextlib.suppress(OSError):
                    shutil.rmtree(path)

    def chosen(self, targets: Sequence[_Target]) -> Sequence[_Target]:
        """Return the first `--limit` targets, and count them as those of this run."""
        limit = self.standard.limit
        if limit is not None and len(targets) > limit:
            self.warn("summary.limited", limit=limit, count=len(targets))
            targets = targets[:limit]
        self.summary.targets_total = len(targets)
        return targets

    def each(
        self,
        targets: Iterable[_Target],
        act: Callable[[_Target], TargetEnd],
        name: Callable[..., str],
    ) -> None:
        """Do something to each target; one that fails stops no other, unless `--fail-fast`."""
        for target in targets:
            if self.stops:
                return
            started = time.monotonic()
            self.note(self._isolated(target, act, name), elapsed_s=time.monotonic() - started)

    def _isolated(
        self, target: _Target, act: Callable[[_Target], TargetEnd], name: Callable[..., str]
    ) -> TargetEnd:
        try:
            return act(target)
        except ZscrapeError as error:
            return TargetEnd(name(target), "failed", self.words_of(error))
        except Exception as error:  # noqa: BLE001 - a target's own end: the others go on
            return TargetEnd(name(target), "failed", f"internal: {type(error).__name__}: {error}")

    def told(self, key: str, /, **fields: object) -> str:
        """Return the catalogue's words in the language of this run."""
        return text(key, self.lang, **fields)

    def words_of(self, error: ZscrapeError) -> str:
        """Return an error as a reason: its code, then its words."""
        told = getattr(error, "words", None) or text(error.text_key, self.lang, **error.fields)
        return f"{error.code}: {told}"

    def end(
        self,
        target: str,
        fate: Fate = "succeeded",
        reason: str = "",
        *,
        elapsed_s: float = 0.0,
        is_retried: bool = False,
        **fields: Any,
    ) -> None:
        """Give a target its end."""
        self.note(
            TargetEnd(target, fate, reason, elapsed_s=elapsed_s, is_retried=is_retried), **fields
        )

    def together(self) -> AbstractContextManager[None]:
        """Let what is told inside go to the log by one call, at its end."""
        return self._log.together()

    def note(self, end: TargetEnd, *, elapsed_s: float | None = None, **fields: Any) -> None:
        """Count a target's end and write it down."""
        end = TargetEnd(
            target=self.masks.apply(end.target),
            fate=end.fate,
            reason=self.masks.apply(end.reason),
            elapsed_s=end.elapsed_s or elapsed_s or 0.0,
            is_retried=end.is_retried,
        )
        self.ends.append(end)
        self.summary.count(end)
        self._log.write(
            "target_ended",
            target=end.target,
            status=end.fate,
            elapsed_s=end.elapsed_s,
            **({"reason": end.reason} if end.reason else {}),
            **fields,
        )

    def warn(self, key: str, **fields: object) -> None:
        """Tell of something that is odd and no failure of a target."""
        told = self.masks.apply(text(key, self.lang, **fields))
        self.summary.warnings.append(told)
        self._log.write("warning", status="warning", message=told)

    # ---- the end ---------------------------------------------------------------------

    def fail(self, error: ZscrapeError) -> None:
        """The run as a whole has failed: nothing further can be done."""
        self.has_failed = True
        reason = self.masks.apply(self.words_of(error))
        self.summary.errors.append(TargetError(self.name, reason))
        self._log.write("run_failed", status="failed", reason=reason)

    def interrupt(self) -> None:
        """Somebody has stopped the run."""
        self.is_interrupted = True
        self.warn("summary.interrupted")

    def finish(self) -> Summary:
        """Judge the gates, write the files, tell of what is wrong.

        Raises:
            ConfigError: A file cannot be written.
        """
        summary = self.summary
        summary.ended_at = utc_now()
        summary.duration_ms = int((time.monotonic() - self._started) * 1000)
        self.breaches = self.standard.gates.breaches(summary)
        for breach in self.breaches:
            told = {"gate": breach.gate, "value": f"{breach.value:g}", "limit": f"{breach.limit:g}"}
            self.warn("summary.breach", **told)
        if self.breaches or self.has_failed or summary.ending == "failed":
            self._alert()
        self._log.write(
            "run_ended",
            status=self._ending,
            elapsed_s=summary.duration_ms / 1000,
            **{name: getattr(summary, name) for name in _COUNTS},
        )
        self._write_files()
        return summary

    @property
    def _ending(self) -> str:
        if self.is_interrupted:
            return "interrupted"
        return "failed" if self.has_failed or self.breaches else self.summary.ending

    def _alert(self) -> None:
        url = self.standard.alert_webhook
        if url is None or self.is_dry_run:
            return
        summary = self.summary
        words = text(
            "summary.alert",
            self.lang,
            script=summary.script,
            run_id=summary.run_id,
            failed_count=summary.failed_total,
            count=summary.targets_total,
            reasons=" ".join(summary.warnings)
            or (summary.errors[0].reason if summary.errors else ""),
        )
        failure = send_alert(url, alert_document(summary, self.breaches, words))
        if failure:
            self.warn("summary.alert_failed", reason=failure)

    def _write_files(self) -> None:
        encoded = self.summary.encode()
        places = {self.standard.json_output: encoded}
        if self._log.is_open:
            places[self.folder / "summary.json"] = encoded
        if self.standard.junit_output is not None:
            places[self.standard.junit_output] = junit_document(self.summary, self.ends)
        for path, content in places.items():
            if path is None:
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError as error:
                reason = error.strerror or str(error)
                raise ConfigError(source=str(path), reason=reason) from error


def _user() -> str:
    """Return who runs this, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


_COUNTS: Final = (
    "targets_total",
    "processed_total",
    "succeeded_total",
    "failed_total",
    "skipped_total",
    "retried_total",
)
