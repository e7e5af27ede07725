"""What `ctx.http` can tell of how an attempt ends is the attempt's outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Network

import pytest
import pytest_asyncio

from tests.shop.documents import content
from tests.shop.server import Shop
from tests.worker.conftest import Stage
from zscrape.model import OutcomeCode
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import SlotPolicy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Slots whose scripts may reach the loopback."""
    root = tmp_path_factory.mktemp("kit")
    network = NetworkPolicy(allow=(IPv4Network("127.0.0.0/8"),))
    made = Stage(root, SlotPolicy(1, root / "scratch", (root,), network=network))
    await made.slots.start()
    yield made
    await made.slots.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A running shop."""
    with Shop() as running:
        yield running


ENDS = {
    "ctx.http.get(url + '/status/403')": ("blocked", "Blocked"),
    "ctx.http.get(url + '/blocked?by=incapsula')": ("blocked", "Blocked"),
    "ctx.http.get(url + '/status/429?retry_after=9999')": ("rate_limited", "RateLimited"),
    "ctx.http.get(url + '/private/x')": ("robots_disallowed", "RobotsDisallowed"),
    "ctx.http.login(url + '/login', {'user': 'mina', 'password': 'no'})": (
        "login_expired",
        "LoginExpired",
    ),
    "ctx.http.get(url + '/status/404')": ("script_error", "HttpError"),
    "ctx.http.get(url + '/bomb?mb=64')": ("script_error", "BodyTooLarge"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("line", ENDS)
async def test_what_the_kit_knows_is_the_outcome(stage: Stage, shop: Shop, line: str) -> None:
    """A script that does not catch it ends with the code, its line in the traceback."""
    ran = await stage.run(f"def run(url, ctx):\n    {line}", {"url": shop.url}, kit=("http",))

    assert (ran.outcome.code, ran.outcome.error_type.rpartition(".")[2]) == ENDS[line]
    assert "main.py" in ran.outcome.traceback
    assert shop.url in ran.outcome.error_message


@pytest.mark.asyncio(loop_scope="module")
async def test_script_may_catch_what_the_kit_raises(stage: Stage, shop: Shop) -> None:
    """Each is an ordinary error with the page that came."""
    source = """
        from zscrape import Blocked, HttpError
        def run(url, ctx):
            try:
                ctx.http.get(url + "/status/403")
            except Blocked as error:
                assert isinstance(error, HttpError)
                return [type(error).__name__, error.code, error.page.text]
    """
    ran = await stage.run(source, {"url": shop.url}, kit=("http",))

    assert ran.data == ["Blocked", "blocked", "This is all."]


@pytest.mark.asyncio(loop_scope="module")
async def test_code_of_a_scripts_own_class_is_one_of_the_known(stage: Stage, shop: Shop) -> None:
    """A class derived from the kit's with a code that is none ends as its base does."""
    source = """
        from zscrape import CaptchaRequired
        class Mine(CaptchaRequired):
            code = "no_such_code"
        def run(ctx):
            raise Mine("a picture")
    """
    ran = await stage.run(source, kit=("http",))

    assert ran.outcome.code is OutcomeCode.CAPTCHA_REQUIRED
    assert ran.outcome.error_message == "a picture"


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_loaded_late_can_be_loaded_by_a_limited_child(
    stage: Stage, shop: Shop
) -> None:
    """XPath, charsets that must be guessed, threads and downloads work behind every layer."""
    source = """
        import asyncio
        async def run(url, ctx):
            page = await ctx.http.asynchronous.get(url + "/encoding/shift_jis")
            table = (await ctx.http.asynchronous.get(url + "/tables")).tables()[0]
            found = await ctx.http.asynchronous.download(url + "/files/2000000.bin?cut=1", "a.bin")
            return [page.charset, page.xpath("count(//p)"), table[0], found.size_bytes]
    """
    ran = await stage.run(source, {"url": shop.url}, kit=("http",), timeout_s=60.0)

    assert ran.data == ["cp932", 1.0, {"Tea": "Green", "Price": "3,500"}, 2_000_000]
    artifact = next(each for each in ran.records if each.kind == "artifact")
    assert artifact.body is not None
    assert len(content(2_000_000)) == 2_000_000


@pytest.mark.asyncio(loop_scope="module")
async def test_proxies_of_a_secret_are_the_way_out(stage: Stage, shop: Shop) -> None:
    """A script that lists the secret `proxies` goes out by them without a word of its own."""
    source = """
        def run(ctx):
            return [len(ctx.http.proxies), ctx.http.get("http://any.example/products").title]
    """
    with Shop() as way:
        ran = await stage.run(
            source,
            kit=("http",),
            secrets=("proxies",),
            values={"proxies": f"# ours\n{way.url} tier=1 sites=any.example\n"},
        )

    assert ran.data == [1, "Products 1"]
