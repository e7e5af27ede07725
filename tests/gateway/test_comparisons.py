"""What proves somebody is never compared letter by letter: that would tell how much is right."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import zscrape.gateway

GATEWAY = Path(zscrape.gateway.__file__).parent
# As what callers present is named, and what it is held against.
SECRET = re.compile(r"(digest|signature|secret|password|presented|expected|cookie|mac|code)\b")
# Words of ours that anybody may know: of failures, of answers, of the dashboard's own files.
HARMLESS = re.compile(r"OutcomeCode|HTTPStatus|status_code|\.count\(|path_params")
# Where such a thing is checked at all: a new place belongs here after somebody has looked at it.
CHECKED = {
    "access.py": "compare_digest(self._first.digest, presented.digest)",
    "webhook.py": "compare_digest(given.strip().lower(), expected)",
    "sessions.py": "self._sessions.get(_digest(token))",
    "keyring.py": "self._by_digest.get(digest)",
}


def bare_comparisons(source: str) -> list[str]:
    """Return the comparisons by `==` or `in` of what proves somebody."""
    found = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops)
    ]
    return [each for each in found if SECRET.search(each) and not HARMLESS.search(each)]


def test_a_bare_comparison_would_be_seen() -> None:
    """The search finds what it is for."""
    assert bare_comparisons("if digest == known.digest: pass") == ["digest == known.digest"]
    assert bare_comparisons("if sent['signature'] != expected: pass")
    assert bare_comparisons("if answer.status_code == 404: pass") == []


def test_nothing_that_proves_somebody_is_compared_bare() -> None:
    """Hashes are looked up, or compared in constant time; nowhere does `==` see a secret."""
    found = {
        str(path.relative_to(GATEWAY)): bare
        for path in GATEWAY.rglob("*.py")
        if (bare := bare_comparisons(path.read_text("utf-8")))
    }

    assert found == {}


def test_the_places_that_check_do_it_in_constant_time() -> None:
    """Keys, sessions and signatures are checked by a look-up of their hash, or in constant time."""
    for name, words in CHECKED.items():
        assert words in (GATEWAY / name).read_text("utf-8"), name
