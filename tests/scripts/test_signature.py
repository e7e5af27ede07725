"""Parameters drawn from a script's source."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from zscrape.scripts.schema import Validator
from zscrape.scripts.signature import parameters_schema, read_signature

STRINGS = {"type": "array", "items": {"type": "string"}}


def properties(source: str) -> dict[str, Any]:
    """Return the properties that a source's `run` has."""
    found: dict[str, Any] = parameters_schema(source.encode())["properties"]
    return found


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("dict", {"type": "object"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("tuple[int, str]", {"type": "array"}),
        ("int | None", {"type": ["integer", "null"]}),
        ("Optional[str]", {"type": ["string", "null"]}),
        ("typing.Union[int, str, None]", {"type": ["integer", "string", "null"]}),
        ("datetime", {"type": "string", "format": "date-time"}),
        ("datetime.date", {"type": "string", "format": "date"}),
        ("Literal['a', 2]", {"enum": ["a", 2]}),
        ("'int'", {"type": "integer"}),
        ("Annotated[int, 'minutes']", {"type": "integer"}),
        ("list[str] | None", {"anyOf": [STRINGS, {"type": "null"}]}),
        ("Address", {"type": "string"}),
        ("Any", {}),
        ("somewhere.Else", {}),
        ("'not valid('", {}),
        ("Circle", {}),
        ("Color", {"$ref": "#/$defs/Color"}),
        ("Options", {"$ref": "#/$defs/Options"}),
    ],
)  # fmt: skip
def test_annotations_become_schemas(annotation: str, schema: dict[str, Any]) -> None:
    """Each type of the contract has its schema; what is unknown admits everything."""
    source = (
        "Address = str\nCircle = 'Circle'\n"
        "class Color(StrEnum):\n    RED = 'red'\n    BLUE = 'blue'\n"
        "@dataclass\nclass Options:\n    deep: bool\n    next: 'Options | None' = None\n"
        f"def run(value: {annotation}): pass\n"
    )

    assert properties(source)["value"] == schema


def test_classes_become_definitions() -> None:
    """Enums and records used by a signature are defined beside it, recursive ones too."""
    source = (
        "class Color(str, Enum):\n    RED = 'red'\n    BLUE = 'blue'\n"
        "class Options(msgspec.Struct):\n"
        "    color: Color\n    tags: list[str] = field(default_factory=list)\n"
        "    count: int = 3\n    inner: Options | None = None\n    KIND: ClassVar[str] = 'x'\n"
        "async def run(options: Options): pass\n"
    )
    schema = parameters_schema(source.encode())
    check = Validator(schema).problems

    assert schema["$defs"]["Color"] == {"enum": ["red", "blue"]}
    assert schema["$defs"]["Options"]["required"] == ["color"]
    assert check({"options": {"color": "red", "inner": {"color": "blue", "count": 1}}}) == []
    assert check({"options": {"color": "green", "inner": {}}}) != []


def test_defaults_and_the_docstring_are_told() -> None:
    """Defaults, literal or named, and the docstring's words are part of the schema."""
    source = (
        "FIELDS = {'a': 'b'}\n"
        "def run(url: str, pages: int = 1, fields: dict = FIELDS, at=now(), *, ctx):\n"
        '    """Read pages.\n\n    More.\n\n    Args:\n'
        "        url: Address of the first.\n        pages (int): How many.\n"
        '    Returns:\n        nothing: at all\n    """\n'
    )
    schema = parameters_schema(source.encode())

    assert schema["description"] == "Read pages."
    assert schema["required"] == ["url"]
    assert schema["properties"] == {
        "url": {"type": "string", "description": "Address of the first."},
        "pages": {"type": "integer", "description": "How many.", "default": 1},
        "fields": {"type": "object", "default": {"a": "b"}},
        "at": {},
    }
    assert schema["additionalProperties"] is False


def test_further_names_are_allowed_only_with_kwargs() -> None:
    """`**kwargs` opens the parameters; nothing else does."""
    assert parameters_schema(b"def run(**rest): pass")["additionalProperties"] is True
    assert parameters_schema(b"def run(*rest): pass")["additionalProperties"] is False


def test_positional_only_parameters_are_told() -> None:
    """A parameter that cannot be given by name is named."""
    assert read_signature(b"def run(a, /, b=1): pass").positional == ("a",)


@pytest.mark.parametrize(
    ("source", "is_bound"),
    [
        ("def run(): pass", True),
        ("if True:\n    def run(): pass", True),
        ("try:\n    import x\nexcept ImportError:\n    def run(): pass", True),
        ("from lib import run", True),
        ("from lib import *", True),
        ("run = print", True),
        ("class run: pass", True),
        ("def other():\n    def run(): pass", False),
        ("print('hello')", False),
        ("", False),
    ],
)
def test_whether_a_name_is_bound_is_seen(source: str, is_bound: bool) -> None:
    """A function may be defined in a branch, imported or assigned; an inner one does not count."""
    assert read_signature(source.encode()).is_bound is is_bound


def test_another_function_may_be_the_entry() -> None:
    """The schema is that of the function that the entry point names."""
    source = b"def run(a): pass\ndef go(b: int): pass\n"

    assert parameters_schema(source, "go")["properties"] == {"b": {"type": "integer"}}


@pytest.mark.parametrize(
    "source",
    [
        b"def run(:",
        b"\xff\xfe",
        b"\x00",
        b"x = " + b"(" * 5000,
        b"#" * 2_000_001,
        b"-" * 200_000 + b"1",
    ],
)
def test_source_that_cannot_be_read_is_left_to_the_child(source: bytes) -> None:
    """A syntax that this interpreter does not know is no refusal: any parameters pass."""
    found = read_signature(source)

    assert found.fault
    assert Validator(found.schema).problems({"anything": 1}) == []


def test_nothing_of_the_source_is_run(tmp_path: Any) -> None:
    """Reading a signature has no effect, whatever stands in the source."""
    mark = tmp_path / "ran"
    source = f"open({str(mark)!r}, 'w')\ndef run(a=open({str(mark)!r}, 'w')): pass"
    read_signature(source.encode())

    assert not mark.exists()


@given(st.text(max_size=60))
def test_any_annotation_gives_a_schema(annotation: str) -> None:
    """Whatever stands where a type should, reading ends in a schema that can be used."""
    source = f"def run(value: {annotation}): pass".encode("utf-8", "surrogatepass")

    Validator(read_signature(source).schema).problems({"value": 1})
