"""Budgets of sites, and what several gateways must know of the sites that they share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables of sites."""
    op.create_table(
        "site_budgets",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("rate_per_s", sa.Float(53)),
        sa.Column("concurrency_count", sa.Integer),
        sa.Column("burst_count", sa.Integer),
        sa.Column("gap_s", sa.Float(53)),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
    )
    op.create_table(
        "site_states",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("site_states_at", "site_states", ["at"])
