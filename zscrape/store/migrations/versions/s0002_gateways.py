"""Several gateways on one database: who owns which task, and what they tell each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the owner of a task, and the tables of gateways, cancels and locks."""
    op.add_column("tasks", sa.Column("owner", sa.String(64)))
    op.create_index(
        "tasks_owned",
        "tasks",
        ["owner", "seq"],
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("lease_until", sa.Float(53), nullable=False),
    )
    op.create_table(
        "cancels",
        sa.Column("task_id", sa.String(64), primary_key=True),
        sa.Column("asked_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "locks",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )
