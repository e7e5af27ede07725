"""Targets of a batch: forms of files, templates, names, groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from zscrape.cli.parameters import read_parameters
from zscrape.errors import ConfigError
from zscrape.ops.targets import Target, Template, make_targets, read_source

SCHEMA = {
    "properties": {
        "url": {"type": "string"},
        "pages": {"type": "integer"},
        "zip": {"type": "string"},
    }
}


def made(
    content: str, place: str = "t.jsonl", template: Template | None = None, form: str | None = None
) -> list[Target]:
    """Return the targets of a file."""

    def read(pieces: Sequence[str]) -> dict[str, Any]:
        return read_parameters(pieces, lambda: SCHEMA)

    source = read_source(content.encode(), place, form, "en")
    return make_targets(source, template or Template(), read, names=SCHEMA["properties"], lang="en")


JSONL = '{"url": "https://a.example", "pages": 2}\n\n{"url": "https://b.example"}\n'
JSON = '[{"url": "https://a.example", "pages": 2}, {"url": "https://b.example"}]'
CSV = "\ufeffurl,pages\r\nhttps://a.example,2\r\nhttps://b.example,\r\n"


@pytest.mark.parametrize(
    ("content", "place", "form"),
    [
        (JSONL, "t.jsonl", None),
        (JSONL, "t.ndjson", None),
        (JSON, "t.json", None),
        (f'{{"targets": {JSON}}}', "t.json", None),
        (CSV, "t.csv", None),
        (JSONL, "-", None),
        (JSON, "-", None),
        (CSV, "-", None),
        (CSV, "t.txt", "csv"),
    ],
)
def test_each_form_gives_the_same_targets(content: str, place: str, form: str | None) -> None:
    """The ending, the option or the first character says what a file is."""
    targets = made(content, place, form=form)

    assert [each.parameters for each in targets] == [
        {"url": "https://a.example", "pages": 2},
        {"url": "https://b.example"},
    ]
    assert [each.name for each in targets] == ["https://a.example", "https://b.example"]


def test_templates_take_fields_and_keep_their_types() -> None:
    """`{field}` alone is the value itself; within text it is text; `{{` is a brace."""
    template = Template(("url=https://{host}/{id}?q={{x}}", "pages={count}", "zip=0{id}"))

    (target,) = made('{"host": "a.example", "id": 7, "count": 3}', template=template)

    assert target.parameters == {"url": "https://a.example/7?q={x}", "pages": 3, "zip": "07"}


def test_cells_of_a_table_get_their_types_from_the_schema() -> None:
    """A number is one where the schema wants it, and text stays text."""
    template = Template(("url={address}", "pages={n}", "zip={zip}"))

    (target,) = made("address,n,zip\nhttps://a.example,3,03187\n", "t.csv", template)

    assert target.parameters == {"url": "https://a.example", "pages": 3, "zip": "03187"}


def test_constants_come_on_top_of_fields() -> None:
    """Without a placeholder the fields are the parameters, but for the group."""
    template = Template(("pages=9",))

    (target,) = made('{"url": "https://a.example", "group": "kr"}', template=template)

    assert target.parameters == {"url": "https://a.example", "pages": 9}
    assert target.group == "kr"


def test_bare_values_need_a_place() -> None:
    """A text of its own is `{value}`; with several parameters somebody must say which."""
    named = made('"https://a.example"\n', template=Template(("url={value}",)))

    with pytest.raises(ConfigError) as caught:
        made('"https://a.example"\n')

    assert named[0].parameters == {"url": "https://a.example"}
    assert "-p pages={field}" in caught.value.reason


def test_names_and_groups_can_be_told() -> None:
    """`--name-by` and `--group-by` name the fields; without a name the line is one."""
    row = '{"url": "https://a.example", "shop": "A", "org_id": 31}'

    (told,) = made(row, template=Template(("url={url}",), name_by="shop", group_by="org_id"))
    (untold,) = made('{"zip": "1"}', template=Template(("zip={zip}",)))

    assert (told.name, told.group) == ("A", "31")
    assert untold.name == "t.jsonl:1"


def test_the_same_parameters_are_the_same_target() -> None:
    """The key stands for what is run, whatever the order of its names."""
    one, other = made('{"url": "u", "pages": 1}\n{"pages": 1, "url": "u"}\n')

    assert one.key == other.key


@pytest.mark.parametrize(
    ("content", "place", "told"),
    [
        ("", "t.jsonl", "no targets"),
        ("[]", "t.json", "no targets"),
        ("url\n", "t.csv", "no targets"),
        ('{"url": 1}\n{"url": \n', "t.jsonl:2", ""),
        ('{"url": 1}', "t.json", "array"),
        ("url,pages\na,1,2\n", "t.csv:2", "2 columns"),
        ("url,pages\na\n", "t.csv:2", "2 columns"),
        ('"a', "t.jsonl:1", ""),
    ],
)
def test_bad_files_are_told_with_their_line(content: str, place: str, told: str) -> None:
    """Nothing is begun with a file that cannot be read whole."""
    with pytest.raises(ConfigError) as caught:
        made(content, place.partition(":")[0])

    assert caught.value.source == place
    assert told in caught.value.reason


def test_every_missing_field_is_told() -> None:
    """All lines that lack a field are named at once, up to five."""
    with pytest.raises(ConfigError) as caught:
        made('{"a": 1}\n' * 7, template=Template(("url={address}",)))

    assert caught.value.reason.count("no field address") == 5
    assert "t.jsonl:1" in caught.value.reason
    assert caught.value.reason.endswith("(+2)")


def test_bytes_that_are_no_text_are_told() -> None:
    """Only UTF-8 is read."""
    with pytest.raises(ConfigError):
        read_source(b"url\n\xff\xfe\n", "t.csv", None, "en")
