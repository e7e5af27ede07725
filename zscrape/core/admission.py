"""What a worker may say of itself: all of it is kept while it lives, and shown to people.

Whoever can dial the link can say Hello. Without these bounds one of them could fill the
gateway's memory, its logs and its answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from zscrape.model import WorkerFacts
from zscrape.wire import WARM_LIMIT_COUNT, Hello

SLOT_LIMIT_COUNT: Final = 10_000
TAG_LIMIT_COUNT: Final = 64
PROGRAM_LIMIT_COUNT: Final = 256
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SESSION: Final = re.compile(r"[\x21-\x7e]{1,64}")
_WORDS: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")  # as the HTTP API takes tags
_WORDS_OR_NONE: Final = re.compile(r"[^\x00-\x1f\x7f]{0,200}")
_DIGEST: Final = re.compile(r"[a-z0-9]{1,16}:[0-9a-f]{1,128}")
_TASK_ID_LIMIT_CHARACTERS: Final = 64
_NUMBER_LIMIT: Final = 2**53  # what JSON's readers hold exactly


def is_worker_id(text: str) -> bool:
    """True iff a gateway takes this as a worker's id."""
    return _ID.fullmatch(text) is not None


def hello_fault(hello: Hello) -> str:
    """Return what of a Hello is out of bounds, for people; an empty text when nothing is."""
    return next(chain(_faults(hello), _list_faults(hello), _facts_faults(hello.facts)), "")


def _faults(hello: Hello) -> Iterator[str]:
    if not is_worker_id(hello.worker_id):
        yield "worker_id must be 1 to 64 letters, digits, dots, dashes or underscores"
    if not _SESSION.fullmatch(hello.session):
        yield "session must be 1 to 64 visible ASCII characters"
    if not 1 <= hello.slots <= SLOT_LIMIT_COUNT:
        yield f"slots must be 1 to {SLOT_LIMIT_COUNT}"
    if hello.limit < 0 or len(hello.running) > hello.slots:
        yield "slots, limit and running do not fit each other"


def _list_faults(hello: Hello) -> Iterator[str]:
    if not _fits(hello.tags, TAG_LIMIT_COUNT, _WORDS):
        yield f"tags must be up to {TAG_LIMIT_COUNT} of 1 to 200 printable characters"
    attempts = (*hello.running, *hello.finished)
    if any(len(task_id) > _TASK_ID_LIMIT_CHARACTERS for task_id, _ in attempts):
        yield f"task ids must be up to {_TASK_ID_LIMIT_CHARACTERS} characters"
    if not warm_fits(hello.warm):
        yield f"warm must be up to {WARM_LIMIT_COUNT} digests"


def _facts_faults(facts: WorkerFacts) -> Iterator[str]:
    if not _fits(facts.programs, PROGRAM_LIMIT_COUNT, _WORDS):
        yield f"facts.programs must be up to {PROGRAM_LIMIT_COUNT} names"
    if not _fits(facts.isolation, TAG_LIMIT_COUNT, _WORDS):
        yield f"facts.isolation must be up to {TAG_LIMIT_COUNT} names"
    texts = (facts.hostname, facts.version, facts.python, facts.platform, facts.network)
    if not _fits(texts, len(texts), _WORDS_OR_NONE):
        yield "facts must be texts of up to 200 printable characters"
    if not all(0 <= number <= _NUMBER_LIMIT for number in (facts.cpu_count, facts.memory_bytes)):
        yield f"facts must be numbers of 0 to {_NUMBER_LIMIT}"


def warm_fits(warm: tuple[str, ...]) -> bool:
    """True iff these are digests, and no more than a worker may tell."""
    return _fits(warm, WARM_LIMIT_COUNT, _DIGEST)


def _fits(texts: tuple[str, ...], limit_count: int, form: re.Pattern[str]) -> bool:
    return len(texts) <= limit_count and all(form.fullmatch(text) for text in texts)
