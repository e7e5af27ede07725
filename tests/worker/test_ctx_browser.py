"""`ctx.browser`: a tab of pydoll's in an attempt, joined to artifacts, pages and cookies."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import KIT, LIMITS, SHARED, Site, browsers, eventually, nobody, profiles, serving
from tests.worker.conftest import Desk, Ran, Stage
from zscrape.model import OutcomeCode
from zscrape.worker.network import NetworkPolicy
from zscrape.worker.slots import SlotPolicy

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]

PNG, PDF = b"\x89PNG", b"%PDF-"


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A site for browsers."""
    with serving() as made:
        yield made


def artifacts(ran: Ran) -> dict[str, tuple[str, bytes]]:
    """Return what an attempt has saved: media type and body by name."""
    return {
        each["name"]: (each["content_type"], base64.b64decode(each["data"]))
        for each in ran.bodies("artifact")
    }


async def test_tab_shows_waits_saves_and_is_asked_like_a_page(desk: Desk, site: Site) -> None:
    """One visit: what comes late is waited for, artifacts are kept, the page answers selectors."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser(viewport=(640, 480)) as tab:
                await tab.go_to(url + "/")
                late = await tab.wait_for("b.ready")
                await tab.wait_for_text("it is ready")
                page = await tab.page()
                await tab.save_screenshot("seen.png")
                await tab.save_screenshot("whole.jpg", full_page=True)
                await tab.save_pdf("page.pdf")
                await tab.save_html("page.html")
                async with tab.save_download():
                    await (await tab.query("#file")).click()
                return {
                    "title": await tab.title(),
                    "late": await late.text(),
                    "heading": page.css("h1").text,
                    "link": page.links(),
                    "size": await tab.value("[innerWidth, innerHeight]"),
                    "webdriver": await tab.value("navigator.webdriver"),
                }
    """
    ran = await desk.browse(source, {"url": site.url})

    assert ran.data == {
        "title": "Home",
        "late": "it is ready",
        "heading": "Hello",
        "link": [f"{site.url}/report.csv"],
        "size": [640, 480],
        "webdriver": False,
    }
    saved = artifacts(ran)
    assert saved["seen.png"][0] == "image/png"
    assert saved["seen.png"][1].startswith(PNG)
    assert saved["whole.jpg"][0] == "image/jpeg"
    assert saved["page.pdf"][1].startswith(PDF)
    assert b"it is ready" in saved["page.html"][1]
    assert saved["report.csv"][1] == b"name,price\nlamp,12\n"


async def test_requests_are_held_back_and_answers_captured(desk: Desk, site: Site) -> None:
    """Pictures are not asked for; the JSON that a scrolled page gets is there as data."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser(block=("image", "*/report*")) as tab:
                await tab.go_to(url + "/")
                picture = await tab.value("document.getElementById('picture').dataset.is")
                async with tab.capture_json("*/api/rows*") as answers:
                    await tab.go_to(url + "/list")
                    count = await tab.scroll_through("li", max_count=30, quiet=15)
                return [picture, count, [each.url for each in answers], answers[0].data[0]]
    """
    site.seen.clear()
    ran = await desk.browse(source, {"url": site.url})

    picture, count, answers, first = ran.data
    assert picture == "held"
    assert "/pixel.png" not in site.seen
    assert count >= 30
    assert answers[:3] == [f"{site.url}/api/rows?page={page}" for page in (1, 2, 3)]
    assert first == {"name": "row 1.0"}


async def test_cookies_go_both_ways_and_identity_is_as_asked(desk: Desk, site: Site) -> None:
    """What `ctx.http` was given the browser sends, and the other way round; so with locale."""
    source = """
        import json

        async def run(url, *, ctx):
            ctx.http.get(url + "/who")
            ctx.http.cookies.set("basket", "7", domain="127.0.0.1", path="/")
            async with ctx.browser(locale="ko-KR", user_agent=AGENT) as tab:
                await tab.go_to(url + "/who")
                told = json.loads((await tab.page()).css("pre").text)
                await tab.value("document.cookie = 'made=here; path=/'")
                language = await tab.value("[navigator.language, (1234.5).toLocaleString('de')]")
            back = json.loads(ctx.http.get(url + "/who").css("pre").text)
            return [told, language[0], back["cookie"]]

        AGENT = (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/150.0.0.0 Safari/537.36"
        )
    """
    ran = await desk.browse(source, {"url": site.url})

    told, language, back = ran.data
    assert {"visited=yes", "basket=7"} <= set(told["cookie"].split("; "))
    assert told["accept-language"].startswith("ko-KR")
    assert "Chrome/150" in told["user-agent"]
    assert language == "ko-KR"
    assert {"visited=yes", "basket=7", "made=here"} <= set(back.split("; "))


async def test_script_without_async_has_a_tab_that_blocks(desk: Desk, site: Site) -> None:
    """`with` in place of `async with`, in a generator; the second knows nothing of the first."""
    source = """
        def run(url, *, ctx):
            for number in range(2):
                with ctx.browser(cookies=False) as tab:
                    tab.go_to(url + "/who")
                    with tab.capture_json() as answers:
                        tab.go_to(url + "/list")
                        tab.wait_for("li:nth-child(3)")
                    cookies = tab.value("document.cookie")
                    tab.value("document.cookie = 'left=over'")
                    yield [tab.title(), cookies, tab.query("li").text(), len(answers) > 0]
    """
    ran = await desk.browse(source, {"url": site.url})

    assert ran.data == [["List", "visited=yes", "row 1.0", True]] * 2


async def test_faults_say_what_and_what_next(desk: Desk, site: Site) -> None:
    """A missing element, a wrong option and a page's own exception are told in words."""
    source = """
        def told(call):
            try:
                call()
            except (TimeoutError, ValueError, RuntimeError) as error:
                return f"{type(error).__name__}: {error}"

        def run(url, *, ctx):
            with ctx.browser() as tab:
                tab.go_to(url + "/")
                return [
                    told(lambda: tab.wait_for(".nothing", timeout=0.2)),
                    told(lambda: tab.value("nothing.at.all")),
                    told(lambda: tab.save_screenshot("picture.gif")),
                    told(lambda: ctx.browser(block=("pictures",))),
                    told(lambda: ctx.browser(wait="ever")),
                ]
    """
    ran = await desk.browse(source, {"url": site.url})

    missing, fault, ending, kind, wait = ran.data
    assert missing == f"TimeoutError: no element .nothing within 0.2 s at {site.url}/"
    assert fault.startswith("RuntimeError: the page says: ReferenceError: nothing is not defined")
    assert "png, jpg, jpeg, webp" in ending
    assert "none of: image, font" in kind
    assert "load, dom" in wait


async def test_network_policy_holds_for_the_browser(desk: Desk, site: Site) -> None:
    """A script may reach what is public, and no page of this machine; a file is no matter of it."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser() as tab:
                await tab.go_to("data:text/html,<title>own</title>")
                told = [await tab.title()]
                for address in (url + "/", "file:///etc/shadow"):
                    try:
                        await tab.go_to(address, timeout=20)
                    except Exception as error:
                        told.append(type(error).__name__)
                return told
    """
    site.seen.clear()
    ran = await desk.browse(source, {"url": site.url}, network="public")

    if desk.slots.network_strength.name == "kit":
        pytest.skip("nothing on this machine holds other programs than Python to a policy")
    assert ran.data == ["own", "NetworkDenied", "NavigationError"]
    assert site.seen == []


async def test_browser_started_ahead_is_fresh_and_used_once(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The second attempt finds one that waited for it, without anything of the first."""
    source = """
        import os

        def run(url, *, ctx):
            home = os.environ["HOME"]
            waited = os.path.isdir(home + "/.browser/profile")
            with ctx.browser() as tab:
                tab.go_to(url + "/who")
                before = tab.value("localStorage.getItem('left')")
                tab.value("localStorage.setItem('left', 'over')")
            return [waited, os.path.exists(home + "/.browser-0"), before]
    """
    root = tmp_path_factory.mktemp("ahead")
    policy = SlotPolicy(
        slot_count=1,
        scratch_dir=root / "scratch",
        script_roots=(root,),
        skip_layers=SHARED,
        network=NetworkPolicy("any"),
        browser_ahead=1,
    )
    stage = Stage(root, policy)
    stage.answer = nobody
    await stage.slots.start()
    name = stage.write(source)
    told = []
    for _ in range(2):
        options = {"kit": KIT, "limits": LIMITS, "timeout_s": 50.0, "network": "any"}
        ran = stage.begin(name, {"url": site.url}, **options)
        await ran.finished.wait()
        told.append(ran.data)
        await stage.until_quiet()
        await eventually(lambda: len(profiles(policy.scratch_dir)) == 1)
    await stage.slots.close()

    assert told[1] == [True, False, None]
    assert not browsers(root)


# Twenty attempts cost half a minute of a processor; ZSCRAPE_BROWSER_ROUNDS=5 makes them fifty.
ROUNDS = int(os.environ.get("ZSCRAPE_BROWSER_ROUNDS", "2"))
ENDS = {
    "return": OutcomeCode.OK,
    "raise": OutcomeCode.SCRIPT_ERROR,
    "leave": OutcomeCode.CRASHED,
    "kill": OutcomeCode.CRASHED,
    "forget": OutcomeCode.OK,
    "twice": OutcomeCode.OK,
    "crash": OutcomeCode.SCRIPT_ERROR,
    "fill": OutcomeCode.MEMORY_LIMIT,
    "cancel": OutcomeCode.CANCELLED,
    "stay": OutcomeCode.TIMEOUT,
}


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_attempts_leave_no_browser_and_no_profile(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two at a time, ended in every way there is, with browsers started ahead and without."""
    source = """
        import asyncio
        import os
        import signal

        async def run(url, how, *, ctx):
            tab = await ctx.browser().__aenter__() if how == "forget" else None
            if tab is not None:
                return "forgotten"
            async with ctx.browser() as tab:
                await tab.go_to(url + "/who")
                ctx.progress(0.5, "there it is")
                if how == "leave":
                    os._exit(3)
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if how == "raise":
                    raise ValueError("enough")
                if how == "crash":
                    await asyncio.wait_for(tab.go_to("chrome://crash"), 3)
                    raise ValueError("it went on")
                if how == "fill":
                    held = [bytearray(os.urandom(1_000_000) * 50) for _ in range(60)]
                if how in ("cancel", "stay"):
                    await tab.value("new Promise(() => 0)")
            if how == "twice":
                async with ctx.browser() as tab:
                    await tab.go_to(url + "/who")
    """
    root = tmp_path_factory.mktemp("fifty")
    policy = SlotPolicy(
        slot_count=2,
        scratch_dir=root / "scratch",
        script_roots=(root,),
        grace_s=0.5,
        network=NetworkPolicy("any"),
        browser_ahead=1,
    )
    stage = Stage(root, policy)
    stage.answer = nobody
    await stage.slots.start()
    name = stage.write(source)
    room = asyncio.Semaphore(2)

    async def end(how: str) -> tuple[str, OutcomeCode]:
        async with room:
            limit_s = 8.0 if how == "stay" else 50.0
            options = {"kit": KIT, "limits": LIMITS, "timeout_s": limit_s, "network": "any"}
            ran = stage.begin(name, {"url": site.url, "how": how}, **options)
            if how == "cancel":
                await ran.until(lambda ran: bool(ran.bodies("progress")))
                stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
            await ran.finished.wait()
            return how, ran.outcome.code

    ended = await asyncio.gather(*(end(how) for how in [*ENDS] * ROUNDS))
    await stage.slots.close()

    assert ended == [*ENDS.items()] * ROUNDS
    assert not browsers(root)
    assert not profiles(policy.scratch_dir)


async def test_kit_without_a_browser_is_told_apart(desk: Desk) -> None:
    """Without `browser` in its kit a script is told what its manifest lacks."""
    ran = await desk.browse("def run(*, ctx):\n    ctx.browser()\n", kit=("http",))

    assert ran.outcome.code is OutcomeCode.SCRIPT_ERROR
    assert '"kit": ["http", "browser"]' in ran.outcome.error_message


async def test_missing_chromium_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    """The named program is not there: `environment_error`, and what it says."""
    nowhere = tmp_path / "chromium"
    policy = SlotPolicy(
        slot_count=1,
        scratch_dir=tmp_path / "scratch",
        script_roots=(tmp_path,),
        skip_layers=SHARED,
        environ={"ZSCRAPE_BROWSER_PROGRAM": str(nowhere)},
    )
    stage = Stage(tmp_path, policy)
    await stage.slots.start()
    source = "def run(*, ctx):\n    with ctx.browser():\n        pass\n"
    ran = await stage.run(source, kit=KIT, limits=LIMITS, timeout_s=50.0)
    await stage.slots.close()

    assert ran.outcome.code is OutcomeCode.ENVIRONMENT_ERROR
    assert str(nowhere) in str(ran.outcome.fields["reason"])


async def test_a_failure_keeps_what_the_tab_showed(desk: Desk, site: Site) -> None:
    """An attempt that fails beside a page keeps that page and a picture of it for its capsule."""
    source = """
        async def run(url, *, ctx):
            async with ctx.browser(viewport=(640, 480)) as tab:
                await tab.go_to(url + "/")
                await tab.wait_for("b.ready")
                raise ValueError("no price")
    """
    ran = await desk.browse(source, {"url": site.url})

    (saved,) = ran.bodies("recording")
    told = json.loads(zlib.decompress(base64.b64decode(saved["data"])))
    assert ran.outcome.code == OutcomeCode.SCRIPT_ERROR
    assert told["page"]["url"] == f"{site.url}/"
    assert "it is ready" in told["page"]["html"]
    assert base64.b64decode(told["screenshot"]).startswith(b"\xff\xd8\xff")
