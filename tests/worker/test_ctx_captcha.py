"""`ctx.captcha`: known on pages and tabs, got past by the browser's mouse or by a person."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.browser import KIT, LIMITS, SHARED, nobody
from tests.shop.server import Shop
from tests.worker.conftest import Ran, Stage
from zscrape.model import OutcomeCode
from zscrape.wire import Ask, Tell
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import SlotPolicy

pytestmark = pytest.mark.asyncio(loop_scope="session")
needs_chromium = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]


def in_browser(test: Any) -> Any:
    """Mark a test that needs Chromium."""
    for mark in needs_chromium:
        test = mark(test)
    return test


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """A site with challenges."""
    with Shop() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A running `Slots` whose scripts may reach loopback."""
    root = tmp_path_factory.mktemp("captcha")
    policy = SlotPolicy(
        1, root / "scratch", (root,), skip_layers=SHARED, network=NetworkPolicy("any")
    )
    made = Stage(root, policy)
    made.answer = nobody
    await made.slots.start()
    yield made
    await made.slots.close()


async def run(desk: Stage, source: str, params: Any, kit: tuple[str, ...] = KIT) -> Ran:
    """Run a script that may have a browser."""
    options = {"kit": kit, "limits": LIMITS, "timeout_s": 50.0, "network": "any"}
    return await desk.run(source, params, **options)


def reader(desk: Stage, shop: Shop) -> None:
    """Have a person who can read what the shop's last picture says."""

    def answer(ask: Ask) -> Tell:
        if ask.kind != "person":
            return nobody(ask)
        digits = list(shop.state.riddles.values())[-1]
        body = msgspec.json.encode({"answer": digits})
        return Tell(ask.task_id, ask.attempt, ask.request, body)

    desk.answer = answer


async def test_challenges_of_pages_are_told_apart(desk: Stage, shop: Shop) -> None:
    """By the marks that their makers have pages hold; a page without one has none."""
    source = """
        def run(url, *, ctx):
            for path in ("turnstile", "recaptcha", "hcaptcha", "captcha", "products"):
                found = ctx.captcha.detect(ctx.http.get(f"{url}/{path}", check=False))
                yield None if found is None else [found.kind, found.url]
    """
    ran = await run(desk, source, {"url": shop.url}, ("http",))

    assert ran.data == [
        ["turnstile", f"{shop.url}/turnstile"],
        ["recaptcha", f"{shop.url}/recaptcha"],
        ["hcaptcha", f"{shop.url}/hcaptcha"],
        ["image", f"{shop.url}/captcha"],
        None,
    ]


@in_browser
async def test_checkbox_of_a_turnstile_is_clicked(desk: Stage, shop: Shop) -> None:
    """Through a closed shadow root, a frame of another process and a closed shadow root in it."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser() as tab:
                await tab.go_to(url + "/turnstile")
                kind = (await ctx.captcha.detect(tab)).kind
                passed = await ctx.captcha.solve(tab, until="#passed")
                text = await (await tab.wait_for("#passed")).text()
                await tab.go_to(url + "/products")
                return [kind, passed, text, await ctx.captcha.solve(tab)]
    """
    ran = await run(desk, source, {"url": shop.url})

    assert ran.data == ["turnstile", True, "You are a person.", False]
    assert len(shop.asked("/turnstile/verify")) == 1


@in_browser
async def test_picture_is_read_by_a_person(desk: Stage, shop: Shop) -> None:
    """They are shown the picture; their answer goes into the page's form, which goes on."""
    source = """
        def run(url, *, ctx):
            with ctx.browser() as tab:
                tab.go_to(url + "/captcha")
                passed = ctx.captcha.solve(tab)
                return [passed, tab.title(), tab.query("#passed").text()]
    """
    reader(desk, shop)
    ran = await run(desk, source, {"url": shop.url})

    assert ran.data[0] is True
    assert ran.data[2] == "You can read."
    (ask,) = [each for each in ran.asks if each.kind == "person"]
    told = msgspec.json.decode(ask.body)
    assert f"{shop.url}/captcha" in told["prompt"]
    assert told["image"]["name"] == "handoff-1.jpeg"


async def test_picture_of_a_page_is_read_by_a_person(desk: Stage, shop: Shop) -> None:
    """Without a browser the answer is the script's to send."""
    source = """
        def run(url, *, ctx):
            page = ctx.http.get(url + "/captcha")
            digits = ctx.captcha.solve(page)
            name = page.css("input[name=id]").attr("value")
            sent = ctx.http.post(url + "/captcha", data={"id": name, "digits": digits})
            return sent.css("#passed").text
    """
    reader(desk, shop)
    ran = await run(desk, source, {"url": shop.url}, ("http",))

    assert ran.data == "You can read."


@pytest.mark.parametrize("path", ["hcaptcha", "captcha"])
async def test_what_cannot_be_solved_ends_the_attempt(desk: Stage, shop: Shop, path: str) -> None:
    """`captcha_required` names the page and what it shows, though the script swallows it."""
    source = """
        def run(url, *, ctx):
            try:
                ctx.captcha.solve(ctx.http.get(url), hand_off=False)
            except Exception:
                return "went on"
    """
    ran = await run(desk, source, {"url": f"{shop.url}/{path}"}, ("http",))

    assert ran.outcome.code is OutcomeCode.CAPTCHA_REQUIRED
    assert f"{shop.url}/{path} shows a" in ran.outcome.error_message


async def test_answer_that_nobody_gives_ends_the_attempt(desk: Stage, shop: Shop) -> None:
    """What the gateway says of it stands in the message."""
    source = "def run(url, *, ctx):\n    ctx.captcha.solve(ctx.http.get(url))\n"
    words = msgspec.json.encode({"message": "Nobody was there."})

    def answer(ask: Ask) -> Tell:
        if ask.kind != "person":
            return nobody(ask)
        return Tell(ask.task_id, ask.attempt, ask.request, words, "handoff_expired")

    desk.answer = answer
    ran = await run(desk, source, {"url": f"{shop.url}/captcha"}, ("http",))

    assert ran.outcome.code is OutcomeCode.CAPTCHA_REQUIRED
    assert "Nobody was there." in ran.outcome.error_message
