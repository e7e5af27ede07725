"""The demonstration: a site, a gateway and a worker on free ports, and the samples run by HTTP.

Everything is real: two processes of the product, its HTTP API, its link, child processes for
the scripts. Only the site is made up, so that no network is needed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from zscrape.client import Client, Document, find_gateway
from zscrape.ops.role import Role
from zscrape.ops.samples import samples_folder
from zscrape.ops.site import Site
from zscrape.ops.site.goods import PRODUCTS

_SLOT_COUNT: Final = 2
_TIMEOUT_S: Final = 300.0  # seconds altogether, but on a small and busy board a minute for each
# Variables that would point the demonstration at somebody's real cluster or settings.
_OWN_PREFIXES: Final = ("ZSCRAPE_", "SCRIPT_")


class Step(Struct, frozen=True):
    """One sample and what it is asked."""

    script: str
    parameters: dict[str, Any]


class Result(Struct, frozen=True):
    """What became of a step."""

    step: Step
    envelope: Document
    elapsed_s: float  # as its client saw it

    @property
    def is_ok(self) -> bool:
        """True iff the script ended as it should."""
        return bool(self.envelope.get("status") == "completed")


def steps(site_url: str) -> list[Step]:
    """Return the samples in the order in which they are shown."""
    watched = PRODUCTS[0]
    return [
        Step("page_text", {"url": f"{site_url}/"}),
        Step("table_rows", {"url": f"{site_url}/prices"}),
        Step("paginated_items", {"url": f"{site_url}/shop"}),
        Step("sitemap_crawl", {"url": f"{site_url}/sitemap.xml", "contains": "/blog/"}),
        Step("feed_entries", {"url": f"{site_url}/feed.xml"}),
        Step(
            "price_watch",
            {"url": f"{site_url}/shop/{watched.slug}?day=2", "last_price": watched.price_won},
        ),
        Step("file_download", {"url": f"{site_url}/files/price-list.csv"}),
        Step("login_session", {"url": f"{site_url}/login"}),
        Step("json_paging", {"url": f"{site_url}/api/products"}),
        Step("korean_page", {"url": f"{site_url}/board"}),
    ]


def browser_steps(site_url: str) -> list[Step]:
    """Return the samples that need Chromium."""
    return [
        Step("infinite_scroll", {"url": f"{site_url}/live"}),
        Step("screenshot_pdf", {"url": f"{site_url}/shop"}),
        Step("captcha_page", {"url": f"{site_url}/check"}),
    ]


class Demo:
    """The running demonstration; use it in a `with`.

    Raises:
        RoleError: The gateway or the worker did not start.
    """

    def __init__(self, *, lang: str, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._environ = {
            name: value for name, value in environ.items() if not name.startswith(_OWN_PREFIXES)
        }
        self._lang = lang
        self._parts = ExitStack()
        self.site_url = ""
        self.gateway: Document = {}
        self.worker: Document = {}
        self.home = Path()

    def __enter__(self) -> Demo:
        with self._parts as parts:
            folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="zscrape-demo-"))
            self.home = Path(folder)
            self.site_url = parts.enter_context(Site()).url
            self.gateway = self._start("gateway", *self._gateway_arguments())
            self.worker = self._start(
                *("worker", "--join", self.gateway["link"], "--slots", str(_SLOT_COUNT)),
                *("--network-allow", urlsplit(self.site_url).hostname or ""),
            )
            find = find_gateway(home=self.home, environ={}, lang=self._lang)
            self.client = parts.enter_context(Client(find, lang=self._lang))
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._parts.close()

    def run(self, *, has_browser: bool = False) -> Iterator[Result]:
        """Run the samples one after another, each by `POST /scrape`."""
        browser = browser_steps(self.site_url) if has_browser else []
        for step in [*steps(self.site_url), *browser]:
            started = time.perf_counter()
            envelope = self.client.run(step.script, step.parameters, timeout=_TIMEOUT_S)
            yield Result(step, envelope, time.perf_counter() - started)

    def _gateway_arguments(self) -> list[str]:
        addresses = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
        return [*addresses, "--scripts", str(samples_folder())]

    def _start(self, verb: str, *arguments: str) -> Document:
        role = Role(
            verb,
            ["--home", str(self.home), "--lang", self._lang, *arguments],
            environ=self._environ,
        )
        self._parts.callback(role.stop)
        return role.wait_ready()
