"""Examples of what calls take, for whoever reads the API's description or tries a call there.

They run: the samples have these scripts, and a test sends each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PAGE: Final = {"url": "https://example.com/"}
_TASK: Final = {"script_name": "page_text", "parameters": _PAGE, "timeout": 60}
_SCHEDULE: Final = {
    "name": "nightly",
    "script_name": "page_text",
    "cron": "0 3 * * *",
    "timezone": "Asia/Seoul",
    "overlap": "skip",
    "parameters": _PAGE,
}
_ID: Final = "01a1ff84-36a9-7970-8563-bb65b71ceeaf"

# Parts of paths and queries by their name. Ids are given by the gateway: there is none for them.
PARAMETERS: Final[Mapping[str, str]] = {
    "name": "page_text",
    "script": "page_text",
    "channel": "stable",
    "site": "shop.example",
    "account": "buyer",
    "schedule": "nightly",
}

# (method, path) -> body.
BODIES: Final[Mapping[tuple[str, str], Any]] = {
    ("POST", "/scrape"): _TASK,
    ("POST", "/v1/tasks"): {**_TASK, "retry": {"max": 3, "backoff": [15, 30, 60]}},
    ("POST", "/v1/tasks/batch"): {
        "tasks": [
            {"script_name": "page_text", "parameters": {"url": f"https://example.com/{each}"}}
            for each in ("tea", "cakes")
        ]
    },
    ("POST", "/v1/tasks/cancel"): {"script": "page_text", "status": ["queued"]},
    ("POST", "/v1/tasks/wait"): {"ids": [_ID], "wait": 10},
    ("POST", "/v1/deadletters/retry"): {"script": "page_text", "limit": 10},
    ("POST", "/v1/handoffs/{handoff_id}/answer"): {"answer": {"code": "1234"}},
    ("POST", "/v1/handoffs/{handoff_id}/resolve"): {"answer": {"code": "1234"}},
    ("POST", "/v1/scripts/{name}/run"): _PAGE,
    ("POST", "/v1/scripts/{name}/validate"): _PAGE,
    ("POST", "/v1/scripts/prefetch"): {"script_name": "page_text", "version": "^1.0"},
    ("PUT", "/v1/scripts/{name}/channels/{channel}"): {"version": "1.0.0"},
    ("PUT", "/v1/scripts/{name}/state/{key:path}"): {"value": {"last_seen": 17}},
    ("PUT", "/v1/sessions/{site}/{account}"): {
        "cookies": [{"name": "sid", "value": "8f1c", "domain": "shop.example"}],
        "scripts": ["page_text"],
    },
    ("PUT", "/v1/sites/{site}"): {"rate": "30/m", "concurrency": 2},
    ("POST", "/v1/secrets"): {
        "name": "shop_password",
        "value": "open sesame",
        "scripts": ["page_text"],
    },
    ("POST", "/v1/keys"): {
        "name": "shop-team",
        "scopes": ["run", "read"],
        "scripts": ["price_*"],
        "expires_in": 7_776_000,
        "rate": "10/s",
    },
    ("POST", "/v1/tokens"): {"name": "rack-2", "uses": 10, "expires_in": 43_200},
    ("POST", "/v1/tokens/rotate-key"): {"overlap": 604_800},
    ("POST", "/v1/schedules"): _SCHEDULE,
    ("POST", "/v1/schedules/preview"): _SCHEDULE,
    ("PATCH", "/v1/schedules/{schedule}"): {"cron": "30 3 * * 1-5"},
    ("POST", "/v1/schedules/{schedule}/pause"): {},
    ("POST", "/v1/schedules/{schedule}/resume"): {},
    ("POST", "/v1/handoffs/{handoff_id}/dismiss"): {},
    ("POST", "/v1/workers/{worker_id}/drain"): {},
    ("POST", "/v1/workers/{worker_id}/resume"): {},
    ("POST", "/v1/workers/{worker_id}/revoke"): {},
}
