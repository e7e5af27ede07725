"""How single values are read and checked, and the error that tells of a bad one."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

from zscrape.config.joining import TOKEN_PREFIX, JoinTarget, read_targets
from zscrape.errors import ConfigError
from zscrape.model import LAYERS, SKIPPABLE_LAYERS

MASK: Final = "********"
_ZERO_ALLOWED: Final = (
    "gateway.shutdown_grace_s",
    "gateway.task_kept_count",
    "gateway.client_rate",
    "gateway.client_burst",
    "worker.grace_s",
    "worker.browser_slots",
    "worker.browser_ahead",
    "worker.template_idle_s",
)


class SettingError(ConfigError):
    """A setting is at fault. `fault` picks the words: `config_invalid.` and the fault's name."""

    fault: str
    value: str = ""
    expected: str = ""

    @property
    def text_key(self) -> str:
        """The words for this fault."""
        return f"config_invalid.{self.fault}"


def wrong(source: str, value: Any, expected: str) -> SettingError:
    """Return the error for a value that is not what is expected there."""
    return SettingError(
        source=source,
        reason=f"{value!r} is not {expected}",
        fault="value",
        value=str(value),
        expected=expected,
    )


_SIZE = re.compile(
    r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,3})?)\s*(?P<unit>B|[KMG]i?B)?", re.IGNORECASE
)
_SIZE_LIMIT_BYTES: Final = 1024**5  # nothing here is a pebibyte: it is a slip of the pen
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_NETWORK_LIMIT_COUNT: Final = 256
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_UNIT_BYTES: Final = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `512MB`, `1.5GiB` or `1024`.

    Raises:
        ValueError: The text is not a size, or one of nothing or beyond all sense.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a size: {text}")
    size_bytes = int(float(match["number"]) * _UNIT_BYTES[(match["unit"] or "B").lower()])
    if not 0 < size_bytes <= _SIZE_LIMIT_BYTES:
        raise ValueError(f"not a size: {text}")
    return size_bytes


def parse_http(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[::1]:port`.

    Raises:
        ValueError: The text is not such an address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not host:port: {address}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"an IPv6 host needs brackets: {address}")
    return host.strip("[]"), int(port)


def parse_link(address: str) -> tuple[str, int]:
    """Return host and port of `tcp://host:port`.

    Raises:
        ValueError: The text is not such an address.
    """
    scheme, _, rest = address.partition("://")
    if scheme != "tcp":
        raise ValueError(f"not tcp://host:port: {address}")
    return parse_http(rest)


def is_loopback(host: str) -> bool:
    """True iff nothing beyond this machine can reach a socket bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or `*`: it may be anything
        return False


def parse_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses that workers can dial.

    Raises:
        ValueError: One is none, or has no port that can be dialled, or stands there twice.
    """
    if any(parse_link(address)[1] == 0 for address in addresses):
        raise ValueError("port 0")
    if len(set(addresses)) < len(addresses):
        raise ValueError("twice the same")
    return addresses


def parse_join(told: str) -> tuple[JoinTarget, ...]:
    """Return the gateways that join tokens and `tcp://host:port` name, joined by commas.

    Raises:
        ValueError: One is neither, or an address stands there twice.
    """
    return read_targets(told, parse_link)


def parse_index(address: str) -> str:
    """Return an address of packages.

    Raises:
        ValueError: It is no address that packages can be had from.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http", "file") or not (parts.hostname or parts.path):
        raise ValueError(f"not https://, http:// or file://: {address}")
    return address


def parse_links(places: tuple[str, ...]) -> tuple[str, ...]:
    """Return folders and pages of packages.

    Raises:
        ValueError: One is neither an absolute path nor an address, or carries credentials:
            unlike the index, these places are shown.
    """
    for place in places:
        if not place.startswith("/") and "@" in urlsplit(parse_index(place)).netloc:
            raise ValueError("credentials")
    return places


def _parse_names(known: tuple[str, ...]) -> Callable[[tuple[str, ...]], object]:
    """Return what reads a list of names out of `known`."""

    def parse(names: tuple[str, ...]) -> tuple[str, ...]:
        strangers = [name for name in names if name not in known]
        if strangers:
            raise ValueError(f"unknown: {strangers[0]}")
        return names

    return parse


def parse_webhook(address: str) -> str:
    """Return an address that can be told of tasks.

    Raises:
        ValueError: It is not http:// or https://, or has no host, or carries credentials.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an address of a webhook")
    if parts.port == 0:  # reading a port that is none raises by itself
        raise ValueError("not a port")
    return address


def parse_database(address: str) -> str:
    """Return the address of a PostgreSQL database.

    Raises:
        ValueError: It is none.
    """
    if urlsplit(address).scheme not in ("postgresql", "postgres"):
        raise ValueError("not the address of a PostgreSQL database")
    return address


# Final states, and codes of ends that say more.
_ENDS: Final = (
    *("completed", "failed", "timed_out", "cancelled", "waiting"),
    *("blocked", "captcha_required", "robots_disallowed", "login_expired", "empty_result"),
    *("rate_limited", "network_denied", "script_error", "timeout", "expired", "crashed"),
    *("worker_lost", "no_matching_worker", "environment_error", "integrity_error"),
    *("memory_limit", "cpu_limit", "process_limit", "output_limit", "result_invalid", "internal"),
)


def parse_networks(words: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that `10.0.0.0/8`, `::1/128` and the like stand for.

    Raises:
        ValueError: One is none, or has bits beyond its length, or is an IPv4 network spelled as
            IPv6 (which would not hold for the plain spelling); or there are too many.
    """
    if len(words) > _NETWORK_LIMIT_COUNT:
        raise ValueError(f"{len(words)} networks")
    networks = tuple(map(ipaddress.ip_network, words))
    for network in networks:
        if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            raise ValueError(f"not as IPv4: {network}")
    return networks


def parse_hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of hosts, without ports.

    Raises:
        ValueError: One is none.
    """
    for name in names:
        is_address = name.startswith("[") and name.endswith("]") and ":" in name
        if name != "*" and not is_address and not _HOST.fullmatch(name):
            raise ValueError(f"not a host: {name}")
    return names


def parse_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins of pages: `https://host` or `https://host:port`, in lower case.

    Raises:
        ValueError: One is none.
    """
    for origin in origins:
        parts = urlsplit(origin)
        is_origin = (
            parts.scheme in ("https", "http") and origin == f"{parts.scheme}://{parts.netloc}"
        )
        if origin != "*" and (not is_origin or not parts.hostname or "@" in origin):
            raise ValueError(f"not an origin: {origin}")
    return origins


_PARSERS: Final[dict[str, tuple[Callable[[Any], object], str]]] = {
    "gateway.http": (parse_http, "host:port"),
    "gateway.link": (parse_link, "tcp://host:port"),
    "gateway.webhook_url": (parse_webhook, "https://host/path"),
    "gateway.webhook_events": (_parse_names(_ENDS), ", ".join(_ENDS)),
    "gateway.webhook_allow": (parse_networks, "[10.0.0.0/8, 192.168.1.5, ...]"),
    "gateway.database_url": (parse_database, "postgresql://user:password@host/database"),
    "gateway.join_addresses": (parse_addresses, "[tcp://host:port, ...]"),
    "gateway.hosts": (parse_hosts, "[zs.example.com, 192.168.1.5, ...], without ports"),
    "gateway.cors_origins": (parse_origins, "[https://dashboard.example.com, ...]"),
    "gateway.forwarded_allow": (parse_networks, "[10.0.0.5, 10.1.0.0/16, ...]"),
    "worker.join": (
        parse_join,
        "a join token (zscrape token create) or tcp://host:port, or several joined by commas",
    ),
    "worker.index_url": (parse_index, "https://host/path/"),
    "worker.find_links": (parse_links, "[/absolute/folder, https://host/page, ...]"),
    "worker.network_allow": (parse_networks, "[10.20.0.0/16, 192.168.1.5, ::1/128, ...]"),
    "worker.environment_size_limit": (parse_size, "512MB, 1GiB, ..."),
    "worker.environments_size_limit": (parse_size, "512MB, 1GiB, ..."),
    "isolation.require": (_parse_names(LAYERS), ", ".join(LAYERS)),
    "isolation.skip": (_parse_names(SKIPPABLE_LAYERS), ", ".join(SKIPPABLE_LAYERS)),
    "script_memory_limit": (parse_size, "512MB, 1GiB, ..."),
    "cache_max_size": (parse_size, "2GB, 512MiB, ..."),
}


def check_range(name: str, value: Any, source: str, *, is_secret: bool = False) -> None:
    """Refuse a value of the right type that cannot be used; a secret is not quoted.

    Raises:
        SettingError: It is out of range, not finite, or not in the expected form.
    """
    if name in _PARSERS:
        parse, expected = _PARSERS[name]
        try:
            parse(value)
        except ValueError as error:
            # An address with an `@` may carry a password, wherever it stands.
            has_secret = is_secret or "@" in str(value) or TOKEN_PREFIX in str(value)
            shown = MASK if has_secret else value
            raise wrong(source, shown, expected) from error
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise wrong(source, value, "a finite number")
    # Every number here is a duration, a size or a count.
    if value < 0 or (value == 0 and name not in _ZERO_ALLOWED):
        raise wrong(source, value, ">= 0" if name in _ZERO_ALLOWED else "> 0")


def type_words(kind: Any) -> str:
    """Return what a value of this type looks like, for an error."""
    names = {int: "int", float: "number", bool: "true, false", str: "text", Path: "path"}
    if kind in names:
        return names[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(parts)
    if origin is tuple:
        return f"[{type_words(parts[0])}, ...]"
    if origin is dict:
        return "{ name = value }"
    return " | ".join(type_words(part) for part in parts if part is not type(None))
