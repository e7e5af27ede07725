"""What the endpoints work with: one struct, filled by `zscrape.gateway.serve`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct
from starlette.types import ASGIApp

from zscrape.gateway.access import Access
from zscrape.gateway.audit import Auditor
from zscrape.gateway.counters import Counters
from zscrape.gateway.events import EventHub
from zscrape.gateway.feed import Feed
from zscrape.gateway.handoffs import Handoffs
from zscrape.gateway.joining import Joining
from zscrape.gateway.keyring import KeyRing
from zscrape.gateway.pulse import Pulse
from zscrape.gateway.ratelimits import LocalLimiter, RequestLimiter
from zscrape.gateway.remembering import Remembering, remember
from zscrape.gateway.schedules import Schedules
from zscrape.gateway.shield import ShieldPolicy
from zscrape.gateway.sites import Sites, local_sites
from zscrape.gateway.tasks import TaskRouter, TaskService
from zscrape.gateway.vault import Vault, closed_vault
from zscrape.machine import Processors
from zscrape.model import MIB
from zscrape.scripts.catalogue import Catalogue
from zscrape.store.tasks import TaskStore


class HttpPolicy(Struct, frozen=True):
    """Limits of calls (contract section 9)."""

    body_limit_bytes: int = MIB
    body_timeout_s: float = 30.0
    connection_limit: int = 1024
    depth_limit: int = 32  # of parameters
    inline_limit_bytes: int = MIB  # larger data is linked
    max_wait_s: float = 300.0  # the longest `?wait=` and `Prefer: wait`
    ping_interval_s: float = 15.0  # of silent streams: proxies cut what is silent for a minute
    stall_limit_s: float = 60.0  # a reader that takes nothing for so long is cut
    lang: str = "en"  # of who does not say
    shield: ShieldPolicy = ShieldPolicy()
    is_metrics_open: bool = False  # `/metrics` without a key
    webhook_secret: str | None = None  # of Git hosts that tell of a push


def _say_nothing(_event: str, _request_id: str, _error: BaseException) -> None:
    """Report to nobody."""


@dataclass(kw_only=True)
class GatewayState:
    """The parts of a gateway that its HTTP API works with."""

    service: TaskService
    router: TaskRouter
    catalogue: Catalogue
    store: TaskStore
    hub: EventHub
    access: Access
    keys: KeyRing
    audit: Auditor
    gateway_id: str
    started_at: float  # Unix time
    schedules: Schedules
    handoffs: Handoffs
    policy: HttpPolicy = field(default_factory=HttpPolicy)
    joining: Joining | None = None  # None: the link is not there, as in some tests
    limiter: RequestLimiter = field(default_factory=lambda: LocalLimiter(None, time.monotonic))
    vault: Vault = field(default_factory=closed_vault)
    sites: Sites = field(default_factory=local_sites)
    remembering: Remembering = field(default_factory=remember)
    counters: Counters = field(default_factory=Counters)
    processors: Processors = field(default_factory=Processors)
    is_draining: bool = False  # set when the gateway begins to end
    # Told of what should not happen: the event, the request's id, the error.
    report: Callable[[str, str, BaseException], None] = _say_nothing
    around: Callable[[ASGIApp], ASGIApp] | None = None  # stands around every call: traces
    pulse: Pulse = field(init=False)  # figures over the last hour
    feed: Feed = field(init=False)  # the same, to all who watch

    def __post_init__(self) -> None:
        """Make what is made of the other parts."""
        self.pulse = Pulse(self.store, self.router.snapshot)
        self.feed = Feed(self.hub)
