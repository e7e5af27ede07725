"""What scripts remember between runs: state, keys of items, sessions with sites."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "script_state",
        sa.Column("script_name", sa.String(255), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("writer", sa.String(128), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "item_keys",
        sa.Column("script_name", sa.String(255), primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("task_id", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.create_index("item_keys_expires", "item_keys", ["expires_at"])
    op.create_table(
        "pending_item_keys",
        sa.Column("task_id", sa.String(64), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("script_name", sa.String(255), nullable=False),
        sa.Column("kept_s", sa.Float(53), nullable=False),
        sa.Column("asked_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "site_sessions",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("scripts", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("cookie_count", sa.Integer, nullable=False),
        sa.Column("use_count", sa.BigInteger, nullable=False),
        sa.Column("bad_count", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("used_at", sa.Float(53)),
        sa.Column("expires_at", sa.Float(53)),
    )
    op.create_table(
        "session_leases",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("task_id", sa.String(64), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("is_exclusive", sa.Boolean, nullable=False),
        sa.Column("granted_at", sa.Float(53), nullable=False),
    )
    op.create_index("session_leases_task", "session_leases", ["task_id"])
