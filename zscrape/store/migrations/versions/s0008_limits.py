"""An id of a worker belongs to one key, whichever of several gateways lets it in."""

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
    """Bind ids to keys."""
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
