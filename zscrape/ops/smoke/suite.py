"""Runs the cases against a gateway, whatever becomes of each, and cleans up after them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from zscrape.client import Client, ClientError
from zscrape.errors import ConfigError
from zscrape.messages import text
from zscrape.ops.operation import Operation
from zscrape.ops.smoke.bench import Bench, CaseFailed, CaseSkipped
from zscrape.ops.smoke.cases import CASES
from zscrape.ops.smoke.probe import remove_probe, write_probe


class CaseReport(Struct, frozen=True, omit_defaults=True):
    """What became of one case; a failure says what was asked, answered and expected."""

    name: str
    status: str
    request: str = ""
    answer: str = ""
    expectation: str = ""


class Suite:
    """One round of smoke tests.

    Args:
        operation: The run.
        client: The gateway.
        script: A deployed probe; None: one is put into `folder`.
        folder: A folder that the gateway reads scripts from; None: there is none here.
        keeps_data: What was made stays, to be looked at.
    """

    def __init__(
        self,
        operation: Operation,
        client: Client,
        *,
        script: str | None,
        folder: Path | None,
        keeps_data: bool,
    ) -> None:
        self._operation = operation
        self._client = client
        self._script = script or ""
        self._folder = folder
        self._keeps_data = keeps_data
        self.reports: list[CaseReport] = []

    def run(self, names: Sequence[str]) -> None:
        """Run these cases."""
        place = why_none = None
        if not self._script:
            place, why_none = self._put_probe()
        bench = Bench(self._client, script=self._script, why_none=why_none or "")
        if place is not None:
            bench.made(str(place), lambda: remove_probe(place))
        try:
            for name in names:
                if self._operation.stops:
                    break
                self._case(name, bench)
        finally:
            self._clean(bench)
            bench.close()

    def _put_probe(self) -> tuple[Path | None, str]:
        """Put the probe where the gateway finds it; else say why that is not possible."""
        lang = self._operation.lang
        if self._folder is None:
            return None, text("cli.smoke.no_folder", lang)
        try:
            place = write_probe(self._folder)
        except ConfigError as error:
            return None, self._operation.words_of(error)
        try:
            self._client.refresh_scripts()
            self._client.schema(place.name)
        except ClientError as error:
            remove_probe(place)
            told = self._operation.words_of(error)
            return None, text("cli.smoke.not_seen", lang, folder=self._folder, reason=told)
        self._script = place.name
        return place, ""

    def _case(self, name: str, bench: Bench) -> None:
        started = time.monotonic()
        report = CaseReport(name, "succeeded")
        try:
            CASES[name](bench)
        except CaseSkipped as skipped:
            report = CaseReport(name, "skipped", request=str(skipped))
        except CaseFailed as failure:
            report = _failed(name, failure, self._operation)
        except ClientError as error:
            told = self._operation.words_of(error)
            report = CaseReport(name, "failed", name, told, "an answer")
        except Exception as error:  # noqa: BLE001 - a case that is at fault stops no other
            told = f"{type(error).__name__}: {error}"
            report = CaseReport(name, "failed", name, told, "a case without a fault of its own")
        self._note(report, time.monotonic() - started)

    def _note(self, report: CaseReport, elapsed_s: float) -> None:
        self.reports.append(report)
        reason = ""
        if report.status == "failed":
            reason = (
                f"{report.name}: expected {report.expectation}\n"
                f"request: {report.request}\nanswer: {report.answer}"
            )
        elif report.status == "skipped":
            reason = text("cli.smoke.absent", self._operation.lang, part=report.request)
        status: Any = report.status
        self._operation.end(report.name, status, reason, elapsed_s=elapsed_s)

    def _clean(self, bench: Bench) -> None:
        """Remove what the cases have made; what stays is told, and is a failure of its own."""
        if self._keeps_data:
            self._operation.warn("cli.smoke.kept", script=self._script)
            return
        started = time.monotonic()
        faults = bench.clean()
        if faults:
            self._operation.summary.targets_total += 1
            report = CaseReport("cleanup", "failed", "cleanup", "; ".join(faults), "nothing left")
            self._note(report, time.monotonic() - started)


def _failed(name: str, failure: CaseFailed, operation: Operation) -> CaseReport:
    mask = operation.masks.apply
    return CaseReport(
        name,
        "failed",
        request=mask(failure.request),
        answer=mask(failure.answer),
        expectation=failure.expectation,
    )
