"""What a script returns or emits, as one JSON document.

Strict: not a number, cycles, lone surrogates and types without a JSON form are refused with
a pointer to the place. Kind where no doubt is possible: dates become ISO text, `Decimal`
text, an `Enum` its value, a dataclass or msgspec struct an object, a tuple an array.
"""

from __future__ import annotations

import sys
from json.encoder import JSONEncoder
from typing import TYPE_CHECKING, Any

from zscrape.runtime.trace import cut, describe, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_POINTER_LIMIT_CHARACTERS = 1000
_STEP_LIMIT_CHARACTERS = 200
_REASON_LIMIT_CHARACTERS = 2000
_TEXT_TYPES = ("datetime", "date", "time", "Decimal", "UUID")
_TEXT_MODULES = ("datetime", "decimal", "uuid")
_TELLING = ("ValueError", "TypeError")  # the encoder's own words say it all
# The encoder goes through a text sign by sign, 2 to 3 ms for 1 MB. One that needs no escapes, such
# as base64, is found sooner; most of those that do have a quotation mark, and early.
_ESCAPED = ('"', "\\", *map(chr, range(0x20)))
_PIECE_BYTES = 65_536
_GROUP_COUNT = 32  # documents that are joined: all of them may have the size of a piece
_LONG_BYTES = 262_144  # what goes in pieces though it is no plain text: of less, none wins


class NotJson(Exception):
    """Raised for a value that has no JSON form. `pointer` is a JSON pointer, empty for the top."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer = cut(pointer, _POINTER_LIMIT_CHARACTERS)
        self.reason = cut(reason, _REASON_LIMIT_CHARACTERS)
        super().__init__(f"{self.pointer or 'the value'}: {self.reason}")


class Pieces:
    """A long document whose bytes are made piece by piece, as they are sent: once.

    A process that is as young as a child pays more for a page of memory that it has not touched
    yet than for what it copies there.
    """

    __slots__ = ("_pieces", "_size_bytes")

    def __init__(self, size_bytes: int, pieces: Iterator[bytes]) -> None:
        self._size_bytes = size_bytes
        self._pieces = pieces

    def __len__(self) -> int:
        """Return how many bytes all of them have."""
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""
        return self._pieces


def array_of(documents: list[bytes]) -> bytes | Pieces:
    """Return documents as those of one array."""
    documents = [*documents]  # threads of the script may add more
    size_bytes = sum(map(len, documents)) + len(documents) + 1
    if size_bytes < _LONG_BYTES:
        return b"[" + b",".join(documents) + b"]"
    return Pieces(size_bytes, _joined(documents))


def _joined(documents: list[bytes]) -> Iterator[bytes]:
    """Yield an array in pieces; what is large is not copied."""
    is_even = max(map(len, documents)) <= _PIECE_BYTES
    step = _GROUP_COUNT if is_even else 1
    for at in range(0, len(documents), step):
        yield b"," if at else b"["
        yield b",".join(documents[at : at + step])
    yield b"]"


def _encoded(*texts: str) -> Iterator[bytes]:
    for text in texts:
        for at in range(0, len(text), _PIECE_BYTES):
            yield text[at : at + _PIECE_BYTES].encode()


def document_of(value: Any) -> bytes | Pieces:
    """Return `value` as `to_json` does, but where it is long as what is yet to become bytes.

    Raises:
        NotJson: `value` or something inside it has no JSON form.
    """
    try:
        if type(value) is str and len(value) > _PIECE_BYTES and _is_plain(value):
            return Pieces(len(value) + 2, _encoded('"', value, '"'))
        text = _ENCODER.encode(value)
        is_long = len(text) >= _LONG_BYTES and text.isascii()
        return Pieces(len(text), _encoded(text)) if is_long else text.encode()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the hooks of a script's own types may raise anything
        raise NotJson(*_fault(value, error)) from None


def to_json(value: Any) -> bytes:
    """Return `value` as one compact JSON document in UTF-8.

    Raises:
        NotJson: `value` or something inside it has no JSON form.
    """
    document = document_of(value)
    return document if isinstance(document, bytes) else b"".join(document)


def _is_plain(text: str) -> bool:
    """True iff a text is of ASCII and stands in JSON as it is."""
    return text.isascii() and not any(sign in text for sign in _ESCAPED)


def _fault(value: Any, error: Exception) -> tuple[str, str]:
    """Return the place and the reason of what kept `value` from being told."""
    deep = "", "it is nested too deeply or holds itself"
    if type(error) is RecursionError:
        return deep
    try:
        pointer, reason = _find(value, "", ())
    except MemoryError:
        raise
    except RecursionError:  # deep, and not of JSON further down: the first is enough to know
        return deep
    except Exception as second:  # noqa: BLE001 - as above; it need not fail twice in the same way
        error, pointer, reason = second, "", ""
    if reason:
        return pointer, reason
    name, message = describe(error)
    return pointer, message if name in _TELLING else f"reading it raised {name}: {message}"


def _default(value: Any) -> Any:
    """Give the JSON form of a value that is not JSON by birth."""
    kind = type(value)
    if kind.__module__ in _TEXT_MODULES and kind.__name__ in _TEXT_TYPES:
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return value.value
    names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "__struct_fields__", None)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    raise TypeError(_no_form(value))


def _no_form(value: Any) -> str:
    return f"a value of type {type_name(type(value))} has no JSON form"


_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default)


def _find(value: Any, pointer: str, above: tuple[int, ...]) -> tuple[str, str]:
    """Return the place and the reason of the first fault, or two empty texts."""
    if isinstance(value, (bool, int, type(None))):
        return "", ""
    if isinstance(value, (str, float)):
        reason = _fault_of_scalar(value)
        return (pointer, reason) if reason else ("", "")
    if id(value) in above:
        return pointer, "it holds itself"
    above = (*above, id(value))
    if isinstance(value, dict):
        return _find_in_object(value, pointer, above)
    if isinstance(value, (list, tuple)):
        return _first_fault(enumerate(value), pointer, above)
    return _find_in_other(value, pointer, above)


def _fault_of_scalar(value: str | float) -> str:
    if isinstance(value, str):
        return "a lone surrogate is not text" if _is_torn(value) else ""
    return "" if float("-inf") < value < float("inf") else f"{value} is not a JSON number"


def _find_in_other(value: Any, pointer: str, above: tuple[int, ...]) -> tuple[str, str]:
    try:
        form = _default(value)
    except TypeError:
        return pointer, _no_form(value)
    return _find(form, pointer, above)


def _find_in_object(value: dict[Any, Any], pointer: str, above: tuple[int, ...]) -> tuple[str, str]:
    for key in value:
        if not isinstance(key, (str, int, float, bool, type(None))):
            return pointer, f"a key of type {type_name(type(key))} has no JSON form"
        if isinstance(key, str) and _is_torn(key):
            return pointer, "a key with a lone surrogate is not text"
        if isinstance(key, float) and not float("-inf") < key < float("inf"):
            return pointer, f"the key {key} is not a JSON number"
    return _first_fault(value.items(), pointer, above)


def _first_fault(pairs: Any, pointer: str, above: tuple[int, ...]) -> tuple[str, str]:
    for key, value in pairs:
        name = cut(str(key), _STEP_LIMIT_CHARACTERS).replace("~", "~0").replace("/", "~1")
        place = f"{pointer}/{name}"[: _POINTER_LIMIT_CHARACTERS + 1]  # so that a cut shows
        found = _find(value, place, above)
        if found[1]:
            return found
    return "", ""


def _is_torn(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
