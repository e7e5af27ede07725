"""The files of the dashboard: small, kept by browsers, held to themselves, and whole in words."""

from __future__ import annotations

import gzip
import re
from typing import Final

import httpx
import pytest

from tests.gateway.conftest import Gateway
from zscrape.core.snapshots import WorkerStatus
from zscrape.gateway.api.dashboard import ROOT, assets, digest
from zscrape.messages.dashboard import DASHBOARD
from zscrape.model import OutcomeCode, Overlap, TaskState
from zscrape.store.schedules import OccurrenceStatus

SIZE_LIMIT_BYTES: Final = 300_000
VENDORED: Final = {"preact.js", "uplot.js"}
OWN: Final = {
    name: asset.content.decode()
    for name, asset in assets().items()
    if name.endswith(".js") and name not in VENDORED
}
SOURCE: Final = "\n".join(OWN.values())


def nobody(gateway: Gateway) -> httpx.AsyncClient:
    """Return a client without a key."""
    made = gateway.client()
    del made.headers["Authorization"]
    return made


async def test_the_page_may_load_its_own_files_alone(gateway):
    """No script and no style in it, none from elsewhere; it is asked for again each time."""
    async with nobody(gateway) as web:
        page = await web.get("/", headers={"Accept-Language": "ko"})
        again = await web.get("/", headers={"If-None-Match": page.headers["etag"]})
    policy = page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert page.headers["cache-control"] == "no-cache"
    assert '<html lang="ko">' in page.text
    assert not re.search(r"<script>|<style|\son\w+=|style=", page.text)
    assert all(each.startswith((ROOT, "/docs")) for each in addresses)
    assert again.status_code in (200, 304)


async def test_files_are_kept_for_ever_under_their_digest(gateway):
    """A file of this version may be kept; one asked for by an older page is given, not kept."""
    path = f"{ROOT}{digest()}/app.js"
    async with nobody(gateway) as web:
        now = await web.get(path, headers={"Accept-Encoding": "identity"})
        packed = await web.get(path, headers={"Accept-Encoding": "gzip"})
        same = await web.get(path, headers={"If-None-Match": now.headers["etag"]})
        old = await web.get(f"{ROOT}0123456789abcdef/app.js")
        none = await web.get(f"{ROOT}{digest()}/none.js")

    assert "immutable" in now.headers["cache-control"]
    assert now.headers["content-type"].startswith("text/javascript")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == now.content == old.content
    assert (same.status_code, same.content) == (304, b"")
    assert old.headers["cache-control"] == "no-store"
    assert none.status_code == 404


def test_all_of_it_is_small():
    """Everything that a first visit loads, packed, is far below the limit."""
    size_bytes = sum(len(asset.packed) for name, asset in assets().items() if name[-3:] != "txt")

    assert size_bytes < SIZE_LIMIT_BYTES
    assert all(gzip.decompress(each.packed) == each.content for each in assets().values())


def test_nothing_makes_markup_of_a_text():
    """What comes from tasks is set as text; no file of ours has another way."""
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "dangerouslySet",
        "eval(",
        "http:/",
    ):
        assert word not in SOURCE


def test_every_word_is_in_the_catalogue_and_every_text_is_used():
    """A key that is asked for is there, and none of the catalogue is left over."""
    known = {key.removeprefix("ui.") for key in DASHBOARD}
    asked = set(re.findall(r'["`]([a-z_]+(?:\.[a-z0-9_]+)+)["`]', SOURCE))
    begun = set(re.findall(r"`([a-z.]+\.)\$\{", SOURCE))
    called = set(re.findall(r'\bt\("([^"]+)"', SOURCE))
    is_used = {key: key in asked or key.startswith(tuple(begun)) for key in known}

    assert called <= known
    assert [key for key, used in is_used.items() if not used] == []


@pytest.mark.parametrize(
    "keys",
    [
        [f"state.{each.value}" for each in TaskState],
        [f"state.{each.value}" for each in WorkerStatus],
        [f"state.{each}" for each in ("active", "revoked", "expired", "used_up", "paused")],
        [f"occurrence.{each.value}" for each in OccurrenceStatus],
        [f"overlap.{each.value}" for each in Overlap],
        [f"next.{each.value}" for each in OutcomeCode if each is not OutcomeCode.OK],
    ],
)
def test_what_the_gateway_may_say_has_words(keys):
    """Every state, every way to fail and every occurrence."""
    assert [key for key in keys if f"ui.{key}" not in DASHBOARD] == []


def test_the_licences_of_what_others_wrote_stand_beside_it():
    """Each file that is not ours is named there."""
    text = assets()["licenses.txt"].content.decode()

    assert all(name in text for name in VENDORED)
    assert "Apache License" in text
    assert text.count("MIT License") >= 2
