"""The parts of a manifest that are objects themselves: limits, retry, lock, sites and so on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from zscrape.budgets import rate_per_s, site_name
from zscrape.model import (
    KIB,
    MIB,
    NEVER_RETRIED,
    NO_RETRY,
    RETRIED_BY_DEFAULT,
    RETRY_COUNT,
    Expect,
    Limits,
    OutcomeCode,
    Overlap,
    RetryPolicy,
    SiteBudget,
)
from zscrape.scripts.digest import MANIFEST_FILE, path_fault
from zscrape.scripts.problems import problem
from zscrape.scripts.reading import ObjectReader, json_type
from zscrape.scripts.version import is_digest

DAY_S = 86_400
_TIB = MIB * MIB
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class LockTemplate(Struct, frozen=True):
    """The lock of a script's tasks; `key` has `{parameter}` placeholders."""

    key: str
    overlap: Overlap = Overlap.SKIP

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters in the key."""
        return tuple(_PLACEHOLDER.findall(self.key))

    def missing(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names in the key that these parameters do not have."""
        return tuple(name for name in self.parameters if name not in params)

    def key_for(self, params: Mapping[str, Any]) -> str:
        """Return the key with the parameters' values; texts as they are, others as JSON."""
        return _PLACEHOLDER.sub(lambda match: _key_part(params.get(match[1])), self.key)


def note_missing(reader: ObjectReader, name: str) -> None:
    """Note a required field as missing, unless its wrong type has been noted."""
    if not any(each["pointer"] == reader.pointer(name) for each in reader.problems):
        reader.fault(name, "required")


def read_limits(
    reader: ObjectReader, default_memory_bytes: int, *, has_browser: bool = False
) -> Limits:
    """Read `memory_limit` and `limits`; a browser needs more of some where nothing is said."""
    # Less than 32 MiB and the interpreter itself does not start.
    memory_bytes = reader.size("memory_limit", default_memory_bytes, minimum=32 * MIB, maximum=_TIB)
    standard = Limits(memory_bytes=memory_bytes)
    if has_browser:  # threads count as processes; a tab has some thirty of them
        standard = Limits(memory_bytes=memory_bytes, process_count=512, open_file_count=4_096)
    inner = reader.child("limits")
    if inner is None:
        return standard
    found = Limits(
        memory_bytes=memory_bytes,
        cpu_s=inner.number("cpu_s", None, minimum=0.1, maximum=DAY_S),
        process_count=inner.whole("processes", standard.process_count, minimum=1, maximum=4096),
        open_file_count=inner.whole("files", standard.open_file_count, minimum=16, maximum=65_536),
        file_size_bytes=inner.size("file_size", standard.file_size_bytes, minimum=0, maximum=_TIB),
        output_size_bytes=inner.size(
            "output_size", standard.output_size_bytes, minimum=KIB, maximum=1024 * MIB
        ),
        # The link carries no larger frame than one result of 64 MiB with its envelope.
        result_size_bytes=inner.size(
            "result_size", standard.result_size_bytes, minimum=KIB, maximum=64 * MIB
        ),
        folder_size_bytes=inner.size(
            "folder_size", standard.folder_size_bytes, minimum=0, maximum=_TIB
        ),
        folder_file_count=inner.whole(
            "folder_files", standard.folder_file_count, minimum=0, maximum=10_000_000
        ),
        item_count=inner.whole("items", standard.item_count, minimum=0, maximum=1_000_000_000),
    )
    inner.problems.extend(inner.unknown())
    return found


def read_retry(reader: ObjectReader) -> RetryPolicy:
    """Read `retry`."""
    inner = reader.child("retry")
    if inner is None:
        return NO_RETRY
    codes = {str(each) for each in OutcomeCode if each not in NEVER_RETRIED}
    found = RetryPolicy(
        max_count=inner.whole("max", RETRY_COUNT, minimum=0, maximum=100),
        backoff_s=_backoff(inner, NO_RETRY.backoff_s),
        cap_s=inner.number("cap", NO_RETRY.cap_s, minimum=0, maximum=DAY_S),
        on=frozenset(OutcomeCode(each) for each in inner.texts("on", choices=codes))
        or RETRIED_BY_DEFAULT,
        routes=_routes(inner, codes),
    )
    inner.problems.extend(inner.unknown())
    return found


def _routes(retry: ObjectReader, codes: set[str]) -> dict[OutcomeCode, frozenset[str]]:
    """Read which worker tags further tries need, by the code that makes them needed."""
    inner = retry.child("route")
    if inner is None:
        return {}
    found = {OutcomeCode(code): frozenset(inner.texts(code)) for code in sorted(codes)}
    inner.problems.extend(inner.unknown())
    return {code: tags for code, tags in found.items() if tags}


def _backoff(inner: ObjectReader, default: tuple[float, ...]) -> tuple[float, ...]:
    values = inner.take("backoff", list)
    if values is None:
        return default
    if not values:
        inner.fault("backoff", "empty")
    for index, each in enumerate(values):
        at = inner.pointer("backoff", index)
        if type(each) not in {int, float}:
            fault = problem(at, "type", expected="number", actual=json_type(each))
        elif not 0 <= each <= DAY_S:
            fault = problem(at, "range", actual=each, minimum=0, maximum=DAY_S)
        else:
            continue
        inner.problems.append(fault)
        return default
    return tuple(float(each) for each in values) or default


def read_lock(reader: ObjectReader) -> LockTemplate | None:
    """Read `lock`."""
    inner = reader.child("lock")
    if inner is None:
        return None
    key = inner.take("key", str)
    if key is None:
        note_missing(inner, "key")
    elif not key or len(key) > 256 or "{" in _PLACEHOLDER.sub("", key):
        inner.fault("key", "template", actual=key)
    overlap = inner.choice("overlap", Overlap.SKIP, {str(each) for each in Overlap})
    inner.problems.extend(inner.unknown())
    return LockTemplate(key=key or "", overlap=Overlap(overlap))


def read_sites(reader: ObjectReader) -> dict[str, SiteBudget]:
    """Read site budgets: an object by host, or a list of hosts without numbers of their own.

    The host `*` stands for each site that the script asks and does not name.
    """
    value = reader.take("sites", dict, list)
    if not value:
        return {}
    if isinstance(value, list):
        value = {host: {} for host in reader.texts("sites")}
    hosts = ObjectReader(value, reader.problems, "sites")
    found: dict[str, SiteBudget] = {}
    for host in value:
        inner = hosts.child(host)
        if inner is None:
            continue
        name = site_name(host)
        if name is None:
            hosts.fault(host, "site", actual=host)
            continue
        found[name] = _site_budget(inner)
    return found


def _site_budget(reader: ObjectReader) -> SiteBudget:
    found = SiteBudget(
        rate_per_s=reader.matched("rate", None, rate_per_s, "rate"),
        concurrency_count=reader.whole("concurrency", None, minimum=1, maximum=1000),
        burst_count=reader.whole("burst", None, minimum=1, maximum=1000),
        gap_s=reader.number("gap", None, minimum=0.001, maximum=3600),
    )
    reader.problems.extend(reader.unknown())
    return found


def read_expect(reader: ObjectReader) -> Expect | None:
    """Read `expect`."""
    inner = reader.child("expect")
    if inner is None:
        return None
    found = Expect(
        min_item_count=inner.whole("min_items", 0, minimum=0, maximum=10**9),
        required=inner.texts("required"),
        max_null_ratio=inner.number("max_null_ratio", None, minimum=0, maximum=1),
    )
    inner.problems.extend(inner.unknown())
    return found


def read_checksums(reader: ObjectReader) -> dict[str, str] | None:
    """Read `checksums`: the digest of every file but the manifest itself."""
    inner = reader.child("checksums")
    if inner is None:
        return None
    value = reader.take("checksums", dict)
    found: dict[str, str] = {}
    for path in value:
        if path == MANIFEST_FILE or path_fault(path) is not None:
            inner.fault(path, "path", detail="not a path of the script's other files")
        digest = inner.matched(path, "", lambda text: text if is_digest(text) else None, "digest")
        found[path] = digest
    return found


def _key_part(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
