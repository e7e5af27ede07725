"""What a template is for, and how its process is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from msgspec import Struct

from zscrape.model import Network
from zscrape.runtime.limits import Limits
from zscrape.worker.isolation import LAUNCH, Isolation
from zscrape.worker.network import Egress

# What a template, and so every script, may see of the worker's environment.
ALLOWED_ENVIRON = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"}
)


class TemplateFailed(Exception):
    """Raised when a template process cannot be started or used; the text says why."""


class TemplatePolicy(Struct, frozen=True):
    """How templates are started."""

    python: str
    isolation: Literal["fork", "exec"]
    environ: dict[str, str]
    spare_count: int  # per template in use
    beside_count: int  # and so many more, where spares have the limits that most scripts have
    browser_ahead: int  # in place of that, where a spare starts a browser
    layers: Isolation
    egress: Egress
    idle_s: float = 0.0  # after which templates but the lean one close; 0.0: never


class Kind(Struct, frozen=True):
    """What a template is for. `own_limits`: its children inherit these, which costs nothing."""

    kit: str  # comma separated, empty for the bare one
    own_limits: Limits | None
    python: str = ""  # the interpreter of an environment; empty: the worker's own
    network: Network = "public"
    preload: str = ""  # modules, comma separated, that its children start with

    @property
    def is_rare(self) -> bool:
        """True iff it is for few scripts: started when one of them comes, closed when none does."""
        return bool(self.python or self.preload)

    @property
    def name(self) -> str:
        """What people call it: its kit, the environment, and what is not the standard of both."""
        network = "" if self.network == "public" else f"+network={self.network}"
        environment = f"@{Path(self.python).parents[1].name[:12]}" if self.python else ""
        limits = "" if self.own_limits is not None else "+limits"
        preload = f"+{self.preload}" if self.preload else ""
        return f"{self.kit}{preload}{environment}{limits}{network}"


def clean_environ(extra: dict[str, str]) -> dict[str, str]:
    """Return the environment of templates: an allow-list, never what the worker holds."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ALLOWED_ENVIRON or name.startswith("LC_")
    }
    return {**kept, **extra}


def start_process(
    kind: Kind,
    policy: TemplatePolicy,
    scratch_root: str,
    control_fd: int,
    errors_fd: int,
    answer_fd: int = -1,
) -> subprocess.Popen[bytes]:
    """Execute a template: never a fork of the worker, whose memory a fork would inherit.

    With an `answer_fd` it takes on the network filter, and hands over its listener.

    Raises:
        OSError: The interpreter cannot be executed.
    """
    own = "-" if kind.own_limits is None else ",".join(map(str, kind.own_limits))
    python = kind.python or policy.python
    plan = policy.layers.plan(python, scratch_root)
    answer = "-" if answer_fd < 0 else str(answer_fd)
    roles = (str(control_fd), scratch_root, policy.isolation)
    # None where others' code runs in the template: it could hand on what pages are pinned with.
    ring = "-" if kind.preload or kind.python else "ring"
    arguments = (*roles, kind.kit, kind.preload, own, plan, answer, ring)
    return subprocess.Popen(
        # Without `site`: what an environment's `.pth` files run comes after `prepare`, which
        # takes away the ways to gain rights.
        [
            *(python, "-I", "-S", LAUNCH),
            *(*policy.egress.steps(kind.network), "prepare", *arguments),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors_fd,
        # Symbols are bound at start, so that children have none left to look up.
        env={**policy.environ, **policy.egress.environ(kind.network), "LD_BIND_NOW": "1"},
        pass_fds=(control_fd,) if answer_fd < 0 else (control_fd, answer_fd),
        start_new_session=True,
    )
