"""The tree of settings, and the names under which each can be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from zscrape.config.values import (
    SettingError,
    is_loopback,
    parse_http,
    parse_size,
)
from zscrape.model import MIB, HeartbeatPolicy, Network, QueuePolicy, SiteBudget
from zscrape.spelling import most_like


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """The process with the HTTP API and the link."""

    http: str = "127.0.0.1:8000"  # host:port; port 0 takes a free one
    link: str = "tcp://127.0.0.1:5555"
    # A new home's keys come from it, the link's and that of secrets: gateways that share a
    # database have the same one, and are one to workers; secret.
    link_secret: str | None = None
    join_addresses: tuple[str, ...] = ()  # what join tokens say to dial; else where `link` is
    insecure: bool = False  # allows HTTP, which is not encrypted, beyond loopback
    api_key: str | None = None  # adopted as an admin key, for containers; secret
    webhook_secret: str | None = None  # of Git hosts that call /v1/scripts/refresh; secret
    webhook_url: str | None = None  # is told of every task's end
    webhook_events: tuple[str, ...] = ("completed", "failed", "timed_out", "cancelled")
    webhook_signing_secret: str | None = None  # signs what webhooks are told; secret
    webhook_allow: tuple[str, ...] = ()  # networks that webhooks may be in, besides public ones
    # Tokens of another sign-in: who made them, whom they are for, and a key to check them with.
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_secret: str | None = None  # of HS256, 32 bytes or more; secret
    jwt_public_key: str | None = None  # of EdDSA: a PEM file, or `ed25519:` and base64
    body_limit_bytes: int = MIB
    body_timeout_s: float = 30.0  # for a whole body to arrive
    metrics_open: bool = False  # GET /metrics asks for no key
    hosts: tuple[str, ...] = ()  # further names under which it may be called; `*`: any
    cors_origins: tuple[str, ...] = ()  # whose pages may read its answers; `*`: any
    tls_certificate: Path | None = None  # PEM, with its chain
    tls_key: Path | None = None  # PEM
    forwarded_allow: tuple[str, ...] = ()  # proxies that are believed about whose call it is
    client_rate: float = 0.0  # calls a second of one client; 0: as many as it likes
    client_burst: int = 0  # calls at once after a rest; 0: two seconds of its rate
    connection_limit: int = 1024  # HTTP connections at once; further ones are answered 503
    depth_limit: int = 32
    inline_limit_bytes: int = MIB  # a larger answer is linked, not inlined
    max_wait_s: float = 300.0  # the longest `?wait=` and `Prefer: wait`
    reuse_limit: int = 10_000  # the most that `reuse` of a manifest may be; 1: nobody shares
    shutdown_grace_s: float = 10.0
    store: Literal["sqlite", "memory"] = "sqlite"  # memory: nothing outlives the process
    database_url: str | None = None  # postgresql://..., for several gateways; secret
    task_kept_count: int = 10_000  # ended tasks, in memory
    task_kept_days: float = 30.0  # ended tasks, in the database
    output_kept_days: float = 7.0  # their items and artifacts
    audit_kept_days: float = 365.0  # who did what
    key_kept_days: float = 30.0  # keys of items, where a script says nothing; 0: not at all
    # Where large results, items and artifacts go: the home folder, or a bucket.
    blobs: Literal["file", "s3"] = "file"
    blob_bucket: str = ""
    blob_prefix: str = ""
    blob_endpoint_url: str | None = None  # None: AWS
    blob_region: str | None = None
    blob_access_key: str | None = None  # None: as boto3 finds one
    blob_secret_key: str | None = None  # secret


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """The process that dials a gateway and owns slots."""

    join: str = "tcp://127.0.0.1:5555"  # join tokens (secret) and addresses, joined by commas
    slots: int | None = None  # None: the number of CPUs
    # Attempts with a browser at once, each some 300 MB. None: 2, or 1 on a small machine; without
    # Chromium none.
    browser_slots: int | None = None
    browser_program: str = ""  # its path, beneath /usr or /opt; empty: looked for
    browser_ahead: int = 1  # browsers that wait ready, while browser scripts run
    tags: tuple[str, ...] = ()
    isolation: Literal["fork", "exec"] = "fork"
    # A kit that no attempt has asked for this long is unloaded, 25 MB; 0: never. The next attempt
    # with it waits for it to start; what scripts without one start from stays.
    template_idle_s: float = 900.0
    grace_s: float = 2.0  # between asking an attempt to end and killing it
    network: Network = "public"  # the most that scripts may have
    network_allow: tuple[str, ...] = ()  # networks that `public` has besides
    # Environments of scripts that bring requirements or a Python version.
    index_url: str | None = None  # where packages come from; None: uv's default; secret
    find_links: tuple[str, ...] = ()  # folders and pages with packages besides
    offline: bool = False  # nothing is fetched: what `find_links` and the cache have
    allow_builds: bool = False  # from source, which runs the packages' own code
    allow_python_downloads: bool = False
    build_timeout_s: float = 600.0
    environment_size_limit: str = "2GB"  # one environment
    environments_size_limit: str = "10GB"  # all of them; the least used go first


class IsolationSettings(Struct, frozen=True, kw_only=True):
    """Layers that keep a script from what is not its own: see `zscrape.model.LAYERS`."""

    require: tuple[str, ...] = ()  # without one of these a worker does not start
    skip: tuple[str, ...] = ()  # not applied, though this machine has them


class RepositorySettings(Struct, frozen=True, kw_only=True):
    """Where scripts come from.

    `url` of a `dir` is an absolute path, of `git` and `http` an address; `s3` has a bucket
    instead. What a type has no use for must be absent.
    """

    type: str = "dir"
    url: str = ""
    name: str = "scripts"
    timeout_s: float = 30.0  # without a byte from the other side
    # git and http
    token: str | None = None  # secret
    user: str | None = None
    password: str | None = None  # secret
    # Private networks that a public server may redirect to; it may not to any by default.
    redirect_allow: tuple[str, ...] = ()
    # git
    branch: str | None = None  # what has no tag comes from here; None: the default branch
    ssh_key: str | None = None  # path of a private key
    ssh_known_hosts: str | None = None  # path of the hosts' keys; None: the user's own file
    # s3
    bucket: str = ""
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None  # secret
    prefix: str = ""
    endpoint_url: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"


class ScriptDefaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[scripts.NAME]`: defaults of one script, without touching its manifest."""

    version: str | None = None
    timeout_s: float | None = None
    tags: tuple[str, ...] = ()
    rate: float | None = None  # tasks a second that may be asked of it
    parameters: dict[str, Any] = {}
    sites: dict[str, SiteBudget] = {}  # above those of its manifest, site by site


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set, and where each value came from (`sources`, by dotted name)."""

    home: Path
    lang: Literal["en", "ko"] = "en"  # `load` takes the locale's
    cache_dir: Path
    cache_max_age_h: float = 168.0
    cache_max_size: str = "2GB"
    script_timeout_s: float = 300.0
    script_memory_limit: str = "512MB"
    script_refresh_interval_s: float = 60.0  # how old a repository's listing may be
    # Publishers whose signatures count: public key files, or `ed25519:` and the key in base64.
    trusted_keys: tuple[str, ...] = ()
    require_signature: bool = False  # refuse every script that none of them has signed
    schedule_timeout_s: float = 300.0  # how long a task may wait for a slot
    gateway: GatewaySettings = GatewaySettings()
    worker: WorkerSettings = WorkerSettings()
    isolation: IsolationSettings = IsolationSettings()
    heartbeat: HeartbeatPolicy = HeartbeatPolicy()
    queue: QueuePolicy = QueuePolicy()
    repositories: tuple[RepositorySettings, ...] = ()
    scripts: dict[str, ScriptDefaults] = {}
    sources: dict[str, str] = {}

    @property
    def script_memory_limit_bytes(self) -> int:
        """`script_memory_limit` as a number of bytes."""
        return parse_size(self.script_memory_limit)

    @property
    def cache_max_size_bytes(self) -> int:
        """`cache_max_size` as a number of bytes."""
        return parse_size(self.cache_max_size)


SECTIONS: Final[dict[str, type[Struct]]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "isolation": IsolationSettings,
    "heartbeat": HeartbeatPolicy,
    "queue": QueuePolicy,
}
# In the home folder: a join token for workers that share it.
JOIN_FILE: Final = "join.toml"
TABLES: Final = ("repositories", "scripts")  # read by their own functions
# Names of the contract; every other setting's name is built by `environment_name`.
_ENVIRONMENT_NAMES: Final = {
    "cache_dir": "SCRIPT_CACHE_DIR",
    "cache_max_age_h": "SCRIPT_CACHE_MAX_AGE",
    "cache_max_size": "SCRIPT_CACHE_MAX_SIZE",
    "script_timeout_s": "SCRIPT_TIMEOUT",
    "script_memory_limit": "SCRIPT_MEMORY_LIMIT",
    "script_refresh_interval_s": "SCRIPT_REFRESH_INTERVAL",
}
# The first repository may be given by the environment: the names of its fields there.
REPOSITORY_ENVIRONMENT: Final = {
    "type": "SCRIPT_REPOSITORY_TYPE",
    "url": "SCRIPT_REPOSITORY_URL",
    "token": "SCRIPT_REPOSITORY_TOKEN",
    "bucket": "S3_BUCKET_NAME",
    "region": "S3_REGION",
    "access_key": "S3_ACCESS_KEY",
    "secret_key": "S3_SECRET_KEY",
    "prefix": "S3_PREFIX",
    "endpoint_url": "S3_ENDPOINT_URL",
}
# Before the name of a secret, for scripts that are run without a cluster.
SECRET_VARIABLE: Final = "ZSCRAPE_SECRET_"  # noqa: S105 - a name
_CLIENT_NAMES: Final = ("ZSCRAPE_URL", "ZSCRAPE_CONFIG")  # known, but no settings
SECRETS: Final = frozenset(
    {
        "gateway.api_key",
        "gateway.link_secret",
        "gateway.webhook_secret",
        "gateway.webhook_signing_secret",
        "gateway.jwt_secret",
        "gateway.database_url",
        "gateway.blob_secret_key",
        "worker.index_url",
    }
)
# Not masked as settings, and yet secrets: a join token, and what goes with a secret key.
SECRETS_BESIDE: Final = frozenset({"worker.join", "gateway.blob_access_key"})
REPOSITORY_SECRETS: Final = frozenset({"token", "password", "secret_key"})


class Setting(Struct, frozen=True):
    """One known setting: its dotted name, its type and its default."""

    name: str
    type: Any
    default: Any


def settings_known() -> Iterator[Setting]:
    """Every setting that has one value, in the order of the tree."""
    for field in msgspec.structs.fields(Settings):
        if field.name in SECTIONS:
            for inner in msgspec.structs.fields(SECTIONS[field.name]):
                yield Setting(f"{field.name}.{inner.name}", inner.type, inner.default)
        elif field.name not in (*TABLES, "sources"):
            yield Setting(field.name, field.type, field.default)


def environment_name(name: str) -> str:
    """Return the environment variable of the setting with this dotted name."""
    if name in _ENVIRONMENT_NAMES:
        return _ENVIRONMENT_NAMES[name]
    section, _, leaf = name.rpartition(".")
    if section in ("", "gateway", "worker"):  # their leaves are unique, and the contract's
        return f"ZSCRAPE_{leaf.upper()}"
    return f"ZSCRAPE_{section.upper()}_{leaf.upper()}"


def flag_name(name: str) -> str:
    """Return the command-line flag of the setting with this dotted name."""
    return "--" + name.rpartition(".")[2].replace("_", "-")


def unknown_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `ZSCRAPE_` variables that mean nothing here, each with the nearest known name.

    They are told by `doctor` and are no errors: Kubernetes puts `ZSCRAPE_PORT` and the like
    into every container beside a service of that name.
    """
    known = [environment_name(setting.name) for setting in settings_known()] + [*_CLIENT_NAMES]
    known += [f"{environment_name(name)}_FILE" for name in (*SECRETS, *SECRETS_BESIDE)]
    strangers = [
        name
        for name in environ
        if name.startswith("ZSCRAPE_")
        and name not in known
        and not name.startswith(SECRET_VARIABLE)
    ]
    return {name: most_like(name, known) for name in sorted(strangers)}


def refuse_open_bind(gateway: GatewaySettings) -> None:
    """Refuse to answer HTTP beyond loopback without a certificate. The link always is encrypted.

    Raises:
        ConfigError: The address is not a loopback one and `insecure` is not set.
    """
    for refusal in open_binds(gateway):
        raise refusal


def open_binds(gateway: GatewaySettings) -> Iterator[SettingError]:
    """Yield the addresses that are open: HTTP is not, once it has a certificate."""
    if gateway.insecure or gateway.tls_certificate is not None:
        return
    host = parse_http(gateway.http)[0]
    if not is_loopback(host):
        yield SettingError(source="--http", reason=f"{host} is open", fault="open_bind", value=host)
