"""Run by Alembic: brings the connection that it is handed to the wanted revision."""

from __future__ import annotations

from alembic import context

from zscrape.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
