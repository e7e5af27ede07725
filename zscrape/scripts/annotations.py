"""JSON Schema of type annotations, read from the syntax tree.

What is not known for certain admits everything: the child converts by the real types, and
tells what does not fit.
"""

from __future__ import annotations

import ast
from typing import Any, Final

MISSING: Final = object()

_PLAIN: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "set": {"type": "array"},
    "frozenset": {"type": "array"},
    "dict": {"type": "object"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}
_ARRAYS = frozenset(
    {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset", "FrozenSet"}
)
_OBJECTS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_ENUMS = frozenset({"Enum", "StrEnum", "IntEnum"})
_DEPTH_LIMIT = 16  # aliases may refer to each other in a circle


class ClassIndex:
    """The classes and type aliases of a module, and those that a schema has used."""

    def __init__(self, module: ast.Module) -> None:
        self._classes: dict[str, ast.ClassDef] = {}
        self._aliases: dict[str, ast.expr] = {}
        self.used: list[str] = []
        for statement in module.body:
            match statement:
                case ast.ClassDef(name=name):
                    self._classes[name] = statement
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._aliases[name] = value
                case _:
                    pass

    def schema(self, name: str, depth: int) -> dict[str, Any]:
        """Return the schema of a name that is not built in; unknown: everything fits."""
        if name in self._aliases:
            return schema_of(self._aliases[name], self, depth + 1)
        if _kind(self._classes.get(name)) == "":
            return {}
        if name not in self.used:
            self.used.append(name)
        return {"$ref": f"#/$defs/{name}"}

    def default(self, node: ast.expr) -> Any:
        """Return the JSON value of a default, a literal or the name of one, or MISSING."""
        if isinstance(node, ast.Name):
            return literal(self._aliases.get(node.id, node))
        return literal(node)

    def definitions(self) -> dict[str, Any]:
        """Return the schemas of the classes used; they may use further ones."""
        found: dict[str, Any] = {}
        for name in self.used:  # grows while it is walked
            found[name] = self._definition(self._classes[name])
        return found

    def _definition(self, node: ast.ClassDef) -> dict[str, Any]:
        if _kind(node) == "enum":
            return _enum_schema(node)
        properties: dict[str, Any] = {}
        required: list[str] = []
        for statement in node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                    if _name_of(annotation) == "ClassVar" or _head(annotation) == "ClassVar":
                        continue
                    properties[name] = schema_of(annotation, self)
                    if value is None or _is_required_field(value):
                        required.append(name)
                    elif (default := self.default(value)) is not MISSING:
                        properties[name] = {**properties[name], "default": default}
                case _:
                    pass
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }


def literal(node: ast.expr) -> Any:
    """Return the JSON value that an expression stands for, or MISSING."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return MISSING
    return value if _is_json(value) else MISSING


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_json(each) for each in value)
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(each) for name, each in value.items())
    if isinstance(value, float):
        return value - value == 0  # infinities and NaN are not JSON
    return value is None or isinstance(value, (str, int))


def schema_of(node: ast.expr | None, classes: ClassIndex, depth: int = 0) -> dict[str, Any]:
    """Return the JSON Schema of an annotation; an absent or unknown one admits everything."""
    if node is None or depth > _DEPTH_LIMIT:
        return {}
    match node:
        case ast.Constant(value=str() as quoted):
            return _quoted(quoted, classes, depth)
        case ast.Constant(value=None):
            return dict(_PLAIN["None"])
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _union([left, right], classes, depth)
        case ast.Subscript():
            return _subscript(node, classes, depth)
        case _:
            name = _name_of(node)
            return dict(_PLAIN[name]) if name in _PLAIN else classes.schema(name, depth)


def _quoted(text: str, classes: ClassIndex, depth: int) -> dict[str, Any]:
    try:
        return schema_of(ast.parse(text, mode="eval").body, classes, depth + 1)
    except (SyntaxError, ValueError):
        return {}


def _subscript(node: ast.Subscript, classes: ClassIndex, depth: int) -> dict[str, Any]:
    head = _name_of(node.value)
    inner = (node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]) or [node.value]
    if head == "Annotated":
        return schema_of(inner[0], classes, depth + 1)
    if head == "Optional":
        return _union([*inner, ast.Constant(value=None)], classes, depth)
    if head == "Union":
        return _union(inner, classes, depth)
    if head == "Literal":
        return _literals(inner)
    return _container(head, schema_of(inner[-1], classes, depth + 1))


def _container(head: str, inside: dict[str, Any]) -> dict[str, Any]:
    if head in _OBJECTS:
        return {"type": "object", **({"additionalProperties": inside} if inside else {})}
    if head in _ARRAYS:
        return {"type": "array", **({"items": inside} if inside else {})}
    return {"type": "array"} if head in {"tuple", "Tuple"} else {}


def _literals(nodes: list[ast.expr]) -> dict[str, Any]:
    values = [literal(each) for each in nodes]
    return {} if MISSING in values else {"enum": values}


def _union(nodes: list[ast.expr], classes: ClassIndex, depth: int) -> dict[str, Any]:
    schemas = [schema_of(each, classes, depth + 1) for each in nodes]
    if {} in schemas:
        return {}
    if all(set(each) == {"type"} for each in schemas):
        types: list[str] = []
        for each in schemas:
            types.extend([each["type"]] if isinstance(each["type"], str) else each["type"])
        return {"type": list(dict.fromkeys(types))}
    return {"anyOf": schemas}


def _name_of(node: ast.expr | None) -> str:
    """Return the last part of a dotted name: `datetime.datetime` is `datetime`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _head(node: ast.expr) -> str:
    return _name_of(node.value) if isinstance(node, ast.Subscript) else ""


def _kind(node: ast.ClassDef | None) -> str:
    """Return `enum`, `record` (dataclass, msgspec struct) or an empty text."""
    if node is None:
        return ""
    bases = {_name_of(each) for each in node.bases}
    if bases & _ENUMS:
        return "enum"
    decorators = {
        _name_of(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list
    }
    return "record" if "Struct" in bases or "dataclass" in decorators else ""


def _enum_schema(node: ast.ClassDef) -> dict[str, Any]:
    values = [
        literal(statement.value)
        for statement in node.body
        if isinstance(statement, ast.Assign) and not _is_private(statement)
    ]
    return {"enum": values} if values and MISSING not in values else {}


def _is_private(statement: ast.Assign) -> bool:
    return all(_name_of(each).startswith("_") for each in statement.targets)


def _is_required_field(value: ast.expr) -> bool:
    """True for `field()` without a default: the value only configures the field."""
    return (
        isinstance(value, ast.Call)
        and _name_of(value.func) == "field"
        and not any((each.arg or "").startswith("default") for each in value.keywords)
    )
