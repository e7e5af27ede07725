"""What an administrator does about workers' right to join: tokens, removals, a change of keys."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from zscrape.config import JoinToken, parse_link
from zscrape.errors import ConfigError, StorageError
from zscrape.gateway.gatekeeper import Gatekeeper
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.router import Router
from zscrape.model import WorkerId
from zscrape.store.linkkeys import TokenRow, WorkerKey

_ANYWHERE: Final = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - compared, not bound
# For documentation (RFC 5737): no packet is sent, the kernel only chooses a way there.
_FAR: Final = ("192.0.2.1", 9)
_TELL_INTERVAL_S: Final = 60.0
_FOLLOW_S: Final = 2.0  # until what another gateway has taken back is cut here


class Joining:
    """Tokens, workers' keys, and the gateway's own key with its change."""

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        keys: LinkKeys,
        router: Router,
        addresses: tuple[str, ...],
        log: Any,
    ) -> None:
        self._gatekeeper = gatekeeper
        self._keys = keys
        self._router = router
        self._addresses = addresses
        self._log = log
        self._changing: asyncio.Task[None] | None = None

    @property
    def tokens(self) -> list[TokenRow]:
        """The tokens that were made, newest first."""
        return self._gatekeeper.tokens

    @property
    def switch_at(self) -> float | None:
        """When the gateway takes its next key, Unix time; None while it has none."""
        return self._keys.switch_at if self._keys.next_pair is not None else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """What workers are told to dial: as it is set, or where the link listens."""
        return self._addresses or (_reachable(self._router.endpoint),)

    async def create(
        self,
        name: str,
        *,
        uses_limit_count: int | None,
        expires_at: float | None,
        addresses: tuple[str, ...] = (),
    ) -> tuple[TokenRow, str]:
        """Make a token; return what is kept of it, and the one string that is handed out.

        Raises:
            StorageError: It cannot be kept now; it was not made.
        """
        row, secret = await self._gatekeeper.create_token(
            name, uses_limit_count=uses_limit_count, expires_at=expires_at, now=time.time()
        )
        where = addresses or self.addresses
        return row, JoinToken.of(where, self._keys.public_keys, secret).text()

    async def revoke(self, token_id: str) -> TokenRow:
        """Let nobody join by a token any more.

        Raises:
            NotFound: There is no such token.
            StorageError: It cannot be kept now; nothing has changed.
        """
        row = await self._gatekeeper.revoke_token(token_id, time.time())
        self._router.expel(row.key, "")
        return row

    async def remove_worker(self, worker_id: WorkerId) -> WorkerKey:
        """Forget a worker's key and cut its connection; a token may let it join again.

        Raises:
            NotFound: There is no such worker.
            StorageError: It cannot be kept now; nothing has changed.
        """
        worker = await self._gatekeeper.remove_worker(worker_id)
        self._router.expel(worker.key, worker_id)
        self._log.warning("worker_removed", worker_id=worker_id)
        return worker

    async def revoke_worker(self, worker_id: WorkerId) -> WorkerKey:
        """Refuse a worker's key for ever and cut its connection.

        Raises:
            NotFound: There is no such worker.
            StorageError: It cannot be kept now; nothing has changed.
        """
        worker = await self._gatekeeper.revoke_worker(worker_id, time.time())
        self._router.expel(worker.key, worker_id)
        self._log.warning("worker_key_revoked", worker_id=worker_id)
        return worker

    async def follow(self) -> None:
        """See whom other gateways of the database let in and cut off; until cancelled."""
        while True:
            await asyncio.sleep(_FOLLOW_S)
            with contextlib.suppress(StorageError):  # told by the store; the next look will do
                await self.look()

    async def look(self) -> None:
        """Take up what other gateways have changed, and cut whom they have taken back.

        Raises:
            StorageError: It cannot be read now.
        """
        for gone in await self._gatekeeper.follow():
            self._router.expel(gone.key, gone.worker_id)
            if gone.worker_id:
                event = "worker_key_revoked" if gone.is_revoked else "worker_removed"
                self._log.warning(event, worker_id=gone.worker_id)

    # ---- the gateway's own key -------------------------------------------------------

    def rotate(self, overlap_s: float) -> float:
        """Announce another key, and take it when the overlap is over; return when that is.

        Workers that are connected meanwhile learn it; those that are not need a new token.

        Raises:
            OSError: The key cannot be kept; nothing has changed.
        """
        switch_at = time.time() + overlap_s
        self._keys.announce(switch_at)
        self._log.warning("link_key_announced", overlap_s=overlap_s)
        self.resume()
        return switch_at

    def start(self) -> None:
        """Leave a token for workers of this home, and go on with a change that was announced.

        Raises:
            OSError: The token cannot be written.
        """
        self._keys.write_join(self._router.endpoint)
        self.resume()

    def resume(self) -> None:
        """Go on with a change of keys that was announced, by the process before too."""
        self.stop()
        if self._keys.next_pair is not None:
            self._changing = asyncio.get_running_loop().create_task(
                self._change(), name="change of the link's key"
            )

    def stop(self) -> None:
        """Leave the change to the next process."""
        if self._changing is not None:
            self._changing.cancel()
            self._changing = None

    async def _change(self) -> None:
        while (rest_s := self._keys.switch_at - time.time()) > 0:
            self._router.tell_keys()
            self._leave_token()
            await asyncio.sleep(min(rest_s, _TELL_INTERVAL_S))
        self._attempt(self._keys.switch)
        await self._router.change_key()
        self._leave_token()
        self._log.warning("link_key_changed")

    def _leave_token(self) -> None:
        self._attempt(lambda: self._keys.write_join(self._router.endpoint))

    def _attempt(self, write: Callable[[], object]) -> None:
        """Write a file of keys; what cannot be kept is told and is made anew at the next start."""
        try:
            write()
        except OSError as error:
            self._log.error("link_key_unwritable", reason=error.strerror or str(error))


def _reachable(endpoint: str) -> str:
    """Return an address that others can dial for one that means every address."""
    host, port = parse_link(endpoint)
    if host not in _ANYWHERE:
        return endpoint
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("2001:db8::1", _FAR[1]) if family == socket.AF_INET6 else _FAR)
            found = str(probe.getsockname()[0])
        except OSError as error:
            raise ConfigError(
                source="--address",
                reason=f"{endpoint} is every address, and none leads out of this machine",
            ) from error
    return f"tcp://[{found}]:{port}" if ":" in found else f"tcp://{found}:{port}"
