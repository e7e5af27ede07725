"""Which life of a gateway has claimed a due moment, to know at once when it is over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the claimer of an occurrence."""
    op.add_column(
        "occurrences", sa.Column("claimer", sa.String(32), nullable=False, server_default="")
    )
