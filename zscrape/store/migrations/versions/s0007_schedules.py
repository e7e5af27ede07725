"""Schedules, and what became of each of their due moments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables of schedules."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("script_name", sa.String(255), nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("pause_reason", sa.String(32), nullable=False),
        sa.Column("failure_count", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("cursor_at", sa.Float(53), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )
    op.create_index("schedules_name", "schedules", ["name"], unique=True)
    op.create_table(
        "occurrences",
        sa.Column("schedule_id", sa.String(64), primary_key=True),
        sa.Column("due_ms", sa.BigInteger, primary_key=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("is_manual", sa.Boolean, nullable=False),
        sa.Column("task_id", sa.String(64), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("detail", sa.LargeBinary, nullable=False),
    )
    op.create_index("occurrences_due", "occurrences", ["due_ms"])
    claimed = sa.text("status = 'claimed'")
    op.create_index(
        "occurrences_claimed",
        "occurrences",
        ["schedule_id"],
        sqlite_where=claimed,
        postgresql_where=claimed,
    )
