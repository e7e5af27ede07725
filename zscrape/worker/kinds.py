"""What a template is for, and how its process is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from msgspec import Struct

from zscrape.runtime import limits
from zscrape.runtime.limits import Limits

_LAUNCH = str(Path(limits.__file__).with_name("launch.py"))

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


class Kind(Struct, frozen=True):
    """What a template is for. `own_limits`: its children inherit these, which costs nothing."""

    kit: str  # comma separated, empty for the bare one
    own_limits: Limits | None
    python: str = ""  # the interpreter of an environment; empty: the worker's own

    @property
    def name(self) -> str:
        """What people call it: its kit, the environment, and `+limits` if not the standard ones."""
        environment = f"@{Path(self.python).parents[1].name[:12]}" if self.python else ""
        return self.kit + environment + ("" if self.own_limits is not None else "+limits")


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
    is_supervised = answer_fd >= 0
    answer = str(answer_fd) if is_supervised else "-"
    arguments = (str(control_fd), scratch_root, policy.isolation, kind.kit, own, answer)
    return subprocess.Popen(
        # Without `site`: what an environment's `.pth` files run comes after `prepare`, which
        # takes away the ways to gain rights.
        [kind.python or policy.python, "-I", "-S", _LAUNCH, "prepare", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors_fd,
        # Symbols are bound at start, so that children have none left to look up.
        env={**policy.environ, "LD_BIND_NOW": "1"},
        pass_fds=(control_fd, answer_fd) if is_supervised else (control_fd,),
        start_new_session=True,
    )
