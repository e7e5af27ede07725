"""One POST to an address that a client named: judged where it leads, and bounded in time.

The addresses of the host are looked up once, all of them must be public (or in a network that
the gateway's owner has allowed), and the connection goes to one of the judged addresses: a
name that changes its mind between look and call (DNS rebinding) changes nothing. Redirects
are not followed, proxies are not asked, and the answer's body is not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from zscrape import __version__
from zscrape.scripts.redirects import Network, is_public, is_within

_MAY_HELP: Final = frozenset({408, 425, 429})
_CONNECTION_LIMIT_COUNT: Final = 64
_RETRY_AFTER_LIMIT_S: Final = 3600.0


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


class Outbound:
    """Posts to addresses from outside. One event loop uses it."""

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
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(httpx.URL(url), body, headers)
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
        address = await self._address_of(url)
        client = await self._client()
        request = client.build_request(
            "POST",
            url.copy_with(host=address, fragment=None),
            content=body,
            headers={**headers, "Host": url.netloc.decode("ascii")},
            # The certificate must be that of the name, whatever address it has.
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        response = await client.send(request, stream=True)
        await response.aclose()
        status = response.status_code
        if 200 <= status < 300:
            return status
        if 300 <= status < 400:
            raise PostFailed("it redirects", may_help=False, status=status)
        may_help = status in _MAY_HELP or status >= 500
        wait_s = _retry_after_s(response.headers.get("retry-after", ""))
        raise PostFailed(f"HTTP {status}", may_help=may_help, status=status, wait_s=wait_s)

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
