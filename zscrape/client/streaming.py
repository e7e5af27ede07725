"""What comes piece by piece: events, items, logs, files."""

from __future__ import annotations

from typing import Any, Final

from zscrape.client.calls import MANY_S, Call, at, given, unreachable, whole_answer
from zscrape.client.events import Event, EventReader, json_or_text
from zscrape.client.failures import ClientError, Document
from zscrape.client.manner import Manner
from zscrape.client.options import TaskOptions, Unpack
from zscrape.client.submitting import submission
from zscrape.client.talk import (
    Flow,
    Give,
    Left,
    Lines,
    Pause,
    let_go,
    next_lines,
    opened,
    patiently,
    pieces,
)
from zscrape.client.taskcalls import cancel, tasks
from zscrape.client.tasks import Task, failure_of

# The gateway pings an open stream every 15 s: three missed ones mean that it is gone.
_SILENCE_S: Final = 45.0
_PAGE_COUNT: Final = 500


def _get(path: str, **options: Any) -> Call[Any]:
    return Call(method="GET", path=path, read=whole_answer, **options)


# ---- lines and bytes -----------------------------------------------------------------


def items(manner: Manner, /, task_id: str) -> Flow[Any]:
    """Stream the items that a task has brought so far."""
    return _documents(manner, _get(at("tasks", task_id, "items"), params={"format": "jsonl"}))


def logs(manner: Manner, /, task_id: str) -> Flow[Document]:
    """Stream what a task has logged so far."""
    return _documents(manner, _get(at("tasks", task_id, "logs")))


def export(manner: Manner, /, form: str = "jsonl", **filters: Any) -> Flow[bytes]:
    """Stream the history as `jsonl` or `csv`: `status script origin since limit data`."""
    return _bytes(manner, _get(at("tasks", "export"), params={"format": form, **given(filters)}))


def export_audit(manner: Manner, /, form: str = "jsonl", **filters: Any) -> Flow[bytes]:
    """Stream the audit as `jsonl` or `csv`: `since actor action`."""
    return _bytes(manner, _get(at("audit"), params={"format": form, **given(filters)}))


def artifact_stream(manner: Manner, /, task_id: str, name: str) -> Flow[bytes]:
    """Stream a file that a task saved, piece by piece."""
    path = at("tasks", task_id, "artifacts", name)
    return _bytes(manner, _get(path, timeout_s=MANY_S))


def _bytes(manner: Manner, call: Call[Any]) -> Flow[bytes]:
    yield from opened(manner, call)
    yield from pieces(manner)


def _documents(manner: Manner, call: Call[Any]) -> Flow[Any]:
    yield from opened(manner, call)
    cut = Lines()
    while (found := (yield from next_lines(manner, cut))) is not None:
        for line in found:
            if line:
                yield Give(json_or_text(line))


def all_tasks(manner: Manner, /, **filters: Any) -> Flow[Task]:
    """Go through the whole history, newest first: `status script origin since`."""
    page: Document = {"next_cursor": filters.pop("cursor", None)}
    while True:
        asked = {"limit": _PAGE_COUNT, **filters, "cursor": page["next_cursor"]}
        page = yield from patiently(manner, tasks(**asked))
        for each in page["tasks"]:
            yield Give(Task(each, lang=manner.lang))
        if page["next_cursor"] is None:
            return


# ---- events --------------------------------------------------------------------------


def events(manner: Manner, /, task_id: str) -> Flow[Event]:
    """Follow a task from its beginning to its `result` event.

    A broken stream is taken up again after the last event, a few times.

    Raises:
        ClientError: The task is unknown, or the stream cannot be had any more.
    """
    last_id = ""
    failed_count = 0
    while True:
        try:
            yield from opened(manner, _events_call(task_id, last_id))
            cut, reader = Lines(), EventReader()
            while (found := (yield from next_lines(manner, cut))) is not None:
                for event in filter(None, map(reader.feed, found)):
                    failed_count = 0
                    last_id = event.id or last_id
                    yield Give(event)
                    if event.kind == "result":
                        return
            failure = unreachable("stream closed", manner)
        except ClientError as error:
            if error.status:  # an answer: asking again would bring the same one
                raise
            failure = error
        failed_count += 1
        wait_s = manner.reconnect.pause_s(failed_count)
        if wait_s is None:
            raise failure
        yield Pause(wait_s)


def _events_call(task_id: str, last_id: str) -> Call[Any]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    return _get(at("tasks", task_id, "events"), headers=headers, timeout_s=_SILENCE_S)


def follow(manner: Manner, /, task_id: str) -> Flow[Any]:
    """Give a task's items as they come, until it ends.

    Of a task that is tried again, those of the last attempt come after the ones before.

    Raises:
        ClientError: The task did not complete (`code` is its outcome's), or is unknown.
    """
    for_items = events(manner, task_id)
    answer: Any = None
    while True:
        try:
            effect = for_items.send(answer)
        except StopIteration:
            return
        if not isinstance(effect, Give):
            answer = yield effect
            continue
        answer = None
        event = effect.value
        if event.kind == "item":
            yield Give(event.data)
        elif event.kind == "result":
            _require(event.data, manner)


def stream(
    manner: Manner,
    /,
    script: str,
    parameters: Document | None = None,
    **options: Unpack[TaskOptions],
) -> Flow[Any]:
    """Run a script and give its items while it runs.

    Whoever stops iterating before the end also ends the task.

    Raises:
        ClientError: It was refused, or did not complete: after the items that there were.
    """
    task = yield from patiently(manner, submission(script, parameters, **options))
    try:
        yield from follow(manner, task.id)
    except Left:
        yield from let_go(manner, cancel(task.id))
        raise


def _require(result: Any, manner: Manner) -> None:
    if isinstance(result, dict) and result.get("status") != "completed":
        raise failure_of(Task(result, lang=manner.lang))
