"""Calls to addresses that a client or a script named: judged where they lead, bounded in time.

The addresses of the host are looked up once, all of them must be public (or in a network that
the gateway's owner has allowed), and the connection goes to one of the judged addresses: a
name that changes its mind between look and call (DNS rebinding) changes nothing. A POST's
redirects are not followed and its answer's body is not read; those of a GET are, up to a limit,
each judged by itself. Proxies are not asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from zscrape import __version__
from zscrape.onuse import on_use
from zscrape.scripts.redirects import Network, is_public, is_within

if TYPE_CHECKING:
    import httpx
else:
    httpx = on_use("httpx")

_MAY_HELP: Final = frozenset({408, 425, 429})
_CONNECTION_LIMIT_COUNT: Final = 64
_RETRY_AFTER_LIMIT_S: Final = 3600.0
_REDIRECT_LIMIT_COUNT: Final = 5  # RFC 9309, section 2.3.1.2


class PostFailed(Exception):
    """Raised when a POST did not succeed. `may_help`: another try may.

    `reason` is a few words for the record; `status` is the HTTP status, 0 iff there was none.
    """

    def __init__(
        self, reason: str, *, may_help: bool, status: int = 0, wait_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_help = may_help
        self.status = status
        self.wait_s = wait_s  # as the receiver wants it


class Fetched(Struct, frozen=True):
    """The answer to a GET; `is_cut`: there was more of it than `body`."""

    status: int
    body: bytes = b""
    is_cut: bool = False


class Outbound:
    """Calls addresses from outside. One event loop uses it."""

    def __init__(self, *, allowed: tuple[str, ...] = (), timeout_s: float = 10.0) -> None:
        self._allowed: list[Network] = [
            ipaddress.ip_network(each, strict=False) for each in allowed
        ]
        self._timeout_s = timeout_s
        self._opening = asyncio.Lock()
        self._made: httpx.AsyncClient | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post and return the status, which is one of success.

        Raises:
            PostFailed: It did not succeed.
        """
        with self._translated():
            async with asyncio.timeout(self._timeout_s):
                return await self._post(httpx.URL(url), body, headers)

    async def get(self, url: str, *, limit_bytes: int) -> Fetched:
        """Get the first `limit_bytes` of what is there; redirects without end come to nothing.

        Raises:
            PostFailed: There was no answer, or it may not be asked for.
        """
        with self._translated():
            async with asyncio.timeout(self._timeout_s):
                at = httpx.URL(url)
                for _ in range(1 + _REDIRECT_LIMIT_COUNT):
                    found = await self._get(at, limit_bytes)
                    if isinstance(found, Fetched):
                        return found
                    at = at.join(found)
                return Fetched(404)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Tell what goes wrong inside in our own words.

        Raises:
            PostFailed: Something did.
        """
        try:
            yield
        except TimeoutError as error:
            reason = f"no answer within {self._timeout_s:g} s"
            raise PostFailed(reason, may_help=True) from error
        except httpx.InvalidURL as error:
            raise PostFailed("not an address", may_help=False) from error
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise PostFailed(told[:200], may_help=True) from error

    async def close(self) -> None:
        """Let go of connections."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> int:
        response = await self._send("POST", url, body, headers)
        await response.aclose()
        status = response.status_code
        if 200 <= status < 300:
            return status
        if 300 <= status < 400:
            raise PostFailed("it redirects", may_help=False, status=status)
        may_help = status in _MAY_HELP or status >= 500
        wait_s = _retry_after_s(response.headers.get("retry-after", ""))
        raise PostFailed(f"HTTP {status}", may_help=may_help, status=status, wait_s=wait_s)

    async def _get(self, url: httpx.URL, limit_bytes: int) -> Fetched | str:
        """Return what is there, or where it has gone."""
        if url.scheme not in {"http", "https"}:
            raise PostFailed(f"it redirects to a {url.scheme}: address", may_help=False)
        response = await self._send("GET", url, b"", {})
        try:
            further = response.headers.get("location")
            if 300 <= response.status_code < 400 and further:
                return str(further)
            found = b""
            async for piece in response.aiter_bytes(16_384):
                found += piece
                if len(found) > limit_bytes:
                    return Fetched(response.status_code, found[:limit_bytes], is_cut=True)
            return Fetched(response.status_code, found)
        finally:
            await response.aclose()

    async def _send(
        self, method: str, url: httpx.URL, body: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        address = await self._address_of(url)
        client = await self._client()
        request = client.build_request(
            method,
            url.copy_with(host=address, fragment=None),
            content=body,
            headers={**headers, "Host": url.netloc.decode("ascii")},
            # The certificate must be that of the name, whatever address it has.
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        return await client.send(request, stream=True)

    async def _address_of(self, url: httpx.URL) -> str:
        """Return an address of the host, all of which may be called.

        Raises:
            PostFailed: It has none, or one that may not.
        """
        loop = asyncio.get_running_loop()
        host = url.raw_host.decode("ascii").strip("[]")
        try:
            found = await loop.getaddrinfo(host, None, type=2)
        except (OSError, UnicodeError) as error:
            raise PostFailed(f"{host} cannot be resolved", may_help=True) from error
        addresses = [str(each[4][0]) for each in found]
        for address in addresses:
            if not self._may_call(address):
                reason = f"{host} is a private address ({address}); see gateway.webhook_allow"
                raise PostFailed(reason, may_help=False)
        return addresses[0]

    def _may_call(self, address: str) -> bool:
        return is_public(address) or is_within(address, self._allowed)

    async def _client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._made is None:
                # Reading the system's certificates takes a while.
                context = await asyncio.to_thread(ssl.create_default_context)
                self._made = httpx.AsyncClient(
                    verify=context,
                    timeout=self._timeout_s,
                    trust_env=False,  # a proxy would look the name up once more, unjudged
                    limits=httpx.Limits(
                        max_connections=_CONNECTION_LIMIT_COUNT, max_keepalive_connections=0
                    ),
                    headers={"User-Agent": f"zscrape/{__version__}"},
                )
            return self._made


def _retry_after_s(told: str) -> float | None:
    """Return how long the receiver wants us to wait, where it says so in seconds."""
    told = told.strip()
    if not (told.isascii() and told.isdigit()):
        return None
    return min(float(told[:9]), _RETRY_AFTER_LIMIT_S)
