"""`ctx.ask`: a question to a person, and what of it the gateway is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zscrape.runtime.trace import type_name

if TYPE_CHECKING:
    from collections.abc import Callable

_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURES = ((_PNG, "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


class Parked(Exception):
    """Raised when the attempt is to end: its task waits for a person without it."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question


def ask(
    pass_on: Callable[[str, Any], Any],
    save: Callable[[str, bytes, str], None],
    number: int,
    *,
    prompt: str,
    image: bytes | None,
    fields: dict[str, dict[str, Any]] | list[str] | tuple[str, ...],
    timeout_s: float | None,
    place: int | None = None,
) -> dict[str, Any]:
    """Ask, and return the answer: see `Context.ask`.

    Args:
        pass_on: Asks the gateway.
        save: Keeps a file with the task.
        number: Which question of the attempt this is.
        prompt: What is asked.
        image: A picture to look at.
        fields: What is asked for.
        timeout_s: How long people have.
        place: Which question it is of those for which the slot is given back; None: it is not.

    Raises:
        Parked: There is no answer yet, and the slot is given back.
    """
    body: dict[str, Any] = {"prompt": prompt, "fields": _described(fields)}
    if timeout_s is not None:
        body["timeout_s"] = timeout_s
    if image is not None:
        body["image"] = _saved(image, number, save)
    if place is None:
        answer: dict[str, Any] = pass_on("person", body)
        return answer
    told = pass_on("person", {**body, "free_slot": place})
    if "parked" in told:
        raise Parked(told["parked"])
    found: dict[str, Any] = told["answer"]
    return found


def _described(fields: Any) -> dict[str, dict[str, Any]]:
    kind = type(fields)
    if issubclass(kind, dict):
        return dict(fields)
    if issubclass(kind, (list, tuple)):
        return {name: {} for name in fields}
    told = type_name(kind)
    raise TypeError(f'fields must be names, or a dict such as {{"code": {{}}}}, not {told}')


def _saved(image: Any, number: int, save: Callable[[str, bytes, str], None]) -> dict[str, str]:
    """Keep a picture with the task and return what names it."""
    import hashlib

    try:
        raw = bytes(memoryview(image))
    except TypeError:
        told = type_name(type(image))
        raise TypeError(f"image must be the bytes of a picture, not {told}") from None
    kind = next((kind for start, kind in _PICTURES if raw.startswith(start)), "")
    if not kind:
        raise ValueError("image is not a PNG, JPEG, GIF or WebP picture")
    name = f"handoff-{number}.{kind}"
    save(name, raw, f"image/{kind}")
    return {"name": name, "sha256": hashlib.sha256(raw).hexdigest()}
