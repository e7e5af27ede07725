"""The tape of a replay: it asks what was answered then."""

from __future__ import annotations

from typing import Any

from zscrape.runtime.recording import MASK
from zscrape.runtime.replay import AskedTape


def test_answer_is_as_it_was() -> None:
    """An exchange comes back with its status, headers and bytes; keys are not asked for."""
    asked: list[tuple[str, Any]] = []

    def ask(kind: str, body: Any) -> Any:
        asked.append((kind, body))
        return {
            "status": 404,
            "headers": [["Content-Type", "text/html"]],
            "body": {"base64": "//4="},
            "is_cut": False,
            "error": "",
            "elapsed_s": 0.5,
        }

    told = AskedTape(ask).answer("GET", "https://a.example/?key=1", b"")

    assert told is not None
    assert (told.status, told.headers, told.body) == (
        404,
        [("Content-Type", "text/html")],
        b"\xff\xfe",
    )
    assert asked == [
        ("replay", {"method": "GET", "url": f"https://a.example/?key={MASK}", "body": ""})
    ]


def test_the_network_may_be_asked() -> None:
    """Nothing recorded and leave to go on is no answer; a body is asked for by its digest."""
    asked: list[Any] = []

    def ask(_kind: str, body: Any) -> Any:
        asked.append(body)

    assert AskedTape(ask).answer("POST", "https://a.example/", b"x=1") is None
    assert len(asked[0]["body"]) == 64
