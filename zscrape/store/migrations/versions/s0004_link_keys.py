"""Join tokens, and the keys by which workers are known on the link."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables of who may dial the link."""
    op.create_table(
        "join_tokens",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53)),
        sa.Column("uses_limit_count", sa.Integer),
        sa.Column("used_count", sa.Integer, nullable=False),
        sa.Column("revoked_at", sa.Float(53)),
    )
    op.create_table(
        "worker_keys",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("joined_at", sa.Float(53), nullable=False),
        sa.Column("revoked_at", sa.Float(53)),
    )
