"""The dashboard in a real browser: what a person does there, and what each page is held to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dashboard.browser import Screen
from tests.dashboard.conftest import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.system,
    pytest.mark.timeout(120),  # it waits for conditions, on machines that are busy
]

PAGES = (
    *("/", "/tasks", "/scripts", "/scripts/shop", "/schedules", "/schedules/new?script=shop"),
    *("/handoffs", "/workers", "/sites", "/locks", "/deadletters", "/sessions", "/secrets"),
    *("/keys", "/audit"),
)
RETRIED = {"retry": {"max": 1, "backoff": [0.05], "on": ["script_error"]}}


async def test_signing_in_by_a_key(browser: Screen, site: Site) -> None:
    """A wrong key is refused in words, the right one opens the overview; signing out closes it."""
    await browser.load("/")
    await browser.fill("#key", "zs_wrong")
    await browser.click(None, "button.primary")
    await browser.until("document.querySelector('[role=alert]')")
    refused = await browser.text()
    await browser.fill("#key", site.key)
    await browser.click(None, "button.primary")
    await browser.until("document.querySelector('#pages')")
    address = await browser.run("return location.href")
    await browser.sign_out()

    assert "unauthorized" in refused
    assert address.endswith("/")


async def test_running_a_script_from_its_form(screen: Screen, site: Site) -> None:
    """From the list to the rows: what is missing is told at its field, what came is a table."""
    await screen.go("/scripts")
    await screen.click("shop", "td a")
    await screen.see("What each row is called.")
    await screen.click("Run")
    await screen.until("document.querySelector('#p-title[aria-invalid=true]')")
    focused = await screen.run("return document.activeElement.id")
    await screen.fill("#p-title", "Lamp")
    await screen.fill("#p-rows", "5")
    await screen.fill("#p-colour", '"blue"')
    await screen.click("Run")
    await screen.see("completed", "Lamp", "Artifacts")
    await screen.until("document.querySelectorAll('.items tbody tr').length === 5")
    task_id = (await screen.run("return location.hash")).rpartition("/")[2]
    told = site.call("GET", f"/v1/tasks/{task_id}")
    links = await screen.run("return [...document.querySelectorAll('.items a')].map((a) => a.href)")

    assert focused == "p-title"
    assert told["parameters"] == {"title": "Lamp", "rows": 5, "colour": "blue"}
    assert {each.rpartition("=")[2] for each in links} == {"csv", "xlsx", "jsonl", "json"}


async def test_rows_of_an_ended_task_begin_at_the_first_page_by_page(
    screen: Screen, site: Site
) -> None:
    """A long table is read from its top; the rows after the first hundred are one press away."""
    task_id = site.scrape("shop", parameters={"title": "Lamp", "rows": 130})
    await screen.go(f"/tasks/{task_id}")
    await screen.see("1 to 100 of 130")
    await screen.until("document.querySelectorAll('.items tbody tr').length === 100")
    top = await screen.run("return document.querySelector('.items .scroll').scrollTop")
    await screen.click("Next")
    await screen.see("101 to 130 of 130")
    await screen.until("document.querySelectorAll('.items tbody tr').length === 30")

    assert top == 0


async def test_what_a_script_brings_is_never_markup(screen: Screen, site: Site) -> None:
    """Rows, logs, progress and pages with scripts in them are shown as the text they are."""
    task_id = site.scrape("shop", parameters={"title": "<b>x</b>"})
    await screen.go(f"/tasks/{task_id}")
    await screen.see("<b>x</b>", "javascript:alert(1)", "page.html")
    await screen.click("Show the source")
    await screen.until("document.querySelector('.artifacts pre')")
    await screen.until("document.querySelector('img.picture').naturalWidth === 1")
    source = await screen.run("return document.querySelector('.artifacts pre').textContent")
    harm = await screen.run(
        "return [document.title, document.querySelectorAll('main script, main b, main [onerror],"
        " main iframe, main object, a[href^=javascript]').length]"
    )

    assert "<script>" in source
    assert harm == ["Task · zscrape", 0]


async def test_why_a_task_failed_and_what_to_press(screen: Screen, site: Site) -> None:
    """The overview names it; its page has the reason, the next step and the script's own lines."""
    task_id = site.scrape("broken", parameters={"page": "/sale"})
    await screen.load("/")
    await screen.see("What failed last", "no price on /sale")
    await screen.go(f"/tasks/{task_id}")
    await screen.see("Why it failed", "script_error", "Next step:", "ValueError", "main.py")
    capsule = await screen.run(
        "const link = document.querySelector('a[href$=capsule]');"
        " return (await fetch(link.href)).headers.get('content-type')"
    )
    await screen.click("Run again with changes")
    await screen.until("(document.querySelector('#p-page') || {}).value === '/sale'")
    await screen.go(f"/tasks/{task_id}")
    await screen.click("Retry")
    await screen.until(f"!location.hash.includes('{task_id}')")
    await screen.see("Retry of")

    assert capsule == "application/zip"


async def test_rows_arrive_while_it_runs_and_cancelling_ends_it(screen: Screen, site: Site) -> None:
    """The table and the bar grow by themselves; a dialog asks before the task is ended."""
    task_id = site.start("endless")
    await screen.go(f"/tasks/{task_id}")
    await screen.until("document.querySelectorAll('.items tbody tr').length >= 2")
    first = await screen.run("return document.querySelectorAll('.items tbody tr').length")
    await screen.until(f"document.querySelectorAll('.items tbody tr').length > {first}")
    await screen.see("25% row")
    await screen.click("Cancel task")
    await screen.until("document.querySelector('dialog[open]')")
    await screen.press("Escape")
    await screen.until("!document.querySelector('dialog')")
    kept = site.status(task_id)
    await screen.click("Cancel task")
    await screen.click("Cancel task", "dialog button")
    await screen.see("cancelled")

    assert kept == "running"
    assert site.status(task_id) == "cancelled"


async def test_the_history_is_filtered_and_many_are_acted_on(screen: Screen, site: Site) -> None:
    """Filters stand in the address; those chosen are cancelled or run again together."""
    running = [site.start("endless"), site.start("endless")]
    site.scrape("greeting")
    await screen.go("/tasks")
    await screen.fill("#state", "queued,assigned,running,waiting")
    await screen.until("location.hash.includes('status=queued')")
    await screen.until("document.querySelectorAll('tbody tr').length === 2")
    await screen.run("document.querySelector('th input').click()")
    await screen.click("Cancel")
    await screen.click("Cancel tasks", "dialog button")
    await screen.see("No task fits these filters.")
    await screen.go("/tasks?script=greeting")
    await screen.until("document.querySelectorAll('tbody tr').length === 1")
    await screen.run("document.querySelector('td input').click()")
    await screen.click("Retry", ".bulk button")
    await screen.click("Retry", "dialog button")
    await screen.until("document.querySelectorAll('tbody tr').length === 2")

    assert {site.status(task_id) for task_id in running} == {"cancelled"}


async def test_a_schedule_from_its_making_to_its_end(screen: Screen, site: Site) -> None:
    """Its next moments are shown before it is kept; it is run, paused, resumed and removed."""
    await screen.go("/schedules")
    await screen.click("New schedule")
    await screen.until("document.querySelector('#script option[value=greeting]')")
    await screen.fill("select#script", "greeting")
    await screen.fill("#name", "every morning")
    await screen.fill("#cron", "nonsense")
    await screen.until("document.querySelector('form .wrong')")
    await screen.fill("#cron", "0 6 * * *")
    await screen.until("document.querySelectorAll('form ol li').length === 10")
    await screen.fill("#p-name", "Ada")
    await screen.click("Create schedule")
    await screen.see("every morning", "It has not come due yet.")
    (kept,) = site.call("GET", "/v1/schedules")["schedules"]
    await screen.click("Change")
    await screen.until("document.querySelector('#p-name')?.value === 'Ada'")
    await screen.click("Mondays at 9")
    await screen.until("document.querySelector('form ol li')?.textContent.includes('Mon')")
    await screen.fill("#p-name", "Grace")
    await screen.fill("#timezone", "Asia/Seoul")
    await screen.click("More")
    await screen.fill("#overlap", "queue_one")
    await screen.click("Keep the changes")
    await screen.see("Asia/Seoul", "Wait, one at most")
    (changed,) = site.call("GET", "/v1/schedules")["schedules"]
    await screen.click("Pause")
    await screen.see("paused", "Resume")
    await screen.click("Resume")
    await screen.see("Pause")
    await screen.click("Run now")
    await screen.see("completed", "hello Grace")
    await screen.go(f"/schedules/{kept['id']}")
    await screen.until("document.querySelectorAll('.strip li').length === 1")
    await screen.until("find('td a', 'completed')")
    await screen.click("Remove")
    await screen.click("Remove", "dialog button")
    await screen.see("There are no schedules yet.")

    assert kept["parameters"] == {"name": "Ada"}
    assert changed["id"] == kept["id"]
    assert (changed["cron"], changed["parameters"]) == ("0 9 * * 1", {"name": "Grace"})
    assert site.call("GET", "/v1/schedules")["schedules"] == []


async def test_a_person_answers_a_script(screen: Screen, site: Site) -> None:
    """The overview tells that one waits; its question is answered there or on the task's page."""
    first, second = site.start("asking"), site.start("asking")
    await screen.see("Scripts that wait for a person: 2")
    await screen.go(f"/tasks/{first}")
    await screen.see("Which code was <b>sent</b>?", "The code")
    await screen.click(None, "form button.primary")
    await screen.until("document.querySelector('#p-code[aria-invalid=true]')")
    await screen.fill("#p-code", "1234")
    await screen.fill("#p-kind", '"phone"')
    await screen.click(None, "form button.primary")
    await screen.see("completed", "1234")
    await screen.go("/handoffs")
    await screen.until("document.querySelectorAll('.asked').length === 1")
    await screen.click("Dismiss")
    await screen.click("Dismiss", "dialog button")
    await screen.see("No script waits for a person.", "answered", "dismissed")
    await screen.go(f"/tasks/{second}")
    await screen.see("Why it failed")

    answer = site.call("GET", f"/v1/tasks/{first}")["data"]
    assert (answer["code"], answer["kind"]) == ("1234", "phone")


async def test_the_budget_of_a_site_is_set_changed_and_removed(screen: Screen, site: Site) -> None:
    """A rate that is none is refused in words; what is set holds until it is removed."""
    await screen.go("/sites")
    await screen.fill("#site", "shop.example")
    await screen.fill("#rate", "fast")
    await screen.click("Set budget")
    await screen.until("document.querySelector('[role=alert]')")
    await screen.fill("#rate", "2/s")
    await screen.fill("#concurrency", "3")
    await screen.click("Set budget")
    await screen.see("2/s · 3 at once", "set here")
    (kept,) = site.call("GET", "/v1/sites")["sites"]
    await screen.click("Change: shop.example")
    await screen.until("document.querySelector('#rate').value === '2/s'")
    await screen.click("Remove: shop.example")
    await screen.click("Remove", "dialog button")
    await screen.see("No site has a budget")

    assert kept["budget"] == {"rate": "2/s", "concurrency": 3}
    assert site.call("GET", "/v1/sites")["sites"] == []


async def test_a_worker_is_drained_and_resumed(screen: Screen, site: Site) -> None:
    """Its card tells slots and isolation layers, and the buttons do what they say."""
    await screen.go("/workers")
    await screen.see("of 3 slots busy", "Isolation layers")
    await screen.click("Drain")
    await screen.click("Drain", "dialog button")
    await screen.see("draining")
    drained = site.call("GET", "/v1/workers")["workers"][0]["status"]
    await screen.click("Resume")
    await screen.see("live")

    assert drained == "draining"
    assert site.call("GET", "/v1/workers")["workers"][0]["status"] == "live"


async def test_a_lock_is_broken(screen: Screen, site: Site) -> None:
    """It names its holder; breaking it ends that task."""
    task_id = site.start("endless", lock_key="shop:<b>one</b>")
    await screen.go("/locks")
    await screen.see("shop:<b>one</b>", "endless")
    await screen.click("Break")
    await screen.click("Break", "dialog button")
    await screen.see("No lock is held.")

    assert site.status(task_id) == "cancelled"


async def test_dead_letters_are_retried_and_dropped(screen: Screen, site: Site) -> None:
    """Both acts take it from the list."""
    site.scrape("broken", **RETRIED)
    await screen.go("/deadletters")
    await screen.see("tries used up", "no price on /list")
    await screen.run("document.querySelector('td input').click()")
    await screen.click("Retry")
    await screen.see("Run again: 1.")
    await screen.until("!document.querySelector('tbody') || find('td', 'broken 1.0.0')")
    site.scrape("broken", **RETRIED)
    await screen.load("/#/deadletters")
    await screen.see("tries used up")
    await screen.run("document.querySelector('th input').click()")
    await screen.click("Drop")
    await screen.click("Drop", "dialog button")
    await screen.see("Dropped:")


async def test_keys_and_tokens_are_made_and_revoked(screen: Screen, site: Site) -> None:
    """What is secret is shown once; the acts are on record under Audit."""
    await screen.go("/keys")
    await screen.click("New key")
    await screen.fill("#keyname", "<b>reports</b>")
    await screen.click("Make the key")
    await screen.see("Keep it now", "<b>reports</b>")
    key = await screen.run("return document.querySelector('.banner .command').textContent")
    await screen.click(f"Copy: {key[:40]}")
    await screen.see("Copied.")
    await screen.click("Close", ".banner button")
    await screen.miss(key)
    await screen.click("Revoke: <b>reports</b>")
    await screen.click("Revoke", "dialog button")
    await screen.see("revoked")
    await screen.click("Make a token")
    await screen.see("zscrape worker --join zs")
    await screen.go("/audit")
    await screen.see("keys.create", "keys.revoke", "tokens.create")

    assert key.startswith("zs_")


async def test_a_secret_is_kept_granted_and_removed(screen: Screen, site: Site) -> None:
    """Its value goes in and is shown nowhere; to grant it later its value need not be known."""
    await screen.go("/secrets")
    await screen.fill("#secretname", "shop.password")
    await screen.fill("#secretvalue", "open sesame")
    await screen.click("Keep the secret")
    await screen.see("shop.password is kept.", "nobody yet")
    await screen.click("Change: shop.password")
    await screen.fill("#secretscripts", "shop, shop_*")
    await screen.click("Keep the secret")
    await screen.see("shop, shop_*")
    shown = await screen.run("return document.documentElement.outerHTML")
    (kept,) = site.call("GET", "/v1/secrets")["secrets"]
    await screen.click("Remove: shop.password")
    await screen.click("Remove", "dialog button")
    await screen.see("There are no secrets.")

    assert "open sesame" not in shown
    assert (kept["name"], kept["scripts"]) == ("shop.password", ["shop", "shop_*"])


async def test_a_session_is_kept_from_cookies_of_any_kind(screen: Screen, site: Site) -> None:
    """A header, a browser's JSON and a cookies.txt are read; anything else is told."""
    lines = (
        ".shop.example\tTRUE\t/\tTRUE\t0\tsid\tone\n"
        "#HttpOnly_shop.example\tFALSE\t/\tFALSE\t1\ta\tb"
    )
    document = '[{"name": "sid", "value": "one", "expirationDate": 4102444800, "sameSite": "lax"}]'
    await screen.go("/sessions")
    await screen.fill("#site", "shop.example")
    await screen.fill("#account", "buyer/1")
    await screen.fill("#cookies", "no cookies here")
    await screen.click("Keep the session")
    await screen.see("There are no cookies in it")
    counts: list[int] = []
    kept: dict[str, Any] = {}
    for cookies in ("sid=one=1; lang=ko; theme=dark", document, lines):
        await screen.fill("#site", "shop.example")
        await screen.fill("#account", "buyer 1")
        await screen.fill("#sessionscripts", "shop")
        await screen.fill("#cookies", cookies)
        await screen.click("Keep the session")
        await screen.until("document.querySelector('#cookies').value === ''")
        (kept,) = site.call("GET", "/v1/sessions")["sessions"]
        counts.append(kept["cookie_count"])
    shown = await screen.run("return document.documentElement.outerHTML")
    await screen.click("Remove: shop.example buyer 1")
    await screen.click("Remove", "dialog button")
    await screen.see("There are no sessions.")

    assert counts == [3, 1, 2]
    assert kept["scripts"] == ["shop"]
    assert "one=1" not in shown


async def test_a_key_that_may_only_read_sees_no_button_that_it_may_not_press(
    screen: Screen, site: Site
) -> None:
    """Pages and buttons follow the session's scopes; a name with markup in it is text."""
    key = site.key_with("read")
    await screen.sign_out()
    await screen.fill("#key", key)
    await screen.click(None, "button.primary")
    await screen.see("<i>test</i>")
    menu = await screen.run(
        "return [...document.querySelectorAll('#pages a')].map((a) => a.textContent)"
    )
    await screen.go("/scripts/shop")
    await screen.see("scope run")
    buttons = await screen.run("return [...document.querySelectorAll('main button')].length")
    await screen.go("/keys")
    await screen.see("scope admin")

    assert "Keys and tokens" not in menu
    assert "Audit" not in menu
    assert "Workers" in menu
    assert buttons == 0


async def test_an_address_that_was_cut_off_or_made_up_opens_a_page(
    screen: Screen, site: Site
) -> None:
    """What is not there is told; a value that a script does not take is refused in words."""
    for route in ("/tasks/%E0%A4%A", "/schedules/none", "/scripts/none?version=%", "/nowhere"):
        await screen.load(f"/#{route}")
        await screen.until("document.querySelector('main .fault') || find('h2', 'The last hour')")
    await screen.load("/#/scripts/shop?p.title=%3Cb%3E&p.rows=many&p.nothing=1")
    await screen.until("document.querySelector('#p-title')?.value === '<b>'")
    await screen.click("Run")
    await screen.until("document.querySelector('#p-rows[aria-invalid=true]')")


async def test_language_and_theme_are_switched_and_kept(screen: Screen, site: Site) -> None:
    """Without a new load, and still so after one."""
    await screen.click("한국어")
    await screen.see("최근 작업", "로그아웃")
    await screen.click("테마: 시스템")
    await screen.click("테마: 밝게")
    await screen.see("테마: 어둡게")
    await screen.load("/")
    await screen.see("최근 작업")
    shown = await screen.run(
        "return [document.documentElement.lang, document.documentElement.dataset.theme,"
        " getComputedStyle(document.body).backgroundColor]"
    )

    assert shown == ["ko", "dark", "rgb(15, 19, 25)"]


async def test_the_keyboard_is_enough(screen: Screen, site: Site) -> None:
    """The first key leads past the menu, and a page that opens is where one goes on."""
    await screen.load("/")
    await screen.see("Overview")
    await screen.press("Tab")
    first = await screen.run("return document.activeElement.className")
    await screen.press("Enter")
    await screen.until("document.activeElement.id === 'main'")
    await screen.go("/scripts")
    await screen.until("document.title === 'Scripts · zscrape'")
    await screen.until("document.activeElement.id === 'main' && find('button', null)")
    await screen.press("Tab")
    next_one = await screen.run("return document.activeElement.textContent")

    assert first == "skip"
    assert next_one == "Look at the repositories now"


async def test_a_first_visit_is_small(screen: Screen, site: Site) -> None:
    """All that it loads is less than 300 KB."""
    await screen.load("/")
    await screen.see("Overview")
    size_bytes = await screen.run(
        "return performance.getEntries()"
        ".reduce((sum, each) => sum + (each.encodedBodySize || 0), 0)"
    )

    assert 20_000 < size_bytes < 300_000


@pytest.mark.parametrize(("lang", "theme", "width"), [("en", "light", 1440), ("ko", "dark", 390)])
async def test_every_page_is_whole(
    screen: Screen, site: Site, lang: str, theme: str, width: int
) -> None:
    """Axe finds nothing, nothing is wider than the screen, and the console stays silent."""
    done = site.scrape("shop", parameters={"title": "Lamp"})
    failed = site.scrape("broken", **RETRIED)
    running = site.start("endless", lock_key=f"lock:{lang}")
    body = {"name": f"s {lang}", "script_name": "greeting", "cron": "0 6 * * *"}
    schedule = site.call("POST", "/v1/schedules", body)["id"]
    asking = site.start("asking")
    site.call("PUT", "/v1/sites/a.example", {"rate": "1/s"})
    site.call("POST", f"/v1/schedules/{schedule}/trigger")
    await screen.run(f"localStorage.setItem('zscrape.lang', '{lang}')")
    await screen.run(f"localStorage.setItem('zscrape.theme', '{theme}')")
    await screen.resize(width)
    await screen.load("/")
    found: dict[str, object] = {}
    for route in (
        *PAGES,
        *(f"/tasks/{each}" for each in (done, failed, running, asking)),
        f"/schedules/{schedule}",
        f"/schedules/{schedule}/change",
    ):
        await screen.go(route)
        await screen.settle()
        await screen.until("document.querySelector('main h1 ~ *, main .row ~ *')")
        wide = await screen.run("return document.documentElement.scrollWidth - innerWidth")
        faults = [*await screen.violations(), *([f"wide by {wide}"] if wide > 0 else [])]
        if faults:
            found[route] = faults
    site.call("POST", f"/v1/tasks/{running}/cancel")
    site.call("POST", f"/v1/tasks/{asking}/cancel")
    site.call("DELETE", f"/v1/schedules/{schedule}")

    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


async def test_the_api_is_tried_on_its_own_page(screen: Screen, site: Site) -> None:
    """`/docs` lists every operation, calls as who is signed in, and with a key that is typed."""
    await screen.load("/docs")
    await screen.until("document.querySelectorAll('.opblock').length > 60")
    listed = await screen.run("return document.querySelectorAll('.opblock').length")
    told = site.call("GET", "/openapi.json")["paths"]
    shown = "#operations-me-get_v1_me"
    await screen.click(None, f"{shown} .opblock-summary-control")
    await screen.click("Execute")
    await screen.until(f"document.querySelector('{shown} .live-responses-table')")
    by_session = await screen.run(f"return document.querySelector('{shown}').innerText")
    await screen.run("document.cookie = 'x=1'; await fetch('/logout', {method: 'POST'})")
    await screen.click("Authorize")
    await screen.fill(".modal-ux input", site.key_with("read"))
    await screen.click("Authorize", ".modal-ux button")
    await screen.click("Close", ".modal-ux button")
    await screen.click("Execute")
    await screen.until(f"document.querySelector('{shown}').innerText.includes('<i>test</i>')")
    markup = await screen.run(
        "return [...document.querySelectorAll('i')].filter((each) => each.textContent === 'test')"
    )

    assert listed == sum(len(methods) for methods in told.values())
    assert '"scopes"' in by_session
    assert markup == []
