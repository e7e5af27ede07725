"""The examples of the API's description are sent, each to what was made for it, and work."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Gateway, until
from tests.gateway.loop_router import hold
from tests.gateway.test_handoffs import Script, opened
from tests.gateway.test_link_strangers import Link
from tests.link_keys import make_known
from zscrape.gateway.examples import BODIES, PARAMETERS
from zscrape.gateway.openapi import describe, told_path
from zscrape.gateway.remembering import remember
from zscrape.gateway.vault import Vault
from zscrape.store.secrets import MemorySecrets

SAMPLE = Path(__file__).parents[2] / "scripts_sample" / "page_text"


@pytest.fixture
async def sampled(make: Any, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway with the sample that examples name, a vault, and a link that a worker knows."""
    shutil.copytree(SAMPLE, folder / "scripts" / "page_text")
    gateway: Gateway = make()
    gateway.state.vault = Vault(
        MemorySecrets(), folder / "secrets.key", clock=time.time, report=lambda error: None
    )
    gateway.state.remembering = remember(sealing=gateway.state.vault)
    link = Link(folder / "link")
    link.router.start()
    gateway.state.joining = link.joining
    await make_known(link.keys, link.door, "w1")
    yield gateway
    link.joining.stop()
    link.router.stop()


async def question(gateway: Gateway, client: httpx.AsyncClient) -> tuple[Any, str]:
    """Have a running task ask a person; returns what asks, and the question's id."""
    worker = gateway.worker(hold)
    body = {"script_name": "page", "parameters": {"url": "u"}}
    told = (await client.post("/v1/tasks", json=body)).json()
    await until(lambda: worker.runs.qsize() == 1)
    worker.started(worker.runs.get_nowait())
    asking = Script(gateway, told["request_id"]).ask()
    rows = await opened(client)
    return asking, rows[0]["id"]


def test_every_body_has_an_example(gateway: Gateway) -> None:
    """Whatever takes a body shows one, under its own path."""
    told = describe(gateway.app.routes)["paths"]
    without = [
        f"{method} {path}"
        for path, methods in told.items()
        for method, operation in methods.items()
        if "requestBody" in operation
        and "example" not in operation["requestBody"]["content"]["application/json"]
    ]
    paths = {(method.upper(), path) for path, methods in told.items() for method in methods}

    assert without == []
    assert {(method, told_path(path)) for method, path in BODIES} <= paths


@pytest.mark.parametrize(("method", "path"), BODIES, ids=str)
async def test_an_example_works(sampled: Gateway, method: str, path: str) -> None:
    """It is not refused."""
    body = BODIES[method, path]
    parts = dict(PARAMETERS)
    asking = None
    async with sampled.client() as client:
        if "schedule}" in path:
            await client.post("/v1/schedules", json=BODIES["POST", "/v1/schedules"])
        if "handoff_id" in path:
            asking, parts["handoff_id"] = await question(sampled, client)
        else:
            sampled.worker()
            parts["worker_id"] = (await client.get("/v1/workers")).json()["workers"][0]["id"]
        target = told_path(path).format_map({"key": "cursor", **parts})
        answer = await client.request(method, target, json=body)
        if asking is not None:
            asking.cancel()

    assert answer.status_code < 300, f"{answer.status_code} {answer.text}"
