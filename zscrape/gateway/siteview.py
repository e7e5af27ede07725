"""What is told of a site: its budget, whose it is, and how the site takes it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from zscrape.budgets import rate_text
from zscrape.core.sitepace import SiteState
from zscrape.model import SiteBudget
from zscrape.store.sites import BudgetRow


class SiteView(Struct, frozen=True, kw_only=True):
    """One site, as operators see it."""

    site: str
    budget: dict[str, Any]  # as it is set; empty: none holds
    source: Literal["operator", "scripts", "none"]
    claimed_by: tuple[str, ...]  # scripts that name it, and `robots.txt`
    in_use_count: int
    waiting_count: int
    share: float  # of the budget, while the site has complained of late
    paused_s: float
    complaint: dict[str, Any] | None  # the last one: its status and how long it is ago
    updated_at: float | None  # Unix time
    updated_by: str | None


def budget_view(budget: SiteBudget) -> dict[str, Any]:
    """Return a budget as it is set."""
    told = {
        "rate": None if budget.rate_per_s is None else rate_text(budget.rate_per_s),
        "concurrency": budget.concurrency_count,
        "burst": None if budget.burst_count == 1 else budget.burst_count,
        "gap": budget.gap_s,
    }
    return {name: value for name, value in told.items() if value is not None}


def site_view(
    site: str, state: SiteState, now: float, *, budget: SiteBudget, row: BudgetRow | None
) -> SiteView:
    """Return what is told of a site at the moment `now` of its clock."""
    told = budget_view(budget)
    complaint = None
    if state.complaint_status:
        age_s = round(max(0.0, now - state.complaint_at), 1)
        complaint = {"status": state.complaint_status, "age_s": age_s}
    return SiteView(
        site=site,
        budget=told,
        source="operator" if row is not None else "scripts" if told else "none",
        claimed_by=state.claimers(now),
        in_use_count=state.open_count(now),
        waiting_count=state.waiting_count(now),
        share=round(state.share_now(now), 3),
        paused_s=round(max(0.0, state.paused_until - now), 1),
        complaint=complaint,
        updated_at=None if row is None else row.updated_at,
        updated_by=None if row is None else row.updated_by,
    )
