"""robots.txt of sites, fetched once for all the scripts that ask (RFC 9309).

A site without one (4xx) allows everything; one that fails to give it (5xx) allows nothing for
a while. What this gateway cannot reach, a private address above all, the script fetches itself
from where it runs. Each gateway keeps its own copies.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from zscrape.budgets import EVERY_SITE, site_name
from zscrape.gateway.asked import Asked
from zscrape.gateway.faults import field_fault
from zscrape.gateway.outbound import Outbound, PostFailed
from zscrape.gateway.requests import decode_body
from zscrape.model import RunSpec
from zscrape.wire import ASK_LIMIT_BYTES

LIMIT_BYTES: Final = 500 * 1024  # RFC 9309, section 2.5: what is beyond may be left out
KEPT_S: Final = 3600.0  # section 2.4 allows a day
RETRIED_S: Final = 60.0  # a site that fails, or was out of reach
KEPT_LIMIT_BYTES: Final = 32 * 1024 * 1024
_PLAIN_LIMIT_BYTES: Final = 64 * 1024
_ENTRY_BYTES: Final = 512  # what an empty one takes
_ORIGIN = re.compile(r"https?://(?P<host>[^/?#@\s]{1,260})", re.IGNORECASE)
_NOTHING_ALLOWED: Final = "User-agent: *\nDisallow: /\n"
_ENCODE = msgspec.json.Encoder().encode


class RobotsQuestion(Struct, frozen=True):
    """What does the robots.txt of this origin say?"""

    origin: Annotated[str, Meta(max_length=300)]


class _Kept(Struct, frozen=True):
    answer: bytes
    until: float


_QUESTION = msgspec.json.Decoder(RobotsQuestion).decode
Visit: TypeAlias = Callable[[str, RunSpec], AbstractAsyncContextManager[None]]


class RobotsFiles:
    """Knows the robots.txt of sites. One event loop uses it.

    Within what `visit` gives, a site may be asked once: this counts as any other request.
    """

    def __init__(
        self,
        outbound: Outbound,
        visit: Visit,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbound = outbound
        self._visit = visit
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # by origin
        self._size_bytes = 0
        self._fetching: dict[str, asyncio.Task[bytes]] = {}

    async def answer(self, asked: Asked) -> bytes:
        """Answer `robots`: the text, or null where the script must look for itself.

        Raises:
            InvalidRequest: It is no such question.
        """
        question = decode_body(_QUESTION, asked.body, RobotsQuestion.__struct_fields__)
        found = _ORIGIN.fullmatch(question.origin)
        host = site_name(found["host"]) if found is not None else None
        if host is None or host == EVERY_SITE:
            raise field_fault("/origin", "site_name", given=question.origin[:80])
        if asked.run.network == "none":
            return _ENCODE({"text": None})  # nothing may leave for it, here neither
        return await self._answer(question.origin.lower(), host, asked.run)

    async def _answer(self, origin: str, host: str, run: RunSpec) -> bytes:
        kept = self._kept.get(origin)
        if kept is not None and kept.until > self._clock():
            self._kept.move_to_end(origin)
            return kept.answer
        fetching = self._fetching.get(origin)
        if fetching is None:
            loop = asyncio.get_running_loop()
            work = self._fetch(origin, host, run)
            fetching = loop.create_task(work, name=f"robots of {origin}")
            self._fetching[origin] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(origin, None))
        # Those who ask at once share it, and whose attempt ends takes nothing from the others.
        return await asyncio.shield(fetching)

    async def close(self) -> None:
        """Fetch nothing more."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, origin: str, host: str, run: RunSpec) -> bytes:
        kept_s = KEPT_S
        text: str | None
        try:
            async with self._visit(host, run):
                found = await self._outbound.get(f"{origin}/robots.txt", limit_bytes=LIMIT_BYTES)
        except PostFailed:
            text, kept_s = None, RETRIED_S
        else:
            text = ""
            if found.status >= 500:
                text, kept_s = _NOTHING_ALLOWED, RETRIED_S
            elif 200 <= found.status < 300:
                text = _whole_lines(found.body, is_cut=found.is_cut)
        answer = _told(text)
        self._keep(origin, _Kept(answer, self._clock() + kept_s))
        return answer

    def _keep(self, origin: str, kept: _Kept) -> None:
        before = self._kept.pop(origin, None)
        self._kept[origin] = kept
        self._size_bytes += _size(kept) - (0 if before is None else _size(before))
        while self._size_bytes > KEPT_LIMIT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= _size(oldest)


def _size(kept: _Kept) -> int:
    return len(kept.answer) + _ENTRY_BYTES


def _whole_lines(body: bytes, *, is_cut: bool) -> str:
    """Return the text without a line that is only there in part."""
    whole = body.rpartition(b"\n")[0] if is_cut else body
    return whole.decode("utf-8-sig", "replace")


def _told(text: str | None) -> bytes:
    """Return an answer that fits the link; a long text goes deflated."""
    plain = _ENCODE({"text": text})
    if len(plain) <= _PLAIN_LIMIT_BYTES or text is None:
        return plain
    packed = _ENCODE({"deflated": base64.b64encode(zlib.compress(text.encode())).decode()})
    return packed if len(packed) <= ASK_LIMIT_BYTES else _ENCODE({"text": None})
