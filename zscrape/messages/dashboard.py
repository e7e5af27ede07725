"""Words of the dashboard; its keys begin with `ui.`, and a browser gets all of them."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text
from zscrape.messages.dashboardframe import DASHBOARD_FRAME
from zscrape.messages.dashboardpages import DASHBOARD_PAGES
from zscrape.messages.dashboardsecrets import DASHBOARD_SECRETS
from zscrape.messages.dashboardstart import DASHBOARD_START
from zscrape.messages.dashboardsteps import DASHBOARD_STEPS

DASHBOARD: Final[dict[str, Text]] = {
    **DASHBOARD_FRAME,
    **DASHBOARD_PAGES,
    **DASHBOARD_SECRETS,
    **DASHBOARD_START,
    **DASHBOARD_STEPS,
}
