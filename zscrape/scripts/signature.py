"""Draw the JSON Schema of a script's parameters from its source, without running it.

The child's interpreter may be newer than ours: source that cannot be parsed here is not
refused, its parameters are merely unknown, and the child says what is wrong with it.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from zscrape.scripts.annotations import MISSING, ClassIndex, schema_of
from zscrape.scripts.schema import ANY_PARAMETERS, DRAFT

DEFAULT_FUNCTION: Final = "run"
CONTEXT_PARAMETER: Final = "ctx"
_SOURCE_LIMIT_BYTES = 2_000_000
_ARGUMENT = re.compile(r"\s+\*{0,2}(?P<name>\w+)(?:\s*\([^)]*\))?:\s*(?P<text>\S.*)")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Signature(Struct, frozen=True):
    """What the source says of the function that a script is entered by."""

    schema: dict[str, Any]
    is_bound: bool = True  # the file binds the name, by a definition or otherwise
    positional: tuple[str, ...] = ()  # parameters that can only be given by position
    fault: str = ""  # why the parameters are unknown; empty: they are known


def parameters_schema(source: bytes, function: str = DEFAULT_FUNCTION) -> dict[str, Any]:
    """Return the JSON Schema of `function`'s parameters; any object when they are unknown."""
    return read_signature(source, function).schema


def read_signature(source: bytes, function: str = DEFAULT_FUNCTION) -> Signature:
    """Read the signature of `function` out of a module's source."""
    if len(source) > _SOURCE_LIMIT_BYTES:
        return Signature(ANY_PARAMETERS, fault=f"more than {_SOURCE_LIMIT_BYTES} bytes")
    try:
        module = ast.parse(source)
        return _read(module, function)
    except SyntaxError as error:
        return Signature(ANY_PARAMETERS, fault=f"line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Signature(ANY_PARAMETERS, fault=str(error) or type(error).__name__)


def _read(module: ast.Module, function: str) -> Signature:
    found: _Function | None = None
    is_bound = False
    for statement in _top_level(module.body):
        if isinstance(statement, _Function) and statement.name == function:
            found, is_bound = statement, True
        elif _bound_names(statement) & {function, "*"}:
            found, is_bound = None, True
    if found is None:
        return Signature(ANY_PARAMETERS, is_bound=is_bound)
    positional = tuple(each.arg for each in found.args.posonlyargs)
    return Signature(_schema(found, ClassIndex(module)), positional=positional)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk the statements that run when the module is loaded, branches included."""
    for statement in body:
        yield statement
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (_Function, ast.ClassDef)):
                yield from _top_level(getattr(statement, inner, []))
        for handler in getattr(statement, "handlers", []):
            yield from _top_level(handler.body)


def _bound_names(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Assign(targets=targets):
            return {each.id for each in targets if isinstance(each, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name for each in names}
        case ast.ClassDef(name=name):
            return {name}
        case _:
            return set()


def _schema(function: _Function, classes: ClassIndex) -> dict[str, Any]:
    told = _argument_texts(function)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for argument, default in _arguments(function.args):
        if argument.arg == CONTEXT_PARAMETER:
            continue
        entry = schema_of(argument.annotation, classes)
        if argument.arg in told:
            entry = {**entry, "description": told[argument.arg]}
        if default is None:
            required.append(argument.arg)
        elif (value := classes.default(default)) is not MISSING:
            entry = {**entry, "default": value}
        properties[argument.arg] = entry
    schema: dict[str, Any] = {"$schema": DRAFT, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = function.args.kwarg is not None
    summary = (ast.get_docstring(function) or "").strip().partition("\n")[0]
    if summary:
        schema["description"] = summary
    if classes.used:
        schema["$defs"] = classes.definitions()
    return schema


def _arguments(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield each parameter that can be given by name, with its default."""
    by_position = [*arguments.posonlyargs, *arguments.args]
    bare_count = len(by_position) - len(arguments.defaults)
    for index, argument in enumerate(by_position[len(arguments.posonlyargs) :]):
        place = index + len(arguments.posonlyargs) - bare_count
        yield argument, arguments.defaults[place] if place >= 0 else None
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _argument_texts(function: _Function) -> dict[str, str]:
    """Return what the docstring's `Args:` section (Google style) says of each parameter."""
    lines = inspect.cleandoc(ast.get_docstring(function) or "").splitlines()
    if "Args:" not in [line.strip() for line in lines]:
        return {}
    start = [line.strip() for line in lines].index("Args:")
    told: dict[str, str] = {}
    for line in lines[start + 1 :]:
        if line.strip() and not line.startswith(" "):
            break
        match = _ARGUMENT.fullmatch(line)
        if match:
            told[match["name"]] = match["text"].strip()
    return told
