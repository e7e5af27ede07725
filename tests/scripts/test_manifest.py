"""Reading metadata.json."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.scripts.folders import manifest
from zscrape.errors.scripts import ManifestInvalid
from zscrape.model import Expect, Limits, OutcomeCode, Overlap, Pin, RetryPolicy, SiteBudget
from zscrape.scripts.manifest import (
    ManifestDefaults,
    is_script_name,
    parse_manifest,
    run_spec,
)
from zscrape.scripts.sections import LockTemplate

PIN = Pin("dir", "sample", "1.0.0", "sha256:" + "0" * 64)

SIGNATURE = "ed25519:" + "0" * 16 + ":" + "A" * 86 + "=="

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    "description author created_at updated_at tags system_requirements python_version",
    "dependencies entry_point timeout memory_limit parameters limits requires prefers kit reuse",
    "preload retry lock sites network secrets expect checksums signature name version other",
    "key_retention_days",
]


def faults(raw: bytes) -> dict[str, str]:
    """Return the pointers and reasons that a manifest is refused with."""
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(raw, "sample")
    return {each["pointer"]: each["reason"] for each in caught.value.problems}


def pointers(raw: bytes) -> list[str]:
    """Return the pointers that a manifest is refused with; none when it can be used."""
    try:
        run_spec(parse_manifest(raw, "sample"), PIN)
    except ManifestInvalid as error:
        return [each["pointer"] for each in error.problems]
    return []


def test_name_and_version_are_enough() -> None:
    """A manifest of two fields has the defaults of the contract."""
    found = parse_manifest(manifest(), "sample")

    assert (found.name, found.version, found.entry_point) == ("sample", "1.0.0", "main.py")
    assert (found.timeout_s, found.kit, found.network) == (300.0, ("http",), "public")
    assert run_spec(found, PIN).limits == Limits()
    assert found.warnings == ()


def test_every_field_is_read() -> None:
    """Each field of the contract ends up where code looks for it."""
    found = parse_manifest(
        manifest(
            description="설명",
            author="A",
            created_at="2026-01-31T09:00:00",
            updated_at="2026-02-01T09:00:00+09:00",
            tags=["a"],
            system_requirements=["ffmpeg"],
            python_version=">=3.11,<4",
            dependencies=["lxml>=5"],
            entry_point="lib/start.py:go",
            timeout=12.5,
            memory_limit="1GiB",
            parameters={"type": "object"},
            limits={
                "cpu_s": 5,
                "processes": 8,
                "files": 32,
                "file_size": "1MB",
                "result_size": 4096,
                "folder_size": "2GiB",
                "folder_files": 77,
                "items": 99,
            },
            requires=["kr"],
            prefers=["fast"],
            kit=[],
            reuse=5,
            preload=["json"],
            retry={"max": 2, "backoff": [1, 2.5], "cap": 10, "on": ["blocked", "timeout"]},
            lock={"key": "shop:{url}", "overlap": "queue_one"},
            sites={
                "Example.com": {"rate": "30/min", "concurrency": 2, "burst": 3, "gap": 1.5},
                "*": {"gap": 1},
            },
            network="any",
            secrets=["token"],
            expect={"min_items": 1, "required": ["price"], "max_null_ratio": 0.1},
            checksums={"main.py": "sha256:" + "a" * 64},
            signature=SIGNATURE,
        ),
        "sample",
    )

    assert found.created_at == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert (found.entry_file, found.entry_function) == ("lib/start.py", "go")
    assert found.required_tags == {"kr", "program:ffmpeg"}
    assert found.limits == Limits(
        memory_bytes=1024**3,
        cpu_s=5.0,
        process_count=8,
        open_file_count=32,
        file_size_bytes=1_000_000,
        result_size_bytes=4096,
        folder_size_bytes=2 * 1024**3,
        folder_file_count=77,
        item_count=99,
    )
    on = frozenset({OutcomeCode.BLOCKED, OutcomeCode.TIMEOUT})
    assert found.retry == RetryPolicy(max_count=2, backoff_s=(1.0, 2.5), cap_s=10.0, on=on)
    assert found.lock == LockTemplate("shop:{url}", Overlap.QUEUE_ONE)
    assert found.sites == {
        "example.com": SiteBudget(0.5, 2, 3, 1.5),
        "*": SiteBudget(gap_s=1.0),
    }
    assert found.expect == Expect(1, ("price",), 0.1)
    assert (found.kit, found.reuse_count, found.preload) == ((), 5, ("json",))
    assert run_spec(found, PIN).timeout_s == 12.5


@pytest.mark.parametrize("network", ["none", "public", "any"])
def test_the_network_that_a_script_asks_for_reaches_its_worker(network: str) -> None:
    """It travels with what a worker must know of the script."""
    found = parse_manifest(manifest(network=network), "sample")

    assert run_spec(found, PIN).network == network


def test_every_fault_is_told_at_once() -> None:
    """A manifest with many faults names each of them by its JSON pointer."""
    found = faults(
        manifest(
            name="Other",
            version="1.0",
            description=3,
            tags=["a", 1, "", "a"],
            created_at="yesterday",
            python_version="three",
            entry_point="../main.py",
            timeout=0,
            memory_limit="lots",
            limits={"files": 1.5, "process": 3},
            kit=["httpx"],
            reuse=True,
            preload=["os; import sys"],
            retry={"max": -1, "backoff": [1, "2"], "on": ["ok"]},
            lock={"overlap": "sometimes"},
            sites={"example.com": {"rate": "fast", "gap": 0, "burst": 1.5}, "a b": {}},
            network="all",
            checksums={"../x": "sha256:1"},
        )
    )

    assert set(found) == {
        *("/name", "/version", "/description", "/tags/1", "/tags/2", "/tags/3", "/created_at"),
        *("/python_version", "/entry_point", "/timeout", "/memory_limit", "/limits/files"),
        *("/limits/process", "/kit/0", "/reuse", "/preload/0", "/retry/max", "/retry/backoff/1"),
        *("/retry/on/0", "/lock/key", "/lock/overlap", "/sites/example.com/rate", "/network"),
        *("/sites/example.com/gap", "/sites/example.com/burst", "/sites/a b"),
        "/checksums/..~1x",
    }
    assert found["/reuse"] == "expected integer, got boolean"
    assert found["/lock/key"] == "required, but missing"


def test_name_and_version_are_required() -> None:
    """An empty object lacks both, and is told so."""
    assert faults(b"{}") == {
        "/name": "required, but missing",
        "/version": "required, but missing",
    }


def test_the_name_is_the_folders() -> None:
    """A manifest in another folder than its name's is refused."""
    assert faults(manifest(name="other"))["/name"] == "other, but its folder is sample"


def test_unknown_fields_are_warnings_that_name_the_nearest() -> None:
    """A field that nothing knows does not stop the script, but is told."""
    found = parse_manifest(manifest(timout=3, colour="red"), "sample")

    assert [each["reason"] for each in found.warnings] == [
        "unknown name; did you mean timeout?",
        "unknown name",
    ]


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "not a JSON document"),
        (b"{", "not a JSON document"),
        (b'{"name": "\xff"}', "not a JSON document"),
        (b'{"name": NaN}', "not a JSON document"),
        (b'{"name": "a", "name": "b"}', "twice"),
        (b"[" * 100_000, "nested"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested"),
        (b'{"timeout": ' + b"9" * 5000 + b"}", "not a JSON document"),
        (b"[]", "expected object, got array"),
        (b"null", "expected object, got null"),
        (b" " * 1_100_000 + b"{}", "larger than"),
    ],
)
def test_what_is_no_object_is_refused(raw: bytes, word: str) -> None:
    """Bytes that are not one usable JSON object are one clear fault at the root."""
    assert word in faults(raw)[""]


@pytest.mark.parametrize("timeout", [1e400, -1, 0, 1e9, "300", True])
def test_absurd_timeouts_are_refused(timeout: Any) -> None:
    """A timeout is a finite number of seconds, above zero and at most a day."""
    raw = manifest(timeout=timeout).replace(b"Infinity", b"1e400")

    assert list(faults(raw)) == ["/timeout"]


def test_a_byte_order_mark_is_allowed() -> None:
    """A file saved by an editor that marks UTF-8 is read."""
    assert parse_manifest(b"\xef\xbb\xbf" + manifest(), "sample").name == "sample"


def test_settings_give_other_defaults() -> None:
    """What a script does not say comes from the settings; what it says stays."""
    defaults = ManifestDefaults(timeout_s=60, memory_bytes=256_000_000)

    silent = parse_manifest(manifest(), "sample", defaults)
    loud = parse_manifest(manifest(timeout=5, memory_limit="64MiB"), "sample", defaults)

    assert (silent.timeout_s, silent.limits.memory_bytes) == (60, 256_000_000)
    assert (loud.timeout_s, loud.limits.memory_bytes) == (5, 64 * 1024**2)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": "array"},
        {"properties": {"a": {"$ref": "https://example.com/schema.json"}}},
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_unusable_parameter_schemas_are_refused(schema: dict[str, Any]) -> None:
    """A schema that is wrong, leaves the document or never ends is refused when it is read."""
    found = faults(manifest(parameters=schema))

    assert found
    assert all(each.startswith("/parameters") for each in found)


@pytest.mark.parametrize("key", ["", "{", "{a b}", "x" * 257])
def test_lock_keys_are_templates(key: str) -> None:
    """A lock's key is a text with {parameter} placeholders."""
    assert list(faults(manifest(lock={"key": key}))) == ["/lock/key"]


def test_a_lock_key_takes_the_parameters() -> None:
    """Texts go into the key as they are, other values as JSON."""
    template = LockTemplate("{url}/{page}/{deep}")

    assert template.key_for({"url": "x", "page": 2, "deep": [1]}) == "x/2/[1]"


@given(st.text(max_size=70))
def test_script_names_are_file_names(name: str) -> None:
    """Whatever passes as a name can be a folder's name, and nothing but one."""
    if is_script_name(name):
        assert name.isascii()
        assert not {"/", ".", "\\", " "} & set(name)
        assert 1 <= len(name) <= 64


@given(st.dictionaries(st.sampled_from(" ".join(FIELDS).split()), json_values, max_size=6))
def test_any_object_is_a_manifest_or_a_list_of_faults(fields: dict[str, Any]) -> None:
    """Whatever stands in a manifest, reading ends in a manifest or in ManifestInvalid."""
    raw = json.dumps({"name": "sample", "version": "1.0.0", **fields}).encode()

    assert all(each == "" or each[0] == "/" for each in pointers(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_a_list_of_faults(raw: bytes) -> None:
    """Whatever bytes a manifest is, reading ends in ManifestInvalid, never in another error."""
    with pytest.raises(ManifestInvalid):
        parse_manifest(raw, "sample")


def test_reuse_beside_a_browser_is_told_to_have_no_effect() -> None:
    """Whoever wants a browser that is kept learns that there is none, and why."""
    found = parse_manifest(manifest(reuse=5, kit=["browser"]), "sample")

    assert [(each["pointer"], each["code"]) for each in found.notices] == [
        ("/reuse", "no_reuse_with_browser")
    ]
    assert found.warnings == ()
    assert run_spec(found, PIN).reuse_count == 1


@pytest.mark.parametrize("kit", [1, True, "browser", {"browser": 1}])
def test_reuse_beside_a_kit_that_is_none_is_a_fault_of_the_kit(kit: Any) -> None:
    """What is no list of texts is told to be none, whatever stands beside it."""
    assert list(faults(manifest(reuse=5, kit=kit))) == ["/kit"]


def test_reuse_reaches_the_worker_and_is_told_of_by_nobody() -> None:
    """The number of attempts of one process goes with every task."""
    found = parse_manifest(manifest(reuse=5), "sample")

    assert found.notices == ()
    assert run_spec(found, PIN).reuse_count == 5


def test_names_that_nobody_knows_are_told_up_to_a_number() -> None:
    """A manifest of tens of thousands of them, or of faults, is told in a page."""
    strange: dict[str, Any] = {f"timeout{number}": 1 for number in range(40_000)}
    sites = {f"host{number}": {"rate": "fast"} for number in range(20_000)}

    assert len(parse_manifest(manifest(**strange), "sample").warnings) == 50
    assert len(faults(manifest(sites=sites))) == 50


def test_the_manifest_of_the_design_loads_unchanged() -> None:
    """The script manager's own example, and every default that its model has."""
    raw = """{
        "name": "test_scraper",
        "version": "1.0.0",
        "description": "테스트 스크래퍼",
        "author": "Test Author",
        "created_at": "2024-01-01T00:00:00",
        "updated_at": "2024-01-01T00:00:00",
        "dependencies": ["requests", "beautifulsoup4"],
        "entry_point": "main.py"
    }"""
    whole = """{
        "name": "test_scraper",
        "version": "1.0.0",
        "description": "테스트 스크래퍼",
        "author": "Test Author",
        "created_at": "2024-01-01T00:00:00",
        "updated_at": "2024-01-01T00:00:00",
        "python_version": ">=3.8",
        "dependencies": [],
        "system_requirements": [],
        "entry_point": "main.py",
        "timeout": 300,
        "memory_limit": "512MB",
        "parameters": {},
        "tags": []
    }"""
    found = parse_manifest(raw.encode(), "test_scraper")

    assert (found.name, found.version, found.entry_point) == ("test_scraper", "1.0.0", "main.py")
    assert found.dependencies == ("requests", "beautifulsoup4")
    assert (found.warnings, found.notices) == ((), ())
    assert parse_manifest(whole.encode(), "test_scraper") == msgspec.structs.replace(
        found, dependencies=()
    )


def test_the_layout_of_the_design_needs_only_its_entry_point_named() -> None:
    """`scraper.py` beside a `requirements.txt`, as in the integration document."""
    found = parse_manifest(manifest("example_scraper", entry_point="scraper.py"), "example_scraper")

    assert (found.entry_file, found.entry_function) == ("scraper.py", "")


def test_a_manifest_of_ten_megabytes_is_one_fault() -> None:
    """It is refused by its size alone, without being read as JSON."""
    raw = manifest(description="x" * 10_000_000)

    assert list(faults(raw)) == [""]
    assert "larger than 1048576 bytes" in faults(raw)[""]


@pytest.mark.parametrize(
    "version", ["1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "latest", "1.0.x"]
)
def test_versions_that_are_not_semver_are_refused(version: str) -> None:
    """The fault stands at the version and says what one looks like."""
    assert "SemVer 2.0.0" in faults(manifest(version=version))["/version"]


@pytest.mark.parametrize(
    ("size", "size_bytes"), [("1.5GiB", 1_610_612_736), ("64 mib", 67_108_864)]
)
def test_sizes_are_read_as_in_the_settings(size: str, size_bytes: int) -> None:
    """A manifest and the settings know the same sizes."""
    assert parse_manifest(manifest(memory_limit=size), "sample").limits.memory_bytes == size_bytes


@pytest.mark.parametrize("size", ["0", "0MB", "1.5", "999999999GB", "1TB", -1])
def test_sizes_of_nothing_and_beyond_all_sense_are_refused(size: Any) -> None:
    """The fault stands at the field."""
    assert list(faults(manifest(memory_limit=size))) == ["/memory_limit"]


def test_a_retry_says_where_further_tries_go() -> None:
    """Tags by code; a code that is never tried again, or is none, is named."""
    route = {"blocked": ["proxies"], "captcha_required": ["browser", "kr"], "timeout": []}
    found = parse_manifest(manifest(retry={"max": 2, "route": route}), "sample").retry
    strange = {"blocked": "proxies", "login_expired": [1], "blokced": ["x"]}
    wrong = faults(manifest(retry={"route": strange}))

    assert found.routes == {
        OutcomeCode.BLOCKED: {"proxies"},
        OutcomeCode.CAPTCHA_REQUIRED: {"browser", "kr"},
    }
    assert sorted(wrong) == [
        "/retry/route/blocked",
        "/retry/route/blokced",
        "/retry/route/login_expired/0",
    ]
