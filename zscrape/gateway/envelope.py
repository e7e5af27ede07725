"""What is told of a task: the envelope of `POST /scrape`, and the fuller views beside it.

Each view is a struct encoded once; the script's own bytes go into it untouched (`Raw`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from zscrape.errors import ZscrapeError
from zscrape.errors.requests import ParamsInvalid
from zscrape.errors.scripts import ManifestInvalid
from zscrape.messages import outcome_key, text
from zscrape.model import OutcomeCode, TaskState
from zscrape.scripts.problems import told
from zscrape.store.tasks import ArtifactRow, TaskRow, WebhookDelivery

_ENCODER = msgspec.json.Encoder()
encode = _ENCODER.encode


class ErrorView(Struct, omit_defaults=True):
    """What went wrong: a stable code, words in the reader's language, and what was found."""

    code: str
    message: str
    type: str = ""  # of what the script raised
    traceback: str = ""  # the script's own frames
    details: dict[str, Any] = {}
    problems: list[dict[str, str]] = []


class ArtifactView(Struct):
    """One file that the script saved."""

    name: str
    size: int
    content_type: str
    sha256: str
    link: str


class ReusedView(Struct, frozen=True):
    """Whose answer a call with a `max_age` was given, and how many seconds old that is."""

    request_id: str
    age: float


class Envelope(Struct, kw_only=True, gc=False):
    """The answer of `POST /scrape`: always this shape, whatever happened."""

    request_id: str
    status: str
    data: Raw | None = None
    error: ErrorView | None = None
    execution_time: float = 0.0
    script_name: str | None = None
    version: str | None = None
    digest: str | None = None
    worker_id: str | None = None
    attempts: int = 0
    item_count: int = 0
    artifacts: list[ArtifactView] = []
    created_at: datetime | None = None
    finished_at: datetime | None = None
    queue_time: float | None = None
    handoff: str | UnsetType | None = UNSET  # the question to a person that it waits for
    reused: ReusedView | UnsetType = UNSET  # iff `max_age` let an earlier task serve
    links: dict[str, str] | UnsetType = UNSET  # where there is more than the envelope holds


class WebhookView(Struct):
    """Who is told of the task's end, and what became of that."""

    url: str
    event: str
    status: str  # pending, delivered, failed
    tries: int
    http_status: int | None
    reason: str | None
    at: datetime | None


class TaskView(Envelope, kw_only=True):
    """One task in full: the envelope, what was asked, and how it goes."""

    repository: str | None = None
    parameters: Raw | UnsetType = UNSET
    priority: int = 0
    tags: tuple[str, ...] = ()
    lock_key: str | None = None
    timeout: float | None = None
    metadata: dict[str, Any] = {}
    origin: str = ""
    client: str = ""
    trace_id: str | None = None  # by which others know the call
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    retry_count: int = 0
    next_retry_at: datetime | None = None
    last_error: str | None = None
    last_error_message: str | None = None
    dropped_reason: str | None = None
    schedule_id: str | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    webhooks: list[WebhookView] = []
    progress: dict[str, Any] | None = None
    dropped_count: int = 0


class TaskSummary(Struct, kw_only=True):
    """One task in a list."""

    request_id: str
    status: str
    script_name: str
    version: str | None
    error_code: str | None
    error_message: str | None
    worker_id: str | None
    attempts: int
    item_count: int
    retry_count: int
    next_retry_at: datetime | None
    last_error: str | None
    dropped_reason: str | None
    retry_of: str | None
    handoff: str | None
    origin: str
    priority: int
    execution_time: float
    queue_time: float | None
    progress: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]


# ---- errors --------------------------------------------------------------------------


def error_view(error: ZscrapeError, lang: str) -> ErrorView:
    """Return what is told of a refusal."""
    fields = error.fields
    problems: list[dict[str, str]] = []
    if isinstance(error, (ParamsInvalid, ManifestInvalid)):
        problems = told(error.problems, lang)
        fields = {name: value for name, value in fields.items() if name != "problems"}
    elif "pointer" in fields:
        reason = text(error.text_key, lang, **{**fields, "pointer": ""}).removeprefix(": ")
        problems = [{"pointer": fields["pointer"], "reason": reason}]
        fields = {}
    return ErrorView(
        code=error.code,
        message=_words(error, lang),
        details=fields,
        problems=problems,
    )


def _words(error: ZscrapeError, lang: str) -> str:
    fields = error.fields
    if fields.get("pointer") == "":  # JSON's pointer to the whole document says nothing to people
        fields = {**fields, "pointer": text("http.body", lang)}
    return text(error.text_key, lang, **fields)


def task_error_view(row: TaskRow, lang: str) -> ErrorView | None:
    """Return what is told of a task that did not end well; None for any other."""
    if row.error_code:  # it was never sent to a worker
        problems = row.error_fields.get("problems", [])
        details = {name: it for name, it in row.error_fields.items() if name != "problems"}
        words = text(row.error_text_key, lang, **row.error_fields)
        told_problems = told(problems, lang)
        return ErrorView(row.error_code, words, details=details, problems=told_problems)
    outcome = row.outcome
    if outcome is None or outcome.code is OutcomeCode.OK:
        return None
    fields: dict[str, Any] = {
        "name": row.script_name,
        "script_name": row.script_name,
        "error_type": outcome.error_type,
        "error_message": outcome.error_message,
        **outcome.fields,
    }
    return ErrorView(
        code=outcome.code.value,
        message=text(outcome_key(outcome.code.value, outcome.fields), lang, **fields),
        type=outcome.error_type,
        traceback=outcome.traceback,
        details=dict(outcome.fields),
    )


# ---- tasks ---------------------------------------------------------------------------


def moment(at: float | None) -> datetime | None:
    """Return Unix time as a moment in UTC; None for one that is no moment."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):  # a worker's clock is not ours to trust
        return None


def links_of(task_id: str) -> dict[str, str]:
    """Return where a task's parts are."""
    base = f"/v1/tasks/{task_id}"
    return {
        "self": base,
        "events": f"{base}/events",
        "logs": f"{base}/logs",
        "items": f"{base}/items",
        "result": f"{base}/result",
        "cancel": f"{base}/cancel",
        "retry": f"{base}/retry",
    }


def refusal_envelope(
    request_id: str, error: ZscrapeError, lang: str, script_name: str | None = None
) -> bytes:
    """Return the envelope of a request that became no task."""
    return encode(
        Envelope(
            request_id=request_id,
            status=TaskState.FAILED.value,
            error=error_view(error, lang),
            script_name=script_name,
        )
    )


def envelope(row: TaskRow, lang: str, *, inline_limit_bytes: int) -> Envelope:
    """Return the envelope of a task as it stands."""
    status, outcome = row.status, row.outcome
    created_at, assigned_at, finished_at = row.created_at, row.assigned_at, row.finished_at
    run_s = 0.0 if outcome is None else outcome.run_s
    waited_s = 0.0 if assigned_at is None else assigned_at - created_at
    view = Envelope(
        request_id=row.id,
        status=str(status),
        execution_time=round(run_s, 6) if run_s > 0 else execution_time(row),
        script_name=row.script_name,
        version=row.version or None,
        digest=row.digest or None,
        worker_id=row.worker_id,
        attempts=row.attempts,
        item_count=row.item_count,
        created_at=datetime.fromtimestamp(created_at, UTC),
        finished_at=None if finished_at is None else datetime.fromtimestamp(finished_at, UTC),
        queue_time=round(waited_s, 6) if waited_s > 0 else queue_time(row),
    )
    data = None if outcome is None else outcome.data
    if data is not None and len(data) <= inline_limit_bytes:
        view.data = Raw(data)
    elif data is not None or row.far_data is not None:
        view.links = links_of(row.id)
    if status is not TaskState.COMPLETED:
        view.error = task_error_view(row, lang)
        if not status.is_final:
            view.links = links_of(row.id)
    if row.artifacts:
        view.artifacts = artifact_views(row)
    if row.handoff:
        view.handoff = row.handoff
    return view


def task_view(row: TaskRow, lang: str, *, inline_limit_bytes: int) -> TaskView:
    """Return a task in full."""
    base = envelope(row, lang, inline_limit_bytes=inline_limit_bytes)
    told_base = {name: getattr(base, name) for name in Envelope.__struct_fields__}
    told_base["links"] = links_of(row.id)
    told_base["handoff"] = row.handoff or None
    return TaskView(
        **told_base,
        repository=row.repository or None,
        parameters=Raw(row.parameters),
        priority=row.priority,
        tags=row.tags,
        lock_key=row.lock_key or None,
        timeout=row.timeout_s,
        metadata=row.metadata,
        origin=row.origin,
        client=row.client,
        trace_id=row.trace_id or None,
        assigned_at=moment(row.assigned_at),
        started_at=moment(row.started_at),
        retry_count=row.retry_count,
        next_retry_at=moment(row.next_retry_at),
        last_error=row.last_error or None,
        last_error_message=row.last_error_message or None,
        dropped_reason=row.dropped_reason or None,
        schedule_id=row.schedule_id or None,
        retry_of=row.retry_of or None,
        retried_as=row.retried_as or None,
        webhooks=[_webhook_view(each) for each in row.webhooks],
        progress=progress_of(row),
        dropped_count=row.dropped_count,
    )


def _webhook_view(webhook: WebhookDelivery) -> WebhookView:
    return WebhookView(
        url=webhook.url,
        event=webhook.event,
        status=webhook.status,
        tries=webhook.tries,
        http_status=webhook.http_status or None,
        reason=webhook.reason or None,
        at=moment(webhook.at),
    )


def task_summary(row: TaskRow, lang: str) -> TaskSummary:
    """Return a task for a list."""
    error = task_error_view(row, lang)
    return TaskSummary(
        request_id=row.id,
        status=row.status.value,
        script_name=row.script_name,
        version=row.version or None,
        error_code=None if error is None else error.code,
        error_message=None if error is None else error.message,
        worker_id=row.worker_id,
        attempts=row.attempts,
        item_count=row.item_count,
        retry_count=row.retry_count,
        next_retry_at=moment(row.next_retry_at),
        last_error=row.last_error or None,
        dropped_reason=row.dropped_reason or None,
        retry_of=row.retry_of or None,
        handoff=row.handoff or None,
        origin=row.origin,
        priority=row.priority,
        execution_time=execution_time(row),
        queue_time=queue_time(row),
        progress=progress_of(row),
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        finished_at=moment(row.finished_at),
        links=links_of(row.id),
    )


def artifact_views(row: TaskRow) -> list[ArtifactView]:
    """Return the files that a task saved."""
    return [artifact_view(row.id, artifact) for artifact in row.artifacts]


def artifact_view(task_id: str, artifact: ArtifactRow) -> ArtifactView:
    """Return what is told of one file."""
    return ArtifactView(
        name=artifact.name,
        size=artifact.size_bytes,
        content_type=artifact.content_type,
        sha256=artifact.sha256,
        link=f"/v1/tasks/{task_id}/artifacts/{artifact.name}",
    )


def execution_time(row: TaskRow) -> float:
    """Return the seconds that the script ran, as its worker measured them; else as seen here."""
    outcome = row.outcome
    if outcome is not None and outcome.run_s > 0:
        return round(outcome.run_s, 6)
    if row.started_at is None or row.finished_at is None:
        return 0.0
    return round(max(0.0, row.finished_at - row.started_at), 6)


def queue_time(row: TaskRow) -> float | None:
    """Return the seconds from acceptance until it was (last) sent to a worker."""
    if row.assigned_at is None:
        return None
    return round(max(0.0, row.assigned_at - row.created_at), 6)


def progress_of(row: TaskRow) -> dict[str, Any] | None:
    """Return how far the script says that it is."""
    if row.fraction is None:
        return None
    return {"fraction": row.fraction, "text": row.progress_text}


# ---- problems (RFC 9457) -------------------------------------------------------------


class Problem(Struct, kw_only=True, omit_defaults=True):
    """An error outside `/scrape`: `application/problem+json`."""

    title: str
    status: int
    code: str
    detail: str
    request_id: str
    reason: str = ""  # one word, of a refusal that will pass
    error_type: str = ""
    traceback: str = ""
    details: dict[str, Any] = {}
    problems: list[dict[str, str]] = []


def problem(view: ErrorView, status: int, request_id: str, *, is_refusal: bool = False) -> bytes:
    """Return the problem document of what `view` tells."""
    return encode(
        Problem(
            title=view.code.replace("_", " ").capitalize(),
            status=status,
            code=view.code,
            detail=view.message,
            request_id=request_id,
            reason=view.code if is_refusal else "",
            error_type=view.type,
            traceback=view.traceback,
            details=view.details,
            problems=view.problems,
        )
    )
