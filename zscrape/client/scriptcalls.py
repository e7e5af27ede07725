"""Calls about scripts: the catalogue, and what scripts keep and remember."""

from __future__ import annotations

from typing import Any, Final

from zscrape.client.calls import Call, as_nothing, at, call, given
from zscrape.client.failures import Document

_REFRESH_S: Final = 300.0  # a first look at a large repository takes its time


def scripts() -> Call[Document]:
    """Return the catalogue: each script with its newest version."""
    return call("GET", at("scripts"))


def schema(name: str, version: str | None = None) -> Call[Document]:
    """Return the JSON Schema of a script's parameters."""
    params = {"version": version} if version else {}
    return call("GET", at("scripts", name, "schema"), params=params)


def script(name: str, version: str | None = None) -> Call[Document]:
    """Return one version of a script: manifest, digest, versions, channels, where cached."""
    params = {"version": version} if version else {}
    return call("GET", at("scripts", name), params=params)


def refresh_scripts() -> Call[Document]:
    """Have the gateway look at every repository now; tells what has changed."""
    return call("POST", at("scripts", "refresh"), timeout_s=_REFRESH_S)


def prefetch(name: str, version: str | None = None) -> Call[Document]:
    """Have the workers get a script and its environment ready; tells which will."""
    body = {"script_name": name} | ({"version": version} if version else {})
    return call("POST", at("scripts", "prefetch"), body=body, timeout_s=_REFRESH_S)


def promote(name: str, channel: str, version: str) -> Call[Document]:
    """Let a channel of a script stand for the version that a request means now."""
    return call("PUT", at("scripts", name, "channels", channel), body={"version": version})


def roll_back(name: str, channel: str) -> Call[Document]:
    """Let a channel of a script stand for the version that it stood for before."""
    return call("PUT", at("scripts", name, "channels", channel), body={"rollback": True})


def secrets() -> Call[Document]:
    """Return the names of secrets, and which scripts may read them."""
    return call("GET", at("secrets"))


def set_secret(
    name: str, value: str | None = None, *, scripts: list[str] | None = None
) -> Call[Document]:
    """Keep a secret; what is None stays as it is. `scripts` are names or patterns."""
    body = {"name": name, **given({"value": value, "scripts": scripts})}
    return call("POST", at("secrets"), body=body)


def remove_secret(name: str) -> Call[None]:
    """Remove a secret."""
    return Call(method="DELETE", path=at("secrets", name), read=as_nothing)


def script_state(script_name: str, **filters: Any) -> Call[Document]:
    """Return a page of what a script remembers: `prefix`, `limit`, `cursor`."""
    return call("GET", at("scripts", script_name, "state"), params=given(filters))


def state_value(script_name: str, key: str) -> Call[Document]:
    """Return one thing that a script remembers, its `value` and its `revision`."""
    return call("GET", at("scripts", script_name, "state", key))


def set_state(
    script_name: str, key: str, value: Any, *, revision: int | None = None
) -> Call[Document]:
    """Let a script remember a value; with `revision` only over the value that has it."""
    body = {"value": value, **given({"revision": revision})}
    return call("PUT", at("scripts", script_name, "state", key), body=body)


def remove_state(script_name: str, key: str) -> Call[None]:
    """Let a script forget one thing."""
    return Call(method="DELETE", path=at("scripts", script_name, "state", key), read=as_nothing)


def clear_state(script_name: str) -> Call[Document]:
    """Let a script forget all that it remembers."""
    return call("DELETE", at("scripts", script_name, "state"))


def item_keys(script_name: str) -> Call[Document]:
    """Return how many keys of items are known of a script's runs."""
    return call("GET", _keys_path(script_name))


def item_key(script_name: str, key: str) -> Call[Document]:
    """Return which task brought the item with this key, and until when that is known."""
    return call("GET", _keys_path(script_name, key))


def forget_item_keys(script_name: str, key: str | None = None) -> Call[Document]:
    """Forget a key, or all keys, so that a script's next run brings the items again."""
    return call("DELETE", _keys_path(script_name, key))


def _keys_path(script_name: str, key: str | None = None) -> str:
    return at("scripts", script_name, "keys", *(() if key is None else (key,)))
