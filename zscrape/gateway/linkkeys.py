"""The gateway's key pair on the link, kept in the home folder, and the local right to join.

`link.toml` has the secrets. `join.toml` has a join token for workers that share the home
folder, so that nobody has to type one on a single machine. Both are for their owner only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from zscrape.config import JOIN_FILE, JoinToken
from zscrape.config.keyfiles import (
    KeyPair,
    broken,
    derived_pair,
    key_bytes,
    key_text,
    new_pair,
    pair_of,
    read_private,
    write_private,
)

LINK_FILE: Final = "link.toml"


def first_pair(secret: str | None, purpose: str) -> KeyPair:
    """Return the pair that a home begins with: that of the secret, else one that nobody has."""
    return new_pair() if secret is None else derived_pair(secret, purpose)


class LinkKeys:
    """What the gateway proves itself by, now and after the next change of keys.

    At a home's first start they are drawn by lot, or come from `secret`, so that gateways with
    the same one are one gateway to workers, and tokens can be made before any has started.

    Raises:
        ConfigError: The file can be read by others, or holds no keys.
        OSError: It cannot be written.
    """

    def __init__(self, home: Path, secret: str | None = None) -> None:
        self._home = home
        self._path = home / LINK_FILE
        table = read_private(self._path)
        if table is None:
            made = {
                "secret": key_text(first_pair(secret, "link").secret),
                "local": key_text(first_pair(secret, "join").secret),
            }
            write_private(self._path, made, is_new=True)
            table = read_private(self._path) or made
        try:
            self.pair = pair_of(key_bytes(table.get("secret")))
            self.local = pair_of(key_bytes(table.get("local")))
            next_secret = table.get("next_secret")
            self.next_pair = None if next_secret is None else pair_of(key_bytes(next_secret))
            self.switch_at = float(table.get("switch_at", 0.0))
        except (ValueError, TypeError) as error:
            raise broken(self._path, str(error)) from error

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The key in use, then the next one if there is one."""
        pairs = (self.pair,) if self.next_pair is None else (self.pair, self.next_pair)
        return tuple(pair.public for pair in pairs)

    def announce(self, switch_at: float) -> None:
        """Choose the key that is to be used from `switch_at` (Unix time) on; keep it.

        Raises:
            OSError: It could not be kept; nothing has changed.
        """
        next_pair = self.next_pair or new_pair()
        self._keep(self.pair, next_pair, switch_at)
        self.next_pair, self.switch_at = next_pair, switch_at

    def switch(self) -> None:
        """Use the next key from now on.

        Raises:
            OSError: It could not be kept; nothing has changed.
        """
        if self.next_pair is not None:
            self._keep(self.next_pair, None, 0.0)
            self.pair, self.next_pair, self.switch_at = self.next_pair, None, 0.0

    def _keep(self, pair: KeyPair, next_pair: KeyPair | None, switch_at: float) -> None:
        table: dict[str, Any] = {
            "secret": key_text(pair.secret),
            "local": key_text(self.local.secret),
        }
        if next_pair is not None:
            table |= {"next_secret": key_text(next_pair.secret), "switch_at": switch_at}
        write_private(self._path, table)

    def write_join(self, endpoint: str) -> Path:
        """Leave a join token for workers that share the home folder; return its path.

        Raises:
            OSError: It cannot be written.
        """
        path = self._home / JOIN_FILE
        token = JoinToken.of((endpoint,), self.public_keys, self.local.secret)
        write_private(path, {"token": token.text()})
        return path
