"""Tasks, their logs and their results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "tasks",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("client", sa.String(255), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("script_name", sa.String(255), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("finished_at", sa.Float(53)),
        sa.Column("result_key", sa.LargeBinary(16)),
        sa.Column("has_output", sa.Boolean, nullable=False),
        sa.Column("is_dead_letter", sa.Boolean, nullable=False),
        sa.Column("dropped_reason", sa.String(32)),
        sa.Column("is_unsent", sa.Boolean, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("spec", sa.LargeBinary),
        sa.Column("row", sa.LargeBinary, nullable=False),
        sa.Column("log", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )
    op.create_index("tasks_id", "tasks", ["id"], unique=True)
    _partial("tasks_idempotency", ["client", "idempotency_key"], "idempotency_key IS NOT NULL")
    _partial("tasks_live", ["seq"], "finished_at IS NULL")
    op.create_index("tasks_finished", "tasks", ["finished_at"])
    _partial("tasks_result", ["result_key", "finished_at"], "result_key IS NOT NULL")
    _partial("tasks_output", ["finished_at"], "has_output")
    _partial("tasks_dead", ["seq"], "is_dead_letter")
    _partial("tasks_unsent", ["seq"], "is_unsent")
    op.create_table(
        "chunks",
        sa.Column("task_id", sa.String(64), primary_key=True),
        sa.Column("first_number", sa.BigInteger, primary_key=True),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("entry_count", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "results",
        sa.Column("task_id", sa.String(64), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
    )


def _partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        "tasks",
        columns,
        unique=name == "tasks_idempotency",
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
