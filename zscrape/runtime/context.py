"""`ctx`: what a script is given of its attempt, and what it can say while it runs.

    from zscrape import Context

    def run(url: str, *, ctx: Context):
        page = ctx.http.get(url)
        ctx.progress(0.5, "half way")
        yield {"title": page.css_first("h1").text}

Standard library only, so that any environment can run it.
"""

from __future__ import annotations

import _thread
import time
from typing import TYPE_CHECKING, Any, NoReturn

from zscrape.runtime import channel as frames
from zscrape.runtime.ctx_log import Log
from zscrape.runtime.encode import to_json
from zscrape.runtime.outcomes import FAIL_CODES
from zscrape.runtime.said import Ended, Said
from zscrape.runtime.trace import cut, tell, type_name

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from zscrape.runtime.asking import Asking
    from zscrape.runtime.budget import Budget
    from zscrape.runtime.ctx_browser import BrowserContext
    from zscrape.runtime.ctx_captcha import Captcha
    from zscrape.runtime.ctx_http import Http
    from zscrape.runtime.recording import Recording
    from zscrape.runtime.replay import AskedTape
    from zscrape.runtime.session import Session
    from zscrape.runtime.state import State

# A script that lists this secret has the proxies in it: see `proxies.py`.
PROXIES_SECRET = "proxies"  # noqa: S105 - its name
_PROGRESS_LIMIT_CHARACTERS = 1000
_GIVEN_LIMIT_CHARACTERS = 128  # of a wrong value that an error shows

_first_ask = _thread.allocate_lock()
_INFINITE = float("inf")


class Context:
    """The facts of this attempt and the ways to speak; made only for a script that names `ctx`."""

    def __init__(
        self,
        said: Said,
        *,
        params: dict[str, Any],
        task_id: str,
        attempt: int,
        script_name: str,
        ends_at: float,
        secrets: dict[str, str] | None = None,
        is_replay: bool = False,
        trace_id: str = "",
        known: dict[str, Any] | None = None,
    ) -> None:
        self.params = params
        self.task_id = task_id
        self.attempt = attempt
        self.trace_id = trace_id  # by which its caller knows the call; empty: by none
        self.log = Log(said.channel, trace_id)
        self._said = said
        self._script_name = script_name
        self._ends_at = ends_at  # monotonic seconds
        self._secrets = secrets or {}
        self._known = known or {}  # of sites: see `budget.Budget`
        self._is_replay = is_replay  # sites answer as they did once
        self._http: Http | None = None
        self._asking: Asking | None = None
        self._kept_budget: Budget | None = None
        self._state: State | None = None
        self._asked_count = 0  # of people
        self._slotless_count = 0  # of these, with `free_slot`
        self._last_progress: tuple[float, str] | None = None

    @property
    def deadline(self) -> float:
        """Seconds left before this attempt is ended, never below zero."""
        return max(self._ends_at - time.monotonic(), 0.0)

    @property
    def cancelled(self) -> bool:
        """True once the attempt is asked to end.

        A script that has looked at this is trusted to end by itself within the grace; any
        other is interrupted where it stands, so that its `finally` blocks run.
        """
        self._said.is_polling = True
        return self._said.is_cancelled

    @property
    def http(self) -> Http:
        """The HTTP client, made on first use. Needs `"http"` in the script's kit."""
        if self._http is None:
            from zscrape.runtime.ctx_http import Http

            self._http = Http(
                script_name=self._script_name,
                ends_at=self._ends_at,
                gate=self._budget(),
                save=self.save,
                say=self.log.info,
                recorder=self.recording,
                tape=self._tape(),
            )
            self._http.proxies.add_lines(self._secrets.get(PROXIES_SECRET, ""))
        return self._http

    def _tape(self) -> AskedTape | None:
        if not self._is_replay:
            return None
        from zscrape.runtime.replay import AskedTape

        return AskedTape(self._ask)

    @property
    def recording(self) -> Recording:
        """What sites were asked and have answered; it is told only if the attempt fails."""
        if self._said.recording is None:
            from zscrape.runtime.recording import Recording

            self._said.recording = Recording()
        return self._said.recording

    @property
    def state(self) -> State:
        """What the script remembers between its runs: small JSON documents by key."""
        if self._state is None:
            from zscrape.runtime.state import State

            self._state = State(self._ask)
        return self._state

    def session(
        self,
        site: str,
        account: str = "default",
        *,
        shared: bool = False,
        max_age_s: float | None = None,
        wait_s: float | None = None,
    ) -> Session:
        """Return a session with a site for `with`: cookies lent by the gateway, given back after.

        While it is lent, `ctx.http` has its cookies, and so has a browser that is opened then.
        Where there are none yet (`needs_login`), log in: the cookies that the site sets are
        kept for the next run. `ctx.fail("login_expired")` inside of it marks it as bad.

        Args:
            site: The site's host, such as `shop.example`; cookies of hosts below it belong to it.
            account: Whose session.
            shared: Other attempts may have it at the same time; by default none has.
            max_age_s: After this long a new login is due, whatever the cookies say.
            wait_s: How long to wait while another has it; by default as long as the attempt runs.

        Raises:
            RuntimeError: The script's kit has no HTTP client.
        """
        from zscrape.runtime.session import Session

        jar = self.cookie_jar(is_made=True)
        if jar is None:
            raise RuntimeError('ctx.session needs "kit": ["http"] in metadata.json')
        return Session(
            self._ask,
            jar,
            site=_text("site", site).lower(),
            account=_text("account", account),
            shared=shared,
            max_age_s=max_age_s,
            wait_s=wait_s,
        )

    def browser(self, **options: Any) -> BrowserContext:
        """Return a browser for `async with`, or `with` where the script is not asynchronous.

        It is a Chromium of this attempt's own with a fresh profile, which ends with the attempt
        whatever happens. What it gives is a tab of pydoll's. Needs `"browser"` in the script's
        kit.

        Args:
            **options: `headless` (True; False: with windows, on the display `DISPLAY` or on
                none), `viewport` (width and height), `locale` (`"ko-KR"`),
                `proxy` (`"http://user:password@host:port"`), `user_agent`, `block` (kinds of
                requests such as `"image"` and `"font"`, or addresses with `*`), `wait` (`"load"`,
                or `"dom"` to go on before pictures are there), `cookies` (True: in common with
                `ctx.http`), `robots` (None: robots.txt is obeyed as `ctx.http` does), `pace` (what
                waits for the budget of its site: `"pages"`, `"all"` requests of a page, `"none"`),
                `arguments` (further ones for Chromium).

        Raises:
            RuntimeError: The script's kit has no browser.
            ValueError: An option is not one of these values.
        """
        from zscrape.runtime import chromium

        if not chromium.is_in_kit:
            raise RuntimeError('ctx.browser needs "kit": ["http", "browser"] in metadata.json')
        from zscrape.runtime.ctx_browser import open_browser

        return open_browser(self, **options)

    @property
    def captcha(self) -> Captcha:
        """Challenges of pages: known, got past, or shown to a person."""
        from zscrape.runtime.ctx_captcha import Captcha

        return Captcha(self)

    def end_for_environment(self, reason: str) -> NoReturn:
        """End the attempt because this worker lacks what the script needs."""
        self._said.end(Ended("environment_error", reason=reason))

    def cookie_jar(self, *, is_made: bool) -> CookieJar | None:
        """Return the cookies of `ctx.http`; None if it has not been used, or cannot be.

        Args:
            is_made: Make `ctx.http` for this if it has not been used yet.
        """
        if self._http is None and not is_made:
            return None
        try:
            return self.http.cookies.jar
        except ImportError:  # the kit has no "http"
            return None

    def _ask(self, kind: str, body: Any, *, timeout_s: float | None = None) -> Any:
        """Ask the gateway, and wait for what it says; see `asking.Asking.ask`."""
        if self._said.is_over:  # its answer would be taken for the next request
            raise RuntimeError("this attempt is over: every attempt has a ctx of its own")
        with _first_ask:  # threads that ask at once must share one
            if self._asking is None:
                from zscrape.runtime.asking import Asking

                self._asking = self._said.asking = Asking(self._said.channel)
        return self._asking.ask(kind, body, timeout_s=timeout_s)

    def throttle(self, site: str) -> None:
        """Wait for a token of a site's budget, which the whole cluster shares.

        `ctx.http` does this by itself; it is for requests that are made in other ways. A site
        without a budget is not waited for. In a coroutine: `await asyncio.to_thread(...)`.

        Args:
            site: The site's name, such as `example.com`, or an address of it.

        Raises:
            TypeError: `site` is no text.
        """
        self._budget().throttle(_text("site", site))

    def _budget(self) -> Budget:
        """Return what lets requests to sites go, made on first use."""
        with _first_ask:
            if self._kept_budget is None:
                from zscrape.runtime.budget import Budget

                self._kept_budget = Budget(
                    self._ask,
                    say=self.log.info,
                    ends_at=self._ends_at,
                    known=self._known,
                    known_at=self._said.begun_at,
                )
        return self._kept_budget

    def ask(
        self,
        prompt: str,
        *,
        image: bytes | None = None,
        fields: dict[str, dict[str, Any]] | list[str] | tuple[str, ...] = ("answer",),
        timeout_s: float | None = None,
        free_slot: bool = False,
    ) -> dict[str, Any]:
        """Ask a person, and wait for the answer; the attempt's time limit stands meanwhile.

        With `free_slot` nothing waits but the task: this attempt ends here, without a retry
        being counted, and its slot is free for others. Once there is an answer the script runs
        again from its beginning, and this call returns it at once, as does every earlier one of
        this kind: its n-th, if that asks the same. So it is for scripts that come to the same
        question again by themselves. What the attempt has sent until here it sends again; a
        lock stays held, and the deadline of the whole task goes on.

        Args:
            prompt: What is asked, as the person is to read it.
            image: A picture to look at; it is kept with the task as `handoff-N`.
            fields: Names of what is asked for, or each with what describes it: `type` (`string`,
                `integer`, `number`, `boolean`), `title`, `description`, `required`, `enum`,
                and `secret` for what is not to be seen while it is typed.
            timeout_s: How long people have; by default half an hour.
            free_slot: Give the slot back until there is an answer. Answers then stand for the
                whole task, further tries after a failure included; another prompt, or other
                fields, are another question; another picture is not.

        Raises:
            AskRefused: Nobody answers (`handoff_expired`, `handoff_dismissed`), or it is no
                question (`handoff_invalid`).
            TypeError: An argument is of a type that is not named here.
            ValueError: `image` is no picture.
        """
        from zscrape.runtime.person import Parked, ask

        self._asked_count += 1
        self._slotless_count += bool(free_slot)
        began_at = time.monotonic()
        try:
            return ask(
                self._ask,
                self.save,
                self._asked_count,
                prompt=prompt,
                image=image,
                fields=fields,
                timeout_s=timeout_s,
                place=self._slotless_count if free_slot else None,
            )
        except Parked as parked:
            self._said.end(Ended("parked", handoff=parked.question))
        finally:
            self._put_off(time.monotonic() - began_at)

    def _put_off(self, waited_s: float) -> None:
        """Move the end of the attempt by a time in which its clock stood."""
        self._ends_at += waited_s
        if self._http is not None:
            self._http.put_off(waited_s)

    def secret(self, name: str) -> str:
        """Return the value of a secret that `metadata.json` lists and that is granted.

        It is blanked out of the log, of errors and of results; it goes nowhere else.

        Raises:
            TypeError: `name` is no text.
            LookupError: `metadata.json` does not list it.
        """
        known = _text("name", name)
        if known not in self._secrets:
            given = cut(repr(known), _GIVEN_LIMIT_CHARACTERS)
            raise LookupError(f'{given} is not listed under "secrets" in metadata.json')
        return self._secrets[known]

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the script is, 0.0 to 1.0, and in a few words where.

        Raises:
            TypeError: `fraction` is no number.
            ValueError: `fraction` is not finite.
        """
        told = (min(max(_finite(fraction), 0.0), 1.0), tell(text, _PROGRESS_LIMIT_CHARACTERS))
        if told != self._last_progress:
            self._last_progress = told
            self._said.channel.send(
                frames.PROGRESS, to_json({"fraction": round(told[0], 4), "text": told[1]})
            )

    def emit(self, item: Any, key: Any = None) -> None:
        """Send an item, as `yield` does; one whose `key` has been seen is left out.

        Seen: by this attempt, or by a run of this script that ended well, not longer ago than
        the script's retention. What a failed attempt has seen does not count.

        Raises:
            TypeError: `key` has no JSON form.
        """
        if key is None:
            self._said.item(item)
            return
        from zscrape.runtime.emitting import Emitter, key_digest

        if self._said.emitter is None:
            self._said.emitter = Emitter(self._said, self._ask, self.log.warning)
        self._said.item(item, key_digest(key))

    def fail(self, code: str, message: str = "") -> NoReturn:
        """End the attempt with one of the codes that a script may give.

        Raises:
            TypeError: `code` is no text.
            ValueError: `code` is not one of `FAIL_CODES`.
        """
        known = _text("code", code)
        if known not in FAIL_CODES:
            given = cut(repr(known), _GIVEN_LIMIT_CHARACTERS)
            raise ValueError(f"{given} is not one of: {', '.join(FAIL_CODES)}")
        self._said.end(Ended(known, tell(message)))

    def save(self, name: str, data: bytes | str, content_type: str | None = None) -> None:
        """Keep a file with the task: a page, a picture, a document.

        Args:
            name: 1 to 128 of `A-Z a-z 0-9 . _ -`; the same name again replaces the file.
            data: At most 8 MiB; text is kept as UTF-8.
            content_type: A media type; by default plain text for text, else octets.

        Raises:
            TypeError: An argument is of a type that is not named here.
            ValueError: The name, the size or the media type is not allowed, or the text has a
                lone surrogate.
        """
        from zscrape.runtime.artifacts import artifact

        media_type = None if content_type is None else _text("content_type", content_type)
        self._said.artifact(artifact(_text("name", name), data, media_type))


def _text(name: str, value: object) -> str:
    """Return an argument that must be a text as one, whatever its class makes of it."""
    if not issubclass(type(value), str):
        raise TypeError(f"{name} must be a text, not {type_name(type(value))}")
    return str.__str__(value)


def _finite(fraction: Any) -> float:
    kind = type(fraction)
    if not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        raise TypeError(f"fraction must be a number, not {type_name(kind)}")
    try:
        told = float(fraction)
    except OverflowError:
        told = _INFINITE
    if not -_INFINITE < told < _INFINITE:
        raise ValueError("fraction must be a finite number, best from 0.0 to 1.0")
    return told
