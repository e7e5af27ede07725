"""Every word a person reads, in English and Korean side by side.

`text(key, lang, **fields)` is the one way in. Keys are outcome and error codes, and dotted
names for the rest (`cli.`, `event.`, `explain.`). A test holds every key to both languages,
the same placeholders, and every code of the contract to a text.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zscrape.messages.asking import ASKING
from zscrape.messages.capsules import CAPSULES
from zscrape.messages.catalogue import Text
from zscrape.messages.dialects import DIALECTS
from zscrape.messages.environments import ENVIRONMENTS
from zscrape.messages.errors import ERRORS
from zscrape.messages.events import EVENTS
from zscrape.messages.explain import EXPLAIN
from zscrape.messages.http import HTTP
from zscrape.messages.isolation import ISOLATION
from zscrape.messages.remembering import REMEMBERING
from zscrape.messages.schedules import SCHEDULES
from zscrape.messages.scripts import SCRIPTS
from zscrape.messages.security import SECURITY
from zscrape.messages.sites import SITES

__all__ = [
    "CATALOGUE",
    "LANGUAGES",
    "Text",
    "negotiate",
    "outcome_key",
    "placeholders",
    "text",
]

LANGUAGES: Final = ("en", "ko")
# What processes say that serve. The words that terminals and the dashboard show besides are 0.5 MB:
# they are loaded with the first of them.
_SAID: Final[dict[str, Text]] = {
    **ERRORS,
    **EXPLAIN,
    **EVENTS,
    **SCRIPTS,
    **HTTP,
    **ENVIRONMENTS,
    **ISOLATION,
    **DIALECTS,
    **ASKING,
    **CAPSULES,
    **SCHEDULES,
    **SECURITY,
    **SITES,
    **REMEMBERING,
}
_FORMATTER = string.Formatter()

if TYPE_CHECKING:
    CATALOGUE: Mapping[str, Text]


def __getattr__(name: str) -> Any:
    """Put the whole catalogue together for who asks for it (PEP 562)."""
    if name == "CATALOGUE":
        return _whole()
    raise AttributeError(f"module 'zscrape.messages' has no attribute {name!r}")


@cache
def _whole() -> Mapping[str, Text]:
    from zscrape.messages.shown import SHOWN

    return {**_SAID, **SHOWN}


def _entry(key: str) -> Text | None:
    return _SAID.get(key) or _whole().get(key)


class _Fields(dict[str, Any]):
    """Fields of one text; a placeholder without a value shows its own name instead of failing."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def text(key: str, lang: str = "en", /, **fields: Any) -> str:
    """Return the words for `key` in `lang`, with `fields` in place of the named placeholders.

    An unknown language falls back to English, an unknown key to the key itself: telling
    something is better than failing while telling.
    """
    entry = _entry(key)
    if entry is None:
        return key
    template = entry.ko if lang == "ko" else entry.en
    try:
        return _FORMATTER.vformat(template, (), _Fields(fields))
    except (ValueError, TypeError):  # fields come from workers too: a text where a number belongs
        return template


def outcome_key(code: str, fields: Mapping[str, object]) -> str:
    """Return the key of an outcome's words.

    A code that comes about in several ways has words for each; the field `what` names the way.
    """
    if "what" not in fields:
        return code
    key = f"{code}.{fields['what']}"
    return code if _entry(key) is None else key


def placeholders(template: str) -> frozenset[str]:
    """Return the names of the placeholders in `template`."""
    return frozenset(name for _, name, _, _ in _FORMATTER.parse(template) if name)


def negotiate(accept_language: str, default: str = "en") -> str:
    """Return the best of our languages for an `Accept-Language` header (RFC 9110, 12.5.4)."""
    best, best_quality = default, 0.0
    for part in accept_language.split(","):
        tag, _, parameters = part.strip().partition(";")
        lang = tag.strip().lower().split("-")[0]
        if lang not in LANGUAGES:
            continue
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if quality > best_quality:
            best, best_quality = lang, quality
    return best
