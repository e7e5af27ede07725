"""The API describes itself, and keeps to what it says whatever it is asked."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import httpx
import jsonschema
import pytest

from tests.gateway.fuzz import Call, Caller
from zscrape.gateway.api.docs import ROOT, digest
from zscrape.gateway.app import HttpPolicy
from zscrape.gateway.openapi import told_path
from zscrape.gateway.operations import OPERATIONS
from zscrape.gateway.remembering import remember
from zscrape.gateway.vault import Vault
from zscrape.store.secrets import MemorySecrets

PAGE = {"script_name": "page", "parameters": {"url": "u"}}
# What `tests/e2e/test_described.py` does not reach: names of things that are there, headers,
# bodies that are no JSON. Of calls of each operation, per seed.
SEEDS = range(2)
ROUNDS = 25


async def test_every_route_is_described(gateway, client):
    """Each route stands in the document with a summary; no entry is left of one that has gone."""
    answer = await client.get("/openapi.json", headers={"Authorization": ""})
    document = answer.json()
    served = {
        (method, route.path)
        for route in gateway.app.routes
        for method in route.methods - {"HEAD"}
        if route.include_in_schema
    }
    described = {(method, told_path(path)) for method, path in served}
    told = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    operations = [each for methods in document["paths"].values() for each in methods.values()]

    assert answer.status_code == 200
    assert document["openapi"].startswith("3.1")
    assert told == described
    assert not [path for _, path in told if ":" in path]
    assert set(OPERATIONS) <= served
    assert all(each["summary"] for each in operations)
    assert len({each["operationId"] for each in operations}) == len(operations)


async def test_the_main_call_comes_first(client):
    """Groups begin with what most readers look for; every call is in one of them."""
    document = (await client.get("/openapi.json")).json()
    names = [each["name"] for each in document["tags"]]
    used = {each["tags"][0] for methods in document["paths"].values() for each in methods.values()}

    assert names[:4] == ["scrape", "tasks", "scripts", "schedules"]
    assert names[-1] == "gateway"
    assert set(names) == used
    assert document["paths"]["/scrape"]["post"]["summary"].startswith("Run a script")


async def test_references_and_patterns_are_sound(client):
    """Every reference leads somewhere, and no pattern is Python's alone."""
    answer = await client.get("/openapi.json")
    text, schemas = answer.text, answer.json()["components"]["schemas"]
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))

    assert names <= set(schemas)
    assert r"\\A" not in text
    assert r"\\Z" not in text
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("lang", "word"), [("en", "dashboard"), ("ko", "대시보드")])
async def test_the_page_for_people_loads_its_own_files_alone(client, lang, word):
    """`/docs` needs no key, holds to itself, and speaks both languages."""
    client.headers.pop("Authorization")
    answer = await client.get("/docs", headers={"Accept-Language": lang})
    addresses = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    given = [await client.get(each) for each in addresses if each.startswith(ROOT)]
    licences = await client.get(f"{ROOT}{digest()}/licenses.txt")
    policy = answer.headers["content-security-policy"]

    assert answer.headers["content-type"].startswith("text/html")
    assert f'lang="{lang}"' in answer.text
    assert word in answer.text
    assert not re.search(r"<script>|<style|\son\w+=|style=", answer.text)
    assert all(each.startswith("/") and not each.startswith("//") for each in addresses)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "{{" not in answer.text
    assert [each.status_code for each in given] == [200] * 4
    assert all("immutable" in each.headers["cache-control"] for each in given)
    assert re.search(r"Swagger UI \d+\.\d+\.\d+", licences.text)


async def test_a_file_of_the_page_is_given_packed_or_not(client):
    """What lies packed in the package is unpacked for who cannot do that; others are not found."""
    path = f"{ROOT}{digest()}/swagger-ui.css"
    packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    none = await client.get(f"{ROOT}{digest()}/none.js")

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert none.status_code == 404


class Judge:
    """Holds answers to the document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validators: dict[tuple[str, str, str, str], Any] = {}

    def fault(self, call: Call, answer: httpx.Response) -> str:
        """Return what of an answer is not as described, or an empty text."""
        responses = self._document["paths"][call.path][call.method.lower()]["responses"]
        status = str(answer.status_code)
        status = status if status in responses else "default"
        if status == "default" and answer.status_code < 400:
            return f"{answer.status_code} is not described"
        content = responses[status].get("content")
        media = answer.headers.get("content-type", "").partition(";")[0]
        if content is None:
            return f"{media} although there is nothing to tell" if answer.content else ""
        if media not in content:
            return "" if "*/*" in content else f"{answer.status_code} {media} is not described"
        if not media.endswith("json") or media == "application/x-ndjson":
            return ""
        try:
            answer.json()
        except ValueError as error:
            return f"{answer.status_code} is not JSON: {error} {answer.content[:80]!r}"
        return self._mismatch((call.path, call.method, status, media), content[media], answer)

    def _mismatch(self, key: Any, told: Any, answer: httpx.Response) -> str:
        if key not in self._validators:
            schema = {"components": self._document["components"], **told["schema"]}
            self._validators[key] = jsonschema.Draft202012Validator(schema)
        error = jsonschema.exceptions.best_match(self._validators[key].iter_errors(answer.json()))
        return "" if error is None else f"{answer.status_code} {error.json_path}: {error.message}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(150)
async def test_whatever_is_asked_is_answered_as_described(make, tmp_path, seed):
    """No call ends in a fault of ours, and no answer is of a form that the document lacks."""
    gateway = make(http=HttpPolicy(max_wait_s=0.05, ping_interval_s=0.05))
    gateway.state.vault = Vault(
        MemorySecrets(), tmp_path / "secrets.key", clock=time.time, report=lambda error: None
    )
    gateway.state.remembering = remember(sealing=gateway.state.vault)
    gateway.worker()
    faults: list[str] = []
    count = 0
    async with gateway.client() as client:
        document = (await client.get("/openapi.json")).json()
        task = (await client.post("/scrape", json=PAGE)).json()["request_id"]
        words = ["page", "anything", "korean", "locked", "broken", "1.4.2", "^1", "stable"]
        caller = Caller(document, seed, [*words, task, "completed", "u", "page.html"])
        judge = Judge(document)
        for call in caller.calls(ROUNDS):
            try:
                async with asyncio.timeout(40):
                    answer = await client.request(
                        call.method, call.target, headers=_sendable(call), content=call.content
                    )
            except TimeoutError:
                faults.append(f"{call.method} {call.target}: no answer")
                continue
            count += 1
            # A path with dots is tidied by the client: another operation has answered.
            is_elsewhere = "/.." in call.target.partition("?")[0]
            fault = "" if is_elsewhere else judge.fault(call, answer)
            is_ours = answer.status_code == 500 and "script_error" not in answer.text
            if fault or is_ours:
                faults.append(f"{call.method} {call.target[:200]} {call.content!r:.300}: {fault}")

    assert faults == []
    assert gateway.reports == []
    assert count * len(SEEDS) >= 4_000


def _sendable(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.headers.items() if value.isascii()}
