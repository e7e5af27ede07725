"""`ctx.state`: small JSON documents by key that outlive a run.

    since = ctx.state.get("cursor", 0)
    ...
    ctx.state["cursor"] = newest
    ctx.state.change("seen", lambda count: count + 1, 0)   # safe beside other tasks

The gateway keeps them, for each script its own. A write is kept at once, also when the attempt
fails later. Nothing is held here: each call asks, so that parallel tasks see each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

KEY_LIMIT_CHARACTERS = 200
_TRY_LIMIT_COUNT = 1_000  # of one change; each failure is another task's success


class Ask(Protocol):
    """Asks the gateway; see `asking.Asking.ask`."""

    def __call__(self, kind: str, body: Any, *, timeout_s: float | None = None) -> Any:
        """Return what the gateway says."""
        ...


class State:
    """What a script remembers, as a mapping from texts to anything with a JSON form."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is remembered under `key`, or `default`."""
        return self._get(key).get("value", default)

    def __getitem__(self, key: str) -> Any:
        told = self._get(key)
        if "value" not in told:
            raise KeyError(key)
        return told["value"]

    def __setitem__(self, key: str, value: Any) -> None:
        self._ask("state", {"op": "put", "key": _checked(key), "value": value})

    def __delitem__(self, key: str) -> None:
        if not self._ask("state", {"op": "remove", "key": _checked(key)})["removed"]:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and "value" in self._get(key)

    def __iter__(self) -> Iterator[str]:
        after, is_whole = "", False
        while not is_whole:
            told = self._ask("state", {"op": "keys", "after": after})
            keys: list[str] = told["keys"]
            yield from keys
            is_whole = told["is_whole"]
            after = keys[-1] if keys else ""

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def keys(self) -> list[str]:
        """Return every key."""
        return list(self)

    def pop(self, key: str, default: Any = None) -> Any:
        """Forget what is remembered under `key`, and return it, or `default`."""
        value = self.get(key, default)
        self._ask("state", {"op": "remove", "key": _checked(key)})
        return value

    def change(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Put what `function` makes of the value in its place, and return that.

        When another task has changed the value meanwhile, `function` is called again with what
        it is now: no change is lost.

        Raises:
            RuntimeError: Others have changed it again and again.
        """
        for _ in range(_TRY_LIMIT_COUNT):
            told = self._get(key)
            value = function(told.get("value", default))
            if self._put(key, value, told["revision"]):
                return value
        raise RuntimeError(f"{key!r} was changed by others {_TRY_LIMIT_COUNT} times meanwhile")

    def compare_and_set(self, key: str, expected: Any, value: Any) -> bool:
        """Remember `value` if what is remembered now equals `expected`; True iff it did.

        `expected=None` stands for nothing remembered, too.
        """
        told = self._get(key)
        if told.get("value") != expected:
            return False
        return self._put(key, value, told["revision"])

    def _get(self, key: str) -> dict[str, Any]:
        told: dict[str, Any] = self._ask("state", {"op": "get", "key": _checked(key)})
        return told

    def _put(self, key: str, value: Any, revision: int) -> bool:
        body = {"op": "put", "key": _checked(key), "value": value, "revision": revision}
        return self._ask("state", body)["revision"] is not None


def _checked(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of ctx.state must be a text, not {type(key).__name__}")
    if not 0 < len(key) <= KEY_LIMIT_CHARACTERS or any(_is_control(each) for each in key):
        raise ValueError(
            f"{key[:40]!r} is not a key for ctx.state: 1 to {KEY_LIMIT_CHARACTERS} characters,"
            " no control characters"
        )
    return key


def _is_control(character: str) -> bool:
    return character < " " or character == "\x7f"
