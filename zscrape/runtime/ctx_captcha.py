"""`ctx.captcha`: know a page that wants a person, get past what can be got past, or say so.

    async with ctx.browser() as tab:
        await tab.go_to(url)
        await ctx.captcha.solve(tab)

pydoll clicks the checkbox of a Turnstile with the browser's own mouse; whether that is enough is
Cloudflare's decision. A picture with letters goes to a person (`ctx.ask`). For all else, and
where nobody answers, the attempt ends with `captcha_required`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, NoReturn

from zscrape.runtime.asking import AskRefused

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from zscrape.runtime.context import Context

TIMEOUT_S = 20.0
# By what each is known: the element that its makers have pages hold, or the frame that it opens.
MARKS = {
    "turnstile": (
        ".cf-turnstile",
        'iframe[src*="challenges.cloudflare.com"]',
        'script[src*="/cdn-cgi/challenge-platform/"]',
    ),
    "recaptcha": (".g-recaptcha", 'iframe[src*="/recaptcha/"]'),
    "hcaptcha": (".h-captcha", 'iframe[src*="hcaptcha.com"]'),
    "image": ("img.captcha", "img#captcha", 'img[src*="captcha" i]', 'img[alt*="captcha" i]'),
}
_LOOK_S = 0.2
# What a widget writes into the page's form once it is content.
_ANSWERED = """[...document.querySelectorAll(
  '[name="cf-turnstile-response"], [name="g-recaptcha-response"], [name="h-captcha-response"]'
)].some(each => each.value)"""
_SEND = """(selector, wanted, answer) => {
  const image = document.querySelector(selector);
  const form = image.closest("form") ?? document.querySelector("form") ?? document;
  const field = wanted ? document.querySelector(wanted)
    : form.querySelector("input:not([type]), input[type=text]");
  field.focus();
  field.value = answer;
  field.dispatchEvent(new Event("input", {bubbles: true}));
  (field.form ?? form).requestSubmit();
}"""
_DOCUMENT = "document.readyState === 'complete' ? performance.timeOrigin : null"


class Challenge:
    """What a page wants. `kind` is `turnstile`, `recaptcha`, `hcaptcha` or `image`."""

    def __init__(self, kind: str, selector: str, url: str) -> None:
        self.kind = kind
        self.selector = selector  # finds its element
        self.url = url  # of the page

    def __repr__(self) -> str:
        return f"Challenge({self.kind!r}, {self.url!r})"


class Captcha:
    """The challenges of one attempt's pages."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def detect(self, where: Any) -> Any:
        """Return the challenge of a page of `ctx.http`, or None; of a tab, await the same.

        Raises:
            TypeError: It is neither a page nor a tab.
        """
        return self._of(where, self._detect_tab, self._detect_page)

    def solve(self, where: Any, **options: Any) -> Any:
        """Get past the challenge of a tab, or read that of a page; await it for a tab.

        A page's picture is shown to a person, and what they read in it is returned. A tab goes
        on with the answer: True if there was a challenge, False if there was none.

        Args:
            where: A tab, or a page of `ctx.http`.
            **options: `timeout` (seconds for the page to go on), `until` (CSS of what then shows;
                by default, that the challenge is gone or content), `hand_off` (True: ask a
                person), `prompt` (what they are asked), `field` (CSS of where the answer goes).

        Raises:
            TypeError: It is neither a page nor a tab.
        """
        return self._of(where, self._solve_tab, self._solve_page, **options)

    def _of(self, where: Any, of_tab: Any, of_page: Any, **options: Any) -> Any:
        from zscrape.runtime.blocking import Blocking

        if type(where) is Blocking:
            return where.work(lambda tab: of_tab(tab, **options))
        if hasattr(where, "go_to"):
            return of_tab(where, **options)
        if hasattr(where, "css_first"):
            return of_page(where, **options)
        raise TypeError("a tab of ctx.browser or a page of ctx.http is needed")

    # ---- detecting -------------------------------------------------------------------

    def _detect_page(self, page: Any) -> Challenge | None:
        for kind, selectors in MARKS.items():
            for selector in selectors:
                if page.css_first(selector) is not None:
                    return Challenge(kind, selector, page.url)
        return None

    async def _detect_tab(self, tab: Any) -> Challenge | None:
        found = self._detect_page(await tab.page())
        if found is not None and await tab.value(_ANSWERED):
            return None
        return found

    # ---- solving ---------------------------------------------------------------------

    def _solve_page(self, page: Any, *, hand_off: bool = True, prompt: str = "") -> str:
        found = self._detect_page(page)
        if found is None:
            return ""
        if found.kind != "image":
            self._give_up(found, "it needs a browser, or a person")
        image = page.css_first(found.selector)
        address = page.join(image.attr("src"))
        return self._ask(found, self._ctx.http.get(address).content, hand_off, prompt)

    async def _solve_tab(
        self,
        tab: Any,
        *,
        timeout: float = TIMEOUT_S,
        until: str = "",
        hand_off: bool = True,
        prompt: str = "",
        field: str = "",
    ) -> bool:
        found = await self._detect_tab(tab)
        if found is None:
            return False
        if found.kind == "turnstile":
            passing: Coroutine[Any, Any, bool] = self._click(tab, until, timeout)
        elif found.kind == "image":
            image = await tab.wait_for(found.selector)
            picture = base64.b64decode(await image.take_screenshot(as_base64=True))
            # A person takes their time, and the page's events go on meanwhile.
            answer = await asyncio.to_thread(self._ask, found, picture, hand_off, prompt)
            passing = self._send(tab, found, answer, field, until, timeout)
        else:
            self._give_up(found, "only a person at the browser itself can do it")
        if not await passing:
            self._give_up(found, "it was not content")
        return True

    async def _click(self, tab: Any, until: str, timeout: float) -> bool:
        """Have pydoll click the checkbox: by mouse events, through closed shadow roots."""
        await tab._handle_cloudflare_turnstile({}, time_to_wait_captcha=timeout)  # noqa: SLF001 - the public way only works while a page loads
        return await self._has_passed(tab, until, timeout)

    async def _send(
        self, tab: Any, found: Challenge, answer: str, field: str, until: str, timeout: float
    ) -> bool:
        told = ", ".join(json.dumps(each) for each in (found.selector, field, answer))
        before = await tab.value("performance.timeOrigin")
        await tab.value(f"({_SEND})({told})")
        ends_at = _now() + timeout
        while _now() < ends_at and await self._document(tab) in (before, None):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(_LOOK_S)
        return await self._has_passed(tab, until, ends_at - _now())

    async def _document(self, tab: Any) -> Any:
        """Return what tells one document from the next; None between the two."""
        try:
            return await tab.value(_DOCUMENT)
        except RuntimeError:
            return None

    async def _has_passed(self, tab: Any, until: str, timeout: float) -> bool:
        ends_at = _now() + timeout
        while True:
            if until:
                is_past = await tab.query(until, timeout=0, raise_exc=False) is not None
            else:
                is_past = await self._detect_tab(tab) is None
            if is_past or _now() >= ends_at:
                return is_past
            await asyncio.sleep(_LOOK_S)

    def _ask(self, found: Challenge, picture: bytes, hand_off: bool, prompt: str) -> str:
        if not hand_off:
            self._give_up(found, "nobody is to be asked")
        try:
            answer = self._ctx.ask(
                prompt or f"What does the picture of {found.url} say?",
                image=picture,
                fields=["answer"],
            )
        except AskRefused as error:
            self._give_up(found, f"nobody has answered: {error}")
        return str(answer.get("answer", ""))

    def _give_up(self, found: Challenge, why: str) -> NoReturn:
        self._ctx.fail("captcha_required", f"{found.url} shows a {found.kind} challenge: {why}")


def _now() -> float:
    return asyncio.get_running_loop().time()
