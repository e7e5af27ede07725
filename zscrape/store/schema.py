"""The tables, defined once for every database; `migrations` says how they came to be.

What is searched for has a column of its own; the rest of a task is one document (`row`), so
that a new field of `TaskRow` needs no migration. Small logs stand in the task's own row,
longer ones in chunks: a short call costs one row and no more.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData()
HEAD: Final = "0006"  # the newest migration; a test holds it to the folder

_ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")  # else no alias of the rowid

TASKS: Final = Table(
    "tasks",
    METADATA,
    Column("seq", _ROW_NUMBER, primary_key=True, autoincrement=True),  # in order of acceptance
    Column("id", String(64), nullable=False),
    Column("client", String(255), nullable=False),
    Column("idempotency_key", String(255)),  # NULL: none
    Column("script_name", String(255), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float(53), nullable=False),  # moments are Unix time
    Column("finished_at", Float(53)),  # NULL iff it has not ended
    Column("result_key", LargeBinary(16)),  # of a completed task: what it was asked
    Column("has_output", Boolean, nullable=False),  # items or artifacts among its chunks
    Column("is_dead_letter", Boolean, nullable=False),
    Column("dropped_reason", String(32)),  # NULL: it never was a dead letter
    Column("is_unsent", Boolean, nullable=False),  # somebody is still to be told of its end
    Column("parameters", LargeBinary, nullable=False),
    Column("spec", LargeBinary),  # NULL: not taken up again after a restart
    Column("row", LargeBinary, nullable=False),
    Column("log", LargeBinary, nullable=False),  # the end of its log, as far as in no chunk
    Column("checksum", BigInteger, nullable=False),  # over the four before it
)
Index("tasks_id", TASKS.c.id, unique=True)
Index(
    "tasks_idempotency",
    TASKS.c.client,
    TASKS.c.idempotency_key,
    unique=True,
    sqlite_where=text("idempotency_key IS NOT NULL"),
    postgresql_where=text("idempotency_key IS NOT NULL"),
)
Index(
    "tasks_live",
    TASKS.c.seq,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)
Index("tasks_finished", TASKS.c.finished_at)
Index(
    "tasks_result",
    TASKS.c.result_key,
    TASKS.c.finished_at,
    sqlite_where=text("result_key IS NOT NULL"),
    postgresql_where=text("result_key IS NOT NULL"),
)
Index(
    "tasks_output",
    TASKS.c.finished_at,
    sqlite_where=text("has_output"),
    postgresql_where=text("has_output"),
)

Index(
    "tasks_dead",
    TASKS.c.seq,
    sqlite_where=text("is_dead_letter"),
    postgresql_where=text("is_dead_letter"),
)
Index(
    "tasks_unsent",
    TASKS.c.seq,
    sqlite_where=text("is_unsent"),
    postgresql_where=text("is_unsent"),
)

CHUNKS: Final = Table(
    "chunks",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("first_number", BigInteger, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),  # `item`, `artifact`, or `note` for the rest
    Column("attempt", Integer, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

RESULTS: Final = Table(
    "results",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),  # too large to be read with every look at a row
    Column("checksum", BigInteger, nullable=False),
)

SECRETS: Final = Table(
    "secrets",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # see `zscrape.gateway.sealing`
    Column("key_id", String(32), nullable=False),  # which key opens it, and not the key
    Column("scripts", Text, nullable=False),  # JSON: names, or patterns of names
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
)
