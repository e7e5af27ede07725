"""Whom the settings say to believe."""

from __future__ import annotations

from zscrape.config import Settings
from zscrape.scripts.trust import NOBODY, Trust


def trust_of(settings: Settings, *, is_required: bool | None = None) -> Trust:
    """Return whom the settings say to believe.

    Args:
        settings: `trusted_keys` and `require_signature`.
        is_required: Whether everybody else is refused; None: as the settings say.

    Raises:
        ConfigError: A key cannot be read, or signatures are required and nobody is trusted.
    """
    required = settings.require_signature if is_required is None else is_required
    if not settings.trusted_keys and not required:
        return NOBODY
    from zscrape.scripts.signing import read_trust  # large; without keys it is not needed

    return read_trust(settings.trusted_keys, is_required=required)
