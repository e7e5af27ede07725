"""Calls drawn at random from an OpenAPI document: fitting ones, and ones that are a little off."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

JUNK_TEXTS = (
    *("", " ", "0", "-1", "null", "true", "../..", "..%2f", "%00", "\x00", "\r\nSet-Cookie: a=b"),
    *(
        "a" * 5_000,
        "한글",
        "\u202e",
        "\ud7ff",
        "'; DROP TABLE tasks;--",
        "{{7*7}}",
        "$(id)",
        "latest",
    ),
    *("*", "?", "[", "\\", "1e309", "NaN", "9" * 400, "2020-01-01T00:00:00+99:00", "0001-01-01"),
)
JUNK_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7.0, 1.5, 2**63, -(2**63), 10**400, 1e300),
    *([], {}, [[]], {"": {}}, [None] * 50, {"a": 1, "zz": [1, {"b": None}]}),
)
RAW_BODIES = (
    *(b"", b"{", b"[", b"nul", b"\xff\xfe", b'"\\ud800"', b"1e999", b'{"a":1}{}', b"\x00" * 10),
    *(b"[" * 5_000, b'{"a":' * 2_000, b'{"script_name": "page", "script_name": "anything"}'),
    *(b"9" * 10_000, b'{"parameters": ' + b'{"x": ' * 100 + b"1" + b"}" * 101, b"\xef\xbb\xbf{}"),
)
HEADERS = {
    "accept": ("*/*", "text/event-stream", "application/x-ndjson", "text/plain", ";;", "a/b;q=x"),
    "accept-language": ("ko", "en;q=0.5, ko", "*", ";q=", "x" * 2_000),
    "prefer": ("wait=0", "wait=0.01", "wait=-1", "wait=NaN", "wait", 'wait="0", a'),
    "idempotency-key": ("k1", "k2", "", "x" * 300, "a b"),
    "last-event-id": ("0", "5", "-1", "zz", "9" * 50),
    "content-type": ("application/json", "text/plain", "application/xml", ""),
    "content-encoding": ("gzip", "br"),
    "x-hub-signature-256": ("sha256=00", ""),
}


class Call(Struct):
    """One call of an operation."""

    method: str
    path: str  # of the document
    target: str
    headers: dict[str, str]
    content: bytes | None


class Caller:
    """Draws calls; the same seed draws the same ones. `words` are names that mean something."""

    def __init__(self, document: dict[str, Any], seed: int, words: Sequence[str]) -> None:
        self._chance = random.Random(seed)
        self._schemas = document["components"]["schemas"]
        self._paths = document["paths"]
        self.words = list(words)

    def calls(self, count: int) -> Iterator[Call]:
        """Yield so many calls of each operation, in turn."""
        for _ in range(count):
            for path, methods in self._paths.items():
                for method, operation in methods.items():
                    yield self._call(method.upper(), path, operation)

    def _call(self, method: str, path: str, operation: dict[str, Any]) -> Call:
        chance, target, query = self._chance, path, []
        for each in operation["parameters"]:
            if each["in"] == "path":
                value = quote(self._word(), safe="" if chance.random() < 0.9 else "/%")
                target = target.replace(f"{{{each['name']}}}", value or "-")
            elif each["in"] == "query" and chance.random() < 0.4:
                query.append((each["name"], self._query_value(each["schema"])))
        if chance.random() < 0.05:
            query.append((chance.choice(("limit", "no_such", "", "wait")), self._word()))
        if query:
            target += "?" + "&".join(f"{quote(name)}={quote(value)}" for name, value in query)
        headers = {
            name: chance.choice(values)
            for name, values in HEADERS.items()
            if chance.random() < 0.12
        }
        return Call(method, path, target, headers, self._content(operation))

    def _content(self, operation: dict[str, Any]) -> bytes | None:
        body = operation.get("requestBody")
        if body is None:
            return None if self._chance.random() < 0.95 else self._chance.choice(RAW_BODIES)
        if self._chance.random() < 0.12:
            return self._chance.choice(RAW_BODIES)
        value = self._value(body["content"]["application/json"]["schema"], 0)
        return json.dumps(value, ensure_ascii=self._chance.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )

    def _word(self) -> str:
        chance = self._chance
        return chance.choice(self.words if chance.random() < 0.7 else JUNK_TEXTS)

    def _query_value(self, schema: dict[str, Any]) -> str:
        if self._chance.random() < 0.25:
            return self._word()
        value = self._value(schema, 0)
        return value if isinstance(value, str) else json.dumps(value)

    def _value(self, schema: dict[str, Any], depth: int) -> Any:
        chance = self._chance
        if chance.random() < 0.04:
            return chance.choice((*JUNK_VALUES, *JUNK_TEXTS))
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]], depth)
        for choices in (schema.get("anyOf"), schema.get("oneOf")):
            if choices:
                return self._value(chance.choice(choices), depth)
        if "enum" in schema:
            return chance.choice(schema["enum"])
        kind = schema.get("type", "object")
        return self._of_type(chance.choice(kind) if isinstance(kind, list) else kind, schema, depth)

    def _of_type(self, kind: str, schema: dict[str, Any], depth: int) -> Any:
        chance = self._chance
        if kind in ("integer", "number"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1_000))
            high = schema.get("maximum", low + 2_000)
            value = chance.choice((low, high, low - 1, high + 1, chance.uniform(low, high)))
            return round(value) if kind == "integer" else value
        if kind in ("boolean", "null"):
            return None if kind == "null" else chance.random() < 0.5
        if kind == "array":
            items = schema.get("items", {})
            return [self._value(items, depth + 1) for _ in range(chance.randint(0, 3))]
        if kind == "object":
            return self._object(schema, depth)
        if schema.get("format") == "date-time":
            return chance.choice(("2026-01-01T00:00:00Z", "2026-01-01", "9999-12-31T23:59:59"))
        return self._word()

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        chance, told = self._chance, {}
        for name, each in schema.get("properties", {}).items():
            is_needed = name in schema.get("required", ())
            if chance.random() < (0.97 if is_needed else 0.3):
                told[name] = self._value(each, depth + 1)
        if not schema.get("properties") and depth < 3:
            told = {chance.choice(("url", "pages", "a")): self._word() for _ in range(2)}
        if chance.random() < 0.05:
            told[self._word()[:50]] = self._word()
        return told
