"""`ctx.session`: cookies lent by the gateway, in `ctx.http` while they are, and given back.

    with ctx.session("shop.example", "kim") as session:
        if session.needs_login:
            log_in(ctx.http)
        page = ctx.http.get("https://shop.example/orders")
        if "Log in" in page.text:
            ctx.fail("login_expired", "the shop asks for a login")   # marks the session as bad

A browser of the attempt has them too: it shares the cookies of `ctx.http`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from zscrape.runtime.state import Ask

_REASON_LIMIT_CHARACTERS = 200


class Session:
    """A session with a site, for `with` or `async with`."""

    def __init__(
        self,
        ask: Ask,
        jar: CookieJar,
        *,
        site: str,
        account: str,
        shared: bool = False,
        max_age_s: float | None = None,
        wait_s: float | None = None,
    ) -> None:
        self.site = site
        self.account = account
        self.status = ""  # `new`, `good`, `expired` or `bad` as it was lent
        self._ask = ask
        self._jar = jar
        self._is_shared = shared
        self._max_age_s = max_age_s
        self._wait_s = wait_s
        self._reason = ""
        self._host = site.partition(":")[0]  # cookies know no ports

    @property
    def needs_login(self) -> bool:
        """True iff there are no cookies that may still be good."""
        return self.status != "good"

    def mark_bad(self, reason: str = "login_expired") -> None:
        """Say that the site does not take these cookies any more: nobody is lent them again."""
        self._reason = str(reason)[:_REASON_LIMIT_CHARACTERS] or "login_expired"

    def __enter__(self) -> Session:
        """Lease it; wait while another attempt has it.

        Raises:
            AskRefused: The gateway has none for this script (`session_denied`).
            TimeoutError: It was not free in `wait_s`.
        """
        from zscrape.runtime.cookies import into_jar

        body = {**self._named("lease"), "shared": self._is_shared}
        told = self._ask("session", body, timeout_s=self._wait_s)
        self.status = told["status"]
        self._drop_cookies()
        cookies = [{**each, "domain": each.get("domain") or self._host} for each in told["cookies"]]
        into_jar([_dated(each) for each in cookies], self._jar)
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        """Give it back, with the cookies as they are now, or marked as bad."""
        code = getattr(error, "code", "")
        if code == "login_expired" and not self._reason:
            self.mark_bad()
        body: dict[str, Any] = self._named("return")
        if self._reason:
            body["bad"] = self._reason
        else:
            body["cookies"] = self._cookies()
            if self._max_age_s is not None and self.needs_login:
                body["max_age_s"] = self._max_age_s
        self._drop_cookies()
        self._ask("session", body)

    async def __aenter__(self) -> Session:
        """As `__enter__`, without holding up other tasks of the loop."""
        import asyncio

        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """As `__exit__`, without holding up other tasks of the loop."""
        import asyncio

        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _named(self, op: str) -> dict[str, Any]:
        return {"op": op, "site": self.site, "account": self.account}

    def _cookies(self) -> list[dict[str, Any]]:
        from zscrape.runtime.cookies import from_jar

        return [each for each in from_jar(self._jar) if self._is_ours(each["domain"])]

    def _drop_cookies(self) -> None:
        """Take the site's cookies out of the jar: outside of the session they are not there."""
        for each in list(self._jar):
            if self._is_ours(each.domain.removesuffix(".local")):
                self._jar.clear(each.domain, each.path, each.name)

    def _is_ours(self, domain: str) -> bool:
        """True iff a cookie of `domain` goes to the site, or to a host below it."""
        site, domain = self._host, domain.lstrip(".")
        return domain == site or domain.endswith(f".{site}") or site.endswith(f".{domain}")


def _dated(cookie: dict[str, Any]) -> dict[str, Any]:
    """Return a cookie as `into_jar` takes it: one without an end has none below zero."""
    return {**cookie, "expires": cookie.get("expires") or -1}
