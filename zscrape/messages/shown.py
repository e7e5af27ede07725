"""What terminals and the dashboard show, and nothing that serves says by itself."""

from __future__ import annotations

from typing import Final

from zscrape.messages.access import ACCESS
from zscrape.messages.catalogue import Text
from zscrape.messages.cli import CLI
from zscrape.messages.client import CLIENT
from zscrape.messages.dashboard import DASHBOARD
from zscrape.messages.demo import DEMO
from zscrape.messages.handoffs import HANDOFFS
from zscrape.messages.operations import OPERATIONS
from zscrape.messages.tasks import TASKS
from zscrape.messages.top import TOP

SHOWN: Final[dict[str, Text]] = {
    **CLI,
    **DEMO,
    **CLIENT,
    **TASKS,
    **TOP,
    **ACCESS,
    **DASHBOARD,
    **HANDOFFS,
    **OPERATIONS,
}
