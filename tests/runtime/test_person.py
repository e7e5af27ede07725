"""`ctx.ask`: what the gateway is told of a question, and what of it is no question."""

from __future__ import annotations

from typing import Any

import pytest

from zscrape.runtime.person import Parked, ask

PNG = b"\x89PNG\r\n\x1a\nrest"


class Gateway:
    """Hears questions and files."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.saved: list[tuple[str, bytes, str]] = []

    def ask(self, prompt: str = "?", **values: Any) -> dict[str, Any]:
        """Ask it."""
        given = {"image": None, "fields": ("answer",), "timeout_s": None, **values}
        return ask(self._answer, lambda *file: self.saved.append(file), 1, prompt=prompt, **given)

    def _answer(self, kind: str, body: Any) -> Any:
        self.asked.append((kind, body))
        return {"answer": "yes"}


def test_names_are_fields() -> None:
    """Names alone ask for texts; without any there is one, `answer`."""
    gateway = Gateway()

    answer = gateway.ask("Go on?")
    gateway.ask("Log in", fields=["user", "password"], timeout_s=60)

    assert answer == {"answer": "yes"}
    assert gateway.asked == [
        ("person", {"prompt": "Go on?", "fields": {"answer": {}}}),
        ("person", {"prompt": "Log in", "fields": {"user": {}, "password": {}}, "timeout_s": 60}),
    ]


def test_the_slot_is_given_back_until_there_is_an_answer() -> None:
    """The question says which of its kind it is; parked, the attempt is to end."""
    asked: list[Any] = []
    answers: list[dict[str, Any]] = [{"parked": "h-1"}, {"answer": {"parked": "yes"}}]

    def pass_on(_kind: str, body: Any) -> Any:
        asked.append(body)
        return answers.pop(0)

    def put() -> dict[str, Any]:
        return ask(
            pass_on,
            lambda *_file: None,
            1,
            prompt="?",
            image=None,
            fields=["parked"],
            timeout_s=None,
            place=2,
        )

    with pytest.raises(Parked) as caught:
        put()
    answer = put()

    assert caught.value.question == "h-1"
    assert answer == {"parked": "yes"}
    assert [each["free_slot"] for each in asked] == [2, 2]


def test_fields_are_told_as_they_are() -> None:
    """What describes a field goes to the gateway, which judges it."""
    gateway = Gateway()
    gateway.ask(fields={"count": {"type": "integer"}})

    assert gateway.asked[0][1]["fields"] == {"count": {"type": "integer"}}


def test_picture_is_kept_with_the_task() -> None:
    """A picture goes as an artifact that the question names, with its digest."""
    gateway = Gateway()
    gateway.ask(image=PNG)

    assert gateway.saved == [("handoff-1.png", PNG, "image/png")]
    assert gateway.asked[0][1]["image"]["name"] == "handoff-1.png"
    assert len(gateway.asked[0][1]["image"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"image": b"<html>"}, ValueError, "PNG, JPEG, GIF or WebP"),
        ({"image": "file.png"}, TypeError, "bytes of a picture"),
        ({"fields": "code"}, TypeError, "names, or a dict"),
    ],
)
def test_what_is_no_question(values: dict[str, Any], error: type[Exception], words: str) -> None:
    """A mistake is told before anybody is asked."""
    gateway = Gateway()

    with pytest.raises(error, match=words):
        gateway.ask(**values)
    assert not gateway.asked
