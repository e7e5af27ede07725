"""How this run of the command line speaks: its language, and to a person or a machine.

Help and usage errors must be told before any option is parsed, so the arguments are looked
through once at the start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import NamedTuple

from zscrape.messages import LANGUAGES, text


class Manner(NamedTuple):
    """How to speak."""

    lang: str = "en"
    is_json: bool = False
    is_verbose: bool = False
    asked_lang: str | None = None  # by `--lang`, which is stronger than a file


_PLAIN = Manner()
_current: ContextVar[Manner] = ContextVar("manner")


def current() -> Manner:
    """Return how to speak now."""
    return _current.get(_PLAIN)


def change(**changed: object) -> None:
    """Speak in another manner from now on."""
    _current.set(current()._replace(**changed))  # type: ignore[arg-type]  # checked by options


def words(key: str, **fields: object) -> str:
    """Return the catalogue's words for `key` in the language spoken now."""
    return text(key, current().lang, **fields)


def foresee(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
    """Set the manner from arguments that are not parsed yet, and the environment."""
    environ = os.environ if environ is None else environ
    _current.set(
        Manner(
            lang=_lang(arguments, environ),
            is_json="--json" in arguments,
            is_verbose="--verbose" in arguments,
        )
    )


def _lang(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    for number, argument in enumerate(arguments):
        name, has_value, value = argument.partition("=")
        if name == "--lang":
            asked = value if has_value else "".join(arguments[number + 1 : number + 2])
            if asked in LANGUAGES:
                return asked
    if environ.get("ZSCRAPE_LANG") in LANGUAGES:
        return environ["ZSCRAPE_LANG"]
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):  # the order of setlocale(3)
        if environ.get(name):
            return "ko" if environ[name].lower().startswith("ko") else "en"
    return "en"
