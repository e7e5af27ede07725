"""Limits that hold over several gateways: one key for an id of a worker, rates, tasks, groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Of two keys that two gateways have let in under one id, the later one stays.
_ONE_KEY = """
    DELETE FROM worker_keys WHERE revoked_at IS NULL AND EXISTS (
        SELECT 1 FROM worker_keys AS other
        WHERE other.worker_id = worker_keys.worker_id AND other.revoked_at IS NULL
        AND (other.joined_at > worker_keys.joined_at
             OR (other.joined_at = worker_keys.joined_at AND other.key > worker_keys.key)))
"""


def upgrade() -> None:
    """Bind ids to keys, and make room for what clients use up and for what keys are held to."""
    op.execute(_ONE_KEY)
    valid = sa.text("revoked_at IS NULL")
    op.create_index(
        "worker_keys_id",
        "worker_keys",
        ["worker_id"],
        unique=True,
        sqlite_where=valid,
        postgresql_where=valid,
    )
    op.create_table(
        "rate_buckets",
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("tokens", sa.Float(53), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "client_counts",
        sa.Column("gateway", sa.String(64), primary_key=True),
        sa.Column("client", sa.String(255), primary_key=True),
        sa.Column("task_count", sa.Integer, nullable=False),
    )
    op.add_column(
        "api_keys",
        sa.Column("group_names", sa.Text, nullable=False, server_default="[]"),
    )
    op.add_column("api_keys", sa.Column("task_limit_count", sa.Integer))
    op.add_column("tasks", sa.Column("group_name", sa.Text))
