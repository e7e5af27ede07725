"""ScrapyRT's call, for clients that were written for it: run a script, answer with its items.

`url` is the script's parameter of that name, and `crawl_args` are its others. What makes a
request of Scrapy has no counterpart and is refused, with what to do instead.

Source: the API of ScrapyRT 0.16, https://scrapyrt.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.refusals import Draining
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import REQUEST_ID, body_of, client_of, gateway_of, language, told
from zscrape.gateway.api.leaving import ending_with_client
from zscrape.gateway.api.scrape import wait_for_end
from zscrape.gateway.api.statuses import failure_status
from zscrape.gateway.envelope import ErrorView, task_error_view
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import TaskRequest, check_depth, decode_parameters
from zscrape.gateway.tracing import trace_of
from zscrape.scripts.textvalues import value_of
from zscrape.store.tasks import TaskRow

_KNOWN: Final = frozenset({"spider_name", "url", "crawl_args", "start_requests", "request"})
_LIST: Final = msgspec.json.Decoder(list[Raw])
# Nothing is filtered here anyhow.
_OF_REQUEST: Final = frozenset({"url", "dont_filter"})


@needs("run")
async def crawl(request: Request) -> Response:
    """`GET /crawl.json`, and POST with JSON: run a script and answer with its items.

    Whoever hangs up ends the task: it was for them alone.
    """
    asked = await _asked(request)
    name = _text(asked, "spider_name")
    state, client = gateway_of(request), client_of(request)
    client.check_script(name)
    script = await state.catalogue.resolve(name)
    properties = script.schema.get("properties", {})
    parameters = {
        key: value_of(value, properties.get(key, {})) if isinstance(value, str) else value
        for key, value in _parameters(asked).items()
    }
    body = msgspec.json.encode(parameters)
    check_depth(body, state.policy.depth_limit)
    prepared = await state.service.prepare(
        client.grouped(TaskRequest(script_name=name, parameters=Raw(body))),
        origin="run",
        client=client.id,
        is_awaited=True,
        trace_id=trace_of(dict(request.scope["headers"])),
    )
    row = await state.service.accept(prepared, None)
    request.scope[REQUEST_ID] = row.id
    with ending_with_client(state, row, is_asked=True):
        await wait_for_end(state, row, request.receive, None)
    if not row.status.is_final:
        raise Draining
    error = task_error_view(row, language(request))
    return _failure(row, error) if error is not None else await _items(request, row)


async def _asked(request: Request) -> Mapping[str, Any]:
    """Return what is asked: the query, or the JSON of a body.

    Raises:
        MalformedJson, InvalidRequest: It cannot be read.
    """
    if request.method == "POST":
        body = await body_of(request) or b"{}"
        check_depth(body, gateway_of(request).policy.depth_limit + 1)  # `crawl_args` is one level
        return decode_parameters(body, at="")
    asked: dict[str, Any] = dict(request.query_params)
    if "crawl_args" in asked:
        asked["crawl_args"] = decode_parameters(asked["crawl_args"].encode(), at="crawl_args")
    return asked


def _parameters(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the script.

    Raises:
        FieldFault: There is something that no script can be told.
    """
    request = asked.get("request", {})
    if not isinstance(request, dict):
        raise field_fault("request", "dialect_object")
    for place, given, known in (("", asked, _KNOWN), ("request/", request, _OF_REQUEST)):
        for name in given:
            if name not in known:
                raise field_fault(f"{place}{name}"[:80], "dialect_request", given=name[:80])
    parameters = asked.get("crawl_args", {})
    if not isinstance(parameters, dict):
        raise field_fault("crawl_args", "dialect_object")
    urls = [each["url"] for each in (request, asked) if "url" in each]
    if not urls and not asked.get("start_requests"):
        raise field_fault("url", "dialect_missing")
    return {**({"url": urls[0]} if urls else {}), **parameters}


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise field_fault(name, "dialect_missing")
    return value


async def _items(request: Request, row: TaskRow) -> Response:
    items = [Raw(each) for each in await gateway_of(request).store.items(row.id)]
    data = await _data(request, row)
    if not items and data != b"null":
        items = _LIST.decode(data) if data[:1] == b"[" else [Raw(data)]
    started_at, ended_at = row.started_at or row.created_at, row.finished_at or row.created_at
    return told(
        {
            "status": "ok",
            "spider_name": row.script_name,
            "items": items,
            "items_dropped": [],
            "stats": {
                "item_scraped_count": len(items),
                "finish_reason": "finished",
                "start_time": _time(started_at),
                "finish_time": _time(ended_at),
                "elapsed_time_seconds": round(max(0.0, ended_at - started_at), 6),
            },
            "request_id": row.id,
        }
    )


async def _data(request: Request, row: TaskRow) -> bytes:
    if row.far_data is not None:
        return b"".join([piece async for piece in gateway_of(request).store.stream(row.far_data)])
    return (None if row.outcome is None else row.outcome.data) or b"null"


def _failure(row: TaskRow, error: ErrorView) -> Response:
    status = failure_status(row)
    view = {
        "status": "error",
        "code": status,
        "message": f"{error.code}: {error.message}",
        "spider_name": row.script_name,
        "request_id": row.id,
    }
    if error.traceback:
        view["errors"] = [error.traceback]
    return told(view, status)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def routes() -> list[BaseRoute]:
    """Return the route of this dialect."""
    return [Route("/crawl.json", crawl, methods=["GET", "POST"], include_in_schema=False)]
