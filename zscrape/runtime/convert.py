"""Parameters of a request as the keyword arguments that a script's function names.

The gateway has checked them against the schema drawn from the same signature; here they
become what the annotations say: an `Enum` member, a `datetime`, a dataclass.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT_NAME = "ctx"
_TAKES_ANY_KEYWORD = 0x08  # CO_VARKEYWORDS
_TAKES_MORE = 0x04 | _TAKES_ANY_KEYWORD  # CO_VARARGS
_PLAIN = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


class Mismatch(Exception):
    """Raised when a parameter does not fit. `pointer` starts with `/parameters`."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer}: {reason}")
        self.pointer = pointer
        self.reason = reason


def arguments(
    function: Callable[..., Any],
    params: dict[str, Any],
    make_context: Callable[..., Any],
    *facts: Any,
) -> dict[str, Any]:
    """Return the keyword arguments to call `function` with.

    Args:
        function: What the script's entry point names.
        params: Those of the request.
        make_context: Makes `ctx` of `facts`, if the function names it.
        facts: What `make_context` is given.

    Raises:
        Mismatch: A parameter is unknown, missing, or of a type that its annotation refuses.
    """
    code = getattr(function, "__code__", None)
    if (
        not params
        and code is not None
        and not (code.co_argcount or code.co_kwonlyargcount or code.co_flags & _TAKES_MORE)
    ):
        return {}
    # `inspect` is not used for a plain function: importing it costs more than most runs.
    if code is None or code.co_posonlyargcount or hasattr(function, "__wrapped__"):
        names, required, takes_any, owner = _inspected(function)
    else:
        names, required, takes_any = _plain(function, code)
        owner = function
    if not names and not params:
        return {}
    hints = _hints(owner)
    chosen: dict[str, Any] = {}
    for name, value in params.items():
        if name == CONTEXT_NAME or (name not in names and not takes_any):
            raise Mismatch(f"/parameters/{name}", "the script takes no such parameter")
        hint = hints.get(name)
        chosen[name] = value if hint is None else convert(value, hint, f"/parameters/{name}")
    if CONTEXT_NAME in names:
        chosen[CONTEXT_NAME] = make_context(*facts)
    for name in required:
        if name not in chosen:
            raise Mismatch(f"/parameters/{name}", "it is required")
    return chosen


def _plain(function: Any, code: Any) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return the names a plain function takes, those it needs, and whether it takes any."""
    count = code.co_argcount
    names: tuple[str, ...] = code.co_varnames[: count + code.co_kwonlyargcount]
    takes_any = bool(code.co_flags & _TAKES_ANY_KEYWORD)
    if not names:
        return names, names, takes_any
    defaults = getattr(function, "__defaults__", None) or ()
    keyword_defaults = getattr(function, "__kwdefaults__", None) or {}
    required = names[: count - len(defaults)] + tuple(
        name for name in names[count:] if name not in keyword_defaults
    )
    if hasattr(function, "__self__"):  # a bound method: its first one is given
        return names[1:], required[1:], takes_any
    return names, required, takes_any


def _inspected(
    function: Callable[..., Any],
) -> tuple[tuple[str, ...], tuple[str, ...], bool, Callable[..., Any]]:
    import inspect

    found = inspect.signature(function).parameters
    kinds = inspect.Parameter
    named = [
        each
        for each in found.values()
        if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    ]
    return (
        tuple(each.name for each in named),
        tuple(each.name for each in named if each.default is kinds.empty),
        any(each.kind is kinds.VAR_KEYWORD for each in found.values()),
        inspect.unwrap(function),
    )


def convert(value: Any, hint: Any, pointer: str) -> Any:
    """Return `value` as `hint` says; an annotation we do not know leaves it as it is.

    Raises:
        Mismatch: `value` cannot be that.
    """
    if hint in _SCALARS:
        return _scalar(value, hint, pointer)
    if hint is list or hint is dict:
        if isinstance(value, hint):
            return value
        raise Mismatch(pointer, f"expected {hint.__name__}, got {type(value).__name__}")
    origin = getattr(hint, "__origin__", None)
    if origin is not None or type(hint).__name__ == "UnionType":
        return _generic(value, hint, origin, pointer)
    if isinstance(hint, type):
        return _class(value, hint, pointer)
    return value


_SCALARS = (str, int, float, bool, type(None))


def _scalar(value: Any, hint: type, pointer: str) -> Any:
    kind = type(value)
    if kind is hint:
        return value
    if hint is float and kind is int:
        return float(value)
    if hint is int and kind is float and value.is_integer():  # JSON has one kind of number
        return int(value)
    raise Mismatch(pointer, f"expected {hint.__name__}, got {kind.__name__}")


def _generic(value: Any, hint: Any, origin: Any, pointer: str) -> Any:
    import typing

    arguments_of = hint.__args__
    if origin is typing.Union or origin is None:
        return _union(value, arguments_of, pointer)
    if origin is typing.Literal:
        for choice in arguments_of:
            if choice == value and type(choice) is type(value):
                return value
        raise Mismatch(pointer, f"expected one of {', '.join(map(repr, arguments_of))}")
    if typing.get_origin(hint) is typing.Annotated:
        return convert(value, origin, pointer)
    if isinstance(origin, type) and issubclass(origin, dict):
        if not isinstance(value, dict):
            raise Mismatch(pointer, f"expected dict, got {type(value).__name__}")
        return {
            key: convert(inner, arguments_of[1], f"{pointer}/{key}") for key, inner in value.items()
        }
    if origin in (list, tuple, set, frozenset):
        return _series(value, origin, arguments_of, pointer)
    return value


def _series(value: Any, origin: Any, hints: tuple[Any, ...], pointer: str) -> Any:
    if not isinstance(value, list):
        raise Mismatch(pointer, f"expected list, got {type(value).__name__}")
    if origin is tuple and Ellipsis not in hints:
        if len(value) != len(hints):
            raise Mismatch(pointer, f"expected {len(hints)} values, got {len(value)}")
        pairs = enumerate(value)
        return tuple(convert(inner, hints[at], f"{pointer}/{at}") for at, inner in pairs)
    return origin(convert(inner, hints[0], f"{pointer}/{at}") for at, inner in enumerate(value))


def _union(value: Any, choices: tuple[Any, ...], pointer: str) -> Any:
    if value is None and type(None) in choices:
        return None
    if type(value) in choices:  # the exact type wins over one that could also take it
        return value
    reasons: list[str] = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return convert(value, choice, pointer)
        except Mismatch as error:
            reasons.append(error.reason)
    raise Mismatch(pointer, " or ".join(reasons))


def _class(value: Any, hint: Any, pointer: str) -> Any:
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(hint, enum.Enum):
        return _enum(value, hint, pointer)
    fields = getattr(hint, "__dataclass_fields__", None)
    if fields is not None:
        return _dataclass(value, hint, fields, pointer)
    msgspec: Any = sys.modules.get("msgspec")
    if msgspec is not None and issubclass(hint, msgspec.Struct):
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            raise Mismatch(pointer, str(error)) from None
    if hint.__module__ in ("datetime", "decimal", "uuid", "pathlib"):
        return _from_text(value, hint, pointer)
    return value


def _enum(value: Any, hint: Any, pointer: str) -> Any:
    for member in hint:
        if member.value == value and type(member.value) is type(value):
            return member
    for member in hint:
        if member.value == value or member.name == value:
            return member
    raise Mismatch(pointer, f"expected one of {', '.join(repr(member.value) for member in hint)}")


def _dataclass(value: Any, hint: Any, fields: dict[str, Any], pointer: str) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(pointer, f"expected an object, got {type(value).__name__}")
    for name in value:
        if name not in fields:
            raise Mismatch(f"{pointer}/{name}", "there is no such field")
    hints = _hints(hint)
    made = {
        name: convert(inner, hints[name], f"{pointer}/{name}") if name in hints else inner
        for name, inner in value.items()
    }
    try:
        return hint(**made)
    except (TypeError, ValueError) as error:
        raise Mismatch(pointer, str(error)) from None


def _from_text(value: Any, hint: Any, pointer: str) -> Any:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise Mismatch(pointer, f"expected {hint.__name__} as text, got {type(value).__name__}")
    try:
        if hasattr(hint, "fromisoformat"):
            # Interpreters before 3.11 do not know the Z of UTC.
            return hint.fromisoformat(str(value).replace("Z", "+00:00"))
        return hint(str(value))
    except (ValueError, ArithmeticError) as error:
        raise Mismatch(pointer, f"not a {hint.__name__}: {error}") from None


def _hints(owner: Any) -> dict[str, Any]:
    """Return the annotations of `owner`; texts are looked up only where they must be."""
    raw: dict[str, Any] = getattr(owner, "__annotations__", None) or {}
    if not any(isinstance(hint, str) for hint in raw.values()):
        return raw
    found = {
        name: _PLAIN.get(hint, hint) if isinstance(hint, str) else hint
        for name, hint in raw.items()
    }
    if not any(
        isinstance(hint, str)
        for name, hint in found.items()
        if name not in ("return", CONTEXT_NAME)
    ):
        return found
    import typing

    space = getattr(owner, "__globals__", None) or vars(sys.modules.get(owner.__module__, sys))
    for name, hint in raw.items():
        if isinstance(hint, str):
            try:
                found[name] = eval(hint, {**vars(typing), **space})  # noqa: S307 - the script's own text, in its own child
            except Exception:  # noqa: BLE001 - a name that exists for type checkers only
                found[name] = None
    return found
