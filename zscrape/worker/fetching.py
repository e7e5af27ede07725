"""Where a worker gets a script's bytes from: its own repositories first, else the gateway.

Whatever they come from, they are held to the digest of the pin: a repository that has moved
on, or another one of the same name, costs a look and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from zscrape.errors import ScriptError
from zscrape.log import get_logger
from zscrape.model import Pin
from zscrape.scripts.bundle import pack
from zscrape.scripts.digest import tree_digest

if TYPE_CHECKING:
    from zscrape.scripts.repository import Repository

# An attempt waits meanwhile, and the gateway has the bytes at hand.
_OWN_LIMIT_S: Final = 20.0


class Fetcher:
    """Gets the bytes of pins. One event loop uses it.

    Args:
        repositories: The worker's own, in the order in which they are asked; may be empty.
        ask_gateway: Gives what `pack` made, or None.
    """

    def __init__(
        self,
        repositories: Sequence[Repository],
        ask_gateway: Callable[[Pin], Awaitable[bytes | None]],
    ) -> None:
        self._repositories = tuple(repositories)
        self._ask_gateway = ask_gateway
        self._log: Any = get_logger()

    async def fetch(self, pin: Pin) -> bytes | None:
        """Return a script's bytes; None when nobody has them."""
        # The one that the gateway has it from is the likeliest.
        for repository in sorted(self._repositories, key=lambda each: each.name != pin.repository):
            body = await self._from(repository, pin)
            if body is not None:
                return body
        return await self._ask_gateway(pin)

    async def close(self) -> None:
        """Let go of the repositories."""
        for repository in self._repositories:
            await repository.close()

    async def _from(self, repository: Repository, pin: Pin) -> bytes | None:
        try:
            async with asyncio.timeout(_OWN_LIMIT_S):
                if pin.version not in await repository.versions(pin.name):
                    return None
                files = await repository.fetch(pin.name, pin.version)
        except (ScriptError, TimeoutError) as error:
            self._log.info(
                "fetch_failed",
                script_name=pin.name,
                repository=repository.name,
                reason=str(error) or "too slow",
            )
            return None
        if await asyncio.to_thread(tree_digest, files) != pin.digest:
            return None
        return await asyncio.to_thread(pack, files)
